//! The bench's pictures, in SVG: one boot as a waterfall, and the rates by server and window.
//!
//! A picture has a background of its own, so that it can be read on a light page and on a dark one. Nothing in it depends on anything but
//! what was measured.

use std::fmt::{self, Write};

use super::rates::Rate;
use super::start::steps::Boot;
use crate::picture::Escaped;

/// Widths of the picture, of the names on its left, and of the bars, in its units; right of the bars are the numbers.
const WIDTH: f64 = 820.0;
const NAMES: f64 = 210.0;
const BARS: f64 = 490.0;
/// From edge to content, and what a title takes.
const MARGIN: f64 = 16.0;
const TITLE: f64 = 34.0;
/// A bar, what it takes, and what is left free below a row.
const BAR: f64 = 14.0;
const PITCH: f64 = 16.0;
const GAP: f64 = 7.0;

const STYLE: &str = "text { font: 13px system-ui, \"DejaVu Sans\", Helvetica, Arial, sans-serif; fill: #1f2630 } .t { font-weight: bold } \
                     .n { fill: #56606e } .ours { fill: #1f6feb } .peer { fill: #a8b3c2 } .file { fill: #2da44e } .grid { stroke: #e3e7ec }";

/// A bar: its class in [`STYLE`], where it begins and ends as parts of the width, and what is written behind it.
struct Drawn {
    class: &'static str,
    from: f64,
    to: f64,
    text: String,
}

/// A row: its name, and its bars, one below the other.
struct Row {
    name: String,
    bars: Vec<Drawn>,
}

/// When each step of a boot began and ended, up to the jump.
pub fn waterfall(boot: &Boot) -> String {
    let scale = boot.jump.max(1) as f64;
    let mut spans: Vec<_> =
        boot.spans.iter().map(|span| (span.from, span.to, span.name.as_str(), span.bytes)).collect();
    let last = boot.spans.iter().map(|span| span.to).max().unwrap_or_default();
    spans.push((last, boot.jump, "Ethernet stopped, caches, jump", 0));
    // Of those that begin together the shortest is first.
    spans.sort_by_key(|(from, to, ..)| (*from, *to));
    let row = |(from, to, name, bytes): (u64, u64, &str, u64)| Row {
        name: if bytes > 0 { format!("{name} ({})", size(bytes)) } else { name.to_owned() },
        bars: vec![Drawn {
            class: if bytes > 0 { "file" } else { "ours" },
            from: from as f64 / scale,
            to: to as f64 / scale,
            text: format!("{:.1} ms", to.saturating_sub(from) as f64 / 1e3),
        }],
    };
    let title = format!(
        "One boot, {:.0} ms from the first instruction to the jump, files in green; an instruction a nanosecond",
        boot.jump as f64 / 1e3
    );
    svg(&title, &spans.into_iter().map(row).collect::<Vec<_>>())
}

/// Megabytes a second of each server in each window, of both loaders.
pub fn rates(rates: &[Rate]) -> String {
    let most = rates.iter().flat_map(|rate| [Some(rate.ours), rate.peer]).flatten().fold(f64::MIN_POSITIVE, f64::max);
    let bar =
        |class, who: &str, value: f64| Drawn { class, from: 0.0, to: value / most, text: format!("{who} {value:.1}") };
    let row = |rate: &Rate| Row {
        name: format!("{}, {}", rate.server, rate.window),
        bars: [Some(bar("ours", "ours", rate.ours)), rate.peer.map(|peer| bar("peer", "U-Boot", peer))]
            .into_iter()
            .flatten()
            .collect(),
    };
    svg("MB/s on the emulator, by server and blocks in a window", &rates.iter().map(row).collect::<Vec<_>>())
}

