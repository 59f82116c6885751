//! Trees put together by hand, so that they can be wrong.

/// A piece of a structure block.
pub enum Piece<'a> {
    Begin(&'a str),
    End,
    /// A property whose name lies at this offset of the strings block.
    Property(u32, &'a [u8]),
    Nop,
    Finish,
    Words(&'a [u32]),
}
pub use Piece::{Begin, End, Finish, Nop, Property, Words};

fn structure(pieces: &[Piece]) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in pieces {
        match piece {
            Begin(name) => {
                out.extend(1u32.to_be_bytes());
                out.extend(name.bytes());
                out.push(0);
            }
            End => out.extend(2u32.to_be_bytes()),
            Property(name, value) => {
                for word in [3, value.len() as u32, *name] {
                    out.extend(word.to_be_bytes());
                }
                out.extend(*value);
            }
            Nop => out.extend(4u32.to_be_bytes()),
            Finish => out.extend(9u32.to_be_bytes()),
            Words(words) => out.extend(words.iter().flat_map(|word| word.to_be_bytes())),
        }
        out.resize(out.len().next_multiple_of(4), 0);
    }
    out
}

/// A tree with an empty reservation block at 40, the structure block at 56, and the strings block behind it.
pub fn blob(pieces: &[Piece], strings: &[u8]) -> Vec<u8> {
    let structure = structure(pieces);
    let strings_at = 56 + structure.len();
    let total = strings_at + strings.len();
    let header = [0xd00d_feed, total, 56, strings_at, 40, 17, 16, 0, strings.len(), structure.len()];
    let mut out: Vec<u8> = header.iter().flat_map(|&word| (word as u32).to_be_bytes()).collect();
    out.resize(56, 0);
    out.extend(structure);
    out.extend(strings);
    out
}

/// `bytes` with the word at `at` replaced.
pub fn with(mut bytes: Vec<u8>, at: usize, word: u32) -> Vec<u8> {
    bytes[at..at + 4].copy_from_slice(&word.to_be_bytes());
    bytes
}
