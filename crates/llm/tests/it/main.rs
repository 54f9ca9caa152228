//! Against a provider on a real socket, in the protocols of the real ones.

mod answers;
mod common;
mod limits;
mod secrets;
mod shared;
