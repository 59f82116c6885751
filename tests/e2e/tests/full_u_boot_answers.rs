//! The recorded answers of `tests/shell/cases` are what a real U-Boot says: Debian's, on the emulated board, asked again.
//!
//! `XENLIFT_RECORD=1` writes its answers into the files instead of comparing them; that is how a new case gets its answer.

use std::fs;

use anyhow::Result;
use xenlift_e2e::u_boot::run_scripts;

#[path = "../../shell/cases.rs"]
mod cases;

use cases::{Answer, Case, FILES};

fn answers(cases: &[Case]) -> Result<Vec<Answer>> {
    let said = run_scripts(cases.iter().map(|case| case.script.as_str()), &[])?;
    Ok(said.iter().map(|said| Answer::new(&said.status, &cases::without_diagnostics(&said.printed, false))).collect())
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
