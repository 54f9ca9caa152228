//! The jars of Apache Kafka: those of `KAFKA_HOME`, or else the pinned ones.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use prunella_model::ByteSize;

use crate::bundle::Bundle;
use crate::environment::Environment;
use crate::error::LocalKafkaError;
use crate::progress::Progress;

const KAFKA: Bundle = Bundle {
    directory: "kafka-4.3.0",
    what: "Apache Kafka 4.3.0",
    download_size: "44 MB",
    disk_size: ByteSize::from_mib(150),
    pom: include_str!("../kafka/pom.xml"),
    goal: "org.apache.maven.plugins:maven-dependency-plugin:copy",
    sums: include_str!("../kafka/jars.sha256"),
};

/// The class path of a Kafka that can run.
pub(crate) fn classpath(environment: &Environment, progress: &dyn Fn(Progress)) -> Result<OsString, LocalKafkaError> {
    let (directory, jars) = match &environment.kafka_home {
        Some(home) => (home.clone(), jars_of_distribution(home)?),
        None => {
            let directory = KAFKA.locate(environment, progress)?;
            let jars = KAFKA.files().map(|file| directory.join(file)).collect();
            (directory, jars)
        }
    };
    env::join_paths(jars)
        .map_err(|error| LocalKafkaError::io("make a class path of", &directory)(std::io::Error::other(error)))
}

/// In a fixed order, because an archive of classes is bound to the class path it was made with.
fn jars_of_distribution(home: &Path) -> Result<Vec<PathBuf>, LocalKafkaError> {
    let unusable = |reason: &str| LocalKafkaError::KafkaHome { path: home.to_owned(), reason: reason.to_owned() };
    let entries =
        fs::read_dir(home.join("libs")).map_err(|error| unusable(&format!("whose libs/ cannot be read ({error})")))?;
    let mut jars: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "jar"))
        .collect();
    jars.sort();

    let server_version = jars.iter().find_map(|jar| {
        let name = jar.file_stem()?.to_str()?;
        name.strip_prefix("kafka_2.13-").filter(|version| version.starts_with(|first: char| first.is_ascii_digit()))
    });
    let Some(version) = server_version else {
        return Err(unusable("which holds no libs/kafka_2.13-<version>.jar"));
    };
    let major: u32 = version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or_default();
    if major < 4 {
        return Err(unusable(&format!("which is Kafka {version}, too old")));
    }
    Ok(jars)
}
