//! The parts of the benchmark, a file each.

mod growth;
mod instructions;
mod restore;
mod runs;
mod scale;
mod stream;

pub(crate) use growth::growth;
pub(crate) use instructions::{HotPath, hot_path, instructions};
pub(crate) use restore::restore;
pub(crate) use runs::runs;
pub(crate) use scale::scale;
pub(crate) use stream::stream;
