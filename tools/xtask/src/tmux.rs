//! A real terminal for programs: a detached tmux with one pane and a server of its own, which answers what a terminal is asked, takes
//! keys, and shows what a person would see.
//!
//! Nobody's own tmux is touched: socket and configuration lie in a temporary directory. The server ends with the value, and also if the
//! program that made it is killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::process::{capture, capture_text, find_program};

/// The package that has it.
pub const PACKAGE: &str = "tmux";

/// How often the screen is looked at while something is waited for.
const LOOK: Duration = Duration::from_millis(50);

/// Lines above the screen that are kept.
const HISTORY: usize = 20_000;

/// The size of a screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Characters in a row.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
}

impl Size {
    /// The screen that every terminal program begins with.
    pub const USUAL: Self = Self { columns: 80, rows: 24 };
    /// Half of it in both directions: a corner of somebody's screen.
    pub const SMALL: Self = Self { columns: 40, rows: 12 };
}

/// Characters of a row that look alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// What they are.
    pub text: String,
    /// Whether they are bold.
    pub bold: bool,
    /// Whether they are shown in reverse.
    pub reverse: bool,
}

/// A row of the screen, from left to right.
pub type Row = Vec<Run>;

/// The text of a row without the blanks at its end.
pub fn text_of(row: &[Run]) -> String {
    let text: String = row.iter().map(|run| run.text.as_str()).collect();
    text.trim_end().to_owned()
}

/// A terminal with a program in it.
#[derive(Debug)]
pub struct Tmux {
    program: PathBuf,
    directory: TempDir,
    size: Size,
}

impl Tmux {
    /// Starts `command` in a terminal of this size. Its standard streams are the terminal, whatever it says of them.
    ///
    /// # Errors
    /// tmux is missing or cannot be started.
    pub fn start(size: Size, command: &Command) -> Result<Self> {
        let program = find_program("tmux").with_context(|| {
            format!("tmux is missing: `cargo xtask setup` installs it, or apt-get install {PACKAGE}")
        })?;
        let directory = tempfile::Builder::new().prefix("xenlift-tmux-").tempdir().context("no temporary directory")?;
        let tmux = Self { program, directory, size };
        fs::write(tmux.path("conf"), tmux.configuration()).context("cannot write tmux's configuration")?;
        let mut start = tmux.tmux();
        start.args(["new-session", "-d", "-x", &size.columns.to_string(), "-y", &size.rows.to_string()]);
        if let Some(directory) = command.get_current_dir() {
            start.arg("-c").arg(directory);
        }
        // More than one word is run as it is, without a shell.
        start.arg("env");
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => start.arg(format!("{}={}", name.to_string_lossy(), value.to_string_lossy())),
                None => start.arg("-u").arg(name),
            };
        }
        start.arg(command.get_program()).args(command.get_args());
        capture(&mut start)?;
        Ok(tmux)
    }

    /// The size of its screen.
    pub fn size(&self) -> Size {
        self.size
    }

    /// The screen, a line a row, without what is blank at the end of rows.
    pub fn screen(&self) -> Result<String> {
        self.capture_pane(&[])
    }

    /// The rows of the screen as they look.
    pub fn styled_screen(&self) -> Result<Vec<Row>> {
        Ok(rows(&self.capture_pane(&["-e", "-N"])?))
    }

    /// The rows of the screen as they look, and all that were scrolled off it before them.
    pub fn styled_history(&self) -> Result<Vec<Row>> {
        Ok(rows(&self.capture_pane(&["-e", "-N", "-S", "-"])?))
    }

    /// Everything since the start that has not been painted over, with lines that were wrapped in one piece.
    pub fn said(&self) -> Result<String> {
        self.capture_pane(&["-J", "-S", "-"])
    }

    /// Presses keys by tmux's names for them: `Up`, `Enter`, `C-c`, `a`.
    pub fn press(&self, keys: &[&str]) -> Result<()> {
        self.run(&[&["send-keys"], keys].concat())
    }

    /// Types text. Every character is a key, and Enter is `\r`.
    pub fn types(&self, text: &str) -> Result<()> {
        self.run(&["send-keys", "-l", "--", text])
    }

    /// Sends bytes at once, whatever they are. Like every terminal, tmux sends a CR for each LF.
    pub fn paste(&self, bytes: &[u8]) -> Result<()> {
        let file = self.path("paste");
        fs::write(&file, bytes).with_context(|| format!("cannot write {}", file.display()))?;
        self.run(&["load-buffer", &file.to_string_lossy()])?;
        self.run(&["paste-buffer", "-d"])
    }

    /// Waits until `met` is true of the screen, and gives it.
    ///
    /// # Errors
    /// It is not within `limit`, or the program has ended: with the screen and what was said before.
    pub fn wait(&self, what: &str, limit: Duration, met: impl Fn(&str) -> bool) -> Result<String> {
        self.wait_on(Self::screen, what, limit, met)
    }

    /// The same of everything that was said.
    pub fn wait_said(&self, what: &str, limit: Duration, met: impl Fn(&str) -> bool) -> Result<String> {
        self.wait_on(Self::said, what, limit, met)
    }

    fn wait_on(
        &self,
        look: impl Fn(&Self) -> Result<String>,
        what: &str,
        limit: Duration,
        met: impl Fn(&str) -> bool,
    ) -> Result<String> {
        let end = Instant::now() + limit;
        loop {
            // In this order, so that what an ended program said last is seen.
            let ended = self.has_ended()?;
            let text = look(self)?;
            if met(&text) {
                return Ok(text);
            }
            if ended || Instant::now() > end {
                let why = if ended { "the program ended first".to_owned() } else { format!("not within {limit:?}") };
                bail!("waited for {what}: {why}; the screen:\n{}\n--- and all:\n{}", self.screen()?, self.said()?);
            }
            thread::sleep(LOOK);
        }
    }

    /// Whether the program has ended. What it showed stays.
    pub fn has_ended(&self) -> Result<bool> {
        let told = capture_text(self.tmux().args(["display-message", "-p", "#{pane_dead}"]))?;
        Ok(told.trim() == "1")
    }

    /// Column and row of the cursor, from 0 at the top left.
    pub fn cursor(&self) -> Result<(u16, u16)> {
        let told = capture_text(self.tmux().args(["display-message", "-p", "#{cursor_x} #{cursor_y}"]))?;
        let (column, row) = told.trim().split_once(' ').context("tmux tells no cursor")?;
        Ok((column.parse()?, row.parse()?))
    }

    fn capture_pane(&self, options: &[&str]) -> Result<String> {
        capture_text(self.tmux().args(["capture-pane", "-p"]).args(options))
    }

    fn run(&self, arguments: &[&str]) -> Result<()> {
        capture(self.tmux().args(arguments)).map(|_| ())
    }

    fn tmux(&self) -> Command {
        let mut tmux = Command::new(&self.program);
        tmux.arg("-u").arg("-S").arg(self.path("socket")).arg("-f").arg(self.path("conf"));
        // Inside of somebody's own tmux this one would refuse to start another.
        tmux.env_remove("TMUX");
        tmux
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn configuration(&self) -> String {
        let kill = [&self.program, Path::new("-S"), &self.path("socket"), Path::new("kill-server")];
        let kill = kill.map(|word| word.to_string_lossy().into_owned()).join(" ");
        let own = std::process::id();
        format!(
            "set -g status off\nset -g remain-on-exit on\nset -g remain-on-exit-format ''\nset -g history-limit {HISTORY}\n\
             set -g default-terminal screen\nset -s escape-time 0\n\
             run-shell -b 'while kill -0 {own} 2>/dev/null; do sleep 1; done; {kill}'\n"
        )
    }
}

