//! Loaders that start the same board in turns, and how long each takes to Xen's banner.
//!
//! Every contender is first as often as every other, so that a busy machine harms all alike.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::super::figure::median;
use crate::emulator::{Machine, Uart};
use crate::process::announce;

/// Xen's first line of its own, before which nothing is Xen's.
const FIRST: &[&str] = &[" Xen 4.", "(XEN) "];
/// By this Xen says which one it is.
pub const BANNER: &str = "Xen version";
/// How long one start may take.
pub const LIMIT: Duration = Duration::from_secs(180);

/// One start.
struct Start {
    /// Until Xen's banner, in seconds.
    time: f64,
    /// Bytes on the console before Xen's first.
    printed: usize,
}

/// A loader with all that it is given.
pub struct Contender<'a> {
    /// What lines call it.
    pub who: &'static str,
    /// Makes the emulator's command.
    pub command: Box<dyn Fn() -> Command + 'a>,
    starts: Vec<Start>,
}

impl<'a> Contender<'a> {
    /// One that has not started yet.
    pub fn new(who: &'static str, command: impl Fn() -> Command + 'a) -> Self {
        Self { who, command: Box::new(command), starts: Vec::new() }
    }

    fn start(&mut self) -> Result<()> {
        let mut machine = Machine::start((self.command)())?;
        let said = machine.wait_for(Uart::Mini, BANNER, LIMIT)?;
        let time = machine.elapsed().as_secs_f64();
        self.starts.push(Start { time, printed: printed_before_xen(&said) });
        Ok(())
    }

    /// The median of the times, in seconds.
    pub fn time(&self) -> Result<f64> {
        let times: Vec<f64> = self.starts.iter().map(|start| start.time).collect();
        median(&times).with_context(|| format!("{} has not started", self.who))
    }

    /// The most bytes that it printed: a bar is for every boot.
    pub fn most_printed(&self) -> f64 {
        self.starts.iter().map(|start| start.printed as f64).fold(f64::NAN, f64::max)
    }

    /// The shortest and the longest time, in words.
    pub fn range(&self) -> String {
        let times = || self.starts.iter().map(|start| start.time);
        let (least, most) = (times().fold(f64::INFINITY, f64::min), times().fold(0.0, f64::max));
        format!("{} {least:.2} to {most:.2} s", self.who)
    }
}

/// Starts each contender `rounds` times.
pub fn race(contenders: &mut [Contender<'_>], rounds: u16) -> Result<()> {
    let count = contenders.len();
    for round in 0..usize::from(rounds) {
        for turn in 0..count {
            let Some(contender) = contenders.get_mut((round + turn) % count) else { continue };
            contender.start().with_context(|| contender.who.to_owned())?;
        }
        let last = |contender: &Contender<'_>| contender.starts.last().map_or(0.0, |start| start.time);
        let times: Vec<String> =
            contenders.iter().map(|contender| format!("{} {:.2} s", contender.who, last(contender))).collect();
        announce(&format!("round {} of {rounds}: {}", round + 1, times.join(", ")));
    }
    Ok(())
}

/// Bytes in front of Xen's first line. What is lost in making text of bytes is counted as it is then: a loader prints ASCII.
fn printed_before_xen(said: &str) -> usize {
    let line_starts =
        |text: &&str| said.starts_with(*text).then_some(0).or_else(|| said.find(&format!("\n{text}")).map(|at| at + 1));
    FIRST.iter().filter_map(line_starts).min().unwrap_or(said.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_before_xens_first_line_is_counted() {
        assert_eq!(printed_before_xen("Xenlift\r\nXen 4.17 at 0\r\n Xen 4.17.5\r\n(XEN) Xen version"), 24);
        assert_eq!(printed_before_xen("(XEN) Xen version"), 0);
        assert_eq!(printed_before_xen("all"), 3);
    }
}
