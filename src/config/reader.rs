//! Typed access to a TOML table, in which every failure knows its line and column.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::nearest::nearest;

/// Why `loader.toml` was not accepted, and where. The text goes on after the file's name and a colon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The line, from 1; 0 where the trouble is with the file as a whole.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with `loader.toml`. Texts taken from the file are cut to a length fit for a console and have no control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The file is larger than settings can be.
    TooLong {
        /// Its size in bytes.
        bytes: usize,
        /// The largest accepted size in bytes.
        limit: usize,
    },
    /// An entry, or what stands before the first, is larger than one can be.
    LongPiece {
        /// Its size in bytes.
        bytes: usize,
        /// The largest accepted size in bytes.
        limit: usize,
    },
    /// A byte that is not UTF-8.
    NotUtf8(u8),
    /// The text is UTF-16, as some editors save it.
    Utf16,
    /// Not TOML; what the parser says about it.
    Syntax(String),
    /// A key that does not exist.
    UnknownKey {
        /// The key.
        key: String,
        /// The table it stands in, as a user writes it.
        table: &'static str,
        /// The key that was perhaps meant.
        nearest: Option<&'static str>,
        /// All keys of the table.
        known: &'static [&'static str],
    },
    /// A key that must be there and is not.
    MissingKey {
        /// The key.
        key: &'static str,
        /// The table it belongs to.
        table: &'static str,
    },
    /// A value of the wrong type.
    WrongType {
        /// Its key.
        key: &'static str,
        /// What was expected, in words.
        expected: &'static str,
        /// TOML's name for what was found.
        found: &'static str,
    },
    /// A value of the right type that makes no sense.
    BadValue {
        /// Its key.
        key: &'static str,
        /// The value.
        value: String,
        /// What was expected, in words.
        expected: String,
    },
    /// A name that is used twice.
    Duplicate {
        /// What has the name, such as `entry`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// `default` or `fallback` names an entry that is not there.
    NoSuchEntry {
        /// The key that names it.
        key: &'static str,
        /// The name.
        name: String,
        /// The entry that was perhaps meant.
        nearest: Option<String>,
    },
    /// Following `fallback` from this entry comes back to it.
    FallbackCircle(String),
    /// An entry that does not say one thing to boot; what is wrong about it, in words.
    Payload {
        /// The entry's name.
        entry: String,
        /// What is wrong.
        reason: &'static str,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}, column {}: ", self.line, self.column)?;
        }
        self.problem.fmt(f)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { bytes, limit } => {
                write!(f, "the file has {bytes} bytes, settings have at most {limit}; is it really loader.toml?")
            }
            Self::LongPiece { bytes, limit } => write!(
                f,
                "from here to the next [[entry]] there are {bytes} bytes, expected at most {limit}; is a quote not closed?"
            ),
            Self::NotUtf8(byte) => write!(f, "byte {byte:#04x} is not UTF-8; save the file as plain UTF-8 text"),
            Self::Utf16 => f.write_str("the text is UTF-16; save the file as UTF-8"),
            Self::Syntax(message) => write!(f, "not TOML: {message}"),
            Self::UnknownKey { key, table, nearest, known } => {
                write!(f, "unknown key \"{key}\" in {table}; ")?;
                match nearest {
                    Some(nearest) => write!(f, "nearest known key: {nearest}"),
                    None => {
                        f.write_str("known keys: ")?;
                        for (index, key) in known.iter().enumerate() {
                            write!(f, "{}{key}", if index == 0 { "" } else { ", " })?;
                        }
                        Ok(())
                    }
                }
            }
            Self::MissingKey { key, table } => write!(f, "{table} needs the key {key}"),
            Self::WrongType { key, expected, found } => {
                write!(f, "{key}: expected {expected}, found TOML type {found}")
            }
            Self::BadValue { key, value, expected } => write!(f, "{key}: expected {expected}; found \"{value}\""),
            Self::Duplicate { what, name } => write!(f, "there is already {what} with the name \"{name}\""),
            Self::NoSuchEntry { key, name, nearest } => {
                write!(f, "{key}: there is no entry \"{name}\"")?;
                match nearest {
                    Some(nearest) => write!(f, "; nearest: {nearest}"),
                    None => Ok(()),
                }
            }
            Self::FallbackCircle(name) => write!(f, "the fallbacks of entry \"{name}\" lead back to it"),
            Self::Payload { entry, reason } => write!(f, "entry \"{entry}\": {reason}"),
        }
    }
}

