//! Sotto: anonymous one-on-one voice.

pub mod caller;
pub mod clock;
pub mod protocol;
