//! `prunella-bench`; see `docs/benchmarks.md`.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match prunella_bench::run(prunella_bench::Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("prunella-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
