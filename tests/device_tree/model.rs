//! A second reader of flattened trees, for tests: it shares nothing with the library's and keeps the raw bytes of every node.

use std::fmt::Write;

/// A node with all below it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Node {
    pub name: String,
    pub properties: Vec<(String, Vec<u8>)>,
    pub children: Vec<Node>,
}

/// A whole tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    pub reservations: Vec<(u64, u64)>,
    pub root: Node,
}

/// A node's place in the structure block: path, and the bytes from BEGIN_NODE to END_NODE.
pub type Raw = (String, Vec<u8>);

pub fn word(bytes: &[u8], at: usize) -> usize {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

fn double_word(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap())
}

fn text(bytes: &[u8], at: usize) -> String {
    let end = bytes[at..].iter().position(|&byte| byte == 0).unwrap();
    String::from_utf8(bytes[at..at + end].to_vec()).unwrap()
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    raw: Vec<(String, std::ops::Range<usize>)>,
    /// Whether all padding is zeroes.
    clean: bool,
}

impl Parser<'_> {
    fn skip_nops(&mut self) {
        while word(self.bytes, self.at) == 4 {
            self.at += 4;
        }
    }

    fn node(&mut self, parent: &str) -> Node {
        let start = self.at;
        assert_eq!(word(self.bytes, self.at), 1, "a node at {start:#x}");
        let name = text(self.bytes, self.at + 4);
        let path = if name.is_empty() { String::new() } else { format!("{parent}/{name}") };
        self.at += 4 + (name.len() + 1).next_multiple_of(4);
        let mut node = Node { name, ..Node::default() };
        loop {
            self.skip_nops();
            match word(self.bytes, self.at) {
                1 => node.children.push(self.node(&path)),
                2 => break,
                3 => {
                    let length = word(self.bytes, self.at + 4);
                    let name = text(self.bytes, word(self.bytes, 12) + word(self.bytes, self.at + 8));
                    let value = self.at + 12..self.at + 12 + length;
                    let padded = length.next_multiple_of(4);
                    self.clean &= self.bytes[value.end..value.start + padded].iter().all(|&byte| byte == 0);
                    node.properties.push((name, self.bytes[value].to_vec()));
                    self.at += 12 + padded;
                }
                token => panic!("token {token} at {:#x}", self.at),
            }
        }
        self.at += 4;
        self.raw.push((if path.is_empty() { "/".into() } else { path }, start..self.at));
        node
    }
}

impl Model {
    /// Reads a tree that is known to be good.
    pub fn read(bytes: &[u8]) -> Self {
        Self::read_raw(bytes).0
    }

    pub fn read_raw(bytes: &[u8]) -> (Self, Vec<Raw>) {
        let (model, ranges) = Self::read_ranges(bytes);
        (model, ranges.into_iter().map(|(path, range)| (path, bytes[range].to_vec())).collect())
    }

    /// Whether the padding behind each value is zeroes.
    pub fn is_padded_with_zeroes(bytes: &[u8]) -> bool {
        let mut parser = Parser { bytes, at: word(bytes, 8), raw: Vec::new(), clean: true };
        parser.skip_nops();
        parser.node("");
        parser.clean
    }

    /// Reads a tree and says where each node's bytes are.
    pub fn read_ranges(bytes: &[u8]) -> (Self, Vec<(String, std::ops::Range<usize>)>) {
        let entries = word(bytes, 16);
        let reservations = (0..)
            .map(|entry| (double_word(bytes, entries + 16 * entry), double_word(bytes, entries + 16 * entry + 8)))
            .take_while(|&entry| entry != (0, 0))
            .collect();
        let mut parser = Parser { bytes, at: word(bytes, 8), raw: Vec::new(), clean: true };
        parser.skip_nops();
        let root = parser.node("");
        parser.skip_nops();
        assert_eq!(word(bytes, parser.at), 9, "END after the root");
        (Self { reservations, root }, parser.raw)
    }

    /// The tree as source, values as bytes.
    pub fn source(&self) -> String {
        let mut out = String::from("/dts-v1/;\n");
        for (address, size) in &self.reservations {
            writeln!(out, "/memreserve/ {address:#x} {size:#x};").unwrap();
        }
        self.root.source(&mut out);
        out
    }
}

impl Node {
    fn source(&self, out: &mut String) {
        writeln!(out, "{} {{", if self.name.is_empty() { "/" } else { &self.name }).unwrap();
        for (name, value) in &self.properties {
            let bytes: String = value.iter().map(|byte| format!("{byte:02x} ")).collect();
            match value.is_empty() {
                true => writeln!(out, "{name};").unwrap(),
                false => writeln!(out, "{name} = [{bytes}];").unwrap(),
            }
        }
        for child in &self.children {
            child.source(out);
        }
        out.push_str("};\n");
    }

    pub fn property(&mut self, name: &str) -> Option<&mut Vec<u8>> {
        self.properties.iter_mut().find(|(there, _)| there == name).map(|(_, value)| value)
    }

    /// The node at a full path of exact names.
    pub fn at(&mut self, path: &str) -> Option<&mut Node> {
        let mut node = self;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            node = node.children.iter_mut().find(|child| child.name == name)?;
        }
        Some(node)
    }

    /// Full paths of this node and all below it.
    pub fn paths(&self, parent: &str) -> Vec<String> {
        let path = if self.name.is_empty() { String::new() } else { format!("{parent}/{}", self.name) };
        let below = self.children.iter().flat_map(|child| child.paths(&path)).collect::<Vec<_>>();
        let own = if path.is_empty() { "/".to_string() } else { path };
        [vec![own], below].concat()
    }
}

/// `bytes` with the node at `path` overwritten by NOP tokens, as QEMU removes nodes.
pub fn nop_out(bytes: &[u8], path: &str) -> Vec<u8> {
    let (_, ranges) = Model::read_ranges(bytes);
    let (_, range) = ranges.into_iter().find(|(there, _)| there == path).unwrap();
    let mut bytes = bytes.to_vec();
    for token in bytes[range].chunks_mut(4) {
        token.copy_from_slice(&4u32.to_be_bytes());
    }
    bytes
}

/// The same tree with its three blocks (0 reservations, 1 structure, 2 strings) in another order and 8 × `gap` bytes of rubbish
/// before each of them and behind the last.
pub fn scatter(bytes: &[u8], order: [usize; 3], gap: usize) -> Vec<u8> {
    let strings = word(bytes, 12);
    let structure = word(bytes, 8);
    let reservations = word(bytes, 16);
    let entries = Model::read(bytes).reservations.len() + 1;
    let blocks = [
        (16, bytes[reservations..reservations + 16 * entries].to_vec()),
        (8, bytes[structure..structure + word(bytes, 36)].to_vec()),
        (12, bytes[strings..strings + word(bytes, 32)].to_vec()),
    ];
    let mut out = bytes[..40].to_vec();
    for index in order {
        let (field, block) = &blocks[index];
        out.resize(out.len().next_multiple_of(8) + 8 * gap, 0xa5);
        let offset = out.len() as u32;
        out[*field..*field + 4].copy_from_slice(&offset.to_be_bytes());
        out.extend_from_slice(block);
    }
    out.resize(out.len() + 8 * gap, 0xa5);
    let total = out.len() as u32;
    out[4..8].copy_from_slice(&total.to_be_bytes());
    out
}
