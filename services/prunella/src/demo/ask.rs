//! Asking the person at the terminal, if there is one.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use crate::cli::Decision;

/// The demo ends by itself: without an answer it goes on.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whether somebody reads the question and can answer.
pub fn is_possible(json: bool) -> bool {
    !json && std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Yes is approval, and so is silence.
pub async fn whether(question: &str) -> Decision {
    print!("{question} [Y/n] (yes after {} s) ", PATIENCE.as_secs());
    // A terminal that cannot be written to has nobody in front of it.
    let _ = std::io::stdout().flush();
    let (answer, answered) = tokio::sync::oneshot::channel();
    // A thread of its own: nothing can wake it, and the process ends without it.
    std::thread::spawn(move || {
        let mut line = String::new();
        let _ = std::io::stdin().read_line(&mut line);
        let _ = answer.send(line);
    });
    let line = tokio::time::timeout(PATIENCE, answered).await;
    let Ok(Ok(line)) = line else {
        println!();
        return Decision::Approve;
    };
    if line.trim().to_lowercase().starts_with('n') { Decision::Reject } else { Decision::Approve }
}
