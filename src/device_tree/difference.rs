//! What is different between two trees, a line each, by path:
//!
//! ```text
//! + /memreserve/ 0x3b000000-0x3bffffff
//! ~ /chosen bootargs = "quiet" -> "console=hvc0"
//! + /chosen/dom0
//! + /chosen/dom0 reg = <0x01000000 0x0108aa00>
//! - /soc/serial@7e201000
//! ```
//!
//! `+` is in the second tree alone, `-` in the first alone, `~` is a property of both with another value. A node that is gone is one line, a new one is a
//! line for everything in it. Order counts for nothing, neither that of the trees nor the one of the output: nodes, properties and reservations are
//! compared by what they are called and come in the order of their names. Where a damaged tree has a name twice, the first is compared with the first.
//!
//! It takes no more memory than a third of both trees' bytes, whatever is in them, calls itself as deep as a checked tree nests, and its time grows with
//! the trees' sizes and that depth.

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;
use core::fmt::Write as _;

use super::header::{RESERVATION_SIZE, double_word};
use super::read::{Node, Token, Tree};
use super::value::Value;
use crate::sort::sort_by;

/// Bytes of the longest value that is shown; of a longer one its length is.
pub const LONGEST_SHOWN: usize = 4096;

/// Why two trees could not be compared, or not to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Where it was to be written took no more.
    Output,
    /// No memory for the names of one node.
    Memory {
        /// How many names it has.
        names: usize,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Output => f.write_str("the rest of the difference was not wanted"),
            Self::Memory { names } => write!(f, "no memory to compare {names} names of one node"),
        }
    }
}

impl core::error::Error for Error {}

impl From<fmt::Error> for Error {
    fn from(_: fmt::Error) -> Self {
        Self::Output
    }
}

/// Writes what is different in `after` to `out`; gives how many lines that are.
///
/// # Errors
/// [`Error::Output`] where `out` fails; [`Error::Memory`].
pub fn difference(before: &Tree<'_>, after: &Tree<'_>, out: &mut dyn fmt::Write) -> Result<usize, Error> {
    let mut comparison = Comparison { before, after, path: String::new(), lines: 0, out };
    comparison.reservations()?;
    comparison.node(Some(before.root()), after.root())?;
    Ok(comparison.lines)
}

struct Comparison<'t, 'o> {
    before: &'t Tree<'t>,
    after: &'t Tree<'t>,
    /// Of the node that is looked at; empty for the root.
    path: String,
    lines: usize,
    out: &'o mut dyn fmt::Write,
}

impl<'t> Comparison<'t, '_> {
    fn reservations(&mut self) -> Result<(), Error> {
        let pairs = Pairs { before: Names::reservations(self.before)?, after: Names::reservations(self.after)? };
        for (before, after) in pairs {
            let (sign, tree, offset) = match (before, after) {
                (Some(offset), None) => ('-', self.before, offset),
                (None, Some(offset)) => ('+', self.after, offset),
                _ => continue,
            };
            let Name::Reservation { address, size } = name(tree, offset) else { continue };
            let last = address.saturating_add(size.saturating_sub(1));
            self.lines += 1;
            writeln!(self.out, "{sign} /memreserve/ {address:#010x}-{last:#010x}")?;
        }
        Ok(())
    }

    /// Compares a node of both trees, `before` being none where it is new.
    fn node(&mut self, before: Option<Node<'t>>, after: Node<'t>) -> Result<(), Error> {
        self.properties(before, after)?;
        let children = before.map_or(Ok(Names::none(self.before)), |node| Names::children(self.before, node))?;
        for (old, new) in (Pairs { before: children, after: Names::children(self.after, after)? }) {
            let length = self.path.len();
            let old = old.and_then(|offset| self.before.node_at(offset));
            let new = new.and_then(|offset| self.after.node_at(offset));
            let Some(either) = new.or(old) else { continue };
            // Into a String: cannot fail.
            let _ = write!(self.path, "/{}", either.name());
            match (old, new) {
                (Some(_), None) => self.line('-', format_args!(""))?,
                (None, Some(new)) => {
                    self.line('+', format_args!(""))?;
                    self.node(None, new)?;
                }
                (Some(old), Some(new)) => self.node(Some(old), new)?,
                (None, None) => {}
            }
            self.path.truncate(length);
        }
        Ok(())
    }

    fn properties(&mut self, before: Option<Node<'t>>, after: Node<'t>) -> Result<(), Error> {
        let properties = before.map_or(Ok(Names::none(self.before)), |node| Names::properties(self.before, node))?;
        for (old, new) in (Pairs { before: properties, after: Names::properties(self.after, after)? }) {
            let old = old.and_then(|offset| property(self.before, offset));
            let new = new.and_then(|offset| property(self.after, offset));
            match (old, new) {
                (Some((name, _)), None) => self.line('-', format_args!(" {name}"))?,
                (None, Some((name, value))) => self.line('+', format_args!(" {name}{}", Assigned(value)))?,
                (Some((_, old)), Some((name, new))) if old != new => {
                    self.line('~', format_args!(" {name} = {} -> {}", Shown(old), Shown(new)))?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A line about the node at the path.
    fn line(&mut self, sign: char, what: fmt::Arguments<'_>) -> Result<(), Error> {
        self.lines += 1;
        let path = if self.path.is_empty() { "/" } else { &self.path };
        Ok(writeln!(self.out, "{sign} {path}{what}")?)
    }
}

/// The name and the value of the property whose token is at `offset`.
fn property<'t>(tree: &Tree<'t>, offset: usize) -> Option<(&'t str, &'t [u8])> {
    match tree.cursor(offset).step()? {
        Token::Property { name, value } => Some((name, value)),
        _ => None,
    }
}

/// What is behind a property's name: nothing, or ` = ` and its value.
struct Assigned<'a>(&'a [u8]);

impl fmt::Display for Assigned<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " = {}", Shown(self.0)) }
    }
}

