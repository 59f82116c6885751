//! What a command is: a name, a line of help, and a function of its arguments.

use super::Shell;
use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

/// A command of the shell.
pub struct Command {
    /// Its whole name; scripts may shorten it as long as it stays the only one that begins so.
    pub name: &'static str,
    /// Its arguments, a form a line, without the name: `"[ADDRESS] [[SERVER:]FILE]"`.
    pub usage: &'static str,
    /// What it does, in a line.
    pub help: &'static str,
    /// A line that uses it, such as people type.
    pub example: &'static str,
    /// Does it. The first argument is the name as it was typed.
    pub run: fn(&mut Shell<'_>, &[String]) -> Outcome,
}

/// How a command ended: its exit status, true for 0 (success) and false for 1; or why it could not do its work, which is status 1
/// with a message.
pub type Outcome = Result<bool, Failure>;

/// Why a command could not do its work.
pub enum Failure {
    /// The arguments are none of the forms of its usage, which is printed.
    Usage,
    /// Ctrl-C: all scripts end.
    Interrupted,
    /// The machine has gone on to something else (a boot that was only tried, a reset): all scripts end, and that is no mistake.
    Ended,
    /// A script went beyond a limit, and that has been said: all scripts end.
    Abandoned,
    /// `exit`: the script ends with this exit status.
    Exit(u8),
    /// A person at the prompt wants to go on to something else: all that runs ends.
    Leave(Leave),
    /// The message for the user, without the command's name: that and the line of the script are put before it.
    Reason(Box<dyn fmt::Display>),
}

/// What comes after the prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// The menu, which waits for a choice: `exit`, Ctrl-D.
    Menu,
    /// The entry with this index is booted: `boot NAME`.
    Boot(usize),
    /// The settings are looked for and read anew: `reload`.
    Reload,
    /// The default entry is booted: nobody has typed for long.
    Idle,
}

impl Failure {
    /// A failure that says `reason`, an error of the module that does the work.
    pub fn because(reason: impl fmt::Display + 'static) -> Self {
        Self::Reason(Box::new(reason))
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage => f.write_str("Usage"),
            Self::Interrupted => f.write_str("Interrupted"),
            Self::Ended => f.write_str("Ended"),
            Self::Abandoned => f.write_str("Abandoned"),
            Self::Exit(status) => write!(f, "Exit({status})"),
            Self::Leave(leave) => write!(f, "Leave({leave:?})"),
            Self::Reason(reason) => write!(f, "Reason({reason})"),
        }
    }
}
