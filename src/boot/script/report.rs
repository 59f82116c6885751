//! What the board tells of itself: the reports of `net`, `log`, `timing`, `watchdog` and `selftest`.

use crate::arch::cache;
use crate::board::Board;
use crate::boot::bring_up::{Keeper, Machine};
use crate::boot::network::Watch;
use crate::console::{self, Console};
use crate::device_tree::Tree;
use crate::logger;
use crate::net::fetch::Observer;
use crate::shell::Failure;
use crate::shell::platform::Report;
use crate::terminal::progress::{Manner, USUAL_COLUMNS};
use crate::time::{Clock, Duration};
use core::fmt;
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

/// Everything, without what others may not see: there are no secrets in a loader.
fn self_test<B: Board>(machine: &mut Machine<B>, out: &mut dyn fmt::Write) -> Result<fmt::Result, Failure> {
    // Into a text that is cut where it is too long.
    let _ = board(machine, out);
    if network(machine, out).and_then(|_| registers(machine, out)).is_err()
        && let Err(error) = &machine.network
    {
        let _ = writeln!(out, "Ethernet: {error}");
    }
    let _ = writeln!(out, "\nlog:");
    let _ = logger::write_kept(LevelFilter::Trace, out);
    let _ = writeln!(out, "\ntiming in ms since power-on:");
    let now = machine.board.clock().now();
    Ok(machine.keeper.timing.waterfall(now, columns(&machine.keeper), out))
}

/// How wide the terminal is.
fn columns<B: Board>(keeper: &Keeper<B>) -> usize {
    match keeper.manner() {
        Manner::Ansi { columns } => columns.into(),
        Manner::Plain | Manner::Unattended => USUAL_COLUMNS.into(),
    }
}

fn board<B: Board>(machine: &Machine<B>, out: &mut dyn fmt::Write) -> fmt::Result {
    write!(out, "{}", machine.hello.trim_start())?;
    if let Some(tree) = machine.tree.as_deref().ok().and_then(|bytes| Tree::new(bytes).ok()) {
        let text = |name| tree.root().property(name).and_then(|property| property.string()).unwrap_or("?");
        writeln!(out, "tree: {} bytes, {}", tree.bytes().len(), text("model"))?;
        writeln!(out, "cmdline.txt: {}", tree.bootargs().unwrap_or_default())?;
    }
    for bank in machine.ram.banks() {
        writeln!(out, "memory {bank}")?;
    }
    for range in machine.ram.reserved() {
        writeln!(out, "    reserved {range}")?;
    }
    writeln!(out, "cache lines of {} bytes", cache::line_size())?;
    match machine.card.card() {
        Some(card) => writeln!(out, "card: {card}")?,
        None => writeln!(out, "card: none was found")?,
    }
    watchdog(&machine.keeper, out)?;
    let console = console::with(|console: &mut Console| {
        (console.printed(), console.lost(), console.input_lost(), console.line_errors(), console.longest_gap())
    });
    match console {
        Some((printed, lost, input_lost, errors, gap)) => writeln!(
            out,
            "console: {printed} bytes printed, {lost} lost; {input_lost} typed ones lost, {errors:?}; \
             longest time between two looks {} us, up to {} ms after the start",
            gap.length.as_micros(),
            gap.ended.as_millis()
        ),
        None => Ok(()),
    }
}
