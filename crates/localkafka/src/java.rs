//! The Java that runs the servers.

use std::path::{Path, PathBuf};

use crate::environment::Environment;
use crate::error::LocalKafkaError;

const OLDEST_MAJOR: u32 = 17;

pub(crate) struct Java {
    pub(crate) program: PathBuf,
    /// All that `java -version` says: two Javas that differ in it do not share an archive of classes.
    pub(crate) description: String,
}

impl Java {
    pub(crate) fn find(environment: &Environment) -> Result<Self, LocalKafkaError> {
        let program = locate(environment)?;
        let output =
            environment.command(&program).arg("-version").output().map_err(LocalKafkaError::io("run", &program))?;
        let description = String::from_utf8_lossy(&output.stderr).into_owned();
        // macOS has a `java` that only says where to get one.
        let Some((version, major)) = parse_version(&description).filter(|_| output.status.success()) else {
            let looked = format!("{}, which answers {:?}", program.display(), description.trim());
            return Err(LocalKafkaError::JavaMissing { looked });
        };
        if major < OLDEST_MAJOR {
            return Err(LocalKafkaError::JavaTooOld { java: program, version });
        }
        Ok(Self { program, description })
    }

    /// The `keytool` of this very Java, or else one of the path.
    pub(crate) fn keytool(&self, environment: &Environment) -> Result<PathBuf, LocalKafkaError> {
        let beside = |java: &Path| java.parent().map(|bin| bin.join("keytool")).filter(|file| file.is_file());
        beside(&self.program)
            .or_else(|| self.program.canonicalize().ok().as_deref().and_then(beside))
            .or_else(|| environment.find_program("keytool"))
            .ok_or_else(|| LocalKafkaError::JavaMissing {
                looked: format!("{}, which comes without keytool", self.program.display()),
            })
    }
}

fn locate(environment: &Environment) -> Result<PathBuf, LocalKafkaError> {
    if let Some(java_home) = &environment.java_home {
        let program = java_home.join("bin/java");
        return if program.is_file() {
            Ok(program)
        } else {
            Err(LocalKafkaError::JavaMissing { looked: format!("JAVA_HOME, {}", program.display()) })
        };
    }
    environment
        .find_program("java")
        .ok_or_else(|| LocalKafkaError::JavaMissing { looked: "JAVA_HOME and PATH".to_owned() })
}

/// `openjdk version "17.0.15" 2025-04-15` is 17, `java version "1.8.0_392"` is 8, `version "21-ea"` is 21.
fn parse_version(text: &str) -> Option<(String, u32)> {
    let version = text.split_once("version \"")?.1.split_once('"')?.0;
    let mut numbers = version.split(|character: char| !character.is_ascii_digit());
    let first: u32 = numbers.next()?.parse().ok()?;
    let major = if first == 1 { numbers.next()?.parse().ok()? } else { first };
    Some((version.to_owned(), major))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_all_ages_are_read() {
        let major = |text| parse_version(text).map(|(_, major)| major);
        assert_eq!(major("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime"), Some(17));
        assert_eq!(major("Picked up JAVA_TOOL_OPTIONS: -Dx\njava version \"1.8.0_392\""), Some(8));
        assert_eq!(major("openjdk version \"21-ea\""), Some(21));
        assert_eq!(major("The operation couldn't be completed. Unable to locate a Java Runtime."), None);
    }
}
