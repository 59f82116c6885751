//! Patterns of `setexpr … gsub`: `^ $ . [a-z] [^…] ( ) | * + ?`, lazy as `*? +? ??`, and `\s \S \d \D \n \r \t`; any other character
//! behind a backslash is itself.
//!
//! A crate for regular expressions would be a fifth of the loader. This is a matcher that goes back where it went wrong, with a bound on
//! its steps, because a pattern can make it go back for ever.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// How deep parentheses may nest.
const DEEPEST: usize = 16;
/// Characters of a pattern.
const LONGEST: usize = 1024;
/// Steps that one substitution may take; one is to compare a character with one range of a set, some nanoseconds.
const STEPS: usize = 1_000_000;
/// How far a match may be in progress at one time, in things matched; each is a frame of the stack.
const REACH: u32 = 128;
/// Bytes of a result.
const RESULT: usize = 16 << 10;
/// References `\0` to `\9`.
const GROUPS: usize = 10;

/// Why a pattern cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// More than `LONGEST` characters, or parentheses nested more than `DEEPEST` deep.
    TooLarge,
    /// `(`, `)` or `[` without its other half.
    Unbalanced(char),
    /// `*`, `+` or `?` with nothing before it.
    NothingToRepeat(char),
    /// It would take more steps than are allowed.
    TooMuchWork,
    /// The result would be larger than is allowed.
    ResultTooLarge,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => {
                write!(f, "the pattern is longer than {LONGEST} characters or nested deeper than {DEEPEST}")
            }
            Self::Unbalanced(sign) => write!(f, "the pattern has a {sign} without its other half"),
            Self::NothingToRepeat(sign) => write!(f, "the pattern has a {sign} with nothing before it"),
            Self::TooMuchWork => f.write_str("the pattern takes too long on this text"),
            Self::ResultTooLarge => write!(f, "the result would be longer than {RESULT} bytes"),
        }
    }
}

/// A set of characters.
#[derive(Clone, Debug)]
struct Set {
    excluded: bool,
    ranges: Vec<(char, char)>,
}

impl Set {
    /// Steps that it takes to compare it with a character.
    fn work(&self) -> usize {
        self.ranges.len() + 1
    }

    fn has(&self, character: char) -> bool {
        self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&character)) != self.excluded
    }
}

#[derive(Clone, Debug)]
enum Item {
    One(Set),
    Start,
    End,
    Group(usize, Vec<Vec<Item>>),
    Repeat { item: Box<Item>, least: usize, most: usize, lazy: bool },
}

/// A pattern that can be matched.
#[derive(Clone, Debug)]
pub struct Pattern {
    branches: Vec<Vec<Item>>,
}

impl Pattern {
    /// Understands `text`.
    ///
    /// # Errors
    /// Where it is not a pattern.
    pub fn new(text: &str) -> Result<Self, Error> {
        let characters: Vec<char> = text.chars().collect();
        if characters.len() > LONGEST {
            return Err(Error::TooLarge);
        }
        let mut reader = Reader { characters: &characters, at: 0, groups: 1 };
        let branches = reader.branches(0)?;
        if reader.at < characters.len() {
            return Err(Error::Unbalanced(')'));
        }
        Ok(Self { branches })
    }

    /// `text` with the first match, or all of them, replaced by `by`, in which `\0` is the match and `\1` to `\9` are its groups. `None`
    /// where nothing matches, as nothing does in an empty text. As in U-Boot, `^` is where what has not been replaced begins, so that `^0` takes
    /// all zeroes in front away.
    ///
    /// # Errors
    /// Where that takes too much work, or becomes too long.
    pub fn replace(&self, text: &str, by: &str, all: bool) -> Result<Option<String>, Error> {
        let characters: Vec<char> = text.chars().collect();
        let mut matcher = Matcher { text: &characters, begin: 0, groups: [None; GROUPS], steps: 0, depth: 0 };
        let mut result = String::new();
        let (mut copied, mut at, mut found) = (0, 0, false);
        while at <= characters.len() && !characters.is_empty() {
            matcher.groups = [None; GROUPS];
            let Some(end) = matcher.alternatives(&self.branches, at, &Next::Done)? else {
                at += 1;
                continue;
            };
            if found && at == copied && end == at {
                // Nothing, behind what has been replaced: `.*` is one match.
                at += 1;
                continue;
            }
            found = true;
            matcher.groups[0] = Some((at, end));
            result.extend(characters.get(copied..at).unwrap_or_default());
            insert(by, &characters, &matcher.groups, &mut result)?;
            (copied, matcher.begin) = (end, end);
            // A match of nothing would be found there again and again.
            at = if end > at { end } else { at + 1 };
            if !all {
                break;
            }
        }
        result.extend(characters.get(copied..).unwrap_or_default());
        if result.len() > RESULT {
            return Err(Error::ResultTooLarge);
        }
        Ok(found.then_some(result))
    }
}

