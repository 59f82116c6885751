//! How long ours takes from its banner to what the card says, by the clock of the emulated board.
//!
//! That clock goes on by a nanosecond an instruction here (`-icount`), so that neither the host's other work counts nor what the emulator
//! takes to translate code that runs once: waits count as on a board, and instructions as on a processor at 1 GHz that executes one a clock.
//! The loader keeps the moments itself; a script on the card has it show them (`timing`).

use std::time::Duration;

use anyhow::{Context, Result};

use super::super::figure::{Bar, Figure};
use super::Bench;
use crate::card::{self, Kind};
use crate::emulator::{Machine, Uart};
use crate::u_boot_tools::make_script;

/// For settings or a script, in milliseconds.
const BAR: f64 = 50.0;

/// How long one start may take by the host's clock.
const LIMIT: Duration = Duration::from_secs(180);

/// Shows the moments; the last of them is the present one.
const SHOW: &str = "timing\n";
const PRESENT: &str = "now";

/// The moment before the banner is printed.
const BANNER: &str = "console";

/// Settings that run the script at once.
const SETTINGS: &str = "timeout = 0\n[[entry]]\nname = \"show\"\nscript = \"show.scr\"\n";

/// Starts ours with a script on the card, and with settings on it.
pub fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let script = make_script(SHOW)?;
    let settings: [(&str, &[u8]); 2] = [("loader.toml", SETTINGS.as_bytes()), ("show.scr", &script)];
    let figure = |what: &str, files: &[(&str, &[u8])], done: &str| -> Result<Figure> {
        let said = start(bench, files)?;
        let moment = |name: &str| moment(&said, name).with_context(|| format!("no moment of {name} in\n{said}"));
        Ok(Figure {
            name: format!("from the banner to {what} from the card"),
            unit: "ms",
            ours: moment(done)? - moment(BANNER)?,
            peer: None,
            bar: Bar::AtMost(BAR),
            notes: vec![
                "of the board's clock, an instruction a nanosecond: Ethernet started, the card found, opened, looked \
                 through and read"
                    .to_owned(),
            ],
        })
    };
    Ok(vec![figure("a script", &[("boot.scr", &script)], "boot.scr")?, figure("settings", &settings, "settings")?])
}

/// What ours says that is started from a card with `files`.
fn start(bench: &Bench, files: &[(&str, &[u8])]) -> Result<String> {
    let image = bench.directory.path().join("moments.img");
    card::write(&image, Kind::Small, files)?;
    let mut command = bench.board(&bench.loader, Some(&image));
    command.args(["-icount", "shift=0,sleep=off"]);
    let mut machine = Machine::start(command)?;
    machine.wait_for(Uart::Mini, &format!("  {PRESENT}\r\n"), LIMIT)
}

/// The moment at which `name` was done, in milliseconds, by the rows of `timing`: when it began, how long it took, what it was, and a bar.
fn moment(said: &str, name: &str) -> Option<f64> {
    said.lines().find_map(|line| {
        let (began, rest) = line.trim().split_once(' ')?;
        let (took, rest) = rest.trim_start().split_once(' ')?;
        let what = rest.trim_end_matches('#').trim();
        let (began, took): (f64, f64) = (began.parse().ok()?, took.parse().ok()?);
        (what == name).then_some(began + took)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_found_by_its_name() {
        let said = "console: mini UART\r\n      0.0     29.0  start            #\r\n     29.0      0.8  console          #\r\n  \
                    12340.0      5.6  boot.scr            ####\r\n     30.0      1.0  the card's reset  ##\r\n  12345.7           now\r\n";
        assert_eq!(moment(said, BANNER), Some(29.8));
        assert_eq!(moment(said, "boot.scr"), Some(12345.6));
        assert_eq!(moment(said, "the card's reset"), Some(31.0));
        assert_eq!(moment(said, "settings"), None);
        assert_eq!(moment(said, PRESENT), None);
    }
}
