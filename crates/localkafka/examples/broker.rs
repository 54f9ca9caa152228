//! Runs a local Kafka in the directory given until a line is read or standard input ends.

use std::io;
use std::process::ExitCode;

use prunella_localkafka::{LocalKafka, LocalKafkaConfig, LocalKafkaError};

fn main() -> ExitCode {
    let Some(data_dir) = std::env::args().nth(1) else {
        eprintln!("usage: broker <data directory>");
        return ExitCode::FAILURE;
    };
    match run(&data_dir) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", error.code());
            ExitCode::FAILURE
        }
    }
}

fn run(data_dir: &str) -> Result<(), LocalKafkaError> {
    let kafka = LocalKafka::start(LocalKafkaConfig::new(data_dir), &|progress| eprintln!("{progress}"))?;
    println!("{}", kafka.bootstrap_servers());
    let mut line = String::new();
    if let Err(error) = io::stdin().read_line(&mut line) {
        eprintln!("standard input: {error}");
    }
    kafka.stop()
}
