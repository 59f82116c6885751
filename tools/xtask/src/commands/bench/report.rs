//! What was measured, in docs/performance.md: a table a part, between the two comments that bear its name, and two pictures beside the document.
//!
//! Everything else in the document is somebody's prose, and stays. Same figures make the same bytes.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};

use super::chart;
use super::figure::Figure;
use super::rates::Rate;
use super::start::steps::Boot;
use crate::loader::workspace;
use crate::process::announce;

/// The document, and the pictures that it shows.
const DOCUMENT: &str = "docs/performance.md";
const BOOT: &str = "docs/boot.svg";
const RATES: &str = "docs/rates.svg";

/// Everything that a run has measured.
#[derive(Default)]
pub struct Results {
    /// The figures of each part that could be measured, by its name.
    pub tables: Vec<(String, Vec<Figure>)>,
    /// One boot.
    pub boot: Option<Boot>,
    /// All rates, or none.
    pub rates: Vec<Rate>,
}

/// Writes `results` into the checkout.
pub fn write(results: &Results, rounds: u16) -> Result<()> {
    let root = workspace();
    let document = read(&root.join(DOCUMENT))?;
    let today = date(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs());
    let mut written = document;
    for (name, figures) in &results.tables {
        let text =
            format!("Measured on {today}; where loaders take turns, medians. Rounds: {rounds}.\n\n{}", table(figures));
        written = replaced(&written, name, &text)?;
    }
    store(&root.join(DOCUMENT), &written)?;
    if let Some(boot) = &results.boot {
        store(&root.join(BOOT), &chart::waterfall(boot))?;
    }
    if !results.rates.is_empty() {
        store(&root.join(RATES), &chart::rates(&results.rates))?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn store(path: &Path, text: &str) -> Result<()> {
    announce(&format!("writing {}", path.display()));
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// The figures as a table.
fn table(figures: &[Figure]) -> String {
    let mut text = "| figure | ours | peer | ratio | bar | |\n|---|---|---|---|---|---|\n".to_owned();
    for figure in figures {
        // Writing to a String does not fail.
        let _ = writeln!(text, "| {} |", figure.as_cells().map(|cell| cell.replace('|', "/")).join(" | "));
    }
    text
}

/// `document` with `text` in the place of what is between the two comments called `name`.
fn replaced(document: &str, name: &str, text: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- cargo xtask bench --write: {name} -->\n"), format!("<!-- end of {name} -->"));
    let at = |mark: &str| {
        let mut found = document.match_indices(mark).map(|(at, _)| at);
        let first = found.next().with_context(|| format!("{DOCUMENT} has no line {mark:?}"))?;
        ensure!(found.next().is_none(), "{DOCUMENT} has more than one line {mark:?}");
        Ok(first)
    };
    let (start, stop) = (at(&begin)? + begin.len(), at(&end)?);
    let (before, rest) = document.split_at_checked(start).context("a mark ends within a character")?;
    let after = rest.get(stop.checked_sub(start).context("the end is before the beginning")?..).unwrap_or_default();
    Ok(format!("{before}{text}{after}"))
}

/// The day, in words, of a moment in seconds since 1970 (Howard Hinnant's civil_from_days).
fn date(seconds: u64) -> String {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let days = seconds / 86_400 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let year = era * 400 + year_of_era + u64::from(from_march >= 10);
    let month = MONTHS.get(((from_march + 2) % 12) as usize).copied().unwrap_or_default();
    format!("{day} {month} {year}")
}

#[cfg(test)]
mod tests {
    use super::super::figure::Bar;
    use super::super::{Topic, WHOLE};
    use super::*;

    fn figure(ours: f64, bar: Bar) -> Figure {
        Figure { name: "a | b".to_owned(), unit: "s", ours, peer: Some((4.0, "theirs")), bar, notes: Vec::new() }
    }

    #[test]
    fn a_table_has_a_row_a_figure() {
        let alone = Figure { peer: None, bar: Bar::Reported, ..figure(2.5, Bar::Reported) };
        let text = table(&[figure(3.0, Bar::Ratio(0.6)), alone]);
        let (_, rows) = text.split_once("|---|---|---|---|---|---|\n").unwrap();
        assert_eq!(
            rows,
            "| a / b | 3 s | theirs 4 s | 75 % | at most 60 % | **missed** |\n| a / b | 2.50 s |  |  |  |  |\n"
        );
    }

    #[test]
    fn only_what_is_between_the_marks_changes() {
        let document = "a\n<!-- cargo xtask bench --write: x -->\nold\n<!-- end of x -->\nb\n";
        let new = replaced(document, "x", "new\n").unwrap();
        assert_eq!(new, document.replace("old", "new"));
        assert_eq!(replaced(&new, "x", "old\n").unwrap(), document);
        assert!(replaced(document, "y", "").is_err());
        assert!(replaced(&document.repeat(2), "x", "").is_err());
        assert!(replaced("<!-- end of x -->\n<!-- cargo xtask bench --write: x -->\n", "x", "").is_err());
    }

    #[test]
    fn the_document_has_a_place_for_every_part_and_shows_both_pictures() {
        let document = read(&workspace().join(DOCUMENT)).unwrap();
        for topic in WHOLE {
            replaced(&document, &topic.name(), "").unwrap();
        }
        for picture in [BOOT, RATES] {
            let name = picture.strip_prefix("docs/").unwrap();
            assert!(document.contains(&format!("]({name})")) && workspace().join(picture).is_file(), "{picture}");
        }
        assert_eq!(Topic::TestTimes.name(), "test-times");
    }

    #[test]
    fn days_are_counted_as_the_calendar_does() {
        let days = [(0, "1 January 1970"), (951_782_400, "29 February 2000"), (1_795_219_199, "20 November 2026")];
        for (seconds, expected) in days {
            assert_eq!(date(seconds), expected);
        }
        assert_eq!(date(1_795_219_200), "21 November 2026");
    }
}
