//! One run of Maven over a pinned pom.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::Command;

use crate::error::LocalKafkaError;
use crate::log_tail::telling_lines_of;

const NETWORK_TROUBLE: &[&str] = &[
    "Connection refused",
    "Connection reset",
    "Could not transfer artifact",
    "Network is unreachable",
    "No route to host",
    "Temporary failure in name resolution",
    "UnknownHost",
    "Unknown host",
    "onnect timed out",
    "in offline mode",
];

/// Runs `mvn` with the arguments given; `on_file` is called for every jar or archive that arrives from a repository.
pub(crate) fn run(
    mut mvn: Command,
    program: &Path,
    what: &'static str,
    on_file: &dyn Fn(),
) -> Result<(), LocalKafkaError> {
    let (output, status) = run_to_end(&mut mvn, on_file).map_err(LocalKafkaError::io("run", program))?;
    if status.success() {
        return Ok(());
    }
    let said: String = output.lines().filter(|line| !is_advice(line)).flat_map(|line| [line, "\n"]).collect();
    let shown = telling_lines_of(&said);
    let failed = output.lines().filter(|line| line.contains("ERROR")).collect::<Vec<_>>().join("\n");
    if NETWORK_TROUBLE.iter().any(|sign| failed.contains(sign)) {
        return Err(LocalKafkaError::Download { what, output: shown });
    }
    Err(LocalKafkaError::MavenFailed { what, status: status.to_string(), output: shown })
}

/// Maven ends every failure with the same empty lines and hints at its own options.
fn is_advice(line: &str) -> bool {
    let text = line.trim_start_matches("[ERROR]").trim();
    text.is_empty()
        || text.starts_with("[Help")
        || text.contains("Re-run Maven")
        || text.contains("full stack trace")
        || text.starts_with("For more information")
}

fn run_to_end(mvn: &mut Command, on_file: &dyn Fn()) -> io::Result<(String, std::process::ExitStatus)> {
    let (reader, writer) = io::pipe()?;
    mvn.stdout(writer.try_clone()?).stderr(writer);
    let mut child = mvn.spawn()?;
    // The command holds the writing end; the pipe ends only when every copy of it is closed.
    mvn.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());

    let mut output = String::new();
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while reader.by_ref().read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line);
        if text.contains("Downloaded from") && !text.contains(".pom ") {
            on_file();
        }
        output.push_str(&text);
        line.clear();
    }
    Ok((output, child.wait()?))
}
