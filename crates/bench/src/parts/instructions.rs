//! Instructions of the hot path, a figure that does not depend on the machine's load.

use std::process::{Command, Stdio};

use clap::ValueEnum;

use crate::cli::Settings;
use crate::error::{BenchError, Result};
use crate::results::Report;
use crate::sheet::Unit;
use crate::work::{SAMPLE, Work, reserialise};

/// The difference of these two leaves out the start of the process and what is compiled once.
const FEW: usize = 2;
const MANY: usize = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum HotPath {
    /// Parse, map, validate, serialise.
    Work,
    /// Parse and serialise.
    Reserialise,
}

impl HotPath {
    fn argument(self) -> &'static str {
        match self {
            Self::Work => "work",
            Self::Reserialise => "reserialise",
        }
    }
}

/// The counted process: the sample, `repeats` times.
pub(crate) fn hot_path(what: HotPath, repeats: usize) -> Result<()> {
    let work = Work::new()?;
    let mut bytes = 0;
    for document in (0..repeats).flat_map(|_| SAMPLE.lines()) {
        let output = match what {
            HotPath::Work => work.process(document.as_bytes())?,
            HotPath::Reserialise => reserialise(document.as_bytes())?,
        };
        bytes += output.len();
    }
    println!("{bytes}");
    Ok(())
}

pub(crate) fn instructions(_: &Settings, report: &mut Report) -> Result<()> {
    let found = Command::new("valgrind").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !found.is_ok_and(|status| status.success()) {
        let note = "instructions: valgrind is not installed (Debian: apt-get install valgrind)".to_owned();
        report.notes.push(note);
        return Ok(());
    }
    let sheet = &mut report.sheet;
    let least = per_record(HotPath::Reserialise)?;
    sheet.add("instructions/reserialise", Unit::InstructionsPerRecord, None, least);
    let work = per_record(HotPath::Work)?;
    sheet.add("instructions/hot-path", Unit::InstructionsPerRecord, Some("instructions/reserialise"), work);
    Ok(())
}

fn per_record(what: HotPath) -> Result<f64> {
    let (few, many) = (count(what, FEW)?, count(what, MANY)?);
    let records = (MANY - FEW) * SAMPLE.lines().count();
    Ok((many - few) / records as f64)
}

fn count(what: HotPath, repeats: usize) -> Result<f64> {
    let this = std::env::current_exe().map_err(BenchError::process("of this program"))?;
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(this);
    command.args(["hot-path", what.argument(), &repeats.to_string()]);
    let output = command.output().map_err(BenchError::process("valgrind"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = output.status.success().then(|| collected(&said)).flatten();
    collected.ok_or_else(|| BenchError::Wrong(format!("valgrind gave no count: {said}")))
}

/// The number behind `Collected :`.
fn collected(said: &str) -> Option<f64> {
    let (_, rest) = said.split_once("Collected :")?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_read_from_what_callgrind_says() {
        assert_eq!(collected("==7== Events    : Ir\n==7== Collected : 41093\n==7==\n"), Some(41093.0));
        assert_eq!(collected("==7== error"), None);
    }
}
