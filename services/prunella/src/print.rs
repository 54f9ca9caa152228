//! What people look at: tables and progress.

use std::time::Duration;

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use indicatif::{ProgressBar, ProgressStyle};

/// A table without lines, fitted to the terminal.
pub fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_header(headings);
    table
}

/// Something that takes a while; a line on standard error, gone when it is done. On a pipe, plain lines.
pub struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    pub fn start(quiet: bool, text: impl Into<String>) -> Self {
        let text = text.into();
        if quiet {
            return Self { bar: None };
        }
        if !std::io::IsTerminal::is_terminal(&std::io::stderr()) {
            eprintln!("  {text}");
            return Self { bar: None };
        }
        let bar = ProgressBar::new_spinner();
        let style = ProgressStyle::with_template("  {spinner} {msg} {elapsed:.dim}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.set_message(text);
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar: Some(bar) }
    }

    pub fn say(&self, text: impl Into<String>) {
        if let Some(bar) = &self.bar {
            bar.set_message(text.into());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// `2026-11-21 08:15:30` in UTC.
pub fn time(millis: i64) -> String {
    jiff::Timestamp::from_millisecond(millis).map_or_else(|_| millis.to_string(), |at| at.strftime("%F %T").to_string())
}

/// `1.2 s`, `340 ms`, `3m 5s`.
pub fn took(millis: i64) -> String {
    match millis {
        ..=0 => "0 ms".to_owned(),
        1..=999 => format!("{millis} ms"),
        1000..=59_999 => format!("{:.1} s", millis as f64 / 1000.0),
        _ => format!("{}m {}s", millis / 60_000, millis % 60_000 / 1000),
    }
}
