//! A copy of the sources in which bugs are planted, with a target directory of its own that outlives them.
//!
//! The copy stays between runs, and a file is written only where it differs, so that cargo compiles what a bug touches and nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::list::{Mutant, Tests};
use crate::cache::Cache;
use crate::process::{capture_text, clean_command, shown};

/// Address space of a test program, in KiB: a bug may have it allocate for ever.
const MEMORY: &str = "8000000";
/// Between two looks at whether a test program has ended.
const LOOK: Duration = Duration::from_millis(10);

/// How a test program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All tests passed.
    Passed,
    /// A test failed, or the program died.
    Failed,
    /// It was ended at its limit.
    Hung,
}

/// The copy.
pub struct Workshop {
    sources: PathBuf,
    target: PathBuf,
    /// Held so that two runs do not plant in one copy.
    _lock: fs::File,
}

impl Workshop {
    /// Copies the workspace `from` into `directory`, or brings an older copy there up to date.
    pub fn open(cache: &Cache, from: &Path, directory: &Path) -> Result<Self> {
        let lock = cache.lock("mutants")?;
        let workshop = Self { sources: directory.join("sources"), target: directory.join("build"), _lock: lock };
        copy_changes(from, &workshop.sources)?;
        Ok(workshop)
    }

    /// Plants `mutant`, does `work`, and takes it out again.
    pub fn with<T>(&self, mutant: &Mutant, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let path = self.sources.join(&mutant.file);
        let original = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let planted = mutant.plant(&original)?;
        write(&path, &planted)?;
        let result = work();
        write(&path, &original)?;
        result
    }

    /// Compiles the program of `tests`. An error is a bug that does not compile, which no test needs to find.
    pub fn compile(&self, tests: &Tests) -> Result<PathBuf> {
        let mut command = clean_command("cargo");
        command.args(["test", "--offline", "--quiet", "--no-run", "--package", "xenlift"]);
        command.args(["--message-format", "json-render-diagnostics"]);
        match &tests.target {
            Some(name) => command.args(["--test", name]),
            None => command.arg("--lib"),
        };
        // Nobody debugs these, and without it they link in half the time.
        command.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_INCREMENTAL", "1");
        command.env("CARGO_TARGET_DIR", &self.target).current_dir(&self.sources);
        executable(&capture_text(&mut command)?)
    }

    /// Runs `program`, which [`compile`](Self::compile) made of `tests`, for at most `limit`.
    pub fn run(&self, program: &Path, tests: &Tests, limit: Duration) -> Result<Verdict> {
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -v \"$0\" && exec \"$@\"", MEMORY]).arg(program).args(&tests.arguments);
        // What one bug makes a property test find must not be tried again on the next.
        command.env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1").env("RUST_BACKTRACE", "0");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir(&self.sources);
        let mut child = command.spawn().with_context(|| format!("cannot start {}", shown(&command)))?;
        Ok(match wait(&mut child, limit)? {
            None => Verdict::Hung,
            Some(status) if status.success() => Verdict::Passed,
            Some(_) => Verdict::Failed,
        })
    }
}

/// Waits for `child` and ends it at `limit`.
fn wait(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().context("cannot ask for a test program's status")? {
            return Ok(Some(status));
        }
        if Instant::now() > deadline {
            child.kill().context("cannot end a test program")?;
            child.wait().context("cannot end a test program")?;
            return Ok(None);
        }
        std::thread::sleep(LOOK);
    }
}

/// The test program among cargo's messages.
fn executable(messages: &str) -> Result<PathBuf> {
    for line in messages.lines() {
        let Ok(message) = serde_json::from_str::<serde_json::Value>(line) else { continue };
        if message["profile"]["test"] == true
            && let Some(path) = message["executable"].as_str()
        {
            return Ok(PathBuf::from(path));
        }
    }
    bail!("cargo named no test program")
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Makes `to` hold what `from` holds, without build output and history, and writes only what differs.
fn copy_changes(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot create {}", to.display()))?;
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        if name == "target" || name == ".git" {
            continue;
        }
        let (source, copy) = (entry.path(), to.join(&name));
        names.insert(name);
        if source.is_dir() {
            copy_changes(&source, &copy)?;
            continue;
        }
        let content = fs::read(&source).with_context(|| format!("cannot read {}", source.display()))?;
        if fs::read(&copy).ok().as_ref() != Some(&content) {
            fs::write(&copy, content).with_context(|| format!("cannot write {}", copy.display()))?;
        }
    }
    for entry in fs::read_dir(to).with_context(|| format!("cannot list {}", to.display()))? {
        let entry = entry?;
        if !names.contains(&entry.file_name()) {
            let path = entry.path();
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_follows_its_original_and_leaves_out_build_output() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        fs::create_dir_all(from.join("src")).unwrap();
        fs::create_dir_all(from.join("target")).unwrap();
        fs::write(from.join("src/a"), "1").unwrap();
        fs::write(from.join("target/b"), "2").unwrap();
        copy_changes(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(to.join("src/a")).unwrap(), "1");
        assert!(!to.join("target").exists());
        let before = to.join("src/a").metadata().unwrap().modified().unwrap();
        fs::write(to.join("src/left"), "3").unwrap();
        copy_changes(&from, &to).unwrap();
        assert_eq!(to.join("src/a").metadata().unwrap().modified().unwrap(), before);
        assert!(!to.join("src/left").exists());
    }

    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let mut child = Command::new("sleep").arg("100").spawn().unwrap();
        assert!(wait(&mut child, Duration::from_millis(30)).unwrap().is_none());
        let mut child = Command::new("true").spawn().unwrap();
        assert!(wait(&mut child, Duration::from_secs(20)).unwrap().unwrap().success());
    }

    #[test]
    fn the_test_program_is_found_among_cargos_messages() {
        let messages = "{\"reason\":\"compiler-artifact\",\"profile\":{\"test\":false},\"executable\":\"/a\"}\nnoise\n\
                        {\"reason\":\"compiler-artifact\",\"profile\":{\"test\":true},\"executable\":\"/b\"}\n";
        assert_eq!(executable(messages).unwrap(), Path::new("/b"));
        assert!(executable("{}").is_err());
    }
}
