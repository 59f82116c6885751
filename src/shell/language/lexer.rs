//! Words and separators.
//!
//! A backslash takes the special meaning from the next character, inside double quotes as well, where it stays in the word. Once a word is
//! whole the backslashes that are left are taken out of it, which is why `'a\b'` is `ab`: U-Boot does not remember that they were quoted.

use super::limits::{Exceeded, TOKENS};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// A piece of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Itself.
    Text(String),
    /// `$name` or `${name…}`, without the signs.
    Variable(String),
    /// `$?`.
    Status,
}

/// A word as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) pieces: Vec<Piece>,
    /// Whether a quote stands in it: such a word stays one word, even an empty one.
    pub(super) quoted: bool,
}

impl Word {
    pub(super) fn variables(&self) -> usize {
        self.pieces.iter().filter(|piece| !matches!(piece, Piece::Text(_))).count()
    }

    /// The text of a word without variables.
    pub(super) fn plain(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether it reads `name=…`.
    pub(super) fn is_assignment(&self) -> bool {
        matches!(self.pieces.first(), Some(Piece::Text(text)) if assignment(text).is_some())
    }
}

/// `name=value` in its two parts.
pub(super) fn assignment(text: &str) -> Option<(&str, &str)> {
    text.split_once('=').filter(|(name, _)| is_name(name))
}

/// Whether a local variable can have this name.
pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic()) && name.bytes().all(is_name_byte)
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// What a text is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Word(Word),
    Newline,
    Semicolon,
    And,
    Or,
}

/// What is special in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rules {
    /// What a script is made of.
    Script,
    /// A command whose variables have been put in: no separators and no variables any more.
    Expanded,
}

/// Why a text cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyntaxError {
    /// A quote that nothing ends.
    Quote {
        /// `'` or `"`.
        quote: char,
        /// The line in which it opens.
        line: u32,
    },
    /// `${` without `}`.
    Brace,
    /// `&` or `|` by itself.
    Background(char),
    /// Something that stands where it cannot.
    Unexpected(String),
    /// A word of the language that cannot stand here, and what should.
    Order {
        /// What was found.
        found: String,
        /// What was expected.
        expected: &'static str,
    },
    /// The text ends within an `if` or a loop.
    Unfinished {
        /// What is missing.
        expected: &'static str,
        /// The line in which that begins.
        line: u32,
    },
    /// More than is allowed.
    Exceeded(Exceeded),
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quote { quote, line } => write!(f, "the {quote} opened in line {line} is not closed"),
            Self::Brace => f.write_str("${ without }"),
            Self::Background(sign) => write!(f, "a single {sign}: there are only {sign}{sign} and \\{sign}"),
            Self::Unexpected(word) => write!(f, "\"{word}\" cannot stand here: is a ; missing before it?"),
            Self::Order { found, expected } => write!(f, "\"{found}\" cannot stand here, expected {expected}"),
            Self::Unfinished { expected, line } => {
                write!(f, "the text ends without the {expected} of what begins in line {line}")
            }
            Self::Exceeded(exceeded) => exceeded.fmt(f),
        }
    }
}

