//! How much heap the worst of scripts, trees, saved variables and cards take: the loader's heap has 4 MiB, and an allocation that fails there is the
//! end of the boot, or, with what lies on the card, of every boot.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use xenlift::card::partition::Partition;
use xenlift::card::{BLOCK, BlockDevice, FileSystem, Unreadable};
use xenlift::range::PhysicalRange;
use xenlift::shell::language::limits::{MOST_VARIABLES, VARIABLES};
use xenlift::shell::platform::{MOST_LISTED, Platform};
use xenlift::shell::simulation::{Asked, FileMap, Simulation};
use xenlift::shell::{Environment, Failure, Shell};

/// Five eighths of the loader's heap: the rest is for everything else.
const MOST: usize = 5 << 19;
const TEXT: u64 = 0x100_0000;
const TREE: u64 = 0x200_0000;
const PROGRAM: u64 = 0x400_0000;

thread_local! {
    static NOW: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, counting the bytes of each thread.
struct Counting;

// SAFETY: every call goes to `System` with the arguments as they came, and counting allocates nothing: the counters need neither setting up nor dropping.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.get().wrapping_add(layout.size());
        NOW.set(now);
        PEAK.set(PEAK.get().max(now));
        // SAFETY: the caller's promises about `layout` are the ones that `System` wants.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        NOW.set(NOW.get().wrapping_sub(layout.size()));
        // SAFETY: `block` came from `alloc` above, thus from `System`, with the same `layout`.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What `work` takes at most beyond what there was.
fn measure<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let before = NOW.get();
    PEAK.set(before);
    let result = work();
    let taken = PEAK.get() - before;
    assert!(taken <= MOST, "{what}: {taken} bytes of the heap");
    result
}

/// A machine that prints without allocating.
fn machine(files: FileMap) -> Simulation {
    let bank = PhysicalRange { start: 0, end: 0x800_0000 };
    let mut machine = Simulation::new([bank], files).unwrap();
    machine.output.reserve(4 << 20);
    machine
}

fn put(machine: &mut Simulation, address: u64, bytes: &[u8]) {
    let range = PhysicalRange { start: address, end: address + bytes.len() as u64 };
    machine.memory_mut(range).unwrap().copy_from_slice(bytes);
}

/// Runs a script; its variables are within their bounds then.
fn run(what: &str, machine: &mut Simulation, script: &str) {
    measure(what, || {
        let mut shell = Shell::new(machine, Environment::default());
        match shell.run_script("s", script) {
            Ok(_) | Err(Failure::Ended | Failure::Abandoned) => {}
            Err(other) => panic!("{what}: {other:?}"),
        }
        assert!(shell.environment.bytes() <= VARIABLES, "{what}");
        assert!(shell.environment.iter().count() <= MOST_VARIABLES, "{what}");
    });
}

/// As many variables as go into `size` bytes.
fn variables(size: usize, separator: char, one: impl Fn(usize) -> String) -> Vec<u8> {
    let mut text = String::new();
    for index in 0.. {
        let one = one(index);
        if text.len() + one.len() + 2 > size {
            break;
        }
        text += &one;
        text.push(separator);
    }
    text.into_bytes()
}

#[test]
fn texts_of_variables() {
    let same = |_| "a=b".to_string();
    let different = |index| format!("{index:x}=1");
    let nothing = |index| format!("{index:x}");
    for (what, mut text) in [
        ("the same", variables(1 << 18, '\n', same)),
        ("different ones", variables(1 << 18, '\n', different)),
        ("taken away", variables(1 << 18, '\n', nothing)),
        ("one without end", vec![b'a'; (1 << 20) - 2]),
        ("one of backslashes", vec![b'\\'; (1 << 20) - 2]),
        ("no text", vec![0xff; (1 << 20) - 2]),
        ("a comment", vec![b'#'; (1 << 20) - 2]),
        ("empty lines", vec![b'\n'; (1 << 20) - 2]),
    ] {
        text.push(b'\n');
        let mut machine = machine(FileMap::default());
        put(&mut machine, TEXT, &text);
        let size = text.len();
        run(what, &mut machine, &format!("env import -t {TEXT:x} {size:x}\nenv import -t {TEXT:x}\necho done\n"));
        assert!(machine.output.ends_with("done\n"), "{what}");
    }
}

