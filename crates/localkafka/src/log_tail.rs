//! The few lines of a server's log that say why it did not start.

use std::fs;
use std::path::Path;

const LINES: usize = 8;
const LINE_LENGTH: usize = 600;
const TELLING: &[&str] = &["ERROR", "FATAL", "Exception", "Caused by", "OutOfMemory", "Error:", "No space left"];

/// The last telling lines of all `files`, or else their last lines.
pub(crate) fn telling_lines(files: &[&Path]) -> String {
    let text: String = files.iter().map(|file| read(file)).collect();
    telling_lines_of(&text)
}

pub(crate) fn telling_lines_of(text: &str) -> String {
    let is_frame = |line: &str| line.trim_start().starts_with("at ");
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty() && !is_frame(line)).collect();
    let telling: Vec<&str> =
        lines.iter().copied().filter(|line| TELLING.iter().any(|word| line.contains(word))).collect();
    last_lines(if telling.is_empty() { &lines } else { &telling })
}

fn last_lines(lines: &[&str]) -> String {
    let first = lines.len().saturating_sub(LINES);
    let shown: Vec<String> =
        lines[first..].iter().map(|line| format!("  {}", line.chars().take(LINE_LENGTH).collect::<String>())).collect();
    if shown.is_empty() { "  (nothing)".to_owned() } else { shown.join("\n") }
}

/// The text of a log, empty if there is none (yet).
pub(crate) fn read(file: &Path) -> String {
    fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_shown_before_chatter() {
        let directory = tempfile::tempdir().expect("a directory");
        let log = directory.path().join("log");
        let chatter = "INFO all is well\n".repeat(20);
        fs::write(&log, format!("{chatter}ERROR the disk burns\n{chatter}")).expect("written");
        assert_eq!(telling_lines(&[&log]), "  ERROR the disk burns");
        fs::write(&log, &chatter).expect("written");
        assert_eq!(telling_lines(&[&log]).lines().count(), LINES);
        assert_eq!(telling_lines(&[&directory.path().join("none")]), "  (nothing)");
        assert_eq!(telling_lines_of("Exception in main\n\tat Error:1\n"), "  Exception in main");
    }
}
