//! What ours does between its first instruction and the jump to Xen: how many instructions that takes without the files' transfer, and when
//! each step of it is done.
//!
//! Counted where a tool of the emulator's sees them (`tools/qemu/plugin`), from the loader's first instruction to the first one of what it starts. Which
//! part of it was the transfer is told by the loader's own record, `/chosen/xenlift`, on a board whose clock goes on by a nanosecond an
//! instruction (`-icount`): the time in which at least one file was on its way. The payload that stands in for Xen in tests says what is
//! in its tree. The link is up from the beginning, as far as a link can be, and nobody watches.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::super::counts;
use super::super::figure::{Bar, Figure};
use super::super::scripted::option;
use super::Bench;
use super::job::{self, Scripts};
use super::link::Link;
use crate::cache::Cache;
use crate::emulator::{Machine, Uart};
use crate::loader;
use crate::product;
use crate::qemu_build::BLOCKS;
use crate::toolchain::Toolchain;

/// 60 ms at 1.5 GHz and one instruction a cycle, in millions.
const BAR: f64 = 90.0;

/// The payload in Xen's place, its last line, and what its lines about the record begin with.
const PAYLOAD: &str = "fake-xen";
const END: &str = "fake-xen: end";
const RECORD: &str = "fake-xen: /chosen/xenlift:";

/// What the plugin's lines begin with that tell of a program's start.
pub(super) const IMAGE: &str = "image";

/// How long the payload may take: it makes a digest of every file, with its caches off.
const LIMIT: Duration = Duration::from_secs(300);

/// A part of the boot, as the loader has left it for the next system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// What it was; a file by its name.
    pub name: String,
    /// Its beginning and its end, in microseconds.
    pub from: u64,
    pub to: u64,
    /// Bytes that came in it; 0 for what is no file.
    pub bytes: u64,
}

/// A boot: its spans, and the moment of the jump.
#[derive(Clone, Debug)]
pub struct Boot {
    /// In the order of their ends.
    pub spans: Vec<Span>,
    /// When the payload was entered, in microseconds.
    pub jump: u64,
}

/// Starts ours once.
pub fn measure(cache: &Cache) -> Result<(Vec<Figure>, Boot)> {
    let bench = Bench::new(cache, Link::READY, Scripts::Own)?;
    let payload = loader::build_package(&Toolchain::find(cache)?, PAYLOAD, PAYLOAD)?;
    let payload = product::check(&fs::read(&payload).context("cannot read the payload")?)?.image;
    fs::write(bench.directory.path().join(job::XEN), payload).context("cannot put the payload in Xen's place")?;
    let plugin = bench.emulator.path().with_file_name(BLOCKS);
    if !plugin.is_file() {
        bail!("there is no {BLOCKS} beside the emulator: it belongs to the one that `cargo xtask setup` builds");
    }
    let mut command = bench.board(&bench.loader, None);
    command.args(["-icount", "shift=0,sleep=off"]);
    command.arg("-plugin").arg(option(&plugin.to_string_lossy())).args(["-d", "plugin"]);
    let mut machine = Machine::start(command)?;
    let said = machine.wait_for(Uart::Mini, END, LIMIT)?;
    let spans = spans(&said).with_context(|| format!("no record of the boot in\n{said}"))?;
    let log = machine.emulator_log();
    let images: Vec<u64> = counts::parse(&log, IMAGE).iter().map(|(all, _)| all.instructions as u64).collect();
    let [first, .., last] = images[..] else { bail!("the plugin saw less than two programs start:\n{log}") };
    let transfer = transfer(&spans);
    // An instruction is a nanosecond.
    let jump = last / 1000;
    let boot = Boot { spans, jump };
    let all = (last - first) as f64 / 1e6;
    let apart = transfer as f64 / 1e3;
    let unpacking = images.get(1).map_or(0, |unpacked| unpacked - first) as f64 / 1e6;
    Ok((
        vec![Figure {
            name: "from entry to jump without the files' transfer".to_owned(),
            unit: "million instructions",
            ours: all - apart,
            peer: None,
            bar: Bar::AtMost(BAR),
            notes: vec![
                format!(
                    "{all:.1} million in all, {apart:.1} of them while files came, {unpacking:.1} to unpack the loader"
                ),
                format!("at 1.5 GHz and one instruction a cycle {:.0} ms", (all - apart) / 1.5),
            ],
        }],
        boot,
    ))
}

/// Microseconds in which at least one file was on its way.
fn transfer(spans: &[Span]) -> u64 {
    let mut files: Vec<(u64, u64)> =
        spans.iter().filter(|span| span.bytes > 0).map(|span| (span.from, span.to)).collect();
    files.sort_unstable();
    let (mut sum, mut reached) = (0, 0);
    for (from, to) in files {
        sum += to.saturating_sub(from.max(reached));
        reached = reached.max(to);
    }
    sum
}

/// The record of the boot in what the payload says.
fn spans(said: &str) -> Option<Vec<Span>> {
    let property = |name: &str| {
        let mut lines = said.lines().filter_map(|line| line.trim().strip_prefix(RECORD));
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "))
    };
    let names: Vec<&str> = property("span-names")?.split('"').skip(1).step_by(2).collect();
    let moments = numbers(property("span-us")?)?;
    let bytes = numbers(property("span-bytes")?)?;
    if moments.len() != 2 * names.len() || bytes.len() != names.len() {
        return None;
    }
    let spans = names.iter().zip(moments.chunks(2)).zip(bytes);
    spans
        .map(|((name, moments), bytes)| {
            let [from, to] = *moments else { return None };
            Some(Span { name: (*name).to_owned(), from, to, bytes })
        })
        .collect()
}

/// Numbers of 64 bits, each as two words of hexadecimal digits.
fn numbers(text: &str) -> Option<Vec<u64>> {
    let words: Vec<u64> =
        text.split_whitespace().map(|word| u64::from_str_radix(word, 16).ok()).collect::<Option<_>>()?;
    words.chunks(2).map(|pair| Some(pair.first()? << 32 | pair.get(1)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "fake-xen: /chosen:x = \"y\"\r\nfake-xen: /chosen/xenlift:loader = \"Xenlift 0.1.0\"\r\n\
        fake-xen: /chosen/xenlift:span-names = \"start\" \"a file\"\r\n\
        fake-xen: /chosen/xenlift:span-us = 00000000 00000000 00000000 000079a1 00000000 000079a1 00000001 00000000\r\n\
        fake-xen: /chosen/xenlift:span-bytes = 00000000 00000000 00000000 00006040\r\nfake-xen: end";

    fn span(name: &str, from: u64, to: u64, bytes: u64) -> Span {
        Span { name: name.to_owned(), from, to, bytes }
    }

    #[test]
    fn the_record_is_read_from_what_the_payload_says() {
        let expected = vec![span("start", 0, 0x79a1, 0), span("a file", 0x79a1, 1 << 32, 0x6040)];
        assert_eq!(spans(SAID), Some(expected));
        assert_eq!(spans(&SAID.replace("span-bytes", "other")), None);
        assert_eq!(spans(&SAID.replace(" \"a file\"", "")), None);
        assert_eq!(spans(&SAID.replace("79a1", "?")), None);
    }

    #[test]
    fn files_that_come_side_by_side_count_once() {
        let files = [span("a", 10, 20, 1), span("b", 12, 18, 1), span("step", 0, 100, 0), span("c", 15, 30, 1)];
        assert_eq!(transfer(&files), 20);
        assert_eq!(transfer(&[span("a", 0, 5, 1), span("b", 7, 9, 1)]), 7);
        assert_eq!(transfer(&[]), 0);
    }
}