#[test]
fn variables_that_were_saved() {
    let same = |_| "a=b".to_string();
    let different = |index| format!("{index:x}=1");
    for (what, text, taken) in [
        ("the same", variables(VARIABLES - 4, '\0', same), true),
        ("different ones", variables(VARIABLES - 4, '\0', different), false),
        ("one without end", vec![b'a'; VARIABLES - 4], false),
    ] {
        let checksum = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&text);
        let mut files = FileMap::default();
        files.card.insert("uboot.env".to_string(), [checksum.to_le_bytes().as_slice(), &text].concat());
        let mut machine = machine(files);
        let count = measure(what, || {
            let mut environment = Environment::default();
            environment.set("own", "kept");
            let mut shell = Shell::new(&mut machine, environment.clone());
            let count = shell.load_saved_variables().unwrap();
            assert!(count > 0 || shell.environment == environment, "{what}: all of them or none");
            count
        });
        assert_eq!(count > 0, taken, "{what}: {}", machine.output);
    }
}

#[test]
fn formats_and_patterns() {
    let wide = "%256d".repeat(13_000);
    let references = "\\\\0".repeat(8_000);
    let text = "a".repeat(16 << 10);
    for (what, script) in [
        ("a format", format!("setexpr x fmt {wide}\n")),
        ("a pattern", format!("setexpr x gsub '.*' '{references}' {text}\n")),
        ("a pattern that matches nothing everywhere", format!("setexpr x gsub 'b*' '{text}' {text}\n")),
    ] {
        let mut machine = machine(FileMap::default());
        run(what, &mut machine, &script);
        assert!(machine.output.contains("bytes"), "{what}: {}", machine.output);
    }
}

#[test]
fn words_of_many_pieces() {
    for (what, piece) in [("status", "$?"), ("variables", "$a"), ("braces", "${}"), ("text between", "$?x")] {
        let script = format!("{}\n", piece.repeat((250 << 10) / piece.len()));
        for script in [format!("echo {script}"), format!("if false; then echo {script}; fi\n")] {
            run(what, &mut machine(FileMap::default()), &script);
        }
    }
}

/// A device tree, written by hand because the editor takes minutes for as many nodes.
#[derive(Default)]
struct Blob {
    reservations: Vec<u64>,
    structure: Vec<u8>,
    names: Vec<u8>,
}

impl Blob {
    fn word(&mut self, word: u32) {
        self.structure.extend(word.to_be_bytes());
    }

    fn padded(&mut self, bytes: &[u8]) {
        self.structure.extend(bytes);
        let end = self.structure.len().next_multiple_of(4);
        self.structure.resize(end, 0);
    }

    fn begin(&mut self, name: &str) {
        self.word(1);
        self.padded(&[name.as_bytes(), b"\0"].concat());
    }

    fn end(&mut self) {
        self.word(2);
    }

    fn property(&mut self, name: &str, value: &[u8]) {
        let name = [name.as_bytes(), b"\0"].concat();
        let at = self.names.windows(name.len()).position(|window| window == name);
        let at = at.unwrap_or_else(|| {
            self.names.extend(&name);
            self.names.len() - name.len()
        });
        self.word(3);
        self.word(value.len() as u32);
        self.word(at as u32);
        self.padded(value);
    }

    fn finish(mut self) -> Vec<u8> {
        const HEADER: usize = 40;
        self.word(9);
        self.reservations.extend([0, 0]);
        let reservations: Vec<u8> = self.reservations.iter().flat_map(|number| number.to_be_bytes()).collect();
        let structure = HEADER + reservations.len();
        let names = structure + self.structure.len();
        let total = names + self.names.len();
        let header = [0xd00d_feed, total, structure, names, HEADER, 17, 16, 0, self.names.len(), self.structure.len()];
        let header: Vec<u8> = header.iter().flat_map(|word| (*word as u32).to_be_bytes()).collect();
        [header, reservations, self.structure, self.names].concat()
    }
}

