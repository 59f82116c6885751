//! A script's commands on a machine that is not there.

use xenlift::range::PhysicalRange;
use xenlift::shell::commands::fdt;
use xenlift::shell::simulation::{FileMap, Simulation};
use xenlift::shell::{Environment, Failure, Loaded, Platform, Shell};

use crate::oracle::compile;

/// Where the tree lies.
pub const TREE: u64 = 0x180_0000;

/// A small tree in the image of a board's.
pub const SOURCE: &str = include_str!("board.dts");

pub struct Session {
    pub machine: Simulation,
    pub environment: Environment,
    pub working_tree: Option<u64>,
    pub loaded: Vec<Loaded>,
}

impl Session {
    /// A board with `tree` at [`TREE`].
    pub fn with(tree: &[u8]) -> Self {
        let mut machine = Simulation::raspberry_pi_4(FileMap::default()).unwrap();
        put(&mut machine, TREE, tree);
        Self { machine, environment: Environment::default(), working_tree: None, loaded: Vec::new() }
    }

    /// The same with the small tree as the working tree.
    pub fn new() -> Self {
        let mut session = Self::with(&compile(SOURCE));
        session.run(&format!("fdt addr {TREE:x}")).unwrap();
        session.machine.output.clear();
        session
    }

    /// Runs a command; its words are set apart by spaces, except in quotes.
    pub fn run(&mut self, line: &str) -> Result<bool, Failure> {
        let words = words(line);
        let mut shell = Shell::new(&mut self.machine, std::mem::take(&mut self.environment));
        shell.working_tree = self.working_tree;
        shell.loaded = std::mem::take(&mut self.loaded);
        let command = fdt::COMMANDS.iter().find(|command| command.name == words[0]).unwrap();
        let outcome = (command.run)(&mut shell, &words);
        (self.working_tree, self.loaded) = (shell.working_tree, std::mem::take(&mut shell.loaded));
        self.environment = shell.environment;
        outcome
    }

    /// Runs commands that have to succeed.
    pub fn script(&mut self, lines: &str) {
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            match self.run(line) {
                Ok(true) => {}
                other => panic!("{line}: {other:?}"),
            }
        }
    }

    /// Why a command did not work.
    pub fn refusal(&mut self, line: &str) -> String {
        match self.run(line) {
            Err(Failure::Reason(reason)) => reason.to_string(),
            other => panic!("{line}: {other:?}"),
        }
    }

    /// What a command printed.
    pub fn output(&mut self, line: &str) -> String {
        self.machine.output.clear();
        self.script(line);
        std::mem::take(&mut self.machine.output)
    }

    /// The bytes of the working tree, as many as its header claims.
    pub fn tree(&mut self) -> Vec<u8> {
        let mut shell = Shell::new(&mut self.machine, Environment::default());
        shell.working_tree = self.working_tree;
        shell.tree().unwrap().bytes().to_vec()
    }

    pub fn load(&mut self, name: &str, address: u64, bytes: &[u8]) {
        let range = put(&mut self.machine, address, bytes);
        self.loaded.push(Loaded { name: name.to_string(), range, spent: false });
    }
}

fn put(machine: &mut Simulation, address: u64, bytes: &[u8]) -> PhysicalRange {
    let range = PhysicalRange::sized(address, bytes.len() as u64).unwrap();
    machine.memory_mut(range).unwrap().copy_from_slice(bytes);
    range
}

fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for character in line.chars() {
        match character {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}
