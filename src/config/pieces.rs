//! `loader.toml` in pieces: what stands before the first `[[entry]]`, and then one piece for each, up to the next.
//!
//! The TOML parser takes up to 300 times the heap of its text (a table of its own for each `a.b=1`). Read piece by piece, settings of
//! hundreds of entries take no more of it than the largest entry does, and whoever reads them can look after other things in between.
//! A line of `[[entry]]` ends whatever was before it: it cannot be part of a value, because `entry` without quotes is none, nor of a
//! comment or string, because those are told apart by the parser's own lexer.

use toml_parser::Source;
use toml_parser::lexer::{Lexer, Token, TokenKind};

/// The largest piece in bytes. An entry with its comments takes about 400.
pub const LARGEST_PIECE: usize = 8 * 1024;

/// A piece of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'t> {
    /// Where it begins in the text, in bytes.
    pub start: usize,
    /// Its text.
    pub text: &'t str,
    /// Whether it begins with `[[entry]]`; only the first does not.
    pub entry: bool,
}

/// The pieces of `text`, in its order; at least one.
pub fn pieces(text: &str) -> Pieces<'_> {
    Pieces { text, lexer: Source::new(text).lex(), next: Some((0, false)), header: Header::Blank }
}

/// See [`pieces`].
pub struct Pieces<'t> {
    text: &'t str,
    lexer: Lexer<'t>,
    /// Where the next piece begins, and whether with `[[entry]]`.
    next: Option<(usize, bool)>,
    header: Header,
}

/// How much of `[[entry]]` the line has so far, and where that began.
#[derive(Clone, Copy)]
enum Header {
    /// Nothing but blanks.
    Blank,
    /// `[`
    Bracket(usize),
    /// `[[`
    Brackets(usize),
    /// `[[entry`
    Name(usize),
    /// `[[entry]`
    Closing(usize),
    /// `[[entry]]`
    Whole(usize),
    /// Something else.
    Other,
}

impl Header {
    fn and(self, token: &Token, text: &str) -> Self {
        let span = token.span();
        match (self, token.kind()) {
            (_, TokenKind::Newline) => Self::Blank,
            (Self::Blank | Self::Brackets(_) | Self::Name(_), TokenKind::Whitespace) => self,
            (Self::Blank, TokenKind::LeftSquareBracket) => Self::Bracket(span.start()),
            (Self::Bracket(start), TokenKind::LeftSquareBracket) => Self::Brackets(start),
            (Self::Brackets(start), TokenKind::Atom) if text.get(span.start()..span.end()) == Some("entry") => {
                Self::Name(start)
            }
            (Self::Name(start), TokenKind::RightSquareBracket) => Self::Closing(start),
            (Self::Closing(start), TokenKind::RightSquareBracket) => Self::Whole(start),
            _ => Self::Other,
        }
    }
}

impl<'t> Iterator for Pieces<'t> {
    type Item = Piece<'t>;

    fn next(&mut self) -> Option<Piece<'t>> {
        let (start, entry) = self.next.take()?;
        let mut end = self.text.len();
        for token in self.lexer.by_ref() {
            self.header = self.header.and(&token, self.text);
            if let Header::Whole(at) = self.header {
                self.next = Some((at, true));
                end = at;
                break;
            }
        }
        Some(Piece { start, text: self.text.get(start..end).unwrap_or_default(), entry })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(text: &str) -> Vec<&str> {
        pieces(text).map(|piece| piece.text).collect()
    }

    #[test]
    fn each_entry_is_a_piece_and_what_is_before_them_is_one() {
        assert_eq!(texts(""), [""]);
        assert_eq!(texts("a = 1\n"), ["a = 1\n"]);
        assert_eq!(texts("[[entry]]\na = 1\n"), ["", "[[entry]]\na = 1\n"]);
        assert_eq!(
            texts("a = 1\n[[entry]]\nb = 1\n[entry.xen]\n[[entry.domu]]\n  [[ entry ]] # two\r\nc = 1"),
            ["a = 1\n", "[[entry]]\nb = 1\n[entry.xen]\n[[entry.domu]]\n  ", "[[ entry ]] # two\r\nc = 1"]
        );
    }

    #[test]
    fn strings_and_comments_and_other_names_are_not_cut() {
        for text in [
            "# [[entry]]\n",
            "a = '''\n[[entry]]\n'''\n",
            "a = \"\"\"\n[[entry]]\n\\\"\"\"\n[[entry]]\n\"\"\"",
            "a = \"[[entry]]\"\n",
            "a = [[entry]]\n",
            "[[entries]]\n[[\"entry\"]]\n[ [entry]]\n[entry]\n[[entry.domu]]\n",
        ] {
            assert_eq!(texts(text), [text]);
        }
    }

    #[test]
    fn an_array_that_is_not_closed_does_not_hide_what_follows() {
        assert_eq!(texts("a = [\n[[entry]]\n"), ["a = [\n", "[[entry]]\n"]);
    }

    proptest! {
        #[test]
        fn the_pieces_are_the_text(parts in prop::collection::vec(
            prop::sample::select(vec!["[[entry]]", "\n", "[", "]", "\"", "'''", "\"\"\"", "entry", "=", " ", "#", "ä", "\0", "\r"]),
            0..60,
        )) {
            let text = parts.concat();
            prop_assert_eq!(texts(&text).concat(), text.as_str());
            for piece in pieces(&text) {
                prop_assert_eq!(&text[piece.start..piece.start + piece.text.len()], piece.text);
                prop_assert!(!piece.entry || piece.text.starts_with("[["), "{:?}", piece);
            }
        }
    }
}