/// Appends `by` with its references. A reference to a group that matched nothing, or that stands behind such a one, stays as it is written, as
/// in U-Boot. Each can be as long as the text, so the length is looked at after each.
fn insert(
    by: &str,
    text: &[char],
    groups: &[Option<(usize, usize)>; GROUPS],
    result: &mut String,
) -> Result<(), Error> {
    let known = groups.iter().take_while(|group| group.is_some_and(|(start, end)| start < end)).count();
    let mut rest = by.chars();
    while let Some(character) = rest.next() {
        let digit = rest.clone().next().filter(|_| character == '\\').and_then(|digit| digit.to_digit(10));
        match digit.and_then(|digit| groups.get(..known)?.get(digit as usize).copied()?) {
            Some((start, end)) => {
                rest.next();
                result.extend(text.get(start..end).unwrap_or_default());
            }
            None => result.push(character),
        }
        if result.len() > RESULT {
            return Err(Error::ResultTooLarge);
        }
    }
    Ok(())
}

struct Reader<'c> {
    characters: &'c [char],
    at: usize,
    groups: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    fn take(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.at += 1;
        Some(character)
    }

    fn branches(&mut self, depth: usize) -> Result<Vec<Vec<Item>>, Error> {
        if depth > DEEPEST {
            return Err(Error::TooLarge);
        }
        let mut branches = Vec::from([Vec::new()]);
        while let Some(character) = self.peek() {
            if character == ')' {
                break;
            }
            self.at += 1;
            if character == '|' {
                branches.push(Vec::new());
                continue;
            }
            let item = self.item(character, depth)?;
            let item = self.repeated(item);
            if let Some(branch) = branches.last_mut() {
                branch.push(item);
            }
        }
        Ok(branches)
    }

    fn item(&mut self, character: char, depth: usize) -> Result<Item, Error> {
        Ok(match character {
            '^' => Item::Start,
            '$' => Item::End,
            '.' => Item::One(Set { excluded: true, ranges: Vec::new() }),
            '*' | '+' | '?' => return Err(Error::NothingToRepeat(character)),
            '(' => {
                let group = self.groups;
                self.groups += 1;
                let branches = self.branches(depth + 1)?;
                if self.take() != Some(')') {
                    return Err(Error::Unbalanced('('));
                }
                Item::Group(group, branches)
            }
            '[' => Item::One(self.set()?),
            '\\' => Item::One(class(self.take().unwrap_or('\\'))),
            other => Item::One(Set { excluded: false, ranges: Vec::from([(other, other)]) }),
        })
    }

    fn repeated(&mut self, item: Item) -> Item {
        let (least, most) = match self.peek() {
            Some('*') => (0, usize::MAX),
            Some('+') => (1, usize::MAX),
            Some('?') => (0, 1),
            _ => return item,
        };
        self.at += 1;
        let lazy = self.peek() == Some('?');
        self.at += usize::from(lazy);
        Item::Repeat { item: Box::new(item), least, most, lazy }
    }

    fn set(&mut self) -> Result<Set, Error> {
        let mut set = Set { excluded: false, ranges: Vec::new() };
        if self.peek() == Some('^') {
            self.at += 1;
            set.excluded = true;
        }
        let mut first = true;
        loop {
            let Some(character) = self.take() else { return Err(Error::Unbalanced('[')) };
            match character {
                ']' if !first => return Ok(set),
                '\\' => set.ranges.extend(class(self.take().unwrap_or('\\')).ranges),
                low => {
                    let range =
                        self.peek() == Some('-') && !matches!(self.characters.get(self.at + 1), None | Some(']'));
                    let high = if range {
                        self.at += 1;
                        self.take().unwrap_or(low)
                    } else {
                        low
                    };
                    set.ranges.push((low, high));
                }
            }
            first = false;
        }
    }
}

/// What a character behind a backslash stands for.
fn class(letter: char) -> Set {
    let (excluded, ranges): (bool, &[(char, char)]) = match letter {
        's' | 'S' => (letter == 'S', &[(' ', ' '), ('\t', '\r')]),
        'd' | 'D' => (letter == 'D', &[('0', '9')]),
        'n' => (false, &[('\n', '\n')]),
        'r' => (false, &[('\r', '\r')]),
        't' => (false, &[('\t', '\t')]),
        other => return Set { excluded: false, ranges: Vec::from([(other, other)]) },
    };
    Set { excluded, ranges: ranges.to_vec() }
}

