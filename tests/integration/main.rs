//! Everything that needs the real server: it runs as its own process, on a port of its own, and is spoken to as
//! visitors do. One binary, for link time.

mod browser;
mod caller;
mod files;
mod guard;
mod http;
mod mixed;
mod model;
mod network;
mod page;
mod privacy;
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
