//! What a script may print, and how long it may keep console, watchdog and Ctrl-C waiting.

use xenlift::boot::digest::crc32;
use xenlift::range::PhysicalRange;
use xenlift::shell::language::limits::{Exceeded, OUTPUT};
use xenlift::shell::simulation::{FileMap, Simulation, TICK};
use xenlift::shell::{Environment, Failure, Platform, Shell};

const SOURCE: u64 = 0x100_0000;
const IMAGE: u64 = 0x200_0000;
const TREE: u64 = 0x300_0000;
const TARGET: u64 = 0x400_0000;
/// Bytes of what is worked on.
const SIZE: u64 = 1 << 20;
/// Bytes that may be worked on without a look at the keyboard: half a millisecond's work for the board.
const UNWATCHED: u64 = 64 << 10;

fn put(machine: &mut Simulation, address: u64, bytes: &[u8]) {
    let range = PhysicalRange { start: address, end: address + bytes.len() as u64 };
    machine.memory_mut(range).unwrap().copy_from_slice(bytes);
}

/// An image with mkimage's header.
fn legacy(kind: u8, compression: u8, data: &[u8]) -> Vec<u8> {
    let mut header = [0; 64];
    header[..4].copy_from_slice(&0x2705_1956_u32.to_be_bytes());
    header[12..16].copy_from_slice(&(data.len() as u32).to_be_bytes());
    header[24..28].copy_from_slice(&crc32(data).to_be_bytes());
    header[28..32].copy_from_slice(&[5, 22, kind, compression]);
    let crc = crc32(&header);
    header[4..8].copy_from_slice(&crc.to_be_bytes());
    [&header[..], data].concat()
}

/// A gzip file of stored blocks.
fn gzip(contents: &[u8]) -> Vec<u8> {
    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    let mut chunks = contents.chunks(0xffff).peekable();
    while let Some(chunk) = chunks.next() {
        file.push(u8::from(chunks.peek().is_none()));
        file.extend((chunk.len() as u16).to_le_bytes());
        file.extend((!(chunk.len() as u16)).to_le_bytes());
        file.extend(chunk);
    }
    file.extend(crc32(contents).to_le_bytes());
    file.extend((contents.len() as u32).to_le_bytes());
    file
}

/// A device tree in the making, in the order of its bytes.
struct Blob {
    structure: Vec<u8>,
    names: Vec<u8>,
}

impl Blob {
    fn new() -> Self {
        let mut blob = Self { structure: Vec::new(), names: Vec::new() };
        blob.begin("");
        blob
    }

    fn padded(&mut self, bytes: &[u8]) {
        self.structure.extend(bytes);
        self.structure.resize(self.structure.len().next_multiple_of(4), 0);
    }

    fn begin(&mut self, name: &str) {
        self.structure.extend(1_u32.to_be_bytes());
        self.padded(&[name.as_bytes(), b"\0"].concat());
    }

    fn end(&mut self) {
        self.structure.extend(2_u32.to_be_bytes());
    }

    fn property(&mut self, name: &str, value: &[u8]) {
        let at = self.names.len() as u32;
        self.names.extend([name.as_bytes(), b"\0"].concat());
        for word in [3, value.len() as u32, at] {
            self.structure.extend(word.to_be_bytes());
        }
        self.padded(value);
    }

    fn finish(mut self) -> Vec<u8> {
        const STRUCTURE: usize = 40 + 16;
        self.end();
        self.structure.extend(9_u32.to_be_bytes());
        let names = STRUCTURE + self.structure.len();
        let total = names + self.names.len();
        let header = [0xd00d_feed, total, STRUCTURE, names, 40, 17, 16, 0, self.names.len(), self.structure.len()];
        let header: Vec<u8> = header.iter().flat_map(|word| (*word as u32).to_be_bytes()).collect();
        [header, vec![0; 16], self.structure, self.names].concat()
    }
}

/// A FIT image with one file, whose digest is by `algorithm`.
fn fit(data: &[u8], algorithm: &str, digest: &[u8]) -> Vec<u8> {
    let mut blob = Blob::new();
    blob.begin("images");
    blob.begin("one");
    blob.property("data", data);
    blob.property("type", b"kernel\0");
    blob.begin("hash-1");
    blob.property("algo", &[algorithm.as_bytes(), b"\0"].concat());
    blob.property("value", digest);
    blob.end();
    blob.end();
    blob.end();
    blob.finish()
}

