//! What is read from the environment of the process, as a value that a test can make up.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::process::die_with_parent;

/// Where programs and cached files are looked for.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Directories with `java`, `keytool` and `mvn`, separated as in `PATH`.
    pub path: OsString,
    pub java_home: Option<PathBuf>,
    /// An unpacked Apache Kafka to use instead of fetching one.
    pub kafka_home: Option<PathBuf>,
    /// Fetched files live below this directory, shared by all processes of the user.
    pub cache_dir: PathBuf,
}

impl Environment {
    /// `PATH`, `JAVA_HOME`, `KAFKA_HOME`, and `XDG_CACHE_HOME/prunella` or `~/.cache/prunella`.
    pub fn of_process() -> Self {
        let directory = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let user_cache = directory("XDG_CACHE_HOME").or_else(|| env::home_dir().map(|home| home.join(".cache")));
        Self {
            path: env::var_os("PATH").unwrap_or_default(),
            java_home: directory("JAVA_HOME"),
            kafka_home: directory("KAFKA_HOME"),
            cache_dir: user_cache.unwrap_or_else(env::temp_dir).join("prunella"),
        }
    }

    pub(crate) fn find_program(&self, name: &str) -> Option<PathBuf> {
        env::split_paths(&self.path).map(|directory| directory.join(name)).find(|file| file.is_file())
    }

    /// A helper program that ends before we go on, sees this environment and dies with us.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env("PATH", &self.path).stdin(Stdio::null());
        match &self.java_home {
            Some(java_home) => command.env("JAVA_HOME", java_home),
            None => command.env_remove("JAVA_HOME"),
        };
        die_with_parent(&mut command);
        command
    }
}