/// Goes through a text.
pub(super) struct Lexer<'t> {
    rest: &'t str,
    /// The line at which it stands, from 1.
    pub(super) line: u32,
    rules: Rules,
    /// Tokens that may still come.
    left: usize,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str, rules: Rules, used: usize) -> Self {
        Self { rest: text, line: 1, rules, left: TOKENS.saturating_sub(used) }
    }

    /// Begins to count its tokens anew, with `used` that others hold.
    pub(super) fn allow(&mut self, used: usize) {
        self.left = TOKENS.saturating_sub(used);
    }

    /// The next token; `None` at the end of the text.
    pub(super) fn next(&mut self) -> Result<Option<Token>, SyntaxError> {
        self.left = self.left.checked_sub(1).ok_or(SyntaxError::Exceeded(Exceeded::Tokens))?;
        let script = self.rules == Rules::Script;
        loop {
            let Some(first) = self.peek() else { return Ok(None) };
            match first {
                ' ' | '\t' => {
                    self.take();
                }
                '#' => self.comment(),
                '\n' => {
                    self.take();
                    return Ok(Some(Token::Newline));
                }
                ';' if script => {
                    self.take();
                    return Ok(Some(Token::Semicolon));
                }
                '&' | '|' if script => {
                    self.take();
                    if self.peek() != Some(first) {
                        return Err(SyntaxError::Background(first));
                    }
                    self.take();
                    return Ok(Some(if first == '&' { Token::And } else { Token::Or }));
                }
                _ => {
                    if let Some(word) = self.word()? {
                        return Ok(Some(Token::Word(word)));
                    }
                }
            }
        }
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let taken = characters.next()?;
        self.rest = characters.as_str();
        if taken == '\n' {
            self.line = self.line.saturating_add(1);
        }
        Some(taken)
    }

    fn comment(&mut self) {
        let end = self.rest.find('\n').unwrap_or(self.rest.len());
        self.rest = self.rest.get(end..).unwrap_or_default();
    }

    /// A word, up to what ends it. `None` where there was only a comment behind quotes that hold nothing.
    fn word(&mut self) -> Result<Option<Word>, SyntaxError> {
        let script = self.rules == Rules::Script;
        let mut word = Builder::default();
        let mut open: Option<u32> = None;
        while let Some(character) = self.peek() {
            if open.is_none() {
                match character {
                    ' ' | '\t' | '\n' => break,
                    ';' | '&' | '|' if script => break,
                    // An empty pair of quotes does not begin a word in this respect.
                    '#' if word.is_empty() => {
                        self.comment();
                        break;
                    }
                    _ => {}
                }
            }
            let line = self.line;
            self.take();
            match character {
                '\\' => {
                    // A text of ours ends with a newline, one that was typed may not.
                    let next = self.take().unwrap_or('\n');
                    if open.is_some() {
                        word.escaped('\\');
                    }
                    word.escaped(next);
                }
                // Within double quotes too.
                '\'' => {
                    word.quoted = true;
                    self.single_quoted(&mut word, line)?;
                }
                '"' => {
                    word.quoted = true;
                    open = if open.is_some() { None } else { Some(line) };
                }
                '$' if script => self.variable(&mut word)?,
                _ => word.raw(character),
            }
        }
        if let Some(line) = open {
            return Err(SyntaxError::Quote { quote: '"', line });
        }
        Ok(word.finish())
    }

    fn single_quoted(&mut self, word: &mut Builder, line: u32) -> Result<(), SyntaxError> {
        loop {
            match self.take() {
                Some('\'') => return Ok(()),
                Some(character) => word.raw(character),
                None => return Err(SyntaxError::Quote { quote: '\'', line }),
            }
        }
    }

    /// What follows a `$`.
    fn variable(&mut self, word: &mut Builder) -> Result<(), SyntaxError> {
        // It may be a piece of its own, and what stands before it another.
        self.left = self.left.checked_sub(2).ok_or(SyntaxError::Exceeded(Exceeded::Tokens))?;
        match self.peek() {
            Some('?') => {
                self.take();
                word.piece(Piece::Status);
            }
            Some('{') => {
                self.take();
                let mut name = String::new();
                loop {
                    match self.take() {
                        Some('}') => break,
                        Some(character) => name.push(character),
                        None => return Err(SyntaxError::Brace),
                    }
                }
                word.piece(Piece::Variable(name.replace('\\', "")));
            }
            Some(first) if first.is_ascii_alphabetic() => {
                let end = self.rest.bytes().position(|byte| !is_name_byte(byte)).unwrap_or(self.rest.len());
                let (name, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
                word.piece(Piece::Variable(String::from(name)));
                self.rest = rest;
            }
            _ => word.raw('$'),
        }
        Ok(())
    }
}

/// A word in the making.
#[derive(Default)]
struct Builder {
    pieces: Vec<Piece>,
    /// What has not become a piece yet, backslashes taken out.
    text: String,
    /// Whether something stands in it, if only a backslash.
    begun: bool,
    /// Whether the last raw character was a backslash that hides the next one.
    hides: bool,
    quoted: bool,
}

impl Builder {
    fn is_empty(&self) -> bool {
        !self.begun
    }

    /// A character for which a backslash has been seen already.
    fn escaped(&mut self, character: char) {
        self.begun = true;
        if self.hides {
            // The backslash before it was in single quotes; it hides the one that we have seen.
            self.hides = false;
            self.text.push('\\');
            self.raw(character);
        } else {
            self.text.push(character);
        }
    }

    /// A character as it stands in the text.
    fn raw(&mut self, character: char) {
        self.begun = true;
        if character == '\\' && !self.hides {
            self.hides = true;
            return;
        }
        self.hides = false;
        self.text.push(character);
    }

    fn piece(&mut self, piece: Piece) {
        self.begun = true;
        self.hides = false;
        if !self.text.is_empty() {
            self.pieces.push(Piece::Text(core::mem::take(&mut self.text)));
        }
        self.pieces.push(piece);
    }

    fn finish(mut self) -> Option<Word> {
        if !self.text.is_empty() {
            self.pieces.push(Piece::Text(self.text));
        }
        // Most words are one piece, and there can be many words.
        self.pieces.shrink_to_fit();
        (self.begun || self.quoted).then_some(Word { pieces: self.pieces, quoted: self.quoted })
    }
}
