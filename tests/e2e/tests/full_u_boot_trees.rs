//! The recorded answers of `tests/fdt_commands/cases` and of `tests/tutorial` are what a real U-Boot says: Debian's, on the emulated board, asked again.
//!
//! `XENLIFT_RECORD=1` writes its answers into the files instead of comparing them; that is how a new case gets its answer.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use xenlift_e2e::ethernet::Network;
use xenlift_e2e::u_boot::{UBoot, run_scripts};
use xenlift_e2e::u_boot_tools::{made, make_script};
use xenlift_e2e::{cache, emulator_with_ethernet};

#[path = "../../shell/cases.rs"]
#[allow(dead_code, reason = "what belongs to the language's own cases is not used here")]
mod cases;

use cases::{Answer, Case};

/// Where the tree lies, as in the cases.
const TREE: usize = 0x180_0000;
/// Where the tutorials' script is put.
const SCRIPT: usize = 0x1000_0000;

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The board's tree of the cases.
fn tree() -> Result<Vec<u8>> {
    let source = fs::read(tests().join("fdt_commands/board.dts"))?;
    made("dtc", &["-q", "-@", "-I", "dts", "-O", "dtb", "-o", "out", "in"], &[("in", &source)])
}

fn answers(cases: &[Case]) -> Result<Vec<Answer>> {
    let said = run_scripts(cases.iter().map(|case| case.script.as_str()), &[(TREE, &tree()?)])?;
    Ok(said.iter().map(|said| Answer::new(&said.status, &without_messages(&said.printed))).collect())
}

/// U-Boot's words about a mistake are not ours, and some mistakes it passes over in silence.
fn without_messages(printed: &str) -> String {
    let theirs = ["libfdt ", "Sorry, ", "Unexpected character ", "error: "];
    printed.split_inclusive('\n').filter(|line| !theirs.iter().any(|start| line.starts_with(start))).collect()
}

fn recorded(path: &Path, ask: impl FnOnce(&[Case]) -> Result<Vec<Answer>>) -> Result<()> {
    let mut cases = cases::read(&fs::read_to_string(path).with_context(|| format!("no {}", path.display()))?);
    let answers = ask(&cases)?;
    if std::env::var_os("XENLIFT_RECORD").is_some() {
        for (answer, case) in answers.into_iter().zip(&mut cases) {
            case.answer = Some(answer);
        }
        return fs::write(path, cases::write(&cases)).context("cannot write the answers");
    }
    for (answer, case) in answers.iter().zip(&cases) {
        assert_eq!(case.answer.as_ref(), Some(answer), "{}", case.title);
    }
    Ok(())
}

#[test]
fn a_real_u_boot_still_gives_the_recorded_answers_about_trees_and_memory() -> Result<()> {
    for file in ["fdt.txt", "memory.txt"] {
        recorded(&tests().join("fdt_commands/cases").join(file), answers)?;
    }
    Ok(())
}

/// The tutorials' scripts with files of the sizes that they count on, on the network that they count on.
#[test]
fn a_real_u_boot_still_makes_the_recorded_tree_of_the_tutorials_scripts() -> Result<()> {
    recorded(&tests().join("tutorial/answers.txt"), |cases| {
        let mut network = Network::new()?
            .with("xen", &vec![0x5a; 983_048])?
            .with("Image-dom0", &vec![0xa5; 0x108_aa00])?
            .with("bcm2711-rpi-4-b.dtb", &tree()?)?;
        for name in ["boot", "boot2"] {
            let source = fs::read_to_string(tests().join(format!("tutorial/{name}.source")))?;
            network = network.with(&format!("{name}.scr"), &make_script(&source)?)?;
        }
        let mut command = UBoot::board(&emulator_with_ethernet(&cache()?)?)?;
        let netdev = format!("{},net=192.168.0.0/24,host=192.168.0.1,dhcpstart=192.168.0.15", network.user(None));
        network.attach_as(&mut command, &netdev, 1);
        let mut board = UBoot::start(command)?;
        // The card's part: from here on everything is the script's.
        for line in ["setenv ipaddr 192.168.0.2", "setenv serverip 192.168.0.1"] {
            board.ask(line)?;
        }
        board.ask(&format!("tftpb {SCRIPT:x} boot.scr"))?;
        let said = board.ask(&format!("source {SCRIPT:x}"))?;
        // No image is Xen's here: the scripts end at booti, and the tree is as it would be booted.
        ensure!(said.contains("Bad Linux ARM64 Image magic!"), "{said}");
        let mut answers = Vec::new();
        for case in cases {
            let mut printed = String::new();
            for line in case.script.lines() {
                printed += &board.ask(line)?;
            }
            answers.push(Answer::new("0", &printed));
        }
        Ok(answers)
    })
}
