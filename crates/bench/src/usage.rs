//! What a process has used, from `/proc`.

use std::fs;
use std::time::Duration;

use crate::error::{BenchError, Result};

/// Processor time of all threads of a process so far, user and system.
pub(crate) fn cpu_time(process: u32) -> Result<Duration> {
    let path = format!("/proc/{process}/stat");
    let text = fs::read_to_string(&path).map_err(BenchError::file(&path))?;
    let ticks = cpu_ticks(&text).ok_or_else(|| BenchError::Wrong(format!("{path} has another form")))?;
    Ok(Duration::from_secs(ticks).div_f64(rustix::param::clock_ticks_per_second() as f64))
}

/// Most memory that a process ever held, in MiB.
pub(crate) fn peak_memory(process: u32) -> Result<f64> {
    let path = format!("/proc/{process}/status");
    let text = fs::read_to_string(&path).map_err(BenchError::file(&path))?;
    let kibibytes = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).and_then(|rest| {
        let number = rest.trim().split(' ').next()?;
        number.parse::<f64>().ok()
    });
    kibibytes.map(|kibibytes| kibibytes / 1024.0).ok_or_else(|| BenchError::Wrong(format!("{path} has another form")))
}

/// `utime` and `stime`, the 14th and 15th field; the second one is a name that may contain blanks.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_found_behind_any_name() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 103 0 0 0 250 50 0 0 20 0 1 0 100 1 1";
        assert_eq!(cpu_ticks(stat), Some(300));
    }

    #[test]
    fn this_process_has_used_something() {
        let process = std::process::id();
        assert!(peak_memory(process).expect("readable") > 0.5);
        assert!(cpu_time(process).expect("readable") < Duration::from_secs(600));
    }
}
