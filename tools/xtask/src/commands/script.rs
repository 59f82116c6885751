//! `cargo xtask script`: what a boot script would do, tried without a board.
//!
//! The script runs on the loader's own interpreter and commands; the machine under them is the simulated one, whose server and card both have the
//! files of a directory.

use std::fmt::Write as _;
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use xenlift::boot::xen_modules::{command_lines, is_for_xen, modules};
use xenlift::range::PhysicalRange;
use xenlift::shell::platform::{DirectoryEntry, Lease, Partition};
use xenlift::shell::simulation::{Asked, Files, Shelf, Simulation};
use xenlift::shell::working_tree::tree_at;
use xenlift::shell::{Failure, Loaded, Platform, Shell, lints, variables};

/// Where the firmware puts its tree on a board with 2 GiB.
const FIRMWARE_TREE: u64 = 0x2eff_6200;
/// Where the script itself is put: as high as no script puts anything.
const SCRIPT: u64 = 0x3a00_0000;

/// Arguments of `cargo xtask script`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The script: text, boot.scr, or a FIT image with a script
    file: PathBuf,
    /// The device tree that the firmware passes
    #[arg(long, value_name = "DTB")]
    tree: Option<PathBuf>,
    /// The files of both TFTP server and card; where the script is, without it
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Runs the script and prints what it would do.
///
/// # Errors
/// Files that cannot be read, and a script that does not come to a boot.
pub fn run(arguments: &Arguments) -> Result<()> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let script = read(&arguments.file)?;
    let tree = arguments.tree.as_deref().map(read).transpose()?;
    let parent = arguments.file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = arguments.dir.as_deref().unwrap_or(parent);
    if !directory.is_dir() {
        bail!("{} is no directory", directory.display());
    }
    let name = arguments.file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let tried = try_script(&name, &script, tree.as_deref(), Directory(directory.to_path_buf()))?;
    print!("{}", tried.report);
    if tried.booted { Ok(()) } else { bail!("{name} did not come to a boot") }
}

/// What came of a script.
pub struct Tried {
    /// What it printed, did, and would boot, in words.
    pub report: String,
    /// Whether it came to a boot.
    pub booted: bool,
    /// The tree that it would boot with, or worked on last; empty without one.
    pub tree: Vec<u8>,
    /// What was loaded where, in order: paths and ranges.
    pub loads: Vec<(String, PhysicalRange)>,
    /// What is wrong with the boot.
    pub lints: Vec<lints::Lint>,
}

/// Runs `script`, called `name`, on a simulated Raspberry Pi 4 with 2 GiB whose firmware passes `tree`.
///
/// # Errors
/// The script is none.
pub fn try_script(name: &str, script: &[u8], tree: Option<&[u8]>, files: impl Files + 'static) -> Result<Tried> {
    let mut machine = Simulation::raspberry_pi_4(files).map_err(|error| anyhow!("{error}"))?;
    if let Some(tree) = tree {
        machine.put_firmware_tree(FIRMWARE_TREE, tree).map_err(|error| anyhow!("{error}"))?;
    }
    machine.lease = Some(Lease {
        address: Some([192, 168, 0, 2].into()),
        netmask: Some([255, 255, 255, 0].into()),
        gateway: None,
        server: Some([192, 168, 0, 1].into()),
        boot_file: None,
    });
    let environment = variables::of_board(&machine.facts);
    let range = PhysicalRange::sized(SCRIPT, script.len() as u64).context("the script is too large")?;
    machine.memory_mut(range).map_err(|error| anyhow!("{error}"))?.copy_from_slice(script);
    let mut shell = Shell::new(&mut machine, environment);
    shell.loaded.push(Loaded { name: name.to_string(), range });
    let (text, note) = shell.script_text(Some(&format!("{SCRIPT:x}"))).map_err(|failure| anyhow!("{failure:?}"))?;
    // Its text is a copy: its memory is free for what the script loads.
    shell.loaded.clear();
    let outcome = shell.run_script(name, &text);
    let (working_tree, loaded) = (shell.working_tree, std::mem::take(&mut shell.loaded));
    drop(shell);

    let mut report = std::mem::take(&mut machine.output);
    report.extend(note.map(|note| format!("note: {note}\n")));
    match &outcome {
        Ok(true) | Err(Failure::Ended) => {}
        Ok(false) => report.push_str("the script's last command failed\n"),
        Err(failure) => writeln!(report, "the script ended: {failure:?}")?,
    }
    let loads = describe_asked(&machine.asked, &mut report)?;
    let booted = machine.asked.iter().rev().find_map(|asked| match asked {
        Asked::Booted { program, ramdisk, tree, loaded } => Some((*program, *ramdisk, *tree, loaded.clone())),
        _ => None,
    });
    let tree_address = booted.as_ref().map(|(_, _, tree, _)| tree.start).or(working_tree);
    let bytes = match tree_address.map(|address| tree_at(&machine, address)) {
        Some(Ok(tree)) => tree.bytes().to_vec(),
        Some(Err(error)) => {
            writeln!(report, "{error}")?;
            Vec::new()
        }
        None => Vec::new(),
    };
    let mut found = Vec::new();
    if let Some((program, ramdisk, tree, files)) = &booted {
        writeln!(report, "\n== boots")?;
        writeln!(report, "program      {program}  {}", name_of(files, *program))?;
        if let Some(ramdisk) = ramdisk {
            writeln!(report, "ramdisk      {ramdisk}  {}", name_of(files, *ramdisk))?;
        }
        writeln!(report, "device tree  {tree}  {}", name_of(files, *tree))?;
        if let Ok(tree) = tree_at(&machine, tree.start) {
            describe_tree(&tree, files, &mut report)?;
            let boot = xenlift::shell::platform::Boot {
                program: *program,
                ramdisk: *ramdisk,
                tree: PhysicalRange {
                    start: boot_start(tree_address),
                    end: boot_start(tree_address) + bytes.len() as u64,
                },
                arguments: None,
                loaded: files,
            };
            let header =
                machine.memory(*program).ok().and_then(|bytes| xenlift::boot::image::Header::parse(bytes).ok());
            found = lints::look(&boot, &tree, header.as_ref(), machine.layout());
            found.extend(lints::console(&tree, command_lines(&tree).xen));
        }
    } else {
        describe_loaded(&loaded, &mut report)?;
    }
    if let Some(address) = tree_address.filter(|_| !bytes.is_empty()) {
        writeln!(report, "\n== device tree")?;
        report += &print_tree(&mut machine, address);
    }
    writeln!(report, "\n== {}", if found.is_empty() { "nothing wrong was found" } else { "warnings" })?;
    for lint in &found {
        writeln!(report, "{lint}")?;
    }
    Ok(Tried { report, booted: booted.is_some(), tree: bytes, loads, lints: found })
}

