//! Everything that is tested from outside, over real sockets: one binary, for link time.

mod relay;