fn cells(cells: &[u32]) -> Vec<u8> {
    cells.iter().flat_map(|cell| cell.to_be_bytes()).collect()
}

/// A tree of so many modules, regions and reservations that all lie in the same place; the modules' command lines have `args` bytes each.
fn tree(modules: usize, args: usize, reserved: usize) -> Vec<u8> {
    let mut blob = Blob::default();
    blob.begin("");
    blob.property("big", &[vec![b'x'; 0x3000], vec![0]].concat());
    blob.property("bigger", &[vec![b'x'; 0x8_0000], vec![0]].concat());
    blob.begin("chosen");
    for index in 0..modules {
        blob.begin(&format!("module@{index:x}"));
        blob.property("compatible", b"multiboot,module\0");
        blob.property("reg", &cells(&[0, 0x10_0000, 0x10_0000]));
        blob.property("bootargs", &[vec![b'x'; args], vec![0]].concat());
        blob.end();
    }
    blob.end();
    blob.begin("reserved-memory");
    blob.property("#address-cells", &cells(&[1]));
    blob.property("#size-cells", &cells(&[1]));
    blob.property("ranges", &[]);
    for index in 0..reserved {
        blob.begin(&format!("region@{index:x}"));
        blob.property("reg", &cells(&[0x10_0000, 0x10_0000]));
        blob.end();
        blob.reservations.extend([0x10_0000, 0x10_0000]);
    }
    blob.end();
    blob.end();
    blob.finish()
}

#[test]
fn trees_that_are_booted() {
    for (what, blob) in [
        ("modules", tree(1_000, 1, 0)),
        ("modules and reservations", tree(30, 1, 500)),
        ("long command lines", tree(30, 40_000, 0)),
    ] {
        let mut machine = machine(FileMap::default());
        let mut header = [0; 64];
        header[16..24].copy_from_slice(&0x10_0000_u64.to_le_bytes());
        header[56..60].copy_from_slice(b"ARM\x64");
        put(&mut machine, PROGRAM, &header);
        put(&mut machine, TREE, &blob);
        run(what, &mut machine, &format!("booti {PROGRAM:x} - {TREE:x}\n"));
        let warnings = machine.output.lines().filter(|line| line.starts_with("warning: ")).count();
        assert!((1..=16).contains(&warnings), "{what}: {}", machine.output);
        assert!(matches!(machine.asked.last(), Some(Asked::Booted { .. })), "{what}: {}", machine.output);
    }
}

#[test]
fn images_that_are_shown() {
    let long = [vec![b'x'; 3 << 20], vec![0]].concat();
    let mut blob = Blob::default();
    blob.begin("");
    blob.property("description", &long);
    blob.begin("images");
    for (name, digests) in [("one", 0), ("two", 30_000)] {
        blob.begin(name);
        blob.property("description", &long);
        blob.property("type", &long);
        blob.property("data", b"abcd");
        for index in 0..digests {
            blob.begin(&format!("hash-{index:x}"));
            blob.property("algo", b"sha512\0");
            blob.property("value", b"abcd");
            blob.end();
        }
        blob.end();
    }
    blob.end();
    blob.begin("configurations");
    blob.begin("first");
    blob.property("kernel", &long);
    blob.property("fdt", &b"ab\0".repeat(1 << 19));
    blob.end();
    blob.end();
    blob.end();
    let mut machine = machine(FileMap::default());
    put(&mut machine, TEXT, &blob.finish());
    run("an image", &mut machine, &format!("iminfo {TEXT:x}\n"));
    assert!(machine.output.contains("two of the FIT image has more than 8 digests"), "{}", machine.output);
    assert!(machine.output.contains("Configuration first"), "{}", machine.output);
}

