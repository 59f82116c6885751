//! What the board tells of itself: the reports of `net`, `log`, `timing`, `watchdog` and `selftest`.

use crate::arch::cache;
use crate::board::Board;
use crate::boot::bring_up::{Keeper, Machine};
use crate::boot::memory_map;
use crate::boot::network::Watch;
use crate::boot::page::Page;
use crate::card::partition::Partition;
use crate::console::{self, Console};
use crate::device_tree::Tree;
use crate::drivers::mailbox::property::{ClockId, ClockRate, FirmwareRevision, GetThrottled, Temperature};
use crate::logger;
use crate::net::fetch::Observer;
use crate::shell::Failure;
use crate::shell::platform::Report;
use crate::terminal::progress::{Manner, USUAL_COLUMNS};
use crate::terminal::{Kind, Shown};
use crate::time::{Clock, Duration};
use alloc::string::String;
use core::fmt::{self, Write as _};
use log::LevelFilter;

/// How long the PHY is asked before what it says of the link is told: twice as long as it takes between two answers.
const LOOK_AT_LINK: Duration = Duration::from_millis(200);

/// Writes the report about `topic`.
///
/// # Errors
/// The board has no such thing; Ctrl-C.
pub fn write<B: Board>(machine: &mut Machine<B>, topic: Report, out: &mut dyn fmt::Write) -> Result<(), Failure> {
    let written = match topic {
        Report::Network => network(machine, out)?,
        Report::NetworkRegisters => registers(machine, out)?,
        Report::Log(level) => {
            logger::keep(level);
            logger::write_kept(level, out)
        }
        Report::Timing => {
            let now = machine.board.clock().now();
            machine.keeper.timing.waterfall(now, columns(&machine.keeper), out)
        }
        Report::Watchdog => watchdog(&machine.keeper, out),
        Report::SelfTest => self_test(machine, out)?,
        // It is the prompt's, which knows the entries.
        Report::Plan(_) => Ok(()),
    };
    // Whoever reads it cuts it where it likes.
    let _ = written;
    Ok(())
}

fn network<B: Board>(machine: &mut Machine<B>, out: &mut dyn fmt::Write) -> Result<fmt::Result, Failure> {
    let Machine { network, keeper, board, .. } = machine;
    let session = network.as_mut().map_err(|error| Failure::because(*error))?;
    let clock = board.clock();
    let mut watch = Watch::new(keeper, clock.now());
    let end = clock.now().after(LOOK_AT_LINK);
    while clock.now() < end {
        let now = clock.now();
        session.look_at(now, &mut watch);
        if !watch.poll(now) {
            return Err(Failure::Interrupted);
        }
    }
    Ok(session.describe(out))
}

fn registers<B: Board>(machine: &mut Machine<B>, out: &mut dyn fmt::Write) -> Result<fmt::Result, Failure> {
    let session = machine.network.as_mut().map_err(|error| Failure::because(*error))?;
    Ok(session.controller().dump(out))
}

fn watchdog<B: Board>(keeper: &Keeper<B>, out: &mut dyn fmt::Write) -> fmt::Result {
    let Some(watchdog) = keeper.watchdog() else { return writeln!(out, "watchdog: not there") };
    match (watchdog.left(), watchdog.at_entry().left()) {
        (None, _) => writeln!(out, "watchdog: not armed"),
        (Some(left), found) => {
            write!(out, "watchdog: armed by ")?;
            match found {
                Some(found) => write!(out, "the firmware with {} s left at the start", found.as_secs())?,
                None => write!(out, "the loader")?,
            }
            writeln!(out, ", {}.{} s left now; fed all the while", left.as_secs(), left.subsec_millis() / 100)
        }
    }
}

/// Everything that a maintainer asks for, in lines of less than 80 columns. There are no secrets in a loader.
fn self_test<B: Board>(machine: &mut Machine<B>, out: &mut dyn fmt::Write) -> Result<fmt::Result, Failure> {
    let mut text = String::new();
    // A text takes all that is written to it.
    let _ = board(machine, &mut text);
    let _ = card(machine, &mut text);
    let _ = running(machine, &mut text);
    if network(machine, &mut text).and_then(|_| registers(machine, &mut text)).is_err()
        && let Err(error) = &machine.network
    {
        let _ = writeln!(text, "Ethernet: {error}");
    }
    let _ = writeln!(text, "log:");
    let _ = logger::write_kept(LevelFilter::Trace, &mut text);
    let _ = writeln!(text, "timing in ms since power-on:");
    let now = machine.board.clock().now();
    let _ = machine.keeper.timing.waterfall(now, usize::from(USUAL_COLUMNS), &mut text);
    Ok(Page::new(out, USUAL_COLUMNS).lines(&text))
}

/// How wide the terminal is.
fn columns<B: Board>(keeper: &Keeper<B>) -> usize {
    match keeper.manner() {
        Manner::Ansi { columns } => columns.into(),
        Manner::Plain | Manner::Unattended => USUAL_COLUMNS.into(),
    }
}

