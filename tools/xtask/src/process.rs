//! Running other programs: every failure names the command and quotes what it said.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

/// How many of the last lines of a failed command's output an error quotes.
const QUOTED_LINES: usize = 15;

/// Tells the person at the terminal what is about to happen. Goes to stderr: stdout belongs to results.
pub fn announce(text: &str) {
    eprintln!("xtask: {text}");
}

/// A command without the variables that an outer cargo or rustup left behind: they would send an inner cargo to the outer one's
/// compiler and flags (rustup#3031).
pub fn clean_command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for variable in
        ["RUSTC", "RUSTDOC", "CARGO", "RUSTUP_TOOLCHAIN", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET"]
    {
        command.env_remove(variable);
    }
    let inherited = std::env::vars_os().map(|(name, _)| name);
    for name in inherited {
        if name.to_string_lossy().starts_with("CARGO_PKG_") || name.to_string_lossy().starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs `command` with its output on the terminal; an exit status other than 0 is an error.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).status().with_context(|| cannot_start(command))?;
    if !status.success() {
        bail!("`{}` failed: {status}", shown(command));
    }
    Ok(())
}

/// Like [`run`], but each line that it writes to stderr is for `report`.
pub fn run_reported(command: &mut Command, report: &mut dyn FnMut(&str)) -> Result<()> {
    let mut child =
        command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().with_context(|| cannot_start(command))?;
    if let Some(errors) = child.stderr.take() {
        for line in BufReader::new(errors).split(b'\n') {
            report(&String::from_utf8_lossy(&line.context("cannot read what it says")?));
        }
    }
    let status = child.wait().with_context(|| cannot_start(command))?;
    if !status.success() {
        bail!("`{}` failed: {status}", shown(command));
    }
    Ok(())
}

/// Runs `command` and returns what it wrote to stdout; an exit status other than 0 is an error that quotes its last lines.
pub fn capture(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.stdin(Stdio::null()).output().with_context(|| cannot_start(command))?;
    if !output.status.success() {
        bail!("`{}` failed: {}\n{}", shown(command), output.status, last_lines(&output));
    }
    Ok(output.stdout)
}

/// Like [`capture`], for text.
pub fn capture_text(command: &mut Command) -> Result<String> {
    let bytes = capture(command)?;
    String::from_utf8(bytes).with_context(|| format!("`{}` wrote something that is not UTF-8", shown(command)))
}

/// The path of `program` in the directories of `PATH`, if it is there.
pub fn find_program(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    // Debian keeps servers and mkfs in sbin, which an ordinary user's PATH lacks.
    let extra = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(extra)
        .map(|directory| directory.join(program))
        .find(|candidate| is_executable(candidate))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// A command as one would type it.
pub fn shown(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&quoted(&argument.to_string_lossy()));
    }
    text
}

/// One argument as a shell takes it.
pub fn quoted(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+./:,@%".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        argument.to_owned()
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}

fn cannot_start(command: &Command) -> String {
    format!("cannot start `{}`", command.get_program().to_string_lossy())
}

fn last_lines(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    let lines: Vec<&str> = text.lines().collect();
    let start = lines.len().saturating_sub(QUOTED_LINES);
    lines.get(start..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_quotes_what_the_command_said() {
        let error = capture(Command::new("sh").args(["-c", "echo out of luck >&2; exit 3"])).unwrap_err().to_string();
        assert!(error.contains("out of luck") && error.contains("exit status: 3"), "{error}");
    }

    #[test]
    fn a_command_that_does_not_exist_is_named() {
        let error = capture(&mut Command::new("no-such-program-at-all")).unwrap_err().to_string();
        assert_eq!(error, "cannot start `no-such-program-at-all`");
    }

    #[test]
    fn arguments_are_shown_as_a_shell_takes_them() {
        assert_eq!(shown(Command::new("ls").args(["-l", "a b", "it's", ""])), r"ls -l 'a b' 'it'\''s' ''");
    }
}
