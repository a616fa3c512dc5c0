//! Everything that runs against the real server, in one binary for link time.

mod caller;
mod voice;
