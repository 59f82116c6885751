//! `cargo xtask screenshots`: docs/console.svg, the picture in the README, made from what a terminal shows of a boot.
//!
//! A boot over a slowed network, in tmux at 80x24, with a person's keys: the menu, the fetch under way, the last screen before Xen. What changes
//! from run to run are a rate and the time left; the rest is what the sources and Debian's packages make of `screenshots.toml`. A test holds
//! the picture to that (`tests/e2e/tests/full_picture.rs`), and says when it has to be made anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::demo::{LOOPBACK, free_port, prepare, user_network};
use crate::cache::Cache;
use crate::emulator::Emulator;
use crate::loader::{self, workspace};
use crate::packages::Release;
use crate::picture::{self, Screen};
use crate::process::announce;
use crate::serve;
use crate::tmux::{Row, Size, Tmux, text_of};
use crate::toolchain::Toolchain;

/// The settings that the picture shows.
pub const SETTINGS: &str = include_str!("screenshots.toml");

/// Where the picture lies in the checkout.
pub const PICTURE: &str = "docs/console.svg";

/// How long the board may take to any of the screens.
const LIMIT: Duration = Duration::from_secs(180);

/// How long the network holds packets back: what makes a fetch last long enough to be seen.
const DELAY: Duration = Duration::from_millis(8);

/// The last line before Xen's own.
const LAST: &str = "next line is Xen's";

/// Makes the picture.
pub fn run(cache: &Cache) -> Result<()> {
    let screens = screens(cache)?;
    let file = picture();
    fs::write(&file, picture::svg(&screens, Size::USUAL.columns))
        .with_context(|| format!("cannot write {}", file.display()))?;
    announce(&format!("wrote {}", file.display()));
    Ok(())
}

/// The file of the picture.
pub fn picture() -> PathBuf {
    workspace().join(PICTURE)
}

/// Boots, and gives the screens of the picture.
///
/// # Errors
/// Something that is needed is missing, or a screen does not come.
pub fn screens(cache: &Cache) -> Result<Vec<Screen>> {
    let emulator = Emulator::with_ethernet(cache)?;
    let loader = loader::build(&Toolchain::find(cache)?)?;
    let directory = tempfile::Builder::new().prefix("xenlift-picture-").tempdir().context("no temporary directory")?;
    let (far, near) = (directory.path().join("far"), directory.path().join("near"));
    prepare(cache, Release::Bookworm, &far)?;
    let port = free_port()?;
    serve::start_tftp(&far, LOOPBACK, port)?;
    put_settings(&near, port)?;
    let mut qemu = emulator.board();
    qemu.arg("-kernel").arg(&loader.bin).arg("-dtb").arg(far.join(super::demo::TREE));
    qemu.arg("-netdev").arg(user_network(&near)).args(["-net", "nic,netdev=n"]);
    qemu.arg("-object").arg(format!("filter-buffer,id=slow,netdev=n,interval={}", DELAY.as_micros()));
    qemu.args(["-serial", "null", "-serial", "mon:stdio"]);
    let tmux = Tmux::start(Size::USUAL, &qemu)?;

    let menu = capture(&tmux, "the menu", |screen| screen.contains("Boots in 25 s"))?;
    // A key stops what comes during the countdown, so that the files are seen coming afterwards.
    tmux.press(&["Down"])?;
    tmux.wait("the menu without its countdown", LIMIT, |screen| !screen.contains("Boots in "))?;
    tmux.press(&["Up"])?;
    tmux.press(&["Enter"])?;
    let is_half =
        |line: &str| line.starts_with("Image-dom0") && (45..=80).any(|share| line.contains(&format!(" {share} %")));
    let fetch = capture(&tmux, "the fetch", |screen| screen.lines().any(is_half))?;
    tmux.wait_said("the summary", LIMIT, |said| said.contains(LAST))?;
    let summary = summary(&tmux)?;
    let screen =
        |name, caption: &str, rows, first| Screen { name, caption: caption.to_owned(), rows: from(rows, first) };
    Ok(vec![
        screen("menu", "The menu: a key stops the countdown", menu, "Xenlift "),
        screen("fetch", "Files on their way", fetch, "Booting "),
        screen("summary", "The last screen before Xen", summary, "Booting "),
    ])
}

