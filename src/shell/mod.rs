//! The command language of U-Boot, as people's scripts use it: boot.scr, boot2.scr and what ImageBuilder writes run unchanged.
//!
//! A [`Shell`] is what a script's commands share: the [`Platform`] they run on (a board, or a directory on a host), the
//! [`Environment`], and the device tree that the `fdt` commands work on. The language knows no command and no command
//! knows the language: they meet in [`command::Command`], of which [`commands`] has the list.
//!
//! Nothing in here imports the board: all of it is tested on the host, and `cargo xtask script` runs it there.

pub mod boot_script;
pub mod command;
pub mod commands;
mod completion;
pub mod environment;
pub mod image;
pub mod landing;
pub mod language;
pub mod lints;
mod memory;
pub mod number;
pub mod pattern;
pub mod platform;
pub mod prompt;
pub mod saved;
#[cfg(not(target_os = "none"))]
pub mod simulation;
mod suspended;
pub mod variables;
pub mod working_tree;

pub use command::{Command, Failure, Leave, Outcome};
pub use environment::Environment;
pub use platform::Platform;
pub use suspended::Suspended;

use crate::range::PhysicalRange;
use crate::time::Duration;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// A file that a command brought into memory, or an image that it unpacked there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// What messages call it: the path that the script said.
    pub name: String,
    /// Its bytes, exactly.
    pub range: PhysicalRange,
    /// A script that has been run: what comes over it takes nothing away that is wanted.
    pub spent: bool,
}

/// What the commands of a script share.
pub struct Shell<'p> {
    /// The machine.
    pub platform: &'p mut dyn Platform,
    /// Variables.
    pub environment: Environment,
    /// The address of the device tree that the `fdt` commands work on, if one was named (`fdt addr`).
    pub working_tree: Option<u64>,
    /// What was brought into memory so far, in the order of its coming. A file over an older one takes its place.
    pub loaded: Vec<Loaded>,
    /// Where a command looks for an image that names no address: where the last `tftpboot` or `dhcp` was to put a file, or what `loadaddr` was
    /// set to after that.
    pub image_place: u64,
    language: language::State,
    /// What `env default` goes back to.
    defaults: Environment,
    /// Whether the variables on the card have been read: what was set since counts.
    has_saved: bool,
    /// Whether it has been said that a card cannot be read where a script only asks whether a file is there.
    has_noted: bool,
}

impl<'p> Shell<'p> {
    /// A shell on `platform` with the variables in `environment`.
    pub fn new(platform: &'p mut dyn Platform, environment: Environment) -> Self {
        let mut shell = Self::resume(platform, Suspended::new(environment));
        shell.follow_load_address();
        shell
    }

    /// Prints what a command has to say, within what a script may print. A long text is printed with looks at the keyboard.
    ///
    /// # Errors
    /// [`Failure::Abandoned`] where it has printed too much, [`Failure::Interrupted`] by Ctrl-C.
    pub fn say(&mut self, text: fmt::Arguments<'_>) -> Result<(), Failure> {
        let mut length = Length(0);
        // It fails for nothing that is printed here.
        let _ = fmt::write(&mut length, text);
        if let Err(exceeded) = self.language.budget.print(length.0) {
            self.platform.print(format_args!("{exceeded}\n"));
            return Err(Failure::Abandoned);
        }
        if length.0 <= UNWATCHED {
            self.platform.print(text);
            return Ok(());
        }
        fmt::write(&mut Watched { platform: &mut *self.platform }, text).map_err(|_| Failure::Interrupted)
    }
}

impl Shell<'_> {
    /// Lets `duration` pass.
    ///
    /// # Errors
    /// [`Failure::Interrupted`] by Ctrl-C.
    pub fn wait(&mut self, duration: Duration) -> Result<(), Failure> {
        let end = self.platform.now().after(duration);
        while self.platform.now() < end {
            if self.platform.interrupted() {
                return Err(Failure::Interrupted);
            }
        }
        Ok(())
    }
}

/// Bytes that are printed between two looks at the keyboard: at 115200 baud that takes less than 50 ms.
const UNWATCHED: usize = 512;

/// How long a text is.
struct Length(usize);

impl fmt::Write for Length {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.saturating_add(text.len());
        Ok(())
    }
}

/// Prints until Ctrl-C is pressed.
struct Watched<'p> {
    platform: &'p mut dyn Platform,
}

impl fmt::Write for Watched<'_> {
    fn write_str(&mut self, mut text: &str) -> fmt::Result {
        while !text.is_empty() {
            let (piece, rest) = text.split_at_checked(text.floor_char_boundary(UNWATCHED)).unwrap_or((text, ""));
            if self.platform.interrupted() {
                return Err(fmt::Error);
            }
            self.platform.print(format_args!("{piece}"));
            text = rest;
        }
        Ok(())
    }
}
