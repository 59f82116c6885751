//! Recorded answers of a real U-Boot, asked of ours: `tests/e2e/tests/full_u_boot_trees.rs` recorded them, and asks U-Boot again.

use std::path::Path;

use xenlift::range::PhysicalRange;
use xenlift::shell::simulation::{Asked, FileMap, Simulation};
use xenlift::shell::{Environment, Failure, Platform, Shell};

use crate::cases::{Answer, Case, read, without_diagnostics};
use crate::oracle::compile;
use crate::session::{SOURCE, TREE};

fn cases(path: &str) -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(path);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let cases = read(&text);
    assert!(!cases.is_empty());
    cases
}

/// What a script prints, with its messages and our notes put aside.
fn answer(machine: &mut Simulation, shell_state: &mut State, case: &Case) -> Answer {
    machine.output.clear();
    let mut shell = Shell::new(machine, std::mem::take(&mut shell_state.environment));
    shell.working_tree = shell_state.working_tree;
    let outcome = shell.run_script("case", &case.script);
    shell_state.working_tree = shell.working_tree;
    shell_state.environment = std::mem::take(&mut shell.environment);
    drop(shell);
    let status = outcome.map_or_else(|failure| format!("{failure:?}"), |succeeded| u8::from(!succeeded).to_string());
    let printed: String = machine.output.split_inclusive('\n').filter(|line| !line.starts_with("note: ")).collect();
    // U-Boot says nothing about some mistakes: that they are mistakes, the exit status shows.
    Answer::new(&status, &without_diagnostics(&printed, true).replace("<a message>\n", ""))
}

#[derive(Default)]
struct State {
    environment: Environment,
    working_tree: Option<u64>,
}

fn replay(path: &str, machine: &mut Simulation, state: &mut State) {
    for case in cases(path) {
        let ours = answer(machine, state, &case);
        let expected = case.ours.as_ref().map_or(case.answer.as_ref(), |(_, ours)| Some(ours));
        assert_eq!(Some(&ours), expected, "{path}: {}", case.title);
    }
}

#[test]
fn the_fdt_commands_answer_as_u_boot_does() {
    let mut machine = Simulation::raspberry_pi_4(FileMap::default()).unwrap();
    let tree = compile(SOURCE);
    let range = PhysicalRange::sized(TREE, tree.len() as u64).unwrap();
    machine.memory_mut(range).unwrap().copy_from_slice(&tree);
    replay("fdt_commands/cases/fdt.txt", &mut machine, &mut State::default());
}

#[test]
fn the_memory_commands_answer_as_u_boot_does() {
    let mut machine = Simulation::raspberry_pi_4(FileMap::default()).unwrap();
    replay("fdt_commands/cases/memory.txt", &mut machine, &mut State::default());
}

/// The tutorials' scripts, byte for byte, with files of the sizes that they count on.
#[test]
fn the_tutorials_scripts_load_the_same_and_make_the_same_tree_as_with_u_boot() {
    let script = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tutorial").join(name);
        std::fs::read_to_string(path).unwrap()
    };
    let mut files = FileMap::default();
    for (name, bytes) in [
        ("xen", vec![0x5a; 983_048]),
        ("Image-dom0", vec![0xa5; 0x108_aa00]),
        ("bcm2711-rpi-4-b.dtb", compile(SOURCE)),
        ("boot2.scr", script("boot2.source").into_bytes()),
    ] {
        files.server.insert(name.to_string(), bytes);
    }
    let mut machine = Simulation::raspberry_pi_4(files).unwrap();
    let mut shell = Shell::new(&mut machine, Environment::default());
    let outcome = shell.run_script("boot.scr", &script("boot.source"));
    assert!(matches!(outcome, Err(Failure::Ended)), "{outcome:?}");
    let mut state = State { environment: std::mem::take(&mut shell.environment), working_tree: shell.working_tree };
    drop(shell);
    let said = machine.output.clone();
    let lint = "warning: /chosen/dom0-ramdisk says that it lies at 0x02200000-0x08213e85, and nothing was loaded there";
    assert!(said.contains(lint), "{said}");
    assert_eq!(said.matches("warning: ").count(), 1, "{said}");
    let Some(Asked::Booted { program, ramdisk, tree, .. }) = machine.asked.last() else {
        panic!("{:?}", machine.asked)
    };
    assert_eq!(*program, PhysicalRange { start: 0xe0_0000, end: 0xe0_0000 + 983_048 });
    assert_eq!((*ramdisk, tree.start), (None, 0x840_0000));
    replay("tutorial/answers.txt", &mut machine, &mut state);
}
