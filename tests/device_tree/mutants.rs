//! Damaged trees by the hundred thousand: none makes the check, the reader or fdt-rs panic, and what passes the check can be edited.

use fdt_rs::base::DevTree;
use fdt_rs::prelude::{FallibleIterator, PropReader};
use xenlift::device_tree::edit::Editor;
use xenlift::device_tree::{Tree, check};

use crate::board;
use crate::model::{Model, nop_out, scatter, word};
use crate::oracle::{Buffer, compile};

/// How many damaged trees the test makes.
const MUTANTS: u64 = 320_000;

/// SplitMix64: numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    /// Numbers that mean something in a tree, and their neighbours.
    fn telling(&mut self, size: usize) -> u32 {
        let base = match self.below(8) {
            0 => self.below(16),
            1 => size,
            2 => self.below(size),
            3 => 0x7fff_ffff,
            4 => 0xffff_ffff,
            5 => 0xffff_fff8,
            6 => self.below(64) * 4,
            _ => return self.next() as u32,
        } as u32;
        base.wrapping_add(self.below(5) as u32).wrapping_sub(2)
    }
}

/// Damages a tree in one to three places.
fn damage(tree: &[u8], random: &mut Random) -> Vec<u8> {
    let mut tree = tree.to_vec();
    for _ in 0..=random.below(3) {
        let size = tree.len();
        let at = random.below(size);
        let aligned = (at & !3).min(size - 4);
        match random.below(10) {
            0 => tree[at] ^= 1 << random.below(8),
            1 => tree[at] = random.next() as u8,
            2 | 3 => tree[aligned..][..4].copy_from_slice(&random.telling(size).to_be_bytes()),
            // The header.
            4 | 5 => {
                let field = 4 * random.below(10);
                tree[field..field + 4].copy_from_slice(&random.telling(size).to_be_bytes());
            }
            // A word out of, or into, the structure block.
            6 => {
                let removed: Vec<u8> = tree.drain(aligned..aligned + 4).collect();
                tree.extend(removed);
            }
            7 => {
                tree.splice(aligned..aligned, random.telling(size).to_be_bytes());
                tree.truncate(size);
            }
            8 => tree[at..].fill(random.next() as u8),
            // A piece over another.
            _ => {
                let length = random.below(64).min(size - aligned);
                let from = random.below(size - length) & !3;
                tree.copy_within(from..from + length, aligned);
            }
        }
        tree.resize(size, 0);
    }
    if random.below(16) == 0 {
        tree.truncate(random.below(tree.len()).max(40));
    }
    tree
}

/// Looks at everything there is to see through our reader; gives a number, so that nothing is optimised away. What walks the whole
/// tree for each node is left to every eighth mutant.
fn look(tree: Tree<'_>, thoroughly: bool) -> usize {
    let mut seen = 0;
    for node in tree.nodes() {
        seen += node.name().len() + usize::from(node.is_enabled()) + usize::from(node.is_compatible("arm,pl011"));
        seen += node.phandle().unwrap_or(0) as usize & 1;
        for property in node.properties() {
            seen +=
                property.name().len() + property.value().len() + property.strings().count() + property.cells().len();
            seen += property.number().unwrap_or(0) as usize & 1;
        }
        if !thoroughly {
            continue;
        }
        seen += node.children().count();
        seen += usize::from(node.register(0).is_ok()) + usize::from(node.register(1).is_err());
    }
    seen += tree.nodes().last().map_or(0, |node| node.path().to_string().len() + node.depth());
    seen += tree.memory().map_or(0, |memory| memory.count());
    seen += tree.reservations().count() + tree.reserved_memory().map_or(0, |regions| regions.count());
    seen += usize::from(tree.stdout().is_some()) + usize::from(tree.initrd().is_some());
    seen + usize::from(tree.find("ethernet0").is_some()) + usize::from(tree.by_phandle(1).is_some())
}

/// Looks at everything there is to see through fdt-rs alone.
fn look_with_fdt_rs(bytes: &[u8]) -> usize {
    // SAFETY: the caller's buffer lies on a multiple of 8, and `bytes` has the length that the checked header says.
    let tree = unsafe { DevTree::new(bytes) }.unwrap();
    let mut seen = 0;
    let mut nodes = tree.nodes();
    // An error is an answer: fdt-rs refuses long names. A panic is none.
    while let Ok(Some(node)) = nodes.next() {
        seen += node.name().map_or(0, str::len);
        let mut properties = node.props();
        while let Ok(Some(property)) = properties.next() {
            seen += property.name().map_or(0, str::len) + property.raw().len();
            seen += property.u32(0).unwrap_or(0) as usize & 1;
            seen += property.u64(0).unwrap_or(0) as usize & 1;
            let mut strings = property.iter_str();
            while let Ok(Some(string)) = strings.next() {
                seen += string.len();
            }
            seen += property.node().name().map_or(0, str::len);
        }
    }
    seen += tree.reserved_entries().count();
    seen + usize::from(tree.compatible_nodes("arm,pl011").next().is_ok())
}

fn run(seed: u64, mutants: u64) -> (u64, usize) {
    let good = compile(board::SOURCE);
    let trees = [
        good.clone(),
        nop_out(&good, "/soc/serial@7e201400"),
        scatter(&good, [0, 2, 1], 1),
        scatter(&good, [1, 2, 0], 0),
    ];
    let mut random = Random(seed);
    let (mut accepted, mut seen) = (0, 0);
    for index in 0..mutants {
        let mutant = damage(&trees[random.below(trees.len())], &mut random);
        let mut buffer = Buffer::new(&mutant, mutant.len() + 64);
        let Ok(header) = check(&buffer.bytes()[..mutant.len()]) else { continue };
        accepted += 1;
        seen += look(Tree::new(&buffer.bytes()[..mutant.len()]).unwrap(), index % 8 == 1);
        let end = header.structure_offset + word(&mutant, 36);
        // fdt-rs's debug build asserts that bytes follow the END token; our reader never asks it there.
        if end < header.total_size {
            seen += look_with_fdt_rs(&buffer.bytes()[..header.total_size]);
        }
        if index % 16 == 0 {
            edit(&mut buffer);
        }
    }
    (accepted, seen)
}

/// A tree that passes the check stays one through any edit, and says the same when it is packed.
fn edit(buffer: &mut Buffer) {
    let before = Model::read(buffer.bytes());
    let mut editor = Editor::new(buffer.bytes()).unwrap();
    assert_eq!(Model::read(editor.as_bytes()), before);
    let _ = editor.set_string("/chosen", "bootargs", "quiet");
    let _ = editor.add_node("/chosen", "module@0");
    let _ = editor.append_property("serial0", "compatible", b"x\0");
    let _ = editor.delete_node("/soc");
    let _ = editor.new_phandle("/chosen");
    let _ = editor.compact();
    check(editor.as_bytes()).unwrap();
}

#[test]
fn no_damage_makes_a_reader_panic() {
    let threads = 4;
    let workers: Vec<_> = (0..threads).map(|seed| std::thread::spawn(move || run(seed, MUTANTS / threads))).collect();
    let accepted: u64 = workers.into_iter().map(|worker| worker.join().expect("no panic").0).sum();
    // Most damage is in values, which may say anything: were all mutants refused, the readers would not have been tried.
    assert!((MUTANTS / 20..MUTANTS * 19 / 20).contains(&accepted), "{accepted} of {MUTANTS} accepted");
}
