//! The emulated board's serial line on this terminal, and the terminal as it was afterwards.
//!
//! QEMU makes the terminal raw by itself, so that every key goes to the board, and puts it back when it ends in good order. What is left
//! to do here: line ends (the loader sends CR LF, and a terminal that makes CR LF of each LF would get CR CR LF; what QEMU itself has to say ends in LF
//! alone, and gets its CR here), and every other end. A
//! QEMU that crashes or is killed, a signal to xtask, a panic: the terminal is put back, and no QEMU stays behind. Where the input is no
//! terminal (a pipe, a job of a CI) its bytes go to the board as they are, and no key ends QEMU.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, IsTerminal, Read, stderr, stdin};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use std::{panic, thread};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{OptionalActions, OutputModes, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::process::{announce, shown};

/// How long QEMU may take to end once it was told to.
const PATIENCE: Duration = Duration::from_secs(3);

/// How the terminal was before.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// The signal that ended all this; 0 for none.
static SIGNAL: AtomicI32 = AtomicI32::new(0);

/// Runs `qemu` with `further` arguments until it ends, its second serial line, the mini UART, on this terminal. A signal ends it, and xtask with the status that
/// shells have for it.
///
/// # Errors
/// It cannot be started, or ended with another status than 0.
pub fn run(qemu: &mut Command, further: &[OsString]) -> Result<()> {
    // The first line is the PL011, the second the mini UART, which is the one on the header.
    qemu.args(["-serial", "null"]);
    if stdin().is_terminal() {
        qemu.args(["-serial", "mon:stdio"]).args(further);
        announce(&shown(qemu));
        announce(
            "Ctrl-A X ends it; Ctrl-A C: QEMU's monitor, and back; Ctrl-A B: a break; Ctrl-A Ctrl-A: Ctrl-A itself; Ctrl-A H: help",
        );
    } else {
        qemu.args(["-monitor", "none", "-serial", "stdio"]).args(further);
        announce(&format!("{} (the input is no terminal: what comes from it goes to the board)", shown(qemu)));
    }
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM]).context("cannot look out for signals")?;
    let _restored = Restored::remember();
    let own_lines = stdin().is_terminal() && stderr().is_terminal();
    if own_lines {
        qemu.stderr(Stdio::piped());
    }
    let mut child = qemu.spawn().with_context(|| format!("cannot start `{}`", qemu.get_program().to_string_lossy()))?;
    let pid = Pid::from_child(&child);
    let said = child.stderr.take().map(|from| thread::spawn(move || bring_out(from)));
    let ended = signals.handle();
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            SIGNAL.store(signal, Ordering::SeqCst);
            // Both can only fail where it has ended by itself.
            let _ = kill_process(pid, Signal::TERM);
            thread::sleep(PATIENCE);
            let _ = kill_process(pid, Signal::KILL);
        }
    });
    let status = wait(&mut child);
    ended.close();
    // What it said last comes before what is said of its end.
    if let Some(said) = said {
        _ = said.join();
    }
    restore();
    match SIGNAL.load(Ordering::SeqCst) {
        0 => {}
        signal => std::process::exit(128 + signal),
    }
    let status = status?;
    if !status.success() {
        bail!("`{}` failed: {status}", shown(qemu));
    }
    Ok(())
}

/// Brings out what QEMU says of itself, each line at the beginning of a row of a terminal that is raw.
fn bring_out(from: impl Read) {
    for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
        eprint!("{}\r\n", String::from_utf8_lossy(&line).trim_end_matches('\r'));
    }
}

fn wait(child: &mut Child) -> Result<std::process::ExitStatus> {
    child.wait().context("cannot wait for QEMU")
}

/// Puts the terminal back when it is dropped, or in a panic, which drops nothing where it aborts.
struct Restored;

impl Restored {
    fn remember() -> Self {
        let Ok(before) = tcgetattr(stdin()) else { return Self };
        let mut own_line_ends = before.clone();
        own_line_ends.output_modes.remove(OutputModes::ONLCR);
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            restore();
            report(info);
        }));
        // Without it lines end in CR CR LF, which most terminals show alike.
        let _ = tcsetattr(stdin(), OptionalActions::Drain, &own_line_ends);
        Self
    }
}

impl Drop for Restored {
    fn drop(&mut self) {
        restore();
    }
}

/// Puts the terminal back, if that is still to be done.
fn restore() {
    if let Some(before) = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take() {
        // A terminal that has gone needs nothing any more.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &before);
    }
}
