//! Sotto: anonymous one-on-one voice.

pub mod clock;
pub mod mailbox;
pub mod matchmaking;
pub mod protocol;
pub mod visitor;