/// What it is, and how the firmware left it.
fn board<B: Board>(machine: &mut Machine<B>, out: &mut dyn fmt::Write) -> fmt::Result {
    write!(out, "{}", machine.hello.trim_start())?;
    if let Some(revision) = machine.identity.revision {
        writeln!(out, "revision: {:#x}", revision.0)?;
    }
    if let Some(built) = machine.keeper.ask_firmware(FirmwareRevision) {
        let (year, month, day) = date(built);
        writeln!(out, "firmware: of {year}-{month:02}-{day:02} ({built})")?;
    }
    write!(out, "clocks:")?;
    for (name, id) in CLOCKS {
        if let Some(hertz) = machine.keeper.ask_firmware(ClockRate(id)) {
            write!(out, " {name} {} MHz", hertz / 1_000_000)?;
        }
    }
    writeln!(out)?;
    if let Some(thousandths) = machine.keeper.ask_firmware(Temperature) {
        write!(out, "temperature: {} degrees Celsius", thousandths / 1000)?;
        match machine.keeper.ask_firmware(GetThrottled) {
            Some(throttled) => writeln!(out, "; held back: {throttled}")?,
            None => writeln!(out)?,
        }
    }
    writeln!(out, "processor: MIDR {:#010x}, cache lines of {} bytes", cache::processor(), cache::line_size())?;
    if let Some(tree) = machine.tree.as_deref().ok().and_then(|bytes| Tree::new(bytes).ok()) {
        let text = |name| tree.root().property(name).and_then(|property| property.string()).unwrap_or("?");
        writeln!(out, "tree: {} bytes, {}", tree.bytes().len(), Shown(text("model")))?;
        let bootloader = tree.find("/chosen/bootloader");
        let bootloader = bootloader.and_then(|node| node.property("version")?.string());
        if let Some(version) = bootloader {
            writeln!(out, "bootloader: {}", Shown(version))?;
        }
        writeln!(out, "cmdline.txt: {}", Shown(tree.bootargs().unwrap_or_default()))?;
    }
    match machine.settings.as_str() {
        "" => writeln!(out, "Settings: none found")?,
        settings => writeln!(out, "{}", Shown(settings))?,
    }
    match machine.free_memory() {
        Ok(layout) => memory_map::write(&layout, &[], out),
        Err(error) => writeln!(out, "memory: {error}"),
    }
}

fn card<B: Board>(machine: &mut Machine<B>, out: &mut dyn fmt::Write) -> fmt::Result {
    let Machine { card: slot, keeper, board, .. } = machine;
    let Some(card) = slot.card() else { return writeln!(out, "card: none was found") };
    writeln!(out, "card: {card}, CID {:030x}", card.identification)?;
    match slot.partitions(&mut Watch::new(keeper, board.clock().now())) {
        Ok((partitions, table)) => {
            writeln!(out, "  partition table {table:08x}")?;
            partitions.iter().try_for_each(|Partition { number, kind, bootable, first, blocks }| {
                let boot = if *bootable { ", to boot from" } else { "" };
                writeln!(out, "  {number}: type {kind:02x}, {} MiB from block {first}{boot}", blocks >> 11)
            })
        }
        Err(error) => writeln!(out, "  {error}"),
    }
}

/// How it runs.
fn running<B: Board>(machine: &Machine<B>, out: &mut dyn fmt::Write) -> fmt::Result {
    match machine.keeper.terminal {
        Some(Kind::Ansi { columns, rows }) => writeln!(out, "terminal: {columns}x{rows}")?,
        Some(Kind::Plain) => writeln!(out, "terminal: plain, it does not answer")?,
        None => writeln!(out, "terminal: not asked")?,
    }
    watchdog(&machine.keeper, out)?;
    let console = console::with(|console: &mut Console| {
        (console.printed(), console.lost(), console.input_lost(), console.line_errors(), console.longest_gap())
    });
    match console {
        Some((printed, lost, input_lost, errors, gap)) => {
            writeln!(out, "console: {printed} bytes printed, {lost} lost; {input_lost} typed ones lost; {errors}")?;
            let (length, ended) = (gap.length.as_micros(), gap.ended.as_millis());
            writeln!(out, "longest time between two looks at the console: {length} us, {ended} ms after its start")
        }
        None => Ok(()),
    }
}

const CLOCKS: [(&str, ClockId); 4] =
    [("ARM", ClockId::Arm), ("core", ClockId::Core), ("UART", ClockId::Uart), ("EMMC2", ClockId::Emmc2)];

/// Year, month and day of so many seconds since 1970, with a leap year every four: so it is from 1901 to 2099.
fn date(seconds: u32) -> (u32, u32, u32) {
    const MONTHS: [u32; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let days = seconds / 86_400;
    // 1972 was a leap year; a period of four years begins two years before it.
    let (period, mut rest) = (days / 1461, days % 1461);
    let mut year = 1970 + period * 4;
    for length in [365, 365, 366, 365] {
        if rest < length {
            break;
        }
        rest -= length;
        year += 1;
    }
    let mut month = 1;
    for (index, length) in MONTHS.into_iter().enumerate() {
        let length = length + u32::from(index == 1 && year % 4 == 0);
        if rest < length {
            break;
        }
        rest -= length;
        month += 1;
    }
    (year, month, rest + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_firmwares_moment_is_a_day() {
        assert_eq!(date(0), (1970, 1, 1));
        assert_eq!(date(68_169_599), (1972, 2, 28));
        assert_eq!(date(68_169_600), (1972, 2, 29));
        assert_eq!(date(1_709_164_800), (2024, 2, 29));
        assert_eq!(date(1_735_603_200), (2024, 12, 31));
        assert_eq!(date(u32::MAX), (2106, 2, 6));
    }
}
