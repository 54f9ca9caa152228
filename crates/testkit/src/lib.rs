//! Stand-ins for the outside world, over real sockets: for tests and for `prunella demo`.

pub mod source;
