//! What is under `/chosen`, read without a heap and without the loader's own code (Devicetree Specification 0.4, chapter 5).

use core::fmt;

const DEEPEST: usize = 8;

/// The size in bytes that the header at the start of `bytes` claims, if it is one.
pub fn size(bytes: &[u8]) -> Option<u32> {
    let size = word(bytes, 4)?;
    (word(bytes, 0)? == 0xd00d_feed && (40..=2 << 20).contains(&size)).then_some(size)
}

/// A whole blob.
pub struct Tree<'a> {
    blob: &'a [u8],
    structure: usize,
    strings: usize,
}

/// The path of a node.
#[derive(Clone, Copy)]
pub struct Path<'a> {
    names: [&'a str; DEEPEST],
    depth: usize,
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for name in self.names.iter().take(self.depth).skip(1) {
            write!(f, "/{name}")?;
        }
        Ok(())
    }
}

/// Something under `/chosen`.
pub enum Item<'a> {
    /// A property of it or of a node below.
    Property {
        /// Whose.
        node: Path<'a>,
        /// Its name.
        name: &'a str,
        /// Its bytes.
        value: &'a [u8],
    },
    /// A boot module.
    Module {
        /// Its node.
        node: Path<'a>,
        /// Where it is.
        address: u64,
        /// Its length in bytes.
        size: u64,
    },
}

fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(offset..offset.checked_add(4)?)?.try_into().ok()?))
}

fn number(bytes: &[u8], cells: u32) -> Option<(u64, &[u8])> {
    let (value, rest) = bytes.split_at_checked(cells as usize * 4)?;
    Some((value.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)), rest))
}

impl<'a> Tree<'a> {
    /// The tree in `blob`.
    pub fn new(blob: &'a [u8]) -> Option<Self> {
        Some(Self { blob, structure: word(blob, 8)? as usize, strings: word(blob, 12)? as usize })
    }

    /// Its length in bytes.
    pub fn size(&self) -> usize {
        self.blob.len()
    }

    fn text(&self, offset: usize) -> Option<&'a str> {
        let rest = self.blob.get(offset..)?;
        core::str::from_utf8(rest.get(..rest.iter().position(|byte| *byte == 0)?)?).ok()
    }

    /// Gives everything under `/chosen` to `found`, a module after its properties; `None` where the tree is damaged.
    pub fn chosen(&self, mut found: impl FnMut(Item<'a>)) -> Option<()> {
        let mut path = Path { names: [""; DEEPEST], depth: 0 };
        // For each depth, the cells of addresses and sizes of its children.
        let mut cells = [(2, 1); DEEPEST + 1];
        let mut module: (bool, &[u8]) = (false, &[]);
        let mut offset = self.structure;
        loop {
            let tag = word(self.blob, offset)?;
            offset += 4;
            let inside = path.depth >= 2 && path.names[1] == "chosen";
            if matches!(tag, 1 | 2) && inside {
                let (is_module, reg) = core::mem::take(&mut module);
                let (address_cells, size_cells) = *cells.get(path.depth - 1)?;
                if is_module
                    && let Some((address, rest)) = number(reg, address_cells)
                    && let Some((size, _)) = number(rest, size_cells)
                {
                    found(Item::Module { node: path, address, size });
                }
            }
            match tag {
                1 => {
                    let name = self.text(offset)?;
                    offset = (offset + name.len() + 1).next_multiple_of(4);
                    *path.names.get_mut(path.depth)? = name;
                    path.depth += 1;
                    *cells.get_mut(path.depth)? = (2, 1);
                    module = (false, &[]);
                }
                2 => path.depth = path.depth.checked_sub(1)?,
                3 => {
                    let length = word(self.blob, offset)? as usize;
                    let name = self.text(self.strings.checked_add(word(self.blob, offset + 4)? as usize)?)?;
                    let value = self.blob.get(offset + 8..(offset + 8).checked_add(length)?)?;
                    offset = (offset + 8 + length).next_multiple_of(4);
                    let own = cells.get_mut(path.depth)?;
                    match name {
                        "#address-cells" => own.0 = word(value, 0)?.min(2),
                        "#size-cells" => own.1 = word(value, 0)?.min(2),
                        "reg" => module.1 = value,
                        "compatible" => {
                            module.0 = value
                                .split(|byte| *byte == 0)
                                .any(|text| matches!(text, b"multiboot,module" | b"xen,multiboot-module"));
                        }
                        _ => {}
                    }
                    if inside {
                        found(Item::Property { node: path, name, value });
                    }
                }
                4 => {}
                9 => return (path.depth == 0).then_some(()),
                _ => return None,
            }
        }
    }
}