fn boot_start(address: Option<u64>) -> u64 {
    address.unwrap_or_default()
}

/// The name of what was loaded to the start of `range`.
fn name_of(loaded: &[Loaded], range: PhysicalRange) -> &str {
    loaded.iter().find(|loaded| loaded.range.start == range.start).map_or("", |loaded| &loaded.name)
}

/// Writes down what the machine was asked for; gives what was loaded.
fn describe_asked(asked: &[Asked], report: &mut String) -> Result<Vec<(String, PhysicalRange)>> {
    let mut loads = Vec::new();
    writeln!(report, "\n== does")?;
    for asked in asked {
        match asked {
            Asked::Fetched { path, range, .. } => {
                writeln!(report, "fetches  {range}  {path} ({} bytes, TFTP)", range.size())?;
                loads.push((path.clone(), *range));
            }
            Asked::Loaded { path, range, partition } => {
                let (interface, device) = (&partition.interface, partition.device);
                writeln!(report, "loads    {range}  {path} ({} bytes, {interface} {device})", range.size())?;
                loads.push((path.clone(), *range));
            }
            Asked::Rescan => writeln!(report, "looks for the card anew")?,
            Asked::Lease => writeln!(report, "asks a DHCP server")?,
            Asked::Ping(address) => writeln!(report, "pings {address}")?,
            Asked::Booted { program, .. } => writeln!(report, "boots    {program}")?,
            Asked::Gone(address) => writeln!(report, "jumps to {address:#x}")?,
            Asked::Reset => writeln!(report, "resets the board")?,
        }
    }
    Ok(loads)
}

fn describe_loaded(loaded: &[Loaded], report: &mut String) -> Result<()> {
    writeln!(report, "\n== leaves in memory")?;
    for Loaded { name, range } in loaded {
        writeln!(report, "{range}  {name}")?;
    }
    Ok(())
}

/// Modules and command lines, as Xen will read them.
fn describe_tree(tree: &xenlift::device_tree::Tree<'_>, files: &[Loaded], report: &mut String) -> Result<()> {
    // Of too many the lints tell.
    for module in modules(tree).unwrap_or_default() {
        match module.range {
            Some(range) => writeln!(report, "{:<12} {range}  {}", module.label(), name_of(files, range))?,
            None => writeln!(report, "{:<12} reg makes no sense", module.label())?,
        }
        if let Some(args) = module.args {
            writeln!(report, "  args: {args}")?;
        }
    }
    let lines = command_lines(tree);
    if is_for_xen(tree) {
        writeln!(report, "Xen args: {}", lines.xen)?;
    }
    if let Some(args) = lines.dom0 {
        writeln!(report, "{} args: {args}", if is_for_xen(tree) { "Dom0" } else { "kernel" })?;
    }
    Ok(())
}

/// The tree at `address`, as `fdt print` shows it.
fn print_tree(machine: &mut Simulation, address: u64) -> String {
    machine.output.clear();
    let mut shell = Shell::new(machine, Default::default());
    shell.working_tree = Some(address);
    let outcome = shell.run_script("fdt print", "fdt print");
    drop(shell);
    match outcome {
        Ok(_) => std::mem::take(&mut machine.output),
        Err(failure) => format!("{failure:?}\n"),
    }
}

/// A directory, which is both what the TFTP server has and what is on the card.
pub struct Directory(pub PathBuf);