/// `text` as it is shown in messages: without control characters, and not longer than a line takes.
pub fn shown(text: &str) -> String {
    const LONGEST: usize = 48;
    let mut short: String = text.chars().take(LONGEST).map(|c| if c.is_control() { '?' } else { c }).collect();
    if text.chars().nth(LONGEST).is_some() {
        short.push_str("...");
    }
    short
}

/// A piece of the text of the file; turns byte offsets in it into lines and columns of the file.
#[derive(Clone, Copy)]
pub struct Text<'t> {
    /// The whole text.
    pub whole: &'t str,
    /// Where the piece begins in it, in bytes.
    pub start: usize,
}

impl Text<'_> {
    /// The error `problem` at byte `offset`.
    pub fn error(&self, offset: usize, problem: Problem) -> Error {
        let offset = self.start.saturating_add(offset);
        let before = self.whole.char_indices().take_while(|(index, _)| *index < offset).map(|(_, character)| character);
        let (mut line, mut column) = (1, 1);
        for character in before {
            match character {
                '\n' => (line, column) = (line + 1, 1),
                '\u{feff}' => {}
                _ => column += 1,
            }
        }
        Error { line, column, problem }
    }
}

/// A value with the place it stands at, in bytes of the text.
pub type At<T> = (T, usize);

/// A table of `loader.toml` whose keys are all known.
#[derive(Clone, Copy)]
pub struct Table<'t, 'i> {
    text: Text<'t>,
    values: &'t DeTable<'i>,
    /// Where the table begins, in bytes: what is missing from it is reported there.
    pub start: usize,
    /// How messages call it.
    name: &'static str,
}

