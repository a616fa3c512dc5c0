//! A call that holds: what a line, a server, a device and a tab can do to a call is done to it, and how long it takes until
//! both hear each other again is measured.

mod ear;
mod line;
mod page;
mod quality;
mod server;