/// A value, or how long it is.
struct Shown<'a>(&'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            0 => f.write_str("nothing"),
            1..=LONGEST_SHOWN => Value::in_source(self.0).fmt(f),
            length => write!(f, "({length} bytes)"),
        }
    }
}

/// What things are compared by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Name<'t> {
    /// An entry of the reservations.
    Reservation { address: u64, size: u64 },
    /// A node, or a property.
    Of(&'t str),
}

/// The order of what is at two offsets of `tree`. Not inlined: a sort compares in many places, and that would be six kilobytes.
#[inline(never)]
fn order(tree: &Tree<'_>, one: u32, other: u32) -> Ordering {
    name(tree, one as usize).cmp(&name(tree, other as usize)).then(one.cmp(&other))
}

/// The name of what is at `offset` of `tree`.
fn name<'t>(tree: &Tree<'t>, offset: usize) -> Name<'t> {
    if (tree.header().reservations_offset..reservations_end(tree)).contains(&offset) {
        let word = |offset| double_word(tree.bytes(), offset).unwrap_or_default();
        return Name::Reservation { address: word(offset), size: word(offset.saturating_add(8)) };
    }
    Name::Of(match tree.cursor(offset).step() {
        Some(Token::BeginNode(name) | Token::Property { name, .. }) => name,
        _ => "",
    })
}

/// Where the terminating entry of the reservations is.
fn reservations_end(tree: &Tree<'_>) -> usize {
    let header = tree.header();
    header.reservations_offset.saturating_add(header.reservations_size.saturating_sub(RESERVATION_SIZE))
}

/// What lies at some offsets of a tree, in the order of its names.
struct Names<'t> {
    tree: &'t Tree<'t>,
    /// A tree has no more bytes than its header's 32 bits can say.
    offsets: Vec<u32>,
    next: usize,
}

impl<'t> Names<'t> {
    fn none(tree: &'t Tree<'t>) -> Self {
        Self { tree, offsets: Vec::new(), next: 0 }
    }

    fn reservations(tree: &'t Tree<'t>) -> Result<Self, Error> {
        let mut offsets = (tree.header().reservations_offset..reservations_end(tree)).step_by(RESERVATION_SIZE);
        Self::sorted(tree, offsets.len(), &mut offsets)
    }

    fn properties(tree: &'t Tree<'t>, node: Node<'_>) -> Result<Self, Error> {
        let count = node.properties().count();
        Self::sorted(tree, count, &mut node.properties().map(|property| property.offset))
    }

    fn children(tree: &'t Tree<'t>, node: Node<'_>) -> Result<Self, Error> {
        let count = node.children().count();
        Self::sorted(tree, count, &mut node.children().map(|child| child.offset))
    }

    fn sorted(tree: &'t Tree<'t>, count: usize, from: &mut dyn Iterator<Item = usize>) -> Result<Self, Error> {
        let mut offsets: Vec<u32> = Vec::new();
        offsets.try_reserve_exact(count).map_err(|_| Error::Memory { names: count })?;
        offsets.extend(from.take(count).map(|offset| offset as u32));
        // By the offset where the name is the same: the first of two comes first.
        sort_by(&mut offsets, |one, other| order(tree, *one, *other).is_lt());
        Ok(Self { tree, offsets, next: 0 })
    }

    fn peek(&self) -> Option<(usize, Name<'t>)> {
        let offset = *self.offsets.get(self.next)? as usize;
        Some((offset, name(self.tree, offset)))
    }
}

/// What two lists have under the same name, or one of them alone: offsets.
struct Pairs<'t> {
    before: Names<'t>,
    after: Names<'t>,
}

impl Iterator for Pairs<'_> {
    type Item = (Option<usize>, Option<usize>);

    fn next(&mut self) -> Option<Self::Item> {
        let (before, after) = (self.before.peek(), self.after.peek());
        let order = match (before, after) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((_, before)), Some((_, after))) => before.cmp(&after),
        };
        let before = before.filter(|_| order.is_le()).map(|(offset, _)| offset);
        let after = after.filter(|_| order.is_ge()).map(|(offset, _)| offset);
        self.before.next += usize::from(before.is_some());
        self.after.next += usize::from(after.is_some());
        Some((before, after))
    }
}
