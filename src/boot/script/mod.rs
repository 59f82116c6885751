//! Scripts on the board: the machine that their commands work on.
//!
//! [`BoardPlatform`] lends a script all memory that is free, brings it files, and ends in [`departure`](super::departure) as every other
//! boot does. What a script changed of the network is put back when it is over, so that the next entry finds the settings' network.

mod board;
mod network;
mod program;
mod report;
mod run;
mod touchdown;
mod work;

pub use crate::shell::boot_script::{Ended, Script};
pub use board::BoardPlatform;
pub use run::run;
