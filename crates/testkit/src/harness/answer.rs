use std::process::Output;

use serde_json::Value;

/// What a command of the binary said.
pub struct Answer {
    command: String,
    /// Exit code; `None` when it was killed.
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Answer {
    pub(crate) fn new(command: String, output: &Output) -> Self {
        Self {
            command,
            status: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// # Panics
    /// When the exit code is another one.
    pub fn exits_with(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "{}\n{}\n{}", self.command, self.stdout, self.stderr);
        self
    }

    /// The one JSON document on standard output.
    ///
    /// # Panics
    /// When there is another number of them or something else.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{}: {error}\n{}\n{}", self.command, self.stdout, self.stderr))
    }

    /// The error on standard error, `{"code", "message"}`.
    ///
    /// # Panics
    /// When there is none.
    pub fn error(&self) -> Value {
        let last = self.stderr.lines().last().unwrap_or_default();
        let error: Value = serde_json::from_str(last)
            .unwrap_or_else(|error| panic!("{}: {error}\n{}\n{}", self.command, self.stdout, self.stderr));
        error["error"].clone()
    }
}
