//! Every recorded case through our interpreter: the same output, byte for byte, and the same exit status.

use crate::cases::{Answer, FILES, directory, read, without_diagnostics};
use xenlift::shell::simulation::{FileMap, Simulation};
use xenlift::shell::{Environment, Shell};

fn replay(file: &str) {
    let text = std::fs::read_to_string(directory().join(file)).unwrap();
    let cases = read(&text);
    assert!(cases.len() > 20, "{file} has only {} cases", cases.len());
    let mut machine = Simulation::raspberry_pi_4(FileMap::default()).unwrap();
    let mut environment = Environment::default();
    // What U-Boot has from the start, as far as the cases look at it.
    environment.set("kernel_addr_r", "0x00080000");
    let mut shell = Shell::new(&mut machine, environment);
    let mut wrong = String::new();
    let mut said = 0;
    let mut answers = Vec::new();
    for case in &cases {
        let succeeded = shell.run_script("case", &case.script);
        answers.push(
            succeeded.map_or_else(|failure| format!("{failure:?}"), |succeeded| u8::from(!succeeded).to_string()),
        );
        // A mark in the output tells where the next case begins.
        shell.platform.print(format_args!("\u{1}"));
    }
    for ((case, status), part) in cases.iter().zip(answers).zip(machine.output.split('\u{1}')) {
        said += part.len();
        let found = Answer::new(&status, &without_diagnostics(part, true));
        let recorded = case.answer.clone();
        let expected = match &case.ours {
            Some((_, ours)) => {
                assert_ne!(Some(ours), recorded.as_ref(), "{file}: {}: no exception is needed", case.title);
                Some(ours.clone())
            }
            None => recorded,
        };
        if expected.as_ref() != Some(&found) {
            wrong.push_str(&format!(
                "\n#### {}\n{}expected {expected:?}\nfound    {found:?}\nwhole    {part:?}\n",
                case.title, case.script
            ));
        }
    }
    assert!(said > 0);
    assert!(wrong.is_empty(), "{file}: other than U-Boot:\n{wrong}");
}

#[test]
fn words_quotes_and_variables_are_u_boots() {
    replay(FILES[0]);
}

#[test]
fn control_flow_is_u_boots() {
    replay(FILES[1]);
}

#[test]
fn conditions_and_expressions_are_u_boots() {
    replay(FILES[2]);
}

#[test]
fn variables_are_u_boots() {
    replay(FILES[3]);
}

#[test]
fn what_people_write_does_what_it_does_there() {
    replay(FILES[4]);
}

#[test]
fn there_are_as_many_cases_as_it_takes() {
    let count: usize =
        FILES.iter().map(|file| read(&std::fs::read_to_string(directory().join(file)).unwrap()).len()).sum();
    assert!(count >= 250, "{count}");
}
