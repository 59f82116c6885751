//! How much a script may do and hold: enough for every boot script there is, and little enough that none can exhaust the loader's heap and
//! stack, or keep an unattended board busy for ever.

use crate::config::LARGEST_FILE;
use core::fmt;

/// How deep scripts may start each other (`run`, `source`). U-Boot's standard boot goes ten deep.
pub const DEPTH: usize = 24;
/// How deep `if`, `for`, `while` and `until` may nest, in all scripts under way together.
pub const NESTING: usize = 64;
/// Words, separators and values of the commands under way. One costs about a hundred bytes of the heap.
pub const TOKENS: usize = 8_192;
/// Bytes of a command with its variables put in, and of a variable's value.
pub const COMMAND: usize = 64 << 10;
/// Bytes of the scripts under way together, and of the arguments by which they were started.
pub const TEXT: usize = LARGEST_FILE;
/// Bytes of all variables, their names included.
pub const VARIABLES: usize = 128 << 10;
/// How many variables there may be: one costs about a hundred bytes of the heap beyond its own. U-Boot's own on this board are sixty.
pub const MOST_VARIABLES: usize = 2_048;
/// Commands that a script may run, with all scripts that it starts.
pub const COMMANDS: u32 = 1_000_000;
/// Bytes that a script may print by `echo` and its like; at 115200 baud that is a minute and a half.
pub const OUTPUT: usize = 1 << 20;

/// A script went beyond a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exceeded {
    /// [`DEPTH`].
    Depth,
    /// [`NESTING`].
    Nesting,
    /// [`TOKENS`].
    Tokens,
    /// [`COMMAND`].
    Command,
    /// [`TEXT`].
    Text,
    /// [`COMMAND`], by a variable's value.
    Value,
    /// [`VARIABLES`].
    Variables,
    /// [`MOST_VARIABLES`].
    MostVariables,
    /// [`COMMANDS`].
    Commands,
    /// [`OUTPUT`].
    Output,
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Depth => write!(f, "scripts are nested more than {DEPTH} deep; does one run itself?"),
            Self::Nesting => write!(f, "if, for, while and until are nested more than {NESTING} deep"),
            Self::Tokens => write!(f, "more than {TOKENS} words in the commands under way"),
            Self::Command => write!(f, "longer than {COMMAND} bytes with its variables put in"),
            Self::Text => write!(f, "the scripts under way have more than {TEXT} bytes"),
            Self::Value => write!(f, "the value of a variable has more than {COMMAND} bytes"),
            Self::Variables => write!(f, "variables have more than {VARIABLES} bytes together"),
            Self::MostVariables => write!(f, "there are more than {MOST_VARIABLES} variables"),
            Self::Commands => write!(f, "{COMMANDS} commands have been run; is this an endless loop?"),
            Self::Output => write!(f, "more than {OUTPUT} bytes have been printed"),
        }
    }
}

/// What the scripts under way have used.
#[derive(Default)]
pub struct Budget {
    pub(super) depth: usize,
    pub(super) nesting: usize,
    pub(super) tokens: usize,
    pub(super) text: usize,
    commands: u32,
    output: usize,
}

impl Budget {
    /// Starts anew with the outermost script.
    pub(super) fn begin(&mut self) {
        if self.depth == 0 {
            *self = Self::default();
        }
    }

    pub(super) fn command(&mut self) -> Result<(), Exceeded> {
        self.commands = self.commands.saturating_add(1);
        if self.commands > COMMANDS { Err(Exceeded::Commands) } else { Ok(()) }
    }

    pub(in crate::shell) fn print(&mut self, bytes: usize) -> Result<(), Exceeded> {
        self.output = self.output.saturating_add(bytes);
        if self.output > OUTPUT { Err(Exceeded::Output) } else { Ok(()) }
    }
}
