//! A list of planted bugs, `tools/mutants/NAME.toml`:
//!
//! ```toml
//! tests = [["--lib", "boot::layout"]]     # target, then arguments for its program; in this order until one fails
//! slow-tests = [["--test", "device_tree"]]  # for those that are alive after all others
//!
//! [[mutant]]
//! name = "page 0 given out"
//! file = "src/boot/layout.rs"
//! old = 'layout.reserve("page 0", …)?;'   # occurs once in the file
//! new = ''
//! why = "the firmware spins the other processors there"
//! ```

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use toml::de::{DeTable, DeValue};

/// A bug to plant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutant {
    /// What a report calls it.
    pub name: String,
    /// The file, from the workspace's root.
    pub file: String,
    /// What occurs once in the file.
    pub old: String,
    /// What it becomes.
    pub new: String,
    /// Why that is a bug.
    pub why: String,
}

/// Some of the tests of a test program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tests {
    /// The integration test's name; `None` for the library's own tests.
    pub target: Option<String>,
    /// Which tests: arguments of the test program.
    pub arguments: Vec<String>,
}

/// Bugs in one part of the sources, and the tests that are to find them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// The quickest first.
    pub tests: Vec<Tests>,
    /// Only for what lives on after the others.
    pub slow_tests: Vec<Tests>,
    /// All bugs.
    pub mutants: Vec<Mutant>,
}

/// Reads a list.
pub fn read(path: &Path) -> Result<List> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text).with_context(|| format!("in {}", path.display()))
}

fn parse(text: &str) -> Result<List> {
    let table = DeTable::parse(text).map_err(|error| anyhow::anyhow!("{error}"))?;
    let table = table.get_ref();
    if let Some(key) = table.keys().find(|key| !["tests", "slow-tests", "mutant"].contains(&key.get_ref().as_ref())) {
        bail!("unknown key {}", key.get_ref());
    }
    let mutants = match table.get("mutant") {
        Some(value) => value.get_ref().as_array().context("mutant is no array of tables")?,
        None => bail!("no [[mutant]]"),
    };
    let list = List {
        tests: tests(table.get("tests").map(|value| value.get_ref()))?,
        slow_tests: tests(table.get("slow-tests").map(|value| value.get_ref()))?,
        mutants: mutants.iter().map(|value| mutant(value.get_ref())).collect::<Result<_>>()?,
    };
    if list.tests.is_empty() {
        bail!("no tests");
    }
    for (index, one) in list.mutants.iter().enumerate() {
        if list.mutants.iter().skip(index + 1).any(|other| other.name == one.name) {
            bail!("two mutants are called \"{}\"", one.name);
        }
    }
    Ok(list)
}

fn mutant(value: &DeValue<'_>) -> Result<Mutant> {
    let table = value.as_table().context("a mutant is no table")?;
    let text = |key: &str| -> Result<String> {
        let value = table.get(key).with_context(|| format!("a mutant has no {key}: {table:?}"))?;
        Ok(value.get_ref().as_str().with_context(|| format!("a mutant's {key} is no text"))?.to_owned())
    };
    if table.len() != 5 {
        bail!("a mutant has other keys than name, file, old, new, why: {table:?}");
    }
    let mutant =
        Mutant { name: text("name")?, file: text("file")?, old: text("old")?, new: text("new")?, why: text("why")? };
    if mutant.old == mutant.new || mutant.old.is_empty() {
        bail!("\"{}\" changes nothing", mutant.name);
    }
    Ok(mutant)
}

fn tests(value: Option<&DeValue<'_>>) -> Result<Vec<Tests>> {
    let Some(value) = value else { return Ok(Vec::new()) };
    let groups = value.as_array().context("tests are no array")?;
    groups.iter().map(|group| one_of_tests(group.get_ref())).collect()
}

fn one_of_tests(value: &DeValue<'_>) -> Result<Tests> {
    let words = value.as_array().context("tests are no array of arrays")?;
    let words = words.iter().map(|word| word.get_ref().as_str().map(str::to_owned));
    let words: Vec<String> = words.collect::<Option<_>>().context("tests are no texts")?;
    match words.split_first() {
        Some((kind, rest)) if kind == "--lib" => Ok(Tests { target: None, arguments: rest.to_vec() }),
        Some((kind, rest)) if kind == "--test" => {
            let (name, arguments) = rest.split_first().context("--test without a name")?;
            Ok(Tests { target: Some(name.clone()), arguments: arguments.to_vec() })
        }
        _ => bail!("tests begin with --lib or --test, not with {words:?}"),
    }
}

impl Mutant {
    /// `source` with the bug in it.
    pub fn plant(&self, source: &str) -> Result<String> {
        match source.matches(&self.old).count() {
            1 => Ok(source.replacen(&self.old, &self.new, 1)),
            0 => bail!("what it changes is no longer in {}: bring the list up to date", self.file),
            count => bail!("what it changes occurs {count} times in {}: make it longer", self.file),
        }
    }
}

#[cfg(test)]
mod checks {
    use super::super::{LISTS, path};
    use super::*;
    use crate::loader::workspace;

    #[test]
    fn a_list_is_read() {
        let list = parse(
            "tests = [[\"--lib\", \"a\"], [\"--test\", \"b\", \"--skip\", \"c\"]]\n[[mutant]]\nname = \"n\"\nfile = \"f\"\nold = 'o'\nnew = ''\nwhy = 'w'\n",
        )
        .unwrap();
        let lib = Tests { target: None, arguments: vec!["a".to_owned()] };
        let test = Tests { target: Some("b".to_owned()), arguments: vec!["--skip".to_owned(), "c".to_owned()] };
        assert_eq!((list.tests, list.slow_tests), (vec![lib, test], Vec::new()));
        assert_eq!((list.mutants[0].name.as_str(), list.mutants[0].new.as_str()), ("n", ""));
    }

    #[test]
    fn what_is_wrong_with_a_list_is_told() {
        for (text, expected) in [
            ("mutant = 3", "mutant is no array of tables"),
            ("tests = [[\"--lib\"]]", "no [[mutant]]"),
            ("mutant = []", "no tests"),
            ("mutants = []", "unknown key mutants"),
            ("mutant = []\ntests = [[\"x\"]]", "tests begin with --lib or --test, not with [\"x\"]"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn a_bug_is_planted_in_one_place_or_not_at_all() {
        let text = |text: &str| text.to_owned();
        let mutant = Mutant { name: text("n"), file: text("f"), old: text("+ 1"), new: text("+ 2"), why: text("w") };
        assert_eq!(mutant.plant("a + 1;").unwrap(), "a + 2;");
        assert!(mutant.plant("a;").unwrap_err().to_string().contains("no longer in f"));
        assert!(mutant.plant("a + 1 + 1").unwrap_err().to_string().contains("2 times"));
    }

    #[test]
    fn the_projects_own_lists_fit_its_sources() {
        for (_, name) in LISTS {
            let list = read(&path(name)).unwrap();
            assert!(list.mutants.len() >= 20, "{name}: {}", list.mutants.len());
            for mutant in &list.mutants {
                let source = fs::read_to_string(workspace().join(&mutant.file)).unwrap();
                mutant.plant(&source).unwrap_or_else(|error| panic!("{name}, \"{}\": {error}", mutant.name));
            }
        }
    }
}