impl<'t, 'i> Table<'t, 'i> {
    /// Takes a table of which only the `known` keys may appear; the first other key in the file's order is an error.
    pub fn new(
        text: Text<'t>,
        values: &'t DeTable<'i>,
        span: Range<usize>,
        name: &'static str,
        known: &'static [&'static str],
    ) -> Result<Self, Error> {
        let unknown =
            values.keys().filter(|key| !known.contains(&key.get_ref().as_ref())).min_by_key(|key| key.span().start);
        if let Some(key) = unknown {
            let nearest = nearest(key.get_ref(), known.iter().copied());
            let problem = Problem::UnknownKey { key: shown(key.get_ref()), table: name, nearest, known };
            return Err(text.error(key.span().start, problem));
        }
        Ok(Self { text, values, start: span.start, name })
    }

    fn value(&self, key: &str) -> Option<&'t Spanned<DeValue<'i>>> {
        self.values.get(key)
    }

    fn wrong_type(&self, key: &'static str, value: &Spanned<DeValue<'i>>, expected: &'static str) -> Error {
        let problem = Problem::WrongType { key, expected, found: value.get_ref().type_str() };
        self.text.error(value.span().start, problem)
    }

    /// The error that the value of `key` at `offset` is not what was `expected`.
    pub fn bad(&self, key: &'static str, value: impl ToString, offset: usize, expected: impl ToString) -> Error {
        let problem = Problem::BadValue { key, value: shown(&value.to_string()), expected: expected.to_string() };
        self.text.error(offset, problem)
    }

    /// The error `problem` at `offset`.
    pub fn error(&self, offset: usize, problem: Problem) -> Error {
        self.text.error(offset, problem)
    }

    /// `value`, or the error that `key` is missing.
    pub fn required<T>(&self, key: &'static str, value: Option<T>) -> Result<T, Error> {
        value.ok_or_else(|| self.text.error(self.start, Problem::MissingKey { key, table: self.name }))
    }

    /// A string.
    pub fn string(&self, key: &'static str) -> Result<Option<At<&'t str>>, Error> {
        let Some(value) = self.value(key) else { return Ok(None) };
        match value.get_ref() {
            DeValue::String(text) => Ok(Some((text.as_ref(), value.span().start))),
            _ => Err(self.wrong_type(key, value, "a string in quotes")),
        }
    }

    /// A whole number from `least` to `most`; `unit` says in messages what it counts.
    pub fn integer(&self, key: &'static str, least: u32, most: u32, unit: &str) -> Result<Option<u32>, Error> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let DeValue::Integer(digits) = value.get_ref() else {
            return Err(self.wrong_type(key, value, "a whole number"));
        };
        let number = u32::from_str_radix(digits.as_str(), digits.radix()).ok();
        match number.filter(|number| (least..=most).contains(number)) {
            Some(number) => Ok(Some(number)),
            None => {
                Err(self.bad(key, digits, value.span().start, format!("a number of {unit} from {least} to {most}")))
            }
        }
    }

    /// A whole number as [`integer`](Self::integer), or the one `word`, which gives `None`.
    pub fn integer_or_word(
        &self,
        key: &'static str,
        most: u32,
        unit: &str,
        word: &'static str,
    ) -> Result<Option<Option<u32>>, Error> {
        let Some(value) = self.value(key) else { return Ok(None) };
        match value.get_ref() {
            DeValue::Integer(_) => Ok(self.integer(key, 0, most, unit)?.map(Some)),
            DeValue::String(text) if text == word => Ok(Some(None)),
            DeValue::String(text) => Err(self.bad(
                key,
                text,
                value.span().start,
                format!("a number of {unit} without quotes, or \"{word}\""),
            )),
            _ => Err(self.wrong_type(key, value, "a whole number or a word in quotes")),
        }
    }

    /// `true` or `false`.
    pub fn boolean(&self, key: &'static str) -> Result<Option<bool>, Error> {
        let Some(value) = self.value(key) else { return Ok(None) };
        match value.get_ref() {
            DeValue::Boolean(boolean) => Ok(Some(*boolean)),
            _ => Err(self.wrong_type(key, value, "true or false")),
        }
    }

    /// A table within this one.
    pub fn table(
        &self,
        key: &'static str,
        name: &'static str,
        known: &'static [&'static str],
    ) -> Result<Option<Table<'t, 'i>>, Error> {
        let Some(value) = self.value(key) else { return Ok(None) };
        match value.get_ref() {
            DeValue::Table(values) => Table::new(self.text, values, value.span(), name, known).map(Some),
            DeValue::Array(_) => Err(self.wrong_type(key, value, "one table, in single brackets")),
            _ => Err(self.wrong_type(key, value, "a table")),
        }
    }

    /// The tables of an array of tables, in the file's order; none where the key is missing.
    pub fn tables(
        &self,
        key: &'static str,
        name: &'static str,
        known: &'static [&'static str],
    ) -> Result<Vec<Table<'t, 'i>>, Error> {
        let Some(value) = self.value(key) else { return Ok(Vec::new()) };
        let expected = "tables, each in double brackets";
        let DeValue::Array(items) = value.get_ref() else { return Err(self.wrong_type(key, value, expected)) };
        let mut tables = Vec::new();
        for item in items.iter() {
            let DeValue::Table(values) = item.get_ref() else { return Err(self.wrong_type(key, item, expected)) };
            tables.push(Table::new(self.text, values, item.span(), name, known)?);
        }
        Ok(tables)
    }

    /// The values of an array; none where the key is missing. `read` is called with each.
    pub fn array<T>(
        &self,
        key: &'static str,
        most: usize,
        read: impl Fn(&Self, &'static str, &'t Spanned<DeValue<'i>>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let Some(value) = self.value(key) else { return Ok(Vec::new()) };
        let DeValue::Array(items) = value.get_ref() else {
            return Err(self.wrong_type(key, value, "a list in brackets"));
        };
        if items.len() > most {
            return Err(self.bad(
                key,
                format!("{} items", items.len()),
                value.span().start,
                format!("at most {most} items"),
            ));
        }
        items.iter().map(|item| read(self, key, item)).collect()
    }

    /// A value that is a string or a table; `read` takes it apart.
    pub fn any<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&Self, &'static str, &'t Spanned<DeValue<'i>>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        self.value(key).map(|value| read(self, key, value)).transpose()
    }

    /// `value` as a string, or as a table with the `known` keys.
    pub fn string_or_table(
        &self,
        key: &'static str,
        value: &'t Spanned<DeValue<'i>>,
        known: &'static [&'static str],
    ) -> Result<StringOrTable<'t, 'i>, Error> {
        let start = value.span().start;
        match value.get_ref() {
            DeValue::String(text) => Ok(StringOrTable::String((text.as_ref(), start))),
            DeValue::Table(values) => {
                Table::new(self.text, values, value.span(), "a file's table", known).map(StringOrTable::Table)
            }
            _ => Err(self.wrong_type(key, value, "a path in quotes or { path = \"...\", sha256 = \"...\" }")),
        }
    }
}

/// What [`Table::string_or_table`] found.
pub enum StringOrTable<'t, 'i> {
    /// A string.
    String(At<&'t str>),
    /// A table.
    Table(Table<'t, 'i>),
}