#[test]
fn variables_by_every_command_that_sets_one() {
    let blob = tree(0, 0, 0);
    for command in [
        "setenv v$i x",
        "v$i=x",
        "setexpr v$i $i",
        "fdt get value v$i / big",
        "fdt get value v$i / bigger",
        "fdt get size v$i /",
        "fdt header get v$i totalsize",
        "part number mmc 0 1 v$i",
        "part list mmc 0 v$i",
        "fstype mmc 0:1 v$i",
        "hash crc32 100000 1 v$i",
        "sha256sum 100000 1 v$i",
    ] {
        let mut files = FileMap::default();
        files.card.insert("a".to_string(), Vec::new());
        let mut machine = machine(files);
        put(&mut machine, TREE, &blob);
        let names: Vec<String> = (0..0x900).map(|index| format!("{index:x}")).collect();
        let names = names.join(" ");
        let script = format!("fdt addr -q {TREE:x}\nfor i in {names}; do {command}; done\necho done\n");
        run(command, &mut machine, &script);
        let refused = ["there are more than", "bytes together", "characters"];
        assert!(refused.iter().any(|why| machine.output.contains(why)), "{command}: {}", machine.output);
    }
}

#[test]
fn files_in_as_many_places_as_there_are() {
    let mut files = FileMap::default();
    files.card.insert("a".to_string(), vec![0]);
    let mut machine = machine(files);
    let path = format!("{}a", "/".repeat(300));
    let script = format!(
        "setenv i {TEXT:x}\nfor i in $i; do while test $i != 1000400; do setexpr i $i + 1; setenv a $i; load mmc 0:1 $i {path}; done; done\n"
    );
    run("files", &mut machine, &script);
    assert_eq!(machine.asked.len(), 0x400);
}

/// A card that is one FAT16 file system with as many files in its root directory as can be, or, with `long`, such of the longest names.
struct Card {
    long: bool,
}

const ROOT_ENTRIES: u16 = 0xfff0;
const BLOCKS: u32 = 0x2_0000;

impl Card {
    fn boot_sector(block: &mut [u8]) {
        block[..3].copy_from_slice(&[0xeb, 0, 0x90]);
        block[11..13].copy_from_slice(&512_u16.to_le_bytes());
        block[13] = 8;
        block[14] = 1;
        block[16] = 1;
        block[17..19].copy_from_slice(&ROOT_ENTRIES.to_le_bytes());
        block[22..24].copy_from_slice(&64_u16.to_le_bytes());
        block[32..36].copy_from_slice(&BLOCKS.to_le_bytes());
        block[510..512].copy_from_slice(&[0x55, 0xaa]);
    }

    fn entry(&self, index: u32, entry: &mut [u8]) {
        let (number, piece) = if self.long { (index / 21, 20 - index % 21) } else { (index, 0) };
        let mut short = [b' '; 11];
        short[..8].copy_from_slice(format!("F{number:07}").as_bytes());
        if piece == 0 {
            entry[..11].copy_from_slice(&short);
            return;
        }
        // Characters that have three bytes each.
        entry.fill(0x20);
        entry[0] = piece as u8 | if piece == 20 { 0x40 } else { 0 };
        entry[11] = 0x0f;
        entry[12] = 0;
        entry[13] = short.iter().fold(0, |sum: u8, byte| sum.rotate_right(1).wrapping_add(*byte));
    }
}

impl BlockDevice for Card {
    fn blocks(&self) -> u32 {
        BLOCKS
    }

    fn read(&mut self, first: u32, into: &mut [u8]) -> Result<(), Unreadable> {
        const ROOT: u32 = 65;
        into.fill(0);
        for (index, block) in into.chunks_mut(BLOCK).enumerate() {
            match first + index as u32 {
                0 => Self::boot_sector(block),
                number @ ROOT.. => {
                    for (index, entry) in block.chunks_mut(32).enumerate() {
                        self.entry((number - ROOT) * 16 + index as u32, entry);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

#[test]
fn directories_without_end() {
    for long in [false, true] {
        let mut card = Card { long };
        let whole = Partition { number: 0, kind: 0x0e, bootable: false, first: 0, blocks: BLOCKS };
        let mut files = FileSystem::open(&mut card, &whole).unwrap();
        let (entries, all) = measure("a directory", || files.list("/", MOST_LISTED)).unwrap();
        assert_eq!((entries.len(), all), (MOST_LISTED, false));
        assert_eq!(entries[0].name.len(), if long { 780 } else { 8 });
    }
}
