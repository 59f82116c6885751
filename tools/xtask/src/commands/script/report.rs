//! What is told of a script that was tried: what it asked of the machine, what it changed in its tree, what it boots, what is wrong with that.

use std::fmt::Write as _;

use anyhow::{Result, anyhow};
use xenlift::boot::image::Header;
use xenlift::boot::xen_modules::{command_lines, is_for_xen, modules};
use xenlift::device_tree::{Editor, Tree, difference, source};
use xenlift::range::PhysicalRange;
use xenlift::shell::boot_script::Ended;
use xenlift::shell::platform::Boot;
use xenlift::shell::simulation::{Asked, Landed, Simulation};
use xenlift::shell::working_tree::tree_at;
use xenlift::shell::{Loaded, Platform, lints};

use super::{FIRMWARE_TREE, Tried, departure};

/// Bytes that `/chosen` may grow by beside its arguments.
const ROOM: usize = 4096;

/// The sections, each with its heading, in the order in which they are printed: what is long comes before what people look for.
#[derive(Debug, Default)]
pub struct Report {
    /// What the script printed.
    pub prints: String,
    /// What it asked of the machine.
    pub does: String,
    /// The final tree.
    pub tree: String,
    /// What it changed in the tree.
    pub edits: String,
    /// What it boots, or that it does not.
    pub boots: String,
    /// What is wrong with that.
    pub warnings: String,
}

impl Report {
    /// All of it.
    pub fn whole(&self) -> String {
        let Self { prints, does, tree, edits, boots, warnings } = self;
        [prints, does, tree, edits, boots, warnings].into_iter().map(String::as_str).collect()
    }
}

/// What was to be started.
struct Start<'a> {
    program: PhysicalRange,
    ramdisk: Option<PhysicalRange>,
    tree: PhysicalRange,
    arguments: Option<&'a str>,
    mac_address: Option<[u8; 6]>,
    loaded: &'a [Loaded],
}

impl<'a> Start<'a> {
    fn of(asked: &'a Asked) -> Option<Self> {
        match asked {
            Asked::Booted { program, ramdisk, tree, arguments, mac_address, loaded } => Some(Self {
                program: *program,
                ramdisk: *ramdisk,
                tree: *tree,
                arguments: arguments.as_deref(),
                mac_address: *mac_address,
                loaded,
            }),
            _ => None,
        }
    }

    fn boot(&self) -> Boot<'a> {
        let Self { program, ramdisk, tree, arguments, mac_address, loaded } = *self;
        Boot { program, ramdisk, tree, arguments, mac_address, loaded }
    }
}

/// Describes what `machine` was asked for by a script that `ended` so and worked on the tree at `working_tree`.
///
/// # Errors
/// None that a script can make.
pub fn tried(machine: &Simulation, ended: &Ended, working_tree: Option<u64>) -> Result<Tried> {
    // Before anything of memory is looked at here, which would count as the script's.
    let mut unused: Vec<&Landed> = machine.landed.iter().filter(|landed| !landed.read.get()).collect();
    let start = machine.asked.iter().rev().find_map(Start::of);
    let gone = machine.asked.iter().rev().find_map(|asked| match asked {
        Asked::Gone(address) => Some(*address),
        _ => None,
    });
    let reset = machine.asked.contains(&Asked::Reset);
    let why = match ended {
        Ended::GoneOn if reset => "it resets the board and started nothing".to_string(),
        other => other.to_string(),
    };
    let mut report = Report { prints: format!("\n== prints\n{}", machine.output), ..Report::default() };
    let loads = describe_asked(&machine.asked, &mut report.does)?;

    let (mut found, mut warnings) = (Vec::new(), Vec::new());
    let mut final_source = String::new();
    let address = start.as_ref().map(|start| start.tree.start).or(working_tree);
    match address.map(|address| tree_at(machine, address)) {
        None => {}
        Some(Err(error)) => writeln!(report.edits, "== changes in the device tree\n{error}\n")?,
        Some(Ok(tree)) => {
            let address = address.unwrap_or_default();
            let bytes = with_chosen(&tree, start.as_ref())?;
            let tree = Tree::new(&bytes).map_err(|error| anyhow!("the final tree: {error}"))?;
            source(&tree, &mut final_source)?;
            describe_edits(machine, address, &tree, &mut report.edits)?;
            if let Some(start) = &start {
                describe_boot(start, &tree, &mut report.boots)?;
                let used = used_ranges(start, &tree);
                unused.retain(|landed| !used.iter().any(|range| range.overlaps(&landed.range)));
                let program = machine.memory(start.program).ok();
                let header = program.and_then(|bytes| Header::parse(bytes).ok());
                found = lints::look(&start.boot(), &tree, header.as_ref(), machine.layout());
                warnings = departure::look(machine, start.program, &used_ranges(start, &tree), &tree);
            }
        }
    }
    if let (None, Some(address)) = (&start, gone) {
        unused.retain(|landed| !(landed.range.start..landed.range.end).contains(&address));
        writeln!(report.boots, "== jumps to {address:#x}, with the firmware's device tree\n")?;
    } else if start.is_none() {
        writeln!(report.boots, "== starts nothing: {why}")?;
        describe_left(&machine.landed, &mut report.boots)?;
    }
    let found: Vec<String> = found.iter().map(ToString::to_string).chain(warnings).collect();
    describe_warnings(machine, &found, &unused, &mut report.warnings)?;
    let started = start.is_some() || gone.is_some();
    Ok(Tried { report, started, why, source: final_source, loads, warnings: found })
}

