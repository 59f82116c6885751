//! The recorded answers of `tests/shell/cases` are what a real U-Boot says: Debian's, on the emulated board, asked again.
//!
//! `XENLIFT_RECORD=1` writes its answers into the files instead of comparing them; that is how a new case gets its answer.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use xenlift_e2e::u_boot_tools::make_script;
use xenlift_e2e::{Machine, Release, Uart, cache, emulator, packages};

#[path = "../../shell/cases.rs"]
mod cases;

use cases::{Answer, Case, FILES};

const START: Duration = Duration::from_secs(90);
const COMMAND: Duration = Duration::from_secs(60);
const PROMPT: &str = "U-Boot> ";
/// Where the scripts lie: the first one here, the others behind it at this distance.
const SCRIPTS: usize = 0x1000_0000;
const DISTANCE: usize = 0x4000;

/// What U-Boot prints for `line`.
fn ask(board: &mut Machine, line: &str) -> Result<String> {
    board.send(Uart::Mini, &format!("{line}\r"))?;
    let said = board.wait_for(Uart::Mini, PROMPT, COMMAND)?.replace('\r', "");
    let (_, said) =
        said.split_once(&format!("{line}\n")).with_context(|| format!("no echo of {line:?} in {said:?}"))?;
    Ok(said.trim_end_matches(PROMPT).to_owned())
}

fn answers(cases: &[Case]) -> Result<Vec<Answer>> {
    let directory = tempfile::tempdir()?;
    let scripts = directory.path().join("scripts");
    let mut bytes = Vec::new();
    for case in cases {
        let mut script = make_script(&case.script)?;
        ensure!(script.len() <= DISTANCE, "{} is too long", case.title);
        script.resize(DISTANCE, 0);
        bytes.extend(script);
    }
    fs::write(&scripts, bytes)?;
    let cache = cache()?;
    let mut command = emulator(&cache)?.board();
    let tree = packages::linux(&cache, Release::Bookworm)?.device_trees.join("bcm2711-rpi-4-b.dtb");
    command.arg("-kernel").arg(packages::u_boot(&cache)?).arg("-dtb").arg(tree).arg("-device");
    command.arg(format!("loader,file={},addr={SCRIPTS:#x},force-raw=on", scripts.display()));
    let mut board = Machine::start(command)?;
    board.wait_for(Uart::Mini, "stop autoboot", START)?;
    board.send(Uart::Mini, " ")?;
    board.wait_for(Uart::Mini, PROMPT, START)?;
    let mut answers = Vec::new();
    for index in 0..cases.len() {
        let address = SCRIPTS + index * DISTANCE;
        let said = ask(&mut board, &format!("source {address:x}"))?;
        let start = format!("## Executing script at {address:08x}\n");
        let printed = said.strip_prefix(&start).with_context(|| format!("{said:?} does not start with {start:?}"))?;
        let status = ask(&mut board, "echo $?")?.trim().to_owned();
        answers.push(Answer::new(&status, &cases::without_diagnostics(printed, false)));
    }
    Ok(answers)
}

#[test]
fn a_real_u_boot_still_gives_the_recorded_answers() -> Result<()> {
    let record = std::env::var_os("XENLIFT_RECORD").is_some();
    for file in FILES {
        let path = cases::directory().join(file);
        let mut cases = cases::read(&fs::read_to_string(&path)?);
        for (answer, case) in answers(&cases)?.into_iter().zip(&mut cases) {
            if record {
                case.answer = Some(answer);
            } else {
                assert_eq!(case.answer.as_ref(), Some(&answer), "{file}: {}", case.title);
            }
        }
        if record {
            fs::write(&path, cases::write(&cases))?;
        }
    }
    Ok(())
}
