//! Everything that needs the real server: it runs as its own process, on a port of its own, and is spoken to as
//! visitors do. One binary, for link time.

mod browser;
mod caller;
mod guard;
mod mixed;
mod network;
mod page;
mod relay;
mod server;
mod shim;
mod shipped;
mod signalling;
mod start;
mod states;
mod tls;
mod voice;
mod wire;
