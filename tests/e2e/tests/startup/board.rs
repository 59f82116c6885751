//! A board whose firmware left it as a test wants it.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use tempfile::TempDir;
use xenlift_e2e::boot::pattern;
use xenlift_e2e::qmp::Qmp;
use xenlift_e2e::{Machine, Release, Uart, cache, emulator, packages};
use xtask::loader::{self, Loader};
use xtask::toolchain::Toolchain;

/// Where the firmware has been seen to put its tree.
pub const TREE: u64 = 0x2eff_6200;
/// Where a board's memory below 1 GiB ends.
const TOP: u64 = 0x3b40_0000;
const JUNK_AROUND: u64 = 0x80_0000;
const JUNK_BELOW_TOP: u64 = 0x180_0000;
/// A start takes less than a second on an idle machine.
const LIMIT: Duration = Duration::from_secs(60);
const JUNK_SEED: u64 = 0xa5a5_c3c3_dead_beef;
const SETTINGS: &[u8] = b"HOSTSTUB";

/// The loader and the stub, built once.
fn built() -> Result<&'static (Loader, PathBuf)> {
    static BUILT: OnceLock<Result<(Loader, PathBuf), String>> = OnceLock::new();
    BUILT
        .get_or_init(|| {
            let build = || {
                let toolchain = Toolchain::find(&cache()?)?;
                let stub = loader::build_package(&toolchain, "hostile-armstub", "hostile-armstub")?;
                Ok((loader::build(&toolchain)?, stub))
            };
            build().map_err(|error: anyhow::Error| format!("{error:#}"))
        })
        .as_ref()
        .map_err(|error| anyhow!("{error}"))
}

/// Debian's tree of the board as the firmware passes it: with memory, initrd and command line.
pub fn real_tree(banks: &[(u64, u64)], initrd: (u64, u64), bootargs: &str) -> Result<Vec<u8>> {
    let directory = tempfile::tempdir().context("no temporary directory")?;
    let path = directory.path().join("tree");
    let shipped = packages::linux(&cache()?, Release::Bookworm)?.device_trees.join("bcm2711-rpi-4-b.dtb");
    fs::copy(&shipped, &path).with_context(|| format!("cannot copy {}", shipped.display()))?;
    let put = |kind: &str, node: &str, name: &str, values: &[String]| -> Result<()> {
        let status = Command::new("fdtput").arg("-t").arg(kind).arg(&path).args([node, name]).args(values).status();
        ensure!(
            status.context("fdtput does not start: install device-tree-compiler")?.success(),
            "fdtput {node} {name}"
        );
        Ok(())
    };
    let cells = |numbers: &[u64]| numbers.iter().map(|number| format!("{number:x}")).collect::<Vec<_>>();
    let reg: Vec<u64> = banks.iter().flat_map(|(start, size)| [start >> 32, start & 0xffff_ffff, *size]).collect();
    put("x", "/memory@0", "reg", &cells(&reg))?;
    put("x", "/chosen", "linux,initrd-start", &cells(&[initrd.0]))?;
    put("x", "/chosen", "linux,initrd-end", &cells(&[initrd.0 + initrd.1]))?;
    put("s", "/chosen", "bootargs", &[bootargs.to_owned()])?;
    // Not every emulator has the Ethernet controller that this tree names.
    put("s", "/scb/ethernet@7d580000", "status", &["disabled".to_owned()])?;
    fs::read(&path).context("cannot read the tree")
}