/// What is to be matched after the present item.
enum Next<'n> {
    Done,
    Items(&'n [Item], &'n Next<'n>),
    /// The end of a group that began there.
    Close(usize, usize, &'n Next<'n>),
    /// More of a repetition, of which this many were matched, the last from there on.
    More(&'n Item, usize, usize, &'n Next<'n>),
}

struct Matcher<'t> {
    text: &'t [char],
    /// Where `^` is: behind the last match.
    begin: usize,
    groups: [Option<(usize, usize)>; GROUPS],
    steps: usize,
    depth: u32,
}

impl Matcher<'_> {
    /// Where the match ends, if one of the branches matches at `at` with everything after it.
    fn alternatives(&mut self, branches: &[Vec<Item>], at: usize, next: &Next<'_>) -> Result<Option<usize>, Error> {
        for branch in branches {
            if let Some(end) = self.items(branch, at, next)? {
                return Ok(Some(end));
            }
        }
        Ok(None)
    }

    /// Counts work.
    fn step(&mut self, steps: usize) -> Result<(), Error> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > STEPS || self.depth > REACH { Err(Error::TooMuchWork) } else { Ok(()) }
    }

    fn items(&mut self, items: &[Item], at: usize, next: &Next<'_>) -> Result<Option<usize>, Error> {
        self.step(1)?;
        // Characters and ends take no stack.
        let (mut rest, mut at) = (items, at);
        while let Some((item, behind)) = rest.split_first() {
            if let Item::One(set) = item {
                self.step(set.work())?;
            }
            match item {
                Item::Start if at == self.begin => {}
                Item::End if at == self.text.len() => {}
                Item::One(set) if self.text.get(at).is_some_and(|character| set.has(*character)) => at += 1,
                Item::Start | Item::End | Item::One(_) => return Ok(None),
                Item::Group(..) | Item::Repeat { .. } => {
                    self.depth += 1;
                    let found = self.item(item, at, &Next::Items(behind, next));
                    self.depth -= 1;
                    return found;
                }
            }
            rest = behind;
        }
        self.go_on(at, next)
    }

    fn go_on(&mut self, at: usize, next: &Next<'_>) -> Result<Option<usize>, Error> {
        match next {
            Next::Done => Ok(Some(at)),
            Next::Items(items, next) => self.items(items, at, next),
            Next::Close(group, start, next) => {
                let before = self.groups.get(*group).copied().flatten();
                if let Some(slot) = self.groups.get_mut(*group) {
                    *slot = Some((*start, at));
                }
                let found = self.go_on(at, next)?;
                if let (None, Some(slot)) = (found, self.groups.get_mut(*group)) {
                    *slot = before;
                }
                Ok(found)
            }
            // A round that matched nothing is not tried again.
            Next::More(_, _, start, next) if *start == at => self.go_on(at, next),
            Next::More(item, count, _, next) => self.repetition(item, *count, at, next),
        }
    }

    fn item(&mut self, item: &Item, at: usize, next: &Next<'_>) -> Result<Option<usize>, Error> {
        match item {
            Item::Start | Item::End | Item::One(_) => self.items(core::slice::from_ref(item), at, next),
            Item::Group(group, branches) => self.alternatives(branches, at, &Next::Close(*group, at, next)),
            Item::Repeat { .. } => self.repetition(item, 0, at, next),
        }
    }

    fn repetition(&mut self, repeat: &Item, count: usize, at: usize, next: &Next<'_>) -> Result<Option<usize>, Error> {
        let Item::Repeat { item, least, most, lazy } = repeat else { return Ok(None) };
        // A repeated character, the usual case, takes no stack for each one that it matches.
        if let (Item::One(set), 0) = (item.as_ref(), count) {
            return self.run(set, (*least, *most, *lazy), at, next);
        }
        self.step(1)?;
        self.depth += 1;
        let mut found = None;
        for more in [!lazy, *lazy] {
            found = match more {
                true if count < *most => self.item(item, at, &Next::More(repeat, count + 1, at, next))?,
                false if count >= *least => self.go_on(at, next)?,
                _ => None,
            };
            if found.is_some() {
                break;
            }
        }
        self.depth -= 1;
        Ok(found)
    }

    fn run(
        &mut self,
        set: &Set,
        (least, most, lazy): (usize, usize, bool),
        at: usize,
        next: &Next<'_>,
    ) -> Result<Option<usize>, Error> {
        // A lazy repetition would look at the whole text again and again, if this were not counted.
        let there = self.text.get(at..).unwrap_or_default();
        let left = STEPS.saturating_sub(self.steps) / set.work();
        let longest = there.iter().take(most.min(left)).take_while(|character| set.has(**character)).count();
        self.step((longest + 1) * set.work())?;
        for step in least..=longest {
            self.step(1)?;
            let length = if lazy { step } else { longest - (step - least) };
            if let Some(end) = self.go_on(at + length, next)? {
                return Ok(Some(end));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
#[path = "pattern_tests.rs"]
mod tests;