/// Bytes in words.
fn size(bytes: u64) -> String {
    match bytes {
        0..1000 => format!("{bytes} B"),
        1000..1_000_000 => format!("{:.0} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

fn svg(title: &str, rows: &[Row]) -> String {
    let mut svg = String::new();
    // Writing to a String does not fail.
    let _ = write(&mut svg, title, rows);
    svg
}

fn write(svg: &mut String, title: &str, rows: &[Row]) -> fmt::Result {
    let bars: usize = rows.iter().map(|row| row.bars.len()).sum();
    let bottom = MARGIN + TITLE + bars as f64 * PITCH + rows.len() as f64 * GAP;
    let height = bottom + MARGIN;
    writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" role=\"img\">"
    )?;
    writeln!(svg, "<title>{}</title>", Escaped(title))?;
    writeln!(svg, "<style>{STYLE}</style>")?;
    writeln!(svg, "<rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"#ffffff\"/>")?;
    writeln!(svg, "<text class=\"t\" x=\"{MARGIN}\" y=\"{}\">{}</text>", MARGIN + BAR, Escaped(title))?;
    let left = MARGIN + NAMES;
    for tenth in 0..=10 {
        let x = left + BARS * f64::from(tenth) / 10.0;
        writeln!(svg, "<path class=\"grid\" d=\"M{x:.1} {} V{bottom}\"/>", MARGIN + TITLE - 6.0)?;
    }
    let mut top = MARGIN + TITLE;
    for row in rows {
        writeln!(svg, "<text x=\"{MARGIN}\" y=\"{}\">{}</text>", top + BAR - 2.0, Escaped(&row.name))?;
        for bar in &row.bars {
            let (x, end) = (left + BARS * bar.from, left + BARS * bar.to);
            // What takes next to nothing is still seen.
            let width = (end - x).max(1.0);
            writeln!(
                svg,
                "<rect class=\"{}\" x=\"{x:.1}\" y=\"{top}\" width=\"{width:.1}\" height=\"{BAR}\"/>",
                bar.class
            )?;
            let (x, y) = (x + width + 6.0, top + BAR - 2.0);
            writeln!(svg, "<text class=\"n\" x=\"{x:.1}\" y=\"{y}\">{}</text>", Escaped(&bar.text))?;
            top += PITCH;
        }
        top += GAP;
    }
    writeln!(svg, "</svg>")
}

#[cfg(test)]
mod tests {
    use super::super::start::steps::Span;
    use super::*;

    /// Of each bar in `svg` its class, where it begins, and how long it is.
    fn bars(svg: &str) -> Vec<(String, f64, f64)> {
        let document = roxmltree::Document::parse(svg).unwrap();
        let bars = document.descendants().filter(|node| node.has_tag_name("rect") && node.attribute("class").is_some());
        bars.map(|bar| {
            let number = |name| bar.attribute(name).unwrap().parse::<f64>().unwrap();
            (bar.attribute("class").unwrap().to_owned(), number("x"), number("width"))
        })
        .collect()
    }

    fn texts(svg: &str) -> Vec<String> {
        let document = roxmltree::Document::parse(svg).unwrap();
        document
            .descendants()
            .filter(|node| node.has_tag_name("text"))
            .filter_map(|node| node.text().map(str::to_owned))
            .collect()
    }

    #[test]
    fn a_waterfall_has_every_step_at_its_time_and_the_jump() {
        let span = |name: &str, from, to, bytes| Span { name: name.to_owned(), from, to, bytes };
        let boot = Boot { spans: vec![span("a <file>", 500, 750, 2_400_000), span("start", 0, 500, 0)], jump: 1000 };
        let svg = waterfall(&boot);
        let left = MARGIN + NAMES;
        let at = |part: f64| left + BARS * part;
        let expected = [("ours", at(0.0), BARS * 0.5), ("file", at(0.5), BARS * 0.25), ("ours", at(0.75), BARS * 0.25)];
        let found = bars(&svg);
        assert_eq!(found.len(), 3);
        for ((class, x, width), (expected, from, length)) in found.into_iter().zip(expected) {
            assert_eq!(class, expected);
            assert!((x - from).abs() < 0.1 && (width - length).abs() < 0.1, "{x} {width}");
        }
        let texts = texts(&svg);
        assert!(
            texts.iter().any(|text| text == "a <file> (2.4 MB)") && texts.iter().any(|text| text == "0.5 ms"),
            "{texts:?}"
        );
        assert_eq!(svg, waterfall(&boot));
    }

    #[test]
    fn rates_are_to_scale_and_a_loader_that_took_no_part_has_no_bar() {
        let rate = |window, ours, peer| Rate { server: "x & y", window, ours, peer };
        let found = bars(&rates(&[rate(1, 25.0, Some(10.0)), rate(192, 50.0, None)]));
        let lengths: Vec<_> =
            found.iter().map(|(class, _, width)| (class.as_str(), (width / BARS * 50.0).round())).collect();
        assert_eq!(lengths, [("ours", 25.0), ("peer", 10.0), ("ours", 50.0)]);
    }

    #[test]
    fn nothing_measured_is_still_a_picture() {
        assert_eq!(bars(&rates(&[])), []);
        assert_eq!(bars(&waterfall(&Boot { spans: Vec::new(), jump: 0 })).len(), 1);
    }
}
