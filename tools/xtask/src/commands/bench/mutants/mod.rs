//! How many of the bugs planted into the sources the tests find: a measure of the tests.
//!
//! The bugs are written down in `tools/mutants`, each with the reason why it is one. They are planted one at a time into a copy of the
//! sources, and the tests that are to find it run until one fails. A test that does not end has found it too. What no longer fits the
//! sources, or does not compile, is an error, so that the lists cannot rot.

mod list;
mod workshop;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use self::list::{List, Tests};
use self::workshop::{Verdict, Workshop};
use super::figure::{Bar, Figure};
use crate::cache::Cache;
use crate::loader::workspace;
use crate::process::announce;

/// What to call each list's part of the sources, and the list's file without its `.toml`.
const LISTS: [(&str, &str); 3] =
    [("GENET driver", "genet"), ("layout", "layout"), ("device-tree editor", "device_tree")];
/// The part that is to be found.
const BAR: f64 = 0.9;
/// A test program may take this many times what it takes without a bug, and never less than the second.
const PATIENCE: u32 = 10;
const LEAST_PATIENCE: Duration = Duration::from_secs(30);
/// Without a bug the tests end; this is for a machine that is busy with something else.
const UNTOUCHED: Duration = Duration::from_secs(1200);

/// Plants all bugs of the lists called `only`, or of all if that is empty, and gives a figure a list to `print`.
pub fn measure(cache: &Cache, only: &[String], mut print: impl FnMut(Figure)) -> Result<()> {
    if let Some(unknown) = only.iter().find(|name| !LISTS.iter().any(|(_, list)| list == name)) {
        bail!("no list of mutants is called {unknown}; there are {}", LISTS.map(|(_, list)| list).join(", "));
    }
    let workshop = Workshop::open(cache, workspace(), &workspace().join("target/mutants"))?;
    let mut unfit = Vec::new();
    for (what, name) in LISTS {
        if only.is_empty() || only.iter().any(|only| only == name) {
            print(measure_list(&workshop, what, &list::read(&path(name))?, &mut unfit)?);
        }
    }
    if !unfit.is_empty() {
        bail!("these mutants do not fit the sources:\n{}", unfit.join("\n"));
    }
    Ok(())
}

fn path(list: &str) -> PathBuf {
    workspace().join("tools/mutants").join(format!("{list}.toml"))
}

/// Plants the bugs of one list. Those that cannot be planted or compiled go to `unfit` and do not count.
fn measure_list(workshop: &Workshop, what: &str, list: &List, unfit: &mut Vec<String>) -> Result<Figure> {
    let tests = list.tests.iter().chain(&list.slow_tests);
    let tests = tests.map(|tests| Ok((tests, limit(workshop, tests)?))).collect::<Result<Vec<_>>>()?;
    let (mut killed, mut alive) = (0usize, Vec::new());
    for (index, mutant) in list.mutants.iter().enumerate() {
        let start = Instant::now();
        let by = match workshop.with(mutant, || found_by(workshop, &tests)) {
            Ok(Some(by)) => {
                killed += 1;
                by
            }
            Ok(None) => {
                alive.push(mutant);
                "ALIVE"
            }
            Err(error) => {
                unfit.push(format!("{what}: \"{}\": {error:#}", mutant.name));
                "DOES NOT FIT"
            }
        };
        let (number, seconds) = (index + 1, start.elapsed().as_secs_f32());
        announce(&format!("{what} {number}/{}: {}: {by}, {seconds:.1} s", list.mutants.len(), mutant.name));
    }
    let total = killed + alive.len();
    if total == 0 {
        bail!("no bugs to plant in the {what}");
    }
    let mut notes = vec![format!("{killed} of {total}")];
    notes.extend(alive.iter().map(|mutant| format!("alive: {} ({}: {})", mutant.name, mutant.file, mutant.why)));
    Ok(Figure {
        name: format!("mutants killed, {what}"),
        unit: "of all",
        ours: killed as f64 / total as f64,
        peer: None,
        bar: Bar::AtLeast(BAR),
        notes,
    })
}

/// How long `tests` may take with a bug; they have to pass without one.
fn limit(workshop: &Workshop, tests: &Tests) -> Result<Duration> {
    let program = workshop.compile(tests).context("the sources as they are do not compile")?;
    let start = Instant::now();
    if workshop.run(&program, tests, UNTOUCHED)? != Verdict::Passed {
        bail!("without any bug planted, these tests fail: {tests:?}");
    }
    Ok((start.elapsed() * PATIENCE).max(LEAST_PATIENCE))
}

/// How the bug that is planted now was found, if it was.
fn found_by(workshop: &Workshop, tests: &[(&Tests, Duration)]) -> Result<Option<&'static str>> {
    for (tests, limit) in tests {
        let program = workshop.compile(tests)?;
        match workshop.run(&program, tests, *limit)? {
            Verdict::Passed => {}
            Verdict::Failed => return Ok(Some("found")),
            Verdict::Hung => return Ok(Some("found, by its hanging")),
        }
    }
    Ok(None)
}
