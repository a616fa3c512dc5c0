//! Everything that needs the real server: it runs as its own process, on a port of its own, and is spoken to as
//! visitors do. One binary, for link time.

mod browser;
mod caller;
mod classifier;
mod disguise;
mod files;
mod guard;
mod hear;
mod http;
mod installed;
mod languages;
mod line;
mod linking;
mod looks;
mod mixed;
mod model;
mod network;
mod page;
mod privacy;
mod reader;
mod relay;
mod room;
mod sas;
mod server;
mod shape;
mod shim;
mod shipped;
mod signalling;
mod sound;
mod start;
mod states;
mod tls;
mod typing;
mod validators;
mod voice;
mod wire;