/// The tree with what `booti` writes into it.
fn with_chosen(tree: &Tree<'_>, start: Option<&Start<'_>>) -> Result<Vec<u8>> {
    let Some(start) = start else { return Ok(tree.bytes().to_vec()) };
    let size = tree.bytes().len() + ROOM + start.arguments.map_or(0, str::len);
    let mut buffer = vec![0; size + 8];
    let aligned = buffer.as_ptr().align_offset(8);
    let place = buffer.get_mut(aligned..aligned + size).unwrap_or_default();
    let mut editor = Editor::copy(tree.bytes(), place).map_err(|error| anyhow!("the final tree: {error}"))?;
    start.boot().write_into(&mut editor).map_err(|error| anyhow!("the final tree: {error}"))?;
    Ok(editor.finish().to_vec())
}

/// Writes down what the machine was asked for; gives what was loaded.
fn describe_asked(asked: &[Asked], out: &mut String) -> Result<Vec<(String, PhysicalRange)>> {
    let mut loads = Vec::new();
    writeln!(out, "\n== does")?;
    for asked in asked {
        match asked {
            Asked::Fetched { path, range, .. } => {
                writeln!(out, "fetches  {range}  {path} ({} bytes, TFTP)", range.size())?;
                loads.push((path.clone(), *range));
            }
            Asked::Loaded { path, range, partition } => {
                writeln!(out, "loads    {range}  {path} ({} bytes, {partition})", range.size())?;
                loads.push((path.clone(), *range));
            }
            Asked::Missed { path, .. } => writeln!(out, "misses   {path}")?,
            Asked::Rescan => writeln!(out, "looks for the card anew")?,
            Asked::Lease => {
                let [address, _, server] = super::LEASE.map(std::net::Ipv4Addr::from);
                writeln!(out, "asks a DHCP server, which says here: ipaddr {address}, serverip {server}")?;
            }
            Asked::Ping(address) => writeln!(out, "pings    {address}, where nobody answers here")?,
            Asked::Booted { program, .. } => writeln!(out, "boots    {program}")?,
            Asked::Gone(address) => writeln!(out, "jumps to {address:#x}")?,
            Asked::Reset => writeln!(out, "resets the board")?,
        }
    }
    out.push('\n');
    Ok(loads)
}

/// What was changed in `tree` since it was loaded.
fn describe_edits(machine: &Simulation, address: u64, tree: &Tree<'_>, out: &mut String) -> Result<()> {
    let Some((name, before)) = origin(machine, address, tree)? else {
        writeln!(out, "== changes in the device tree: not known, it is none that was loaded\n")?;
        return Ok(());
    };
    let mut lines = String::new();
    let before = Tree::new(&before).map_err(|error| anyhow!("{name}: {error}"))?;
    match difference(&before, tree, &mut lines)? {
        0 => writeln!(out, "== changes in the device tree {name}: none\n")?,
        _ => writeln!(out, "== changes in the device tree {name}\n{lines}")?,
    }
    Ok(())
}

