use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::cases::{Cases, hostile};
use crate::worker::MARK;
use crate::{Failure, engines};

/// Five times the time limit of an evaluation.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn compare() -> Result<(), Failure> {
    let cases = Cases::load()?;
    println!("{} cases with the results of jsonata-js 2.2.2:", cases.cases.len());
    for engine in engines() {
        let verdicts = verdicts(engine.name(), cases.cases.len())?;
        let mut counts = BTreeMap::<&str, usize>::new();
        let mut failed_groups = BTreeMap::<&str, usize>::new();
        for (case, verdict) in cases.cases.iter().zip(&verdicts) {
            *counts.entry(verdict).or_default() += 1;
            if verdict != "same" {
                *failed_groups.entry(case.name.split('/').next().unwrap_or_default()).or_default() += 1;
            }
        }
        println!("\n{} {}", engine.name(), engine.version());
        counts.iter().for_each(|(verdict, count)| println!("  {verdict:<18} {count:>5}"));
        let mut groups: Vec<_> = failed_groups.into_iter().collect();
        groups.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        for (group, count) in groups.iter().take(12) {
            println!("    {count:>4} in {group}");
        }
    }

    println!("\nhostile cases, each in its own process: outcome, peak memory, time");
    for (index, (name, _, _)) in hostile().iter().enumerate() {
        println!("  {name}");
        for engine in engines() {
            let started = Instant::now();
            let (outcome, _) = Worker::start(&["hostile", engine.name(), &index.to_string()])?.next();
            println!("    {:<12} {outcome}, {} ms", engine.name(), started.elapsed().as_millis());
        }
    }

    println!("\nthe order mapping of the benchmark");
    for engine in engines() {
        let mut worker = Worker::start(&["orders", engine.name()])?;
        worker.patience = Duration::from_secs(120);
        println!("    {:<12} {}", engine.name(), worker.next().0);
    }
    Ok(())
}

/// The verdict on every case. A case that ends its process or hangs is skipped by the next process.
fn verdicts(engine: &str, count: usize) -> Result<Vec<String>, Failure> {
    let mut verdicts = Vec::with_capacity(count);
    while verdicts.len() < count {
        let mut worker = Worker::start(&["cases", engine, &verdicts.len().to_string()])?;
        while verdicts.len() < count {
            let (verdict, alive) = worker.next();
            verdicts.push(verdict);
            if !alive {
                break;
            }
        }
    }
    Ok(verdicts)
}

/// A process of this program that says lines.
struct Worker {
    child: Child,
    lines: Receiver<String>,
    patience: Duration,
}

impl Worker {
    fn start(arguments: &[&str]) -> Result<Self, Failure> {
        // What an engine takes beyond this is refused to it, before the machine suffers.
        let mut child = Command::new("sh")
            .args(["-c", "ulimit -v 4194304; exec \"$0\" \"$@\""])
            .arg(std::env::current_exe()?)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let out = child.stdout.take().ok_or("the worker has no output")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                // An engine may have printed something without a newline in front.
                if let Some(found) = line.find(MARK)
                    && sender.send(line[found + MARK.len()..].to_owned()).is_err()
                {
                    return;
                }
            }
        });
        Ok(Self { child, lines, patience: PATIENCE })
    }

    /// The next line, or what became of the process; and whether it lives.
    fn next(&mut self) -> (String, bool) {
        match self.lines.recv_timeout(self.patience) {
            Ok(line) => (line, true),
            Err(RecvTimeoutError::Timeout) => ("hang".to_owned(), false),
            Err(RecvTimeoutError::Disconnected) => ("process-ended".to_owned(), false),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