/// The settings, on the server that DHCP names; the files come from another, with windows.
fn put_settings(near: &Path, port: u16) -> Result<()> {
    let file = near.join("xenlift/default.toml");
    fs::create_dir_all(near.join("xenlift")).with_context(|| format!("cannot create {}", near.display()))?;
    let server = format!("[network]\nserver = \"10.0.2.2:{port}\"\n\n[[entry]]");
    fs::write(&file, SETTINGS.replacen("[[entry]]", &server, 1))
        .with_context(|| format!("cannot write {}", file.display()))
}

/// The screen as soon as it is as wanted.
fn capture(tmux: &Tmux, what: &str, met: impl Fn(&str) -> bool) -> Result<Vec<Row>> {
    for _ in 0..5 {
        tmux.wait(what, LIMIT, &met)?;
        let rows = tmux.styled_screen()?;
        // It may have gone on between the two looks.
        if met(&rows.iter().map(|row| text_of(row) + "\n").collect::<String>()) {
            return Ok(rows);
        }
    }
    anyhow::bail!("{what} is gone as soon as it is there")
}

/// What was on the screen when the last line before Xen's stood at its end.
fn summary(tmux: &Tmux) -> Result<Vec<Row>> {
    let history = tmux.styled_history()?;
    let last = history.iter().position(|row| text_of(row).contains(LAST)).context("no last line")?;
    let end = last + 1;
    let first = history.iter().position(|row| text_of(row).starts_with("Booting ")).unwrap_or(0);
    ensure!(first < end, "Xen came before it was booted");
    let start = end.saturating_sub(Size::USUAL.rows.into());
    Ok(history.get(start..end).unwrap_or_default().to_vec())
}

/// The rows from the first one that begins with `first` on, without the empty ones at the end: what stood above is no part of the picture, such
/// as the emulator's own words.
fn from(rows: Vec<Row>, first: &str) -> Vec<Row> {
    let end = rows.iter().rposition(|row| !text_of(row).is_empty()).map_or(0, |last| last + 1);
    let start = rows.iter().position(|row| text_of(row).starts_with(first)).unwrap_or(0);
    rows.get(start..end).unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use xenlift::menu::Menu;
    use xenlift::terminal::Kind;
    use xenlift::time::{Duration, Instant};

    /// The menu as the sources draw it now, on the same screen and as long after its beginning.
    fn drawn() -> Vec<String> {
        let settings = xenlift::config::settings::parse(SETTINGS.as_bytes()).unwrap();
        let Size { columns, rows } = Size::USUAL;
        let begin = Instant::from_micros(1_000_000);
        let mut menu = Menu::new(&settings, Kind::Ansi { columns, rows }, begin).unwrap();
        let mut out = String::new();
        menu.open(begin.after(Duration::from_secs(5)), false, &mut out);
        let mut terminal = vt100::Parser::new(rows.try_into().unwrap(), columns.try_into().unwrap(), 0);
        terminal.process(out.as_bytes());
        let screen = terminal.screen();
        screen.rows(0, columns).map(|row| row.trim_end().to_owned()).filter(|row| !row.is_empty()).collect()
    }

    #[test]
    fn the_picture_in_the_readme_is_well_formed_and_shows_the_menu_of_today() {
        let svg = fs::read_to_string(picture()).unwrap();
        let menu = picture::rows_in(&svg, "menu").unwrap();
        let own = menu.iter().skip_while(|row| !row.starts_with("Xenlift: "));
        let own: Vec<&str> = own.map(String::as_str).filter(|row| !row.is_empty()).collect();
        assert_eq!(own, drawn(), "the menu has changed: `cargo xtask screenshots` makes the picture anew");
        for name in ["fetch", "summary"] {
            assert!(!picture::rows_in(&svg, name).unwrap().is_empty());
        }
    }
}
