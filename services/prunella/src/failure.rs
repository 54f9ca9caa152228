//! How a command fails: what is printed and the exit code.

use std::process::ExitCode;

use prunella_model::Code;

/// Exit codes, as `docs/cli.md` lists them. 2 is clap's, for a wrong command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Failed = 1,
    /// A file has mistakes.
    Invalid = 3,
    /// The run that was waited for did not succeed.
    RunNotSucceeded = 4,
    NotFound = 5,
    /// What was counted does not add up.
    DoesNotAddUp = 7,
    /// A change was refused because it would lose data or is not possible.
    Refused = 6,
}

#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    code: Option<Code>,
    message: String,
}

impl Failure {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { exit: Exit::Failed, code: Some(code), message: message.into() }
    }

    pub fn plain(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, code: None, message: message.into() }
    }

    #[must_use]
    pub fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    pub fn code(&self) -> Option<Code> {
        self.code
    }

    /// Prints to standard error and gives the exit code.
    pub fn report(&self, json: bool) -> ExitCode {
        if json {
            let error = serde_json::json!({
                "error": { "code": self.code.map(Code::id), "message": self.message }
            });
            eprintln!("{error}");
        } else {
            match self.code {
                Some(code) => {
                    eprintln!("error {code}: {}", self.message);
                    eprintln!("  docs/errors/{code}.md says what it means and what to do");
                }
                None => eprintln!("error: {}", self.message),
            }
        }
        ExitCode::from(self.status())
    }

    /// The exit code as a number.
    pub fn status(&self) -> u8 {
        self.exit as u8
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.code {
            Some(code) => write!(f, "{code}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

macro_rules! from_coded {
    ($($error:ty),* $(,)?) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::new(error.code(), error.to_string())
            }
        })*
    };
}

from_coded!(
    prunella_catalog::CatalogError,
    prunella_gateway::GatewayError,
    prunella_localkafka::LocalKafkaError,
    prunella_repair::RepairError,
    prunella_runview::RunViewError,
    prunella_sources::SourceError,
    prunella_stream::StreamError,
    prunella_topology::TopologyError,
    prunella_wire::WireError,
);

impl From<prunella_operate::OperateError> for Failure {
    fn from(error: prunella_operate::OperateError) -> Self {
        let failure = Self::new(error.code(), error.to_string());
        match error {
            prunella_operate::OperateError::Mapping(refusal) => failure.exit(match refusal.code {
                Code::MappingUnknown => Exit::NotFound,
                Code::MappingChanged => Exit::Refused,
                _ => Exit::Invalid,
            }),
            _ => failure,
        }
    }
}

impl From<prunella_stream::OutputError> for Failure {
    fn from(error: prunella_stream::OutputError) -> Self {
        Self::new(Code::ProduceFailed, error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::plain(Exit::Failed, error.to_string())
    }
}
