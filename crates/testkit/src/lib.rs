//! Stand-ins for the outside world, over real sockets: for tests and for `prunella demo`.

#[cfg(feature = "harness")]
pub mod harness;
pub mod llm;
pub mod source;
