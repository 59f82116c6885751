use super::*;
use crate::boot::test_tree::TestTree;
use crate::config::settings;
use crate::shell::Environment;
use crate::shell::simulation::{FileMap, Simulation};

/// A tree with `/aliases`, `/chosen` and `/soc/serial@7e201000`.
fn tree() -> Vec<u8> {
    let mut tree = TestTree::empty();
    let mut editor = tree.editor();
    for (parent, name) in [("/", "aliases"), ("/", "chosen"), ("/", "soc"), ("/soc", "serial@7e201000")] {
        editor.add_node(parent, name).unwrap();
    }
    editor.set_string("/aliases", "serial0", "/soc/serial@7e201000").unwrap();
    editor.set_string("/soc/serial@7e201000", "status", "okay").unwrap();
    editor.as_bytes().to_vec()
}

fn machine() -> Simulation {
    let mut files = FileMap::default();
    for name in ["config.txt", "overlays/vc4.dtbo", "overlays/disable-bt.dtbo", "a b", "Image"] {
        files.card.insert(name.into(), Vec::new());
    }
    let mut machine = Simulation::raspberry_pi_4(files).unwrap();
    machine.put_firmware_tree(0x2eff_6000, &tree()).unwrap();
    let text = "[[entry]]\nname = \"xen\"\n[entry.linux]\nimage = \"Image\"\nargs = \"\"\n\
                [[entry]]\nname = \"rescue\"\n[entry.linux]\nimage = \"Image\"\nargs = \"\"\n";
    machine.entries = settings::parse(text.as_bytes()).unwrap().entries;
    machine
}

fn names(before: &str) -> Vec<String> {
    let mut machine = machine();
    let mut environment = Environment::default();
    for name in ["serverip", "kernel_addr_r", "fdt_addr_r", "bootcmd"] {
        environment.set(name, "1");
    }
    let mut shell = Shell::new(&mut machine, environment);
    let _ = shell.run_script("test", "local=1");
    let mut candidates = Candidates::new(before);
    shell.complete(&mut candidates);
    candidates.names().to_vec()
}

#[test]
fn the_first_word_is_a_command_behind_separators_and_words_of_the_language_too() {
    for before in ["tftp", "echo a; tftp", "true && tftp", "if tftp", "x=1 tftp", "  then  tftp"] {
        assert_eq!(names(before), ["tftpboot"], "{before}");
    }
    assert!(names("").len() > 50);
    assert!(names("echo ").is_empty());
    assert!(names("nonsense ").is_empty());
}

#[test]
fn subcommands_are_those_of_the_usage() {
    assert_eq!(names("fdt re"), ["resize"]);
    assert_eq!(names("fdt get "), ["value", "name", "addr", "size"]);
    assert_eq!(names("env d"), ["default", "delete"]);
    assert_eq!(names("net "), ["registers"]);
    assert_eq!(names("log w"), ["warn"]);
    assert_eq!(names("mmc r"), ["rescan"]);
    assert_eq!(names("part s"), ["start", "size"]);
    assert_eq!(names("sysboot mmc 0:1 "), ["fat", "any"]);
    assert_eq!(names("help sel"), ["selftest"]);
}

#[test]
fn variables_stand_behind_their_sign_and_their_commands() {
    assert_eq!(names("echo $ser"), ["serverip"]);
    assert_eq!(names("echo a${ker"), ["kernel_addr_r}"]);
    assert_eq!(names("tftpboot $lo"), ["local"]);
    for command in ["setenv", "printenv", "printenv x", "run", "env print", "editenv", "env exists"] {
        assert_eq!(names(&format!("{command} ser")), ["serverip"], "{command}");
    }
    assert!(names("setenv a ser").is_empty(), "a value can be anything");
    assert_eq!(names("fdt get value ser"), ["serverip"]);
}

#[test]
fn entries_stand_behind_what_boots_and_plans() {
    assert_eq!(names("boot "), ["xen", "rescue"]);
    assert_eq!(names("plan r"), ["rescue"]);
    assert!(names("plan rescue ").is_empty());
}

#[test]
fn paths_and_properties_are_those_of_the_tree() {
    assert_eq!(names("fdt print /s"), ["/soc/"]);
    assert_eq!(names("fdt set /soc/"), ["/soc/serial@7e201000"]);
    assert_eq!(names("tree print /ch"), ["/chosen"]);
    assert_eq!(names("fdt get value v /soc/serial@7e201000 st"), ["status"]);
    assert_eq!(names("fdt rm ser"), ["serial0"]);
    assert!(names("fdt print /nothing/").is_empty());
    assert!(names("fdt mknode / ser").is_empty(), "a new node is nobody's name");
}

#[test]
fn files_are_those_of_the_card() {
    assert_eq!(names("load mm"), ["mmc"]);
    assert_eq!(names("load mmc "), ["0:1"]);
    let mut root = names("load mmc 0:1 1000000 ");
    root.sort();
    assert_eq!(root, ["Image", "config.txt", "overlays/"]);
    assert_eq!(names("ls mmc 0:1 ov"), ["overlays/"]);
    assert_eq!(names("size mmc 0:1 overlays/v"), ["overlays/vc4.dtbo"]);
    assert_eq!(names("load mmc 0:1 ${fdt_addr_r} /overlays/d"), ["/overlays/disable-bt.dtbo"]);
    assert!(names("load usb 0 1000000 ").is_empty());
    assert!(names("load mmc 9:9 1000000 ").is_empty());
}

#[test]
fn every_usage_can_be_read() {
    for command in commands::all() {
        for form in forms(command) {
            for token in form {
                let fit = token.bytes().all(|byte| !byte.is_ascii_whitespace());
                assert!(fit && !token.is_empty(), "{}: {token:?}", command.name);
            }
        }
    }
}
