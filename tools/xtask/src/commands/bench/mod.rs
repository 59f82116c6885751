//! `cargo xtask bench`: the figures, each beside its peer's and with the bar it has to clear.
//!
//! * [`size`]: how large `loader.bin` is, and what of.
//! * [`start`]: how long the way to Xen takes, beside U-Boot doing the same job, and how much is printed on it; and the same with the
//!   tutorials' scripts for U-Boot from a card.
//! * `start::steps`: how many instructions ours executes from its first one to the jump, and when each step is done.
//! * [`blocks`]: what a received block costs in instructions and in accesses to registers, beside U-Boot.
//! * [`rates`]: how fast files come at each server and window beside U-Boot, and over a network that loses some of it.
//! * [`link`]: what the receive path does with wires, in simulated time.
//! * [`mutants`]: how many of the bugs planted into the sources the tests find.
//! * [`tests`]: how long `cargo xtask test --quick` takes. Only on demand.
//!
//! docs/performance.md says how they are measured; `--write` puts tables and pictures of what was measured into it.

pub mod blocks;
mod chart;
mod counts;
pub mod figure;
pub mod link;
pub mod mutants;
mod place;
pub mod rates;
mod report;
mod scripted;
pub mod size;
pub mod start;
pub mod tests;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use self::figure::Figure;
use self::report::Results;
use crate::cache::Cache;
use crate::commands::setup;
use crate::loader;
use crate::process::announce;

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Topic {
    /// loader.bin beside Debian's u-boot.bin, and each crate's share
    Size,
    /// From QEMU's start to Xen's banner beside Debian's U-Boot, and the bytes printed
    Start,
    /// The same with U-Boot's scripts from the same card for both, the link being up
    Scripts,
    /// Instructions from the loader's first one to the jump, without the files' transfer, and a waterfall
    Steps,
    /// Instructions and register accesses of a received block beside Debian's U-Boot, with and without windows
    Blocks,
    /// How fast files come from each server in each window beside Debian's U-Boot
    Rates,
    /// What a file costs by HTTP beside TFTP, both ours
    Http,
    /// A file over a network that loses 1 % beside Debian's U-Boot, which takes minutes
    Loss,
    /// The receive path on simulated wires: rates, round trips, a small switch, loss
    Link,
    /// Bugs planted in driver, layout and device-tree editor that the tests find
    Mutants,
    /// The time that `cargo xtask test --quick` takes; not part of the whole
    TestTimes,
}

impl Topic {
    /// As `--only` takes it.
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// What a bench without `--only` measures.
const WHOLE: [Topic; 10] = [
    Topic::Size,
    Topic::Link,
    Topic::Start,
    Topic::Scripts,
    Topic::Steps,
    Topic::Blocks,
    Topic::Rates,
    Topic::Http,
    Topic::Loss,
    Topic::Mutants,
];

/// What wants a network of its own.
const APART: [Topic; 4] = [Topic::Blocks, Topic::Rates, Topic::Http, Topic::Loss];

/// What to measure, and how.
#[derive(Args)]
pub struct Arguments {
    /// An object a line instead of text
    #[arg(long)]
    json: bool,
    /// Write the tables and pictures of docs/performance.md anew with what is measured
    #[arg(long)]
    write: bool,
    /// Measure this alone; may be given several times
    #[arg(long, value_name = "NAME")]
    only: Vec<Topic>,
    /// How often to start each of the loaders, taking turns
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    #[command(flatten)]
    link: start::Link,
    /// Of the lists in tools/mutants, plant only these, such as `layout`
    #[arg(long, value_name = "LIST")]
    list: Vec<String>,
}

/// Measures, prints a line a figure (`--json`: an object a line) as soon as it is known, and fails if a bar is missed or a figure could
/// not be measured.
pub fn run(cache: &Cache, arguments: &Arguments) -> Result<()> {
    let topics = if arguments.only.is_empty() { &WHOLE[..] } else { &arguments.only };
    if topics.iter().any(|topic| APART.contains(topic)) {
        // Whatever is needed has to be there, and built, where there is no network.
        loader::build(&setup::everything(cache)?.toolchain)?;
        place::enter()?;
    }
    let mut missed = Vec::new();
    let mut results = Results::default();
    for topic in topics {
        let mut figures = Vec::new();
        let mut tell = |figure: Figure| {
            println!("{}", if arguments.json { figure.as_json().to_string() } else { figure.as_text() });
            if !figure.ok() {
                missed.push(figure.name.clone());
            }
            figures.push(figure);
        };
        match measure(cache, arguments, *topic, &mut results, &mut tell) {
            Ok(()) => results.tables.push((topic.name(), figures)),
            Err(error) => {
                announce(&format!("{topic:?} could not be measured: {error:#}"));
                missed.push(format!("{topic:?}"));
            }
        }
    }
    if arguments.write {
        report::write(&results, arguments.rounds)?;
    }
    if !missed.is_empty() {
        bail!("missed: {}", missed.join(", "));
    }
    Ok(())
}

/// Measures one part; each figure goes to `tell`.
fn measure(
    cache: &Cache,
    arguments: &Arguments,
    topic: Topic,
    results: &mut Results,
    tell: &mut dyn FnMut(Figure),
) -> Result<()> {
    let rounds = arguments.rounds;
    let figures = match topic {
        Topic::Size => vec![size::measure(cache)?],
        Topic::Link => return link::measure(tell),
        Topic::Start => start::measure(cache, rounds, arguments.link)?,
        Topic::Scripts => start::measure_scripts(cache, rounds)?,
        Topic::Steps => {
            let (figures, boot) = start::steps::measure(cache)?;
            results.boot = Some(boot);
            figures
        }
        Topic::Blocks => blocks::measure(cache, rounds)?,
        Topic::Rates => {
            let (figures, rates) = rates::measure(cache, rounds)?;
            results.rates = rates;
            figures
        }
        Topic::Http => start::http::measure(cache, rounds)?,
        Topic::Loss => rates::measure_loss(cache)?,
        Topic::Mutants => return mutants::measure(cache, &arguments.list, tell),
        Topic::TestTimes => vec![tests::measure()?],
    };
    figures.into_iter().for_each(tell);
    Ok(())
}