/// The tree that became `tree`, as it was: what was loaded there; else, because trees can be moved, what is most like it.
fn origin(machine: &Simulation, address: u64, tree: &Tree<'_>) -> Result<Option<(String, Vec<u8>)>> {
    let mut candidates: Vec<(String, u64, Vec<u8>)> = Vec::new();
    if let Some(bytes) = &machine.firmware_tree {
        candidates.push(("of the firmware".into(), FIRMWARE_TREE, bytes.clone()));
    }
    for landed in &machine.landed {
        if let Some(bytes) = landed.tree.as_ref().filter(|bytes| Tree::new(bytes).is_ok()) {
            candidates.push((landed.path.clone(), landed.range.start, bytes.clone()));
        }
    }
    if let Some((name, _, bytes)) = candidates.iter().rev().find(|(_, start, _)| *start == address) {
        return Ok(Some((name.clone(), bytes.clone())));
    }
    let mut best = None;
    for (name, _, bytes) in candidates {
        let lines = difference(&Tree::new(&bytes).map_err(|error| anyhow!("{error}"))?, tree, &mut String::new())?;
        if best.as_ref().is_none_or(|(fewest, _)| lines < *fewest) {
            best = Some((lines, (name, bytes)));
        }
    }
    Ok(best.map(|(_, candidate)| candidate))
}

/// What is to be started, with modules and command lines as Xen will read them.
fn describe_boot(start: &Start<'_>, tree: &Tree<'_>, out: &mut String) -> Result<()> {
    let files = start.loaded;
    writeln!(out, "== boots")?;
    writeln!(out, "program      {}  {}", start.program, name_of(files, start.program))?;
    if let Some(ramdisk) = start.ramdisk {
        writeln!(out, "ramdisk      {ramdisk}  {}", name_of(files, ramdisk))?;
    }
    writeln!(out, "device tree  {}  {}", start.tree, name_of(files, start.tree))?;
    // Of too many the lints tell.
    for module in modules(tree).unwrap_or_default() {
        match module.range {
            Some(range) => writeln!(out, "{:<12} {range}  {}", module.label(), name_of(files, range))?,
            None => writeln!(out, "{:<12} reg makes no sense", module.label())?,
        }
        if let Some(args) = module.args {
            writeln!(out, "  args: {args}")?;
        }
    }
    let lines = command_lines(tree);
    if is_for_xen(tree) {
        writeln!(out, "Xen args: {}", lines.xen)?;
    }
    if let Some(args) = lines.dom0 {
        writeln!(out, "{} args: {args}", if is_for_xen(tree) { "Dom0" } else { "kernel" })?;
    }
    let adds = "memory, addresses and what else the firmware knows";
    writeln!(out, "On the board the loader adds to the tree: {adds}; for Xen, its console.\n")?;
    Ok(())
}

/// The name of what was loaded to the start of `range`.
fn name_of(loaded: &[Loaded], range: PhysicalRange) -> &str {
    match loaded.iter().find(|loaded| loaded.range.start == range.start) {
        Some(loaded) => &loaded.name,
        None if range.start == FIRMWARE_TREE => "from the firmware",
        None => "(nothing was loaded there)",
    }
}

/// The ranges that a boot makes use of.
fn used_ranges(start: &Start<'_>, tree: &Tree<'_>) -> Vec<PhysicalRange> {
    let mut used = vec![start.program, start.tree];
    used.extend(start.ramdisk);
    used.extend(tree.initrd());
    used.extend(modules(tree).unwrap_or_default().iter().filter_map(|module| module.range));
    used
}

/// What lies in memory when nothing was started.
fn describe_left(landed: &[Landed], out: &mut String) -> Result<()> {
    let mut left: Vec<&Landed> = Vec::new();
    for file in landed {
        left.retain(|older| !older.range.overlaps(&file.range));
        left.push(file);
    }
    for Landed { path, range, .. } in left {
        writeln!(out, "in memory    {range}  {path}")?;
    }
    out.push('\n');
    Ok(())
}

fn describe_warnings(machine: &Simulation, found: &[String], unused: &[&Landed], out: &mut String) -> Result<()> {
    let mut warnings: Vec<String> = Vec::new();
    for asked in &machine.asked {
        if let Asked::Missed { reason, .. } = asked
            && !warnings.contains(reason)
        {
            warnings.push(reason.clone());
        }
    }
    warnings.extend(found.iter().cloned());
    warnings
        .extend(unused.iter().map(|landed| format!("{} at {} was loaded and never used", landed.path, landed.range)));
    writeln!(out, "== {}", if warnings.is_empty() { "nothing wrong was found" } else { "warnings" })?;
    for warning in warnings {
        writeln!(out, "{warning}")?;
    }
    Ok(())
}