fn contents() -> Vec<u8> {
    (0..SIZE as u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// A machine with a MiB of something at [`SOURCE`], the same at [`TARGET`], `image` at [`IMAGE`], a tree of a MiB at [`TREE`].
fn machine(image: &[u8]) -> Simulation {
    let mut files = FileMap::default();
    files.card.insert("a".to_string(), vec![7; 4]);
    files.card.insert("Image.gz".to_string(), image.to_vec());
    files.server.insert("a".to_string(), vec![7; 4]);
    let bank = PhysicalRange { start: 0, end: 0x1000_0000 };
    let mut machine = Simulation::new([bank], files).unwrap();
    put(&mut machine, SOURCE, &contents());
    put(&mut machine, TARGET, &contents());
    put(&mut machine, IMAGE, image);
    let mut blob = Blob::new();
    blob.property("large", &vec![1; SIZE as usize]);
    put(&mut machine, TREE, &blob.finish());
    machine
}

#[test]
fn whatever_takes_long_looks_at_the_keyboard_and_ends_by_ctrl_c() {
    let contents = contents();
    let crc = crc32(&contents).to_be_bytes();
    let kernel = legacy(2, 1, &gzip(&contents));
    let ramdisk = legacy(3, 0, &contents);
    let script = legacy(6, 0, &[&(SIZE as u32 - 8).to_be_bytes()[..], &[0; 4], &contents[8..]].concat());
    let packed = gzip(&contents);
    let fit = fit(&contents, "crc32", &crc);
    let nothing: &[u8] = &[];
    // The whole of it is gone through so many times.
    for (image, command, times) in [
        (nothing, "cp.b 1000000 8000000 100000", 1),
        (nothing, "cp.l 1000000 1000004 40000", 1),
        (nothing, "cp.q 1000008 1000000 1fff0", 1),
        (nothing, "mw.b 8000000 ff 100000", 1),
        (nothing, "cmp.b 1000000 4000000 100000", 1),
        (nothing, "crc32 1000000 100000", 1),
        (nothing, "hash sha256 1000000 100000", 1),
        (nothing, "sha256sum 1000000 100000", 1),
        (nothing, "fdt move 3000000 8000000", 1),
        (&ramdisk, "iminfo 2000000", 1),
        (&script, "imxtract 2000000 0 8000000", 2),
        (&fit, "imxtract 2000000 one 8000000", 2),
        (&fit, "iminfo 2000000", 1),
        (&kernel, "bootm 2000000 - 3000000", 2),
        (&ramdisk, "load mmc 0:1 6000000 a; booti 6000000 2000000 3000000", 1),
        (&packed, "load mmc 0:1 2000000 Image.gz; booti 2000000 - 3000000", 1),
    ] {
        let mut machine = machine(image);
        let before = machine.now();
        let outcome = Shell::new(&mut machine, Environment::default()).run_script("s", &format!("{command}\n"));
        assert!(!matches!(outcome, Err(Failure::Interrupted)), "{command}");
        let passed = machine.now().since(before);
        let looks = passed.div_duration_f64(TICK) as u64;
        assert!(looks >= times * SIZE / UNWATCHED, "{command}: {looks} looks, {}", machine.output);

        let mut machine = self::machine(image);
        machine.interrupt_at = Some(machine.now().after(passed / 2));
        let mut shell = Shell::new(&mut machine, Environment::default());
        let outcome = shell.run_script("s", &format!("{command}\necho not reached\n"));
        assert!(matches!(outcome, Err(Failure::Interrupted)), "{command}: {outcome:?}, {}", machine.output);
        assert!(machine.now().since(before) <= passed / 2 + TICK, "{command}");
    }
}

#[test]
fn a_copy_that_overlaps_is_right_wherever_its_pieces_end() {
    let contents = contents();
    for (from, to, size) in [(0, 1, 0xfffff), (1, 0, 0xfffff), (0, 0x4000, 0xc000), (0x4001, 0, 0x1_0003), (5, 5, 9)] {
        let mut machine = machine(&[]);
        let mut shell = Shell::new(&mut machine, Environment::default());
        let line = format!("cp.b {:x} {:x} {size:x}\n", SOURCE + from, SOURCE + to);
        assert!(shell.run_script("s", &line).unwrap(), "{line}");
        let target = PhysicalRange { start: SOURCE + to, end: SOURCE + to + size };
        let (from, size) = (from as usize, size as usize);
        assert!(machine.memory(target).unwrap() == &contents[from..from + size], "{line}");
    }
}

#[test]
fn whatever_a_script_prints_counts() {
    let mut files = Blob::new();
    files.property("a", b"b\0");
    files.begin("node");
    files.property("c", &[0; 8]);
    files.end();
    let tree = files.finish();
    let fit = fit(b"abcd", "sha256", &[0; 32]);
    let ramdisk = legacy(3, 0, b"abcd");
    let none: &[u8] = &[];
    let text = "x".repeat(3000);
    let alone = ["nosuch", "md 1000000"];
    for (image, command) in [
        (none, "nosuch"),
        (none, "md"),
        (none, "md 1000000"),
        (none, "cmp.b 1000000 2000000 1"),
        (none, "base"),
        (none, "bdinfo"),
        (none, "crc32 1000000 1"),
        (none, "sha256sum -v 1000000 1 0000000000000000000000000000000000000000000000000000000000000000"),
        (none, "help"),
        (none, "help md"),
        (none, "printenv"),
        (none, "printenv nosuch"),
        (none, "setenv q \\'; echo $q"),
        (none, "for 1 in a; do true; done"),
        (none, "mmc list"),
        (none, "mmc dev 0"),
        (none, "mmc part"),
        (none, "part list mmc 0"),
        (none, "fstype mmc 0:1"),
        (none, "usb start"),
        (none, "pci"),
        (none, "ls mmc 0:1"),
        (none, "ping 10.0.0.1"),
        (none, "load mmc 0:1 8000000 a; load mmc 0:1 8000001 a"),
        (none, "tftpboot 8000000 a; tftpboot 8000001 a"),
        (none, "env info"),
        (none, "env import 8000000 10"),
        (none, "setexpr a gsub a b c"),
        (&tree, "fdt addr 2000000"),
        (&tree, "fdt addr -q 2000000; fdt addr"),
        (&tree, "fdt addr 2000000 1"),
        (&tree, "fdt addr -q 2000000; fdt print"),
        (&tree, "fdt addr -q 2000000; fdt list"),
        (&tree, "fdt addr -q 2000000; fdt header"),
        (&tree, "fdt addr -q 2000000; fdt rsvmem print"),
        (&tree, "fdt addr -q 2000000; fdt boardsetup"),
        (&tree, "fdt addr -q 2000000; fdt set / a <0x100000000>"),
        (&fit, "iminfo 2000000"),
        (&fit, "setenv verify no; imxtract 2000000 one 8000000"),
        (&ramdisk, "iminfo 2000000"),
        (&ramdisk, "source 2000000"),
    ] {
        let mut machine = machine(image);
        let mut environment = Environment::default();
        environment.set("t", &text);
        let mut shell = Shell::new(&mut machine, environment);
        // What is said by another way than `echo` comes in addition if it does not count, or, alone, has no end.
        let echo = if alone.contains(&command) { "true" } else { "echo $t" };
        let outcome = shell.run_script("s", &format!("while true; do {command}; {echo}; done\n"));
        let end = format!("{}\n", Exceeded::Output);
        assert!(matches!(outcome, Err(Failure::Abandoned)), "{command}: {outcome:?}");
        assert!(machine.output.ends_with(&end), "{command}: {}", &machine.output[machine.output.len() - 200..]);
        assert!(machine.output.len() <= OUTPUT + end.len(), "{command}: {}", machine.output.len());
    }
}

#[test]
fn a_long_text_is_ended_by_ctrl_c() {
    let mut blob = Blob::new();
    for _ in 0..2000 {
        blob.property("property", b"a text\0");
    }
    let tree = blob.finish();
    let text = "x".repeat(60_000);
    for command in ["echo $t", "printenv", "printenv t", "fdt addr -q 2000000; fdt print"] {
        let mut machine = machine(&tree);
        let mut environment = Environment::default();
        environment.set("t", &text);
        machine.interrupt_at = Some(machine.now().after(20 * TICK));
        let outcome = Shell::new(&mut machine, environment).run_script("s", &format!("{command}\n"));
        assert!(matches!(outcome, Err(Failure::Interrupted)), "{command}: {outcome:?}");
        assert!((1..20_000).contains(&machine.output.len()), "{command}: {}", machine.output.len());
    }
}
