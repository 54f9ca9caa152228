//! Runs both engines over the same cases, side by side, each in processes of its own because an engine may end one.
//!
//!     cargo run -p prunella-mapping --features jsonata-rs --example engines

mod cases;
mod parent;
mod worker;

use std::sync::Arc;

use prunella_mapping::{Engine, JlensEngine, JsonataRsEngine, Limits};
use prunella_model::Period;

type Failure = Box<dyn std::error::Error>;

fn engines() -> [Arc<dyn Engine>; 2] {
    [Arc::new(JlensEngine), Arc::new(JsonataRsEngine)]
}

/// The limits of every evaluation, the same for both engines.
fn limits() -> Limits {
    Limits { timeout: Period::from_secs(1), ..Limits::default() }
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] => parent::compare(),
        ["cases", engine, first] => worker::cases(engine, first.parse()?),
        ["hostile", engine, case] => worker::hostile(engine, case.parse()?),
        ["orders", engine] => worker::orders(engine),
        _ => Err("this example takes no arguments".into()),
    }
}