impl Directory {
    /// The path of a file in it: whatever a script says, nothing outside.
    fn path(&self, path: &str) -> Result<PathBuf, Failure> {
        let relative = Path::new(path.trim_start_matches('/'));
        let inside =
            relative.components().all(|component| matches!(component, Component::Normal(_) | Component::CurDir));
        if inside {
            Ok(self.0.join(relative))
        } else {
            Err(Failure::because(format!("{path} lies outside of the directory")))
        }
    }
}

impl Files for Directory {
    fn read(&mut self, _: Shelf<'_>, path: &str) -> Result<Vec<u8>, Failure> {
        let path = self.path(path)?;
        fs::read(&path).map_err(|error| Failure::because(format!("{}: {error}", path.display())))
    }

    fn list(&mut self, _: &Partition, path: &str) -> Result<Vec<DirectoryEntry>, Failure> {
        let path = self.path(path)?;
        let wrong = |error: std::io::Error| Failure::because(format!("{}: {error}", path.display()));
        let mut entries = Vec::new();
        for entry in fs::read_dir(&path).map_err(wrong)? {
            let entry = entry.map_err(wrong)?;
            let metadata = entry.metadata().map_err(wrong)?;
            let size = metadata.is_file().then_some(metadata.len());
            entries.push(DirectoryEntry { name: entry.file_name().to_string_lossy().into_owned(), size });
        }
        entries.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::process::Command;

    /// A directory with the files of the tutorials, of the sizes given; and the tree that they load.
    fn directory(kernel: usize) -> (tempfile::TempDir, Vec<u8>) {
        let directory = tempfile::tempdir().unwrap();
        let tree = directory.path().join("bcm2711-rpi-4-b.dtb");
        let source = repository().join("tests/fdt_commands/board.dts");
        let made = Command::new("dtc").args(["-q", "-@", "-O", "dtb", "-o"]).arg(&tree).arg(source).status().unwrap();
        assert!(made.success(), "install device-tree-compiler");
        fs::write(directory.path().join("xen"), vec![1; 983_048]).unwrap();
        fs::write(directory.path().join("Image-dom0"), vec![2; kernel]).unwrap();
        fs::copy(repository().join("tests/tutorial/boot2.source"), directory.path().join("boot2.scr")).unwrap();
        let tree = fs::read(tree).unwrap();
        (directory, tree)
    }

    fn repository() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    fn tried(kernel: usize) -> Tried {
        let (directory, tree) = directory(kernel);
        let script = fs::read(repository().join("tests/tutorial/boot.source")).unwrap();
        let files = Directory(directory.path().to_path_buf());
        try_script("boot.source", &script, Some(&tree), files).unwrap()
    }

    fn lints(tried: &Tried) -> Vec<String> {
        tried.lints.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_tutorials_scripts_are_tried_and_their_mistakes_told() {
        let tried = tried(0x108_aa00);
        assert!(tried.booted, "{}", tried.report);
        let names: Vec<(&str, u64)> = tried.loads.iter().map(|(name, range)| (name.as_str(), range.start)).collect();
        let expected = [
            ("boot2.scr", 0xc0_0000),
            ("xen", 0xe0_0000),
            ("Image-dom0", 0x100_0000),
            ("bcm2711-rpi-4-b.dtb", 0x840_0000),
        ];
        assert_eq!(names, expected);
        let lints = lints(&tried);
        assert_eq!(lints.len(), 2, "{lints:?}");
        assert!(
            lints[0].starts_with("/chosen/dom0-ramdisk says that it lies at 0x02200000-0x08213e85, and nothing was")
        );
        assert!(
            lints[1].starts_with("Xen's console would be /soc/serial@7e201000 (dtuart=serial0), which the Bluetooth")
        );
        assert!(tried.report.contains("\t\tdom0 {\n\t\t\treg = <0x01000000 0x0108aa00>;\n"), "{}", tried.report);
        assert!(!tried.tree.is_empty());
    }

    #[test]
    fn a_kernel_of_today_is_told_to_be_larger_than_the_script_says() {
        let lints = lints(&tried(0x1f6_dfc0));
        assert!(
            lints.iter().any(|lint| lint
                == "/chosen/dom0 says 0x108aa00 bytes, and Image-dom0 has 0x1f6dfc0: Xen wants the exact size"),
            "{lints:?}"
        );
        assert!(lints.iter().any(|lint| lint.starts_with("/chosen/dom0-ramdisk says that it lies at 0x02200000-0x08213e85; there is only Image-dom0 at 0x01000000-0x02f6dfbf")), "{lints:?}");
    }

    #[test]
    fn a_script_that_boots_nothing_shows_what_it_leaves() {
        let (directory, _) = directory(100);
        let files = Directory(directory.path().to_path_buf());
        let tried =
            try_script("s", b"load mmc 0:1 2000000 xen\nload mmc 0:1 3000000 ../outside\n", None, files).unwrap();
        assert!(!tried.booted);
        assert!(tried.report.contains("0x02000000-0x020f0007  xen\n"), "{}", tried.report);
        assert!(tried.report.contains("outside of the directory"), "{}", tried.report);
    }
}
