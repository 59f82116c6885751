//! `cargo xtask test`: everything that has to hold, in the order in which a mistake is cheapest to find.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::cache::Cache;
use crate::commands::setup;
use crate::loader::{self, target_directory, workspace};
use crate::process::{announce, capture_text, clean_command, run as run_command};
use crate::toolchain::Toolchain;

/// The end-to-end tests' package.
const END_TO_END: &str = "xenlift-e2e";
/// Files of end-to-end tests with this beginning are left out of the quick tier.
const FULL_TIER: &str = "full_";
type Step = fn(&Tests) -> Result<()>;

/// Runs all steps, goes on after a failed one, and fails if one did.
pub fn run(cache: &Cache, quick: bool) -> Result<()> {
    let tests = Tests { toolchain: setup::everything(cache)?.toolchain, packages: Packages::of_workspace()?, quick };
    let steps: [(&str, Step); 8] = [
        ("format", Tests::format),
        ("lints, host", Tests::host_lints),
        ("lints, board", Tests::board_lints),
        ("documentation", Tests::documentation),
        ("host tests", Tests::host),
        ("loader", Tests::loader),
        ("board programs of the tests", Tests::board_programs),
        ("end-to-end tests", Tests::end_to_end),
    ];
    let mut failed = Vec::new();
    let mut summary = String::new();
    let begin = Instant::now();
    for (name, step) in steps {
        announce(&format!("== {name}"));
        let start = Instant::now();
        let verdict = match step(&tests) {
            Ok(()) => "ok".to_owned(),
            Err(error) => {
                failed.push(name);
                format!("FAILED: {error:#}")
            }
        };
        announce(&format!("== {name}: {verdict}"));
        summary.push_str(&format!("\n  {:6.1} s  {name}: {verdict}", start.elapsed().as_secs_f32()));
    }
    announce(&format!("summary{summary}\n  {:6.1} s  all", begin.elapsed().as_secs_f32()));
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

struct Tests {
    toolchain: Toolchain,
    packages: Packages,
    quick: bool,
}

impl Tests {
    fn format(&self) -> Result<()> {
        run_command(cargo("fmt").args(["--all", "--check"]))
    }

    fn host_lints(&self) -> Result<()> {
        let mut command = cargo("clippy");
        command.args(["--quiet", "--all-targets"]).args(chosen(&self.packages.host));
        run_command(command.args(["--", "--deny", "warnings"]))
    }

    fn board_lints(&self) -> Result<()> {
        let mut command = self.toolchain.clippy()?;
        command.current_dir(workspace()).env("CARGO_TARGET_DIR", target_directory(&self.toolchain));
        command.arg("--quiet").args(chosen(&self.packages.board)).args(["--package", "xenlift"]);
        // Any file will do for what is only looked at.
        command.args(["--features", "xenlift-rpi4/packed"]).env("XENLIFT_PACKED", workspace().join("Cargo.toml"));
        run_command(command.args(["--", "--deny", "warnings"]))
    }

    fn documentation(&self) -> Result<()> {
        let mut command = cargo("doc");
        command.args(["--quiet", "--no-deps"]).args(chosen(&self.packages.host));
        run_command(command.env("RUSTDOCFLAGS", "--deny warnings"))
    }

    fn host(&self) -> Result<()> {
        run_command(cargo("test").arg("--no-fail-fast"))
    }

    fn loader(&self) -> Result<()> {
        loader::announce_product(&loader::build(&self.toolchain)?);
        Ok(())
    }

    /// What else runs on the board, such as the hostile stub: built here, so that a mistake does not first show as a failed test.
    fn board_programs(&self) -> Result<()> {
        let mut command = self.toolchain.cargo("build")?;
        command.args(["--quiet", "--release"]).args(chosen(&self.packages.board));
        run_command(command.current_dir(workspace()).env("CARGO_TARGET_DIR", target_directory(&self.toolchain)))
    }

    fn end_to_end(&self) -> Result<()> {
        let mut command = cargo("test");
        command.args(["--no-fail-fast", "--package", END_TO_END]);
        if self.quick {
            let directory = workspace().join("tests/e2e/tests");
            let entries =
                std::fs::read_dir(&directory).with_context(|| format!("cannot list {}", directory.display()))?;
            for entry in entries {
                let path = entry?.path();
                let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                if path.extension().is_some_and(|extension| extension == "rs") && !name.starts_with(FULL_TIER) {
                    command.args(["--test", &name]);
                }
            }
        }
        // Two emulators at a time: each has four processors of its own.
        run_command(command.args(["--", "--test-threads", "2"]))
    }
}

/// A cargo of the toolchain in use, in the workspace.
fn cargo(subcommand: &str) -> Command {
    let mut command = clean_command("cargo");
    command.arg(subcommand).current_dir(workspace());
    command
}

fn chosen(packages: &[String]) -> impl Iterator<Item = &str> {
    packages.iter().flat_map(|name| ["--package", name])
}

/// The workspace's packages by where they run.
struct Packages {
    host: Vec<String>,
    board: Vec<String>,
}

impl Packages {
    /// The default members and the end-to-end tests run on the host; the others are programs for the board.
    fn of_workspace() -> Result<Self> {
        let text = capture_text(cargo("metadata").args(["--no-deps", "--format-version", "1"]))?;
        Self::parse(&text)
    }

    fn parse(metadata: &str) -> Result<Self> {
        let metadata: serde_json::Value = serde_json::from_str(metadata).context("cargo metadata is not JSON")?;
        let defaults =
            metadata["workspace_default_members"].as_array().context("cargo metadata has no default members")?;
        let mut packages = Self { host: Vec::new(), board: Vec::new() };
        for package in metadata["packages"].as_array().context("cargo metadata has no packages")? {
            let name = package["name"].as_str().context("a package without a name")?;
            let on_host = defaults.contains(&package["id"]) || name == END_TO_END;
            let list = if on_host { &mut packages.host } else { &mut packages.board };
            list.push(name.to_owned());
        }
        Ok(packages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_told_apart_by_where_they_run() {
        let metadata = r#"{"workspace_default_members": ["a#1"], "packages": [
            {"name": "xenlift", "id": "a#1"}, {"name": "xenlift-rpi4", "id": "b#1"}, {"name": "xenlift-e2e", "id": "c#1"}]}"#;
        let packages = Packages::parse(metadata).unwrap();
        assert_eq!(packages.host, ["xenlift", "xenlift-e2e"]);
        assert_eq!(packages.board, ["xenlift-rpi4"]);
    }

    #[test]
    fn this_workspace_has_programs_for_the_board() {
        assert!(Packages::of_workspace().unwrap().board.contains(&loader::PACKAGE.to_owned()));
    }
}