/// The loader's ELF.
pub fn elf() -> Result<Vec<u8>> {
    let path = &built()?.0.elf;
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Bytes of loader.bin.
pub fn file_size() -> Result<u64> {
    Ok(built()?.0.product.image.len() as u64)
}

/// Bytes of memory that the loader says it needs.
pub fn image_size() -> Result<u64> {
    Ok(built()?.0.product.memory.next_multiple_of(4096))
}

/// Where `name` is, in bytes from the loader's start.
pub fn symbol(name: &str) -> Result<u64> {
    symbol_in(&elf()?, name)
}

/// Where `name` is in the program that unpacks the loader, in bytes from its start.
pub fn unpackers_symbol(name: &str) -> Result<u64> {
    let path = &built()?.0.unpacker;
    symbol_in(&fs::read(path).with_context(|| format!("cannot read {}", path.display()))?, name)
}

fn symbol_in(elf: &[u8], name: &str) -> Result<u64> {
    use object::{Object, ObjectSymbol};
    let file = object::File::parse(elf).context("unreadable ELF file")?;
    Ok(file.symbol_by_name(name).with_context(|| format!("the ELF file has no {name}"))?.address())
}

/// The functions that a report's addresses lie in.
pub fn names_of(addresses: &str) -> Result<Vec<String>> {
    use object::{Object, ObjectSymbol};
    let elf = elf()?;
    let file = object::File::parse(&*elf).context("unreadable loader.elf")?;
    let symbols = file.symbol_map();
    addresses
        .split_whitespace()
        .map(|text| {
            let digits = text.strip_prefix("0x").with_context(|| format!("{text} is no address"))?;
            let address = u64::from_str_radix(digits, 16).with_context(|| format!("{text} is no address"))?;
            Ok(symbols.get(address).map_or("?", |symbol| symbol.name()).to_owned())
        })
        .collect::<Result<_>>()
        .and_then(|names: Vec<String>| {
            ensure!(file.symbols().any(|symbol| symbol.size() > 0), "loader.elf has no symbols");
            Ok(names)
        })
}

/// A tree as the firmware passes it.
pub fn tree(banks: &[(u64, u64)], initrd: Option<(u64, u64)>, bootargs: &str) -> Result<Vec<u8>> {
    let mut source = String::from(
        "/dts-v1/;\n/memreserve/ 0x0 0x1000;\n/ {\n #address-cells = <2>; #size-cells = <1>;\n \
         compatible = \"raspberrypi,4-model-b\", \"brcm,bcm2711\"; model = \"Raspberry Pi 4 Model B Rev 1.1\";\n \
         serial-number = \"10000000abcdef01\";\n",
    );
    for (start, size) in banks {
        let (high, low) = (start >> 32, start & 0xffff_ffff);
        source +=
            &format!(" memory@{start:x} {{ device_type = \"memory\"; reg = <{high:#x} {low:#x} {size:#x}>; }};\n");
    }
    source += &format!(" chosen {{ bootargs = \"{bootargs}\";\n");
    if let Some((start, size)) = initrd {
        let end = start + size;
        source += &format!("  linux,initrd-start = <{start:#x}>; linux,initrd-end = <0x0 {end:#x}>;\n");
    }
    source += " };\n reserved-memory { #address-cells = <2>; #size-cells = <1>; ranges;\n";
    source += "  linux,cma { compatible = \"shared-dma-pool\"; size = <0x4000000>; reusable; };\n };\n};\n";
    compile(&source)
}

fn compile(source: &str) -> Result<Vec<u8>> {
    let mut dtc = Command::new("dtc")
        .args(["-q", "-I", "dts", "-O", "dtb", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("dtc does not start: install device-tree-compiler")?;
    dtc.stdin.take().context("dtc takes no input")?.write_all(source.as_bytes()).context("dtc reads no input")?;
    let output = dtc.wait_with_output().context("dtc does not end")?;
    ensure!(output.status.success(), "dtc refuses {source}");
    Ok(output.stdout)
}

/// What the firmware did.
pub struct Board {
    /// Where it put loader.bin.
    pub load_at: u64,
    /// A byte of loader.bin that went wrong on its way to the card.
    pub damaged_at: Option<usize>,
    /// x0, if it is not `tree_at`.
    pub x0: Option<u64>,
    /// Where it put the tree.
    pub tree_at: u64,
    /// The tree.
    pub tree: Option<Vec<u8>>,
    /// What lies where the tree says that an initrd is; without it, a pattern.
    pub initrd: Option<Vec<u8>>,
    /// The UART that it set up on the header.
    pub uart: Uart,
    /// The state that the loader is entered in.
    pub spsr: u64,
    /// CPTR_EL2.
    pub cptr: u64,
    /// HCR_EL2.
    pub hcr: u64,
    /// The watchdog's time.
    pub watchdog: u64,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            load_at: 0x20_0000,
            damaged_at: None,
            x0: None,
            tree_at: TREE,
            tree: None,
            initrd: None,
            uart: Uart::Pl011,
            spsr: 0x3c9,
            cptr: 0xffff_ffff,
            hcr: 0,
            watchdog: 0,
        }
    }
}

/// The initrd that a tree names.
fn initrd_of(tree: &[u8]) -> Option<(u64, u64)> {
    let value = |name: &str| {
        let mut fdtget = Command::new("fdtget");
        fdtget
            .args(["-t", "x", "-", "/chosen", name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = fdtget.spawn().ok()?;
        child.stdin.take()?.write_all(tree).ok()?;
        let output = child.wait_with_output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        text.split_whitespace().try_fold(0, |number, word| Some(number << 32 | u64::from_str_radix(word, 16).ok()?))
    };
    let (start, end) = (value("linux,initrd-start")?, value("linux,initrd-end")?);
    (start < end).then_some((start, end - start))
}

impl Board {
    /// Starts it.
    pub fn start(self) -> Result<Loaded> {
        let (loader, stub) = built()?;
        let directory = tempfile::tempdir().context("no temporary directory")?;
        let mut command = emulator(&cache()?)?.board();
        let mut placed = Vec::new();
        let place = |name: &'static str, address: u64, bytes: &[u8], command: &mut Command| -> Result<()> {
            let path = directory.path().join(name);
            fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
            command.arg("-device").arg(format!("loader,file={},addr={address:#x},force-raw=on", path.display()));
            Ok(())
        };
        let mut image = loader.product.image.clone();
        if let Some(byte) = self.damaged_at.and_then(|at| image.get_mut(at)) {
            *byte = !*byte;
        }
        place("loader", self.load_at, &image, &mut command)?;
        let mut occupied = vec![(self.load_at, self.load_at + loader.product.image.len() as u64)];
        if let Some(tree) = &self.tree {
            place("tree", self.tree_at, tree, &mut command)?;
            placed.push(("the firmware's tree", self.tree_at, tree.clone()));
            occupied.push((self.tree_at, self.tree_at + tree.len() as u64));
            if let Some((start, size)) = initrd_of(tree) {
                let bytes = match &self.initrd {
                    Some(bytes) => bytes.clone(),
                    None => pattern(usize::try_from(size)?),
                };
                place("initrd", start, &bytes, &mut command)?;
                occupied.push((start, start + size));
                placed.push(("the initrd", start, bytes));
            }
        }
        let mut settings = vec![
            self.load_at,
            self.x0.unwrap_or(if self.tree.is_some() { self.tree_at } else { 0 }),
            self.spsr,
            0x30c5_0830,
            self.hcr,
            self.cptr,
            if self.uart == Uart::Pl011 { 1 } else { 2 },
            self.watchdog,
            JUNK_SEED,
        ];
        settings.extend(junk_ranges(self.load_at, &occupied)?);
        let mut elf = fs::read(stub).with_context(|| format!("cannot read {}", stub.display()))?;
        let at =
            elf.windows(SETTINGS.len()).position(|window| window == SETTINGS).context("the stub has no settings")?;
        for (index, word) in settings.iter().enumerate() {
            let at = at + SETTINGS.len() + index * 8;
            elf.get_mut(at..at + 8).context("the stub's settings are cut")?.copy_from_slice(&word.to_le_bytes());
        }
        let path = directory.path().join("stub");
        fs::write(&path, &elf).context("cannot write the stub")?;
        command.arg("-kernel").arg(&path);
        placed.push(("page 0", 0, page_zero(&elf)?));
        let socket = directory.path().join("qmp");
        command.arg("-qmp").arg(format!("unix:{},server=on,wait=off", socket.display()));
        // At a reset the board stands still, and its memory can still be read.
        command.args(["-action", "shutdown=pause"]);
        let machine = Machine::start(command)?;
        let qmp = Qmp::connect(&socket)?;
        Ok(Loaded { machine, qmp, placed, uart: self.uart, directory })
    }
}

/// Up to six ranges of junk around where the loader is and where it goes, without what is occupied. Not all of memory, because
/// filling that takes the emulator seconds.
fn junk_ranges(load_at: u64, occupied: &[(u64, u64)]) -> Result<Vec<u64>> {
    let mut taken: Vec<_> = occupied.iter().map(|(start, end)| (start / 64 * 64, end.next_multiple_of(64))).collect();
    taken.sort_unstable();
    let mut words = Vec::new();
    let mut at = 0x1000;
    let low = load_at.saturating_sub(JUNK_AROUND).max(0x1000) / 64 * 64;
    for (first, last) in [(low, load_at + JUNK_AROUND), (TOP - JUNK_BELOW_TOP, TOP)] {
        at = at.max(first);
        for (start, end) in taken.iter().copied().chain([(u64::MAX, u64::MAX)]) {
            let until = start.min(last);
            if at < until {
                words.extend([at, until]);
            }
            at = at.max(end.min(last));
        }
    }
    ensure!(words.len() <= 12, "more ranges of junk than the stub takes");
    words.resize(12, 0);
    Ok(words)
}

/// What the stub's page is in memory.
fn page_zero(elf: &[u8]) -> Result<Vec<u8>> {
    use object::{Object, ObjectSegment};
    let file = object::File::parse(elf).context("unreadable stub")?;
    let segment = file.segments().find(|segment| segment.address() == 0).context("the stub is not at 0")?;
    let page = segment.data().context("the stub has no bytes")?.to_vec();
    ensure!(page.len() == 4096, "the stub has {} bytes", page.len());
    Ok(page)
}

/// A board that the loader was started on.
pub struct Loaded {
    machine: Machine,
    qmp: Qmp,
    /// What must stay as it is: name, address, bytes.
    pub placed: Vec<(&'static str, u64, Vec<u8>)>,
    uart: Uart,
    directory: TempDir,
}

impl Loaded {
    /// Waits for `text` on the UART that the firmware set up, and gives what was said before it.
    pub fn wait_for(&mut self, text: &str) -> Result<String> {
        self.machine.wait_for(self.uart, text, LIMIT)
    }

    /// Waits for `text` on `uart`, whichever that is.
    pub fn wait_for_on(&mut self, uart: Uart, text: &str) -> Result<String> {
        self.machine.wait_for(uart, text, LIMIT)
    }

    /// Waits for the banner.
    pub fn banner(&mut self) -> Result<String> {
        let (which, said) = self.machine.wait_for_any(self.uart, &["*** Xenlift", "no free", "Xenlift 0."], LIMIT)?;
        if which != 2 {
            bail!("no banner, but a report: {said}{}", self.wait_for("image at").unwrap_or_default());
        }
        Ok(said)
    }

    /// Where the banner, of which the first words were waited for, says that the loader runs.
    pub fn place(&mut self) -> Result<u64> {
        let said = self.machine.wait_for(self.uart, "console:", LIMIT)?;
        let (_, address) = said.split_once("moved to 0x").with_context(|| format!("no place in {said}"))?;
        let digits: String = address.chars().take_while(char::is_ascii_hexdigit).collect();
        Ok(u64::from_str_radix(&digits, 16)?)
    }

    /// Waits until the board resets itself.
    pub fn wait_for_reset(&mut self) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        while Instant::now() < deadline {
            if self.qmp.command(r#"{"execute":"query-status"}"#)?.contains("\"shutdown\"") {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("no reset within {LIMIT:?}")
    }

    /// Stops the board's processors.
    pub fn stop(&mut self) -> Result<()> {
        self.qmp.command(r#"{"execute":"stop"}"#).map(|_| ())
    }

    /// `size` bytes of the board's memory.
    pub fn read(&mut self, address: u64, size: usize) -> Result<Vec<u8>> {
        let path = self.directory.path().join("memory");
        let command = format!(
            r#"{{"execute":"pmemsave","arguments":{{"val":{address},"size":{size},"filename":"{}"}}}}"#,
            path.display()
        );
        self.qmp.command(&command)?;
        let bytes = fs::read(&path).context("QEMU wrote no memory")?;
        ensure!(bytes.len() == size, "QEMU wrote {} bytes of {size}", bytes.len());
        Ok(bytes)
    }

    /// Whether `size` bytes from `address`, a multiple of 64, still have the stub's pattern: a counter, and the counter plus the
    /// address of its 64 bytes.
    pub fn is_junk(&mut self, address: u64, size: usize) -> Result<bool> {
        let bytes = self.read(address, size)?;
        let word = |chunk: &[u8], index: usize| -> u64 {
            chunk.iter().skip(index * 8).take(8).rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
        };
        Ok(bytes.chunks(64).enumerate().all(|(index, chunk)| {
            let (counter, place) = (word(chunk, 0), address + index as u64 * 64);
            counter >= JUNK_SEED
                && word(chunk, 1) == counter.wrapping_add(place)
                && word(chunk, 6) == word(chunk, 1)
                && word(chunk, 7) == counter
        }))
    }
}
