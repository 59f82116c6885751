//! What a Tab can make of the word before the cursor.

use alloc::string::String;
use alloc::vec::Vec;

/// Names that are kept to be listed; more are counted.
pub const LISTED: usize = 64;

/// A longer name, in bytes, is passed over.
const LONGEST_NAME: usize = 255;

/// Knows what words there can be.
pub trait Completer {
    /// Adds to `candidates` every word that can stand where the cursor is. Adding too many does no harm: those that do not
    /// begin as the word so far are left out.
    fn complete(&mut self, candidates: &mut Candidates<'_>);
}

/// For lines of which nothing is known.
impl Completer for () {
    fn complete(&mut self, _: &mut Candidates<'_>) {}
}

/// The word before the cursor and what it can become.
#[derive(Debug)]
pub struct Candidates<'a> {
    before: &'a str,
    word: &'a str,
    names: Vec<String>,
    /// What all names have in common.
    common: String,
    count: usize,
}

impl<'a> Candidates<'a> {
    /// None so far, for a line that reads `before` up to the cursor. The word begins after the last blank.
    pub fn new(before: &'a str) -> Self {
        let word = before.rsplit([' ', '\t']).next().unwrap_or(before);
        Self { before, word, names: Vec::new(), common: String::new(), count: 0 }
    }

    /// The line up to the cursor.
    pub fn before(&self) -> &'a str {
        self.before
    }

    /// The word so far: what names have to begin with.
    pub fn word(&self) -> &'a str {
        self.word
    }

    /// Lets the word be the last `bytes` bytes before the cursor, for words that begin elsewhere than after a blank (`${name`), and
    /// drops what was added. Not within a character and not before the line: then nothing changes.
    pub fn set_word(&mut self, bytes: usize) {
        if let Some(word) = self.before.len().checked_sub(bytes).and_then(|start| self.before.get(start..)) {
            *self = Self { word, ..Self::new(self.before) };
        }
    }

    /// Adds a whole word. One that ends in `/` or `=` goes on, so no blank follows it. Names that a line cannot hold as they are, with
    /// control characters or of more than 255 bytes, are passed over.
    pub fn add(&mut self, name: &str) {
        let unfit = name.len() > LONGEST_NAME || name.chars().any(char::is_control);
        if unfit || !name.starts_with(self.word) || self.names.iter().any(|known| known == name) {
            return;
        }
        if self.count == 0 {
            self.common.push_str(name);
        }
        let same = self.common.chars().zip(name.chars()).take_while(|(one, other)| one == other);
        let same = same.map(|(character, _)| character.len_utf8()).sum();
        self.common.truncate(same);
        self.count = self.count.saturating_add(1);
        if self.names.len() < LISTED {
            self.names.push(name.into());
        }
    }

    /// How many different names there are. Beyond [`LISTED`], doubles count.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The first [`LISTED`] of them, as added.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What can be put in at the cursor whichever is meant, and whether the word is complete with it.
    pub(super) fn rest(&self) -> (&str, bool) {
        let rest = self.common.get(self.word.len()..).unwrap_or_default();
        (rest, self.count == 1 && !self.common.ends_with(['/', '=']))
    }
}

/// What is listed of a path: its last part.
pub(super) fn last_part(name: &str) -> &str {
    let body = name.strip_suffix('/').unwrap_or(name);
    name.get(body.rfind('/').map_or(0, |slash| slash + 1)..).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest_of(before: &str, names: &[&str]) -> (String, bool, usize) {
        let mut candidates = Candidates::new(before);
        for name in names {
            candidates.add(name);
        }
        let (rest, whole) = candidates.rest();
        (rest.into(), whole, candidates.count())
    }

    #[test]
    fn the_rest_is_what_all_names_have_in_common() {
        assert_eq!(rest_of("boot", &["boot", "booti", "boots", "help"]), (String::new(), false, 3));
        assert_eq!(rest_of("print ser", &["serverip", "serverport"]), ("ver".into(), false, 2));
        assert_eq!(rest_of("x", &["help"]), (String::new(), false, 0));
        assert_eq!(rest_of("he", &["help", "help"]), ("lp".into(), true, 1));
        assert_eq!(rest_of("ls ov", &["overlays/"]), ("erlays/".into(), false, 1));
        assert_eq!(rest_of("é", &["éa", "éà"]), (String::new(), false, 2));
    }

    #[test]
    fn the_word_can_begin_elsewhere_but_within_the_line() {
        let mut candidates = Candidates::new("echo é${ser");
        candidates.set_word(3);
        assert_eq!(candidates.word(), "ser");
        candidates.set_word(6);
        assert_eq!(candidates.word(), "ser", "not within a character");
        candidates.set_word(100);
        assert_eq!(candidates.word(), "ser");
        candidates.add("serverip");
        assert_eq!(candidates.rest(), ("verip", true));
    }

    #[test]
    fn names_that_a_line_cannot_hold_are_passed_over_and_many_are_only_counted() {
        let mut candidates = Candidates::new("");
        candidates.add("a\nb");
        candidates.add(&"x".repeat(256));
        assert_eq!(candidates.count(), 0);
        for number in 0..1000 {
            candidates.add(&format!("name{number}"));
        }
        assert_eq!((candidates.count(), candidates.names().len()), (1000, LISTED));
    }

    #[test]
    fn a_path_is_listed_by_its_last_part() {
        for (name, part) in [("/soc/serial@7e215040", "serial@7e215040"), ("/soc/", "soc/"), ("xen", "xen"), ("/", "/")]
        {
            assert_eq!(last_part(name), part);
        }
    }
}
