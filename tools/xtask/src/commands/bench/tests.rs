//! How long the tests take. The command is started again as a user would, so that what it prints is as ever.

use std::env::current_exe;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use super::figure::{Bar, Figure};
use crate::loader::workspace;
use crate::process::run;

/// The bar of the quick tier with everything cached, in seconds.
const BAR: f64 = 8.0 * 60.0;

/// Runs `cargo xtask test --quick` and tells how long it took. A test that fails makes it no figure.
pub fn measure() -> Result<Figure> {
    let program = current_exe().context("cannot find this program's own file")?;
    let start = Instant::now();
    // Results of this program are on stdout; so would be those of the tests.
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" test --quick >&2"]).arg(program).current_dir(workspace());
    run(&mut command)?;
    Ok(Figure {
        name: "cargo xtask test --quick".to_owned(),
        unit: "s",
        ours: start.elapsed().as_secs_f64(),
        peer: None,
        bar: Bar::AtMost(BAR),
        notes: vec![
            "with whatever was cached before; docs/performance.md says how to measure it with nothing".to_owned(),
        ],
    })
}
