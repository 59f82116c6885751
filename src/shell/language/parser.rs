//! Lists of commands.
//!
//! `if` and the loops are not trees of conditions and bodies but flat lists, in which each entry knows the word it stands behind
//! ([`Mode`]). That is how the parser that we follow sees them, and some of its ways can only be had so: after `false && a || b`, `b` is
//! skipped as well.

use super::lexer::{Lexer, Rules, SyntaxError, Token, Word};
use super::limits::{Exceeded, NESTING};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// How much of a text is understood before it is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// A line, with what it leaves open: scripts.
    Line,
    /// All of it: variables.
    Whole,
}

/// The word of the language that an entry stands behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Plain,
    If,
    Then,
    Elif,
    Else,
    Fi,
    For,
    In,
    While,
    Until,
    Do,
    Done,
}

impl Mode {
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "if" => Self::If,
            "then" => Self::Then,
            "elif" => Self::Elif,
            "else" => Self::Else,
            "fi" => Self::Fi,
            "for" => Self::For,
            "in" => Self::In,
            "while" => Self::While,
            "until" => Self::Until,
            "do" => Self::Do,
            "done" => Self::Done,
            _ => return None,
        })
    }

    fn opens(self) -> bool {
        matches!(self, Self::If | Self::For | Self::While | Self::Until)
    }

    fn closes(self) -> bool {
        matches!(self, Self::Fi | Self::Done)
    }

    /// Whether `next` may follow.
    fn leads_to(self, next: Self) -> bool {
        match self {
            Self::If | Self::Elif => next == Self::Then,
            Self::Then => matches!(next, Self::Elif | Self::Else | Self::Fi),
            Self::Else => next == Self::Fi,
            Self::For => next == Self::In,
            Self::While | Self::Until | Self::In => next == Self::Do,
            Self::Do => next == Self::Done,
            Self::Plain | Self::Fi | Self::Done => false,
        }
    }

    /// What must follow, for messages.
    fn expects(self) -> &'static str {
        match self {
            Self::If | Self::Elif => "then",
            Self::Then => "elif, else or fi",
            Self::Else => "fi",
            Self::For => "in",
            Self::While | Self::Until | Self::In => "do",
            Self::Do => "done",
            Self::Plain | Self::Fi | Self::Done => "a command",
        }
    }
}

/// What decides about the entry after this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// `;` or the end of the line: nothing.
    Always,
    /// `&&`.
    OnSuccess,
    /// `||`.
    OnFailure,
}

/// What an entry does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Action {
    #[default]
    Nothing,
    Command(Vec<Word>),
    /// An `if` or a loop.
    Group(Vec<Entry>),
}

/// A command in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) mode: Mode,
    pub(super) action: Action,
    pub(super) link: Link,
    /// The line of the script in which it begins.
    pub(super) line: u32,
}

/// The list that is being made.
struct Frame {
    list: Vec<Entry>,
    mode: Mode,
    action: Action,
    line: u32,
    /// Where it was opened.
    opened: u32,
}

impl Frame {
    fn new(mode: Mode, line: u32) -> Self {
        Self { list: Vec::new(), mode, action: Action::Nothing, line, opened: line }
    }

    fn end_entry(&mut self, link: Link, line: u32) {
        let action = core::mem::take(&mut self.action);
        self.list.push(Entry { mode: self.mode, action, link, line: self.line });
        self.line = line;
    }
}

/// Goes through a script.
pub(super) struct Parser<'t> {
    lexer: Lexer<'t>,
    unit: Unit,
    /// Words that other scripts hold.
    used: usize,
    /// What is nested already by other scripts.
    nested: usize,
}

impl<'t> Parser<'t> {
    pub(super) fn new(text: &'t str, unit: Unit, used: usize, nested: usize) -> Self {
        Self { lexer: Lexer::new(text, Rules::Script, used), unit, used, nested }
    }

    /// The line at which it stands.
    pub(super) fn line(&self) -> u32 {
        self.lexer.line
    }

    /// The next list that can be run; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Vec<Entry>>, SyntaxError> {
        self.lexer.allow(self.used);
        let mut outer: Vec<Frame> = Vec::new();
        let mut frame = Frame::new(Mode::Plain, self.lexer.line);
        loop {
            let line = self.lexer.line;
            match self.lexer.next()? {
                None => {
                    if !outer.is_empty() {
                        return Err(SyntaxError::Unfinished { expected: frame.mode.expects(), line: frame.opened });
                    }
                    frame.end_entry(Link::Always, line);
                    let empty = frame.list.iter().all(|entry| entry.action == Action::Nothing);
                    return Ok(if empty { None } else { Some(frame.list) });
                }
                Some(Token::Newline) => {
                    frame.end_entry(Link::Always, self.lexer.line);
                    if outer.is_empty() && self.unit == Unit::Line {
                        return Ok(Some(frame.list));
                    }
                }
                Some(Token::Semicolon) => frame.end_entry(Link::Always, line),
                Some(Token::And) => frame.end_entry(Link::OnSuccess, line),
                Some(Token::Or) => frame.end_entry(Link::OnFailure, line),
                Some(Token::Word(word)) => self.word(&mut outer, &mut frame, word, line)?,
            }
        }
    }

    fn word(&mut self, outer: &mut Vec<Frame>, frame: &mut Frame, word: Word, line: u32) -> Result<(), SyntaxError> {
        match &mut frame.action {
            Action::Command(words) => {
                words.push(word);
                return Ok(());
            }
            Action::Group(_) => {
                return Err(SyntaxError::Unexpected(word.plain().unwrap_or("a word").to_string()));
            }
            Action::Nothing => {}
        }
        frame.line = line;
        let Some((mode, text)) = word.plain().and_then(|text| Some((Mode::of(text)?, text))) else {
            frame.action = Action::Command(Vec::from([word]));
            if frame.mode == Mode::For {
                frame.end_entry(Link::Always, line);
            }
            return Ok(());
        };
        let expected = || SyntaxError::Order { found: String::from(text), expected: frame.mode.expects() };
        if mode.opens() {
            if matches!(frame.mode, Mode::For | Mode::In) {
                return Err(expected());
            }
            if self.nested.saturating_add(outer.len()) >= NESTING {
                return Err(SyntaxError::Exceeded(Exceeded::Nesting));
            }
            outer.push(core::mem::replace(frame, Frame::new(mode, line)));
            return Ok(());
        }
        if !frame.mode.leads_to(mode) {
            return Err(expected());
        }
        frame.mode = mode;
        if mode.closes() {
            frame.end_entry(Link::Always, line);
            let Some(mut before) = outer.pop() else { return Err(SyntaxError::Unexpected(String::from(text))) };
            check_for(&frame.list)?;
            before.action = Action::Group(core::mem::take(&mut frame.list));
            *frame = before;
        }
        Ok(())
    }
}

/// A `for` has one name and one line of values.
fn check_for(list: &[Entry]) -> Result<(), SyntaxError> {
    for (entry, next) in list.iter().zip(list.iter().skip(1)) {
        let more = next.mode == Mode::In && next.action != Action::Nothing;
        if entry.mode == Mode::For && next.mode != Mode::In {
            return Err(SyntaxError::Order { found: String::from("for"), expected: "in behind the name" });
        }
        if entry.mode == Mode::In && more {
            return Err(SyntaxError::Order { found: String::from("a second line of values"), expected: "do" });
        }
    }
    Ok(())
}
