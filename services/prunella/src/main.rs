//! Prunella: a self-healing integration pipeline on Kafka.

#![allow(unreachable_pub, reason = "in a binary, pub marks what other modules use")]

mod cli;
mod commands;
mod config;
#[cfg(test)]
mod config_docs;
mod definitions;
mod demo;
mod desk;
mod end;
mod failure;
mod gateway;
mod memory;
mod print;
mod process;
mod signals;
mod when;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    memory::return_what_is_free();
    let json = cli.json;
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the async runtime cannot be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(commands::run(cli));
    // Blocking clients may still be closing; nothing that matters is left in them.
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    match result {
        Ok(code) => code,
        Err(failure) => failure.report(json),
    }
}
