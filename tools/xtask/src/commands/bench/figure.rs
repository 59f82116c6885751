//! One measured figure: ours, the peer's, and the bar.

use serde_json::json;

/// What a figure has to clear.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bar {
    /// Ours may be this at most.
    AtMost(f64),
    /// Ours is to be this at least.
    AtLeast(f64),
    /// Ours, divided by the peer's, may be this at most.
    Ratio(f64),
    /// Ours, divided by the peer's, is to be this at least.
    RatioAtLeast(f64),
    /// None: it is told and not judged.
    Reported,
}

impl Bar {
    /// As a person reads it.
    pub fn in_words(self) -> String {
        match self {
            Self::AtMost(most) => format!("at most {}", number(most)),
            Self::AtLeast(least) => format!("at least {}", number(least)),
            Self::Ratio(most) => format!("at most {:.0} %", most * 100.0),
            Self::RatioAtLeast(least) => format!("at least {:.0} %", least * 100.0),
            Self::Reported => "none".to_owned(),
        }
    }
}

/// One measured figure.
#[derive(Clone, Debug)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// The unit of `ours` and of the peer's.
    pub unit: &'static str,
    /// What we have.
    pub ours: f64,
    /// What the same is for the peer, and who that is.
    pub peer: Option<(f64, &'static str)>,
    /// What it has to clear.
    pub bar: Bar,
    /// Lines for a person: how it was measured, what it is made of.
    pub notes: Vec<String>,
}

impl Figure {
    /// Whether the bar is cleared. What has no number clears none.
    pub fn ok(&self) -> bool {
        match self.bar {
            Bar::AtMost(most) => self.ours <= most,
            Bar::AtLeast(least) => self.ours >= least,
            Bar::Ratio(most) => self.ratio().is_some_and(|ratio| ratio <= most),
            Bar::RatioAtLeast(least) => self.ratio().is_some_and(|ratio| ratio >= least),
            Bar::Reported => self.ours.is_finite(),
        }
    }

    fn ratio(&self) -> Option<f64> {
        self.peer.map(|(peer, _)| self.ours / peer)
    }

    /// One object: figure, ours, peer, ratio, bar, ok. A bar on the ratio is a ratio.
    pub fn as_json(&self) -> serde_json::Value {
        let peer = self.peer.map(|(peer, _)| peer);
        let bar = match self.bar {
            Bar::AtMost(bar) | Bar::AtLeast(bar) | Bar::Ratio(bar) | Bar::RatioAtLeast(bar) => Some(bar),
            Bar::Reported => None,
        };
        json!({ "figure": self.name, "ours": self.ours, "peer": peer, "ratio": self.ratio(), "bar": bar, "ok": self.ok() })
    }

    /// The cells of its row in a table: name, ours, the peer's, ratio, bar, verdict. What is not there is empty.
    pub fn as_cells(&self) -> [String; 6] {
        let verdict = match (self.bar, self.ok()) {
            (Bar::Reported, true) => "",
            (_, true) => "ok",
            (_, false) => "**missed**",
        };
        [
            self.name.clone(),
            format!("{} {}", number(self.ours), self.unit),
            self.peer.map(|(peer, who)| format!("{who} {} {}", number(peer), self.unit)).unwrap_or_default(),
            self.ratio().map(percent).unwrap_or_default(),
            if self.bar == Bar::Reported { String::new() } else { self.bar.in_words() },
            verdict.to_owned(),
        ]
    }

    /// One line, and its notes below it.
    pub fn as_text(&self) -> String {
        let peer = self.peer.map(|(peer, who)| format!(", {who} {}", number(peer))).unwrap_or_default();
        let ratio = self.ratio().map(|ratio| format!(" ({})", percent(ratio))).unwrap_or_default();
        let verdict = match (self.bar, self.ok()) {
            (Bar::Reported, true) => String::new(),
            (_, ok) => format!(", bar {}: {}", self.bar.in_words(), if ok { "ok" } else { "MISSED" }),
        };
        let mut text = format!("{}: {} {}{peer}{ratio}{verdict}", self.name, number(self.ours), self.unit);
        for note in &self.notes {
            text.push_str("\n    ");
            text.push_str(note);
        }
        text
    }
}

/// A ratio in percent, small ones with a decimal.
fn percent(ratio: f64) -> String {
    if ratio < 0.1 { format!("{:.1} %", ratio * 100.0) } else { format!("{:.0} %", ratio * 100.0) }
}

/// A number without decimals that say nothing.
fn number(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value}") } else { format!("{value:.2}") }
}

/// The middle of `values`; of an even number of them, halfway between the two in the middle. `None` of none.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = sorted.get(sorted.len() / 2)?;
    let lower = sorted.get((sorted.len() - 1) / 2)?;
    Some((lower + upper) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(ours: f64, bar: Bar) -> Figure {
        Figure { name: "x".to_owned(), unit: "bytes", ours, peer: Some((4.0, "theirs")), bar, notes: Vec::new() }
    }

    #[test]
    fn a_figure_over_its_bar_is_missed() {
        let figure = figure(3.0, Bar::AtMost(2.0));
        assert_eq!(figure.as_text(), "x: 3 bytes, theirs 4 (75 %), bar at most 2: MISSED");
        assert_eq!(
            figure.as_json(),
            json!({ "figure": "x", "ours": 3.0, "peer": 4.0, "ratio": 0.75, "bar": 2.0, "ok": false })
        );
    }

    #[test]
    fn each_kind_of_bar_is_cleared_at_its_edge() {
        for (bar, ok) in [(Bar::AtMost(3.0), true), (Bar::AtMost(2.9), false), (Bar::AtLeast(3.0), true)] {
            assert_eq!(figure(3.0, bar).ok(), ok, "{bar:?}");
        }
        for (bar, ok) in [
            (Bar::AtLeast(3.1), false),
            (Bar::Ratio(0.75), true),
            (Bar::Ratio(0.74), false),
            (Bar::RatioAtLeast(0.75), true),
            (Bar::RatioAtLeast(0.76), false),
            (Bar::Reported, true),
        ] {
            assert_eq!(figure(3.0, bar).ok(), ok, "{bar:?}");
        }
        assert!(!Figure { peer: None, ..figure(3.0, Bar::Ratio(9.0)) }.ok());
        assert!(!Figure { peer: None, ..figure(3.0, Bar::RatioAtLeast(0.0)) }.ok());
        assert!(!figure(f64::NAN, Bar::AtMost(9.0)).ok() && !figure(f64::NAN, Bar::Reported).ok());
    }

    #[test]
    fn a_median_is_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 9.0]), Some(3.0));
    }
}
