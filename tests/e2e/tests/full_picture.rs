//! The picture in the README is what a boot looks like now.

use anyhow::{Context, Result, ensure};
use xenlift_e2e::cache;
use xtask::commands::screenshots::{picture, screens};
use xtask::picture::rows_in;
use xtask::tmux::text_of;

/// What of a row does not change with the version of a package, a rate or a clock: its words without numbers, digests, bars and losses.
fn kept(row: &str) -> String {
    let is_number = |word: &str| word.starts_with(|first: char| first.is_ascii_digit());
    let is_digest = |word: &str| word.len() == 8 && word.chars().all(|digit| digit.is_ascii_hexdigit());
    let is_bar = |word: &str| word.chars().all(|character| "[#]".contains(character));
    let is_unit = |word: &str| {
        let word = word.trim_end_matches(['.', ',']);
        ["s", "KiB/s", "MiB/s", "lost", "sent", "again"].contains(&word)
    };
    let words = row.split_whitespace();
    words
        .filter(|word| !is_number(word) && !is_digest(word) && !is_bar(word) && !is_unit(word))
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn the_picture_shows_what_a_boot_looks_like_today() -> Result<()> {
    let svg = std::fs::read_to_string(picture()).context("no picture")?;
    for screen in screens(&cache()?)? {
        let now: Vec<String> =
            screen.rows.iter().map(|row| kept(&text_of(row))).filter(|row| !row.is_empty()).collect();
        let then: Vec<String> =
            rows_in(&svg, screen.name)?.iter().map(|row| kept(row)).filter(|row| !row.is_empty()).collect();
        ensure!(
            now == then,
            "{} has changed; `cargo xtask screenshots` makes the picture anew.\nnow: {now:#?}\nin the picture: {then:#?}",
            screen.name
        );
        ensure!(now.len() >= 3, "{}: {now:#?}", screen.name);
    }
    Ok(())
}
