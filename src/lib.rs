//! Sotto: anonymous one-on-one voice.

pub mod clock;
pub mod protocol;
pub mod relay;