/// What tmux wrote of a screen: text, line feeds, and sequences of SGR (ECMA-48, 8.3.117) where the style changes.
fn rows(capture: &str) -> Vec<Row> {
    let mut style = Run::default();
    let mut rows = Vec::new();
    for line in capture.trim_end_matches('\n').split('\n') {
        let mut row = Row::new();
        for (index, piece) in line.split("\x1b[").enumerate() {
            // What stands before the first sequence has none.
            let (parameters, text) =
                if index == 0 { ("", piece) } else { piece.split_once('m').unwrap_or(("", piece)) };
            if index > 0 {
                parameters.split(';').for_each(|parameter| change(&mut style, parameter));
            }
            if !text.is_empty() {
                row.push(Run { text: text.to_owned(), ..style.clone() });
            }
        }
        rows.push(row);
    }
    rows
}

fn change(style: &mut Run, parameter: &str) {
    match parameter {
        "" | "0" => *style = Run::default(),
        "1" => style.bold = true,
        "22" => style.bold = false,
        "7" => style.reverse = true,
        "27" => style.reverse = false,
        // Nothing else is asked for here: no colours, no underlining.
        _ => {}
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the terminal showed:\n{}", self.said().unwrap_or_default());
        }
        // Fails where it never started.
        let _ = self.run(&["kill-server"]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_program_in_it_is_asked_answered_and_shown() {
        let tmux = Tmux::start(
            Size::SMALL,
            sh("stty -echo; printf 'size '; stty size; read -r line; echo got $line; cat").env("NAME", "value"),
        )
        .unwrap();
        tmux.wait("the size", LIMIT, |screen| screen.contains("size 12 40")).unwrap();
        tmux.types("some words").unwrap();
        tmux.press(&["Enter"]).unwrap();
        tmux.wait("the line", LIMIT, |screen| screen.contains("got some words")).unwrap();
        let long = "0123456789".repeat(8);
        tmux.paste(format!("{long}\n").as_bytes()).unwrap();
        tmux.wait("a line that wraps", LIMIT, |screen| {
            screen.contains("\n0123456789012345678901234567890123456789\n0123")
        })
        .unwrap();
        assert!(tmux.said().unwrap().contains(&long));
        tmux.press(&["C-d"]).unwrap();
        let error = tmux.wait("what never comes", LIMIT, |_| false).unwrap_err().to_string();
        assert!(error.contains("ended first") && error.contains("got some words"), "{error}");
    }

    #[test]
    fn a_style_lasts_until_it_is_changed() {
        let run = |text: &str, bold, reverse| Run { text: text.to_owned(), bold, reverse };
        let rows = rows("a\x1b[1mb\nc\x1b[0;7md\x1b[27me\n\nf\n\n");
        let expected = [
            vec![run("a", false, false), run("b", true, false)],
            vec![run("c", true, false), run("d", false, true), run("e", false, false)],
            vec![],
            vec![run("f", false, false)],
        ];
        assert_eq!(rows, expected);
        assert_eq!(text_of(&rows[1]), "cde");
    }

    #[test]
    fn styles_are_kept_and_the_server_ends_with_the_value() {
        let tmux = Tmux::start(Size::USUAL, &sh("printf '\\033[1mbold\\033[7mboth\\033[m'; exec cat")).unwrap();
        tmux.wait("the text", LIMIT, |screen| screen.contains("boldboth")).unwrap();
        let run = |text: &str, reverse| Run { text: text.to_owned(), bold: true, reverse };
        assert_eq!(tmux.styled_screen().unwrap()[0], [run("bold", false), run("both", true)]);
        assert_eq!(tmux.cursor().unwrap(), (8, 0));
        let socket = tmux.path("socket");
        drop(tmux);
        assert!(std::os::unix::net::UnixStream::connect(socket).is_err());
    }
}
