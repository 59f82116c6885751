//! Trees as text: what is written as a source dtc compiles to the same tree, and a difference is what a model of both trees says.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use proptest::prelude::*;
use xenlift::device_tree::value::Value;
use xenlift::device_tree::{Tree, difference, source};

use crate::blob::{Begin, End, Finish, Property, blob};
use crate::board;
use crate::model::{Model, Node, nop_out, scatter};
use crate::oracle::{compile, compile_plain};

fn source_of(bytes: &[u8]) -> String {
    let mut text = String::new();
    source(&Tree::new(bytes).unwrap(), &mut text).unwrap();
    text
}

fn differences(before: &[u8], after: &[u8]) -> String {
    let mut text = String::new();
    let lines = difference(&Tree::new(before).unwrap(), &Tree::new(after).unwrap(), &mut text).unwrap();
    assert_eq!(lines, text.lines().count());
    text
}

/// Values that look like something, and are or are not.
fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(Vec::new()),
        Just(b"\0".to_vec()),
        Just(b"a\0\0b\0".to_vec()),
        Just(b"\0\0\0\0".to_vec()),
        Just(b"no zero at its end".to_vec()),
        Just(b"two\nlines\ttab\r\0".to_vec()),
        Just(br#"quo"te back\slash \" \\ \x41 \101 end\"#.iter().copied().chain([0]).collect()),
        Just(b"/* comment */ // } ; > ] /dts-v1/;\0".to_vec()),
        Just("no ASCII: \u{e9}\u{1f600}\0".as_bytes().to_vec()),
        "[ -~]{1,40}".prop_map(|text| [text.as_bytes(), b"\0"].concat()),
        prop::collection::vec("[ -~]{1,8}", 2..5)
            .prop_map(|texts| texts.iter().flat_map(|text| [text.as_bytes(), b"\0"].concat()).collect()),
        prop::collection::vec(any::<u8>(), 1..30),
        prop::collection::vec(any::<u32>(), 1..6)
            .prop_map(|cells| cells.iter().flat_map(|cell| cell.to_be_bytes()).collect()),
    ]
}

/// A tree of few names, so that two have much in common.
fn node() -> impl Strategy<Value = Node> {
    let property = || ("(reg|status|#cells|a[+?*._,-]b|0x10|new)", value());
    let leaf = prop::collection::vec(property(), 0..5).prop_map(|properties| of(properties, Vec::new()));
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let child = ("(soc|soc@0|soc@1|chosen|dom0|9p)", inner);
        (prop::collection::vec(property(), 0..5), prop::collection::vec(child, 0..5))
            .prop_map(|(properties, children)| of(properties, children))
    })
}

/// A node without a name, whose properties and children have each name once.
fn of(properties: Vec<(String, Vec<u8>)>, children: Vec<(String, Node)>) -> Node {
    let mut node = Node::default();
    for (name, value) in properties {
        if node.property(&name).is_none() {
            node.properties.push((name, value));
        }
    }
    for (name, child) in children {
        if node.children.iter().all(|there| there.name != name) {
            node.children.push(Node { name, ..child });
        }
    }
    node
}

fn model() -> impl Strategy<Value = Model> {
    let reservation = (prop::sample::select(vec![0u64, 0x1000, 1 << 40]), prop::sample::select(vec![1u64, 0x1000]));
    (prop::collection::btree_set(reservation, 0..3), node())
        .prop_map(|(reservations, root)| Model { reservations: reservations.into_iter().collect(), root })
}

/// The lines of a difference, by maps.
fn expected(before: &Model, after: &Model) -> String {
    let mut out = String::new();
    let mut reservations: BTreeMap<(u64, u64), i32> = BTreeMap::new();
    before.reservations.iter().for_each(|&entry| *reservations.entry(entry).or_default() -= 1);
    after.reservations.iter().for_each(|&entry| *reservations.entry(entry).or_default() += 1);
    for ((address, size), count) in reservations {
        let sign = if count > 0 { '+' } else { '-' };
        for _ in 0..count.abs() {
            writeln!(out, "{sign} /memreserve/ {address:#010x}-{:#010x}", address + size - 1).unwrap();
        }
    }
    expected_of_node(&before.root, &after.root, "", &mut out);
    out
}

fn expected_of_node(before: &Node, after: &Node, path: &str, out: &mut String) {
    let here = if path.is_empty() { "/" } else { path };
    let shown = |value: &Vec<u8>| if value.is_empty() { "nothing".into() } else { Value::in_source(value).to_string() };
    let mut properties: BTreeMap<&String, [Option<&Vec<u8>>; 2]> = BTreeMap::new();
    before.properties.iter().for_each(|(name, value)| properties.entry(name).or_default()[0] = Some(value));
    after.properties.iter().for_each(|(name, value)| properties.entry(name).or_default()[1] = Some(value));
    for (name, values) in properties {
        match values {
            [Some(_), None] => writeln!(out, "- {here} {name}").unwrap(),
            [None, Some(value)] if value.is_empty() => writeln!(out, "+ {here} {name}").unwrap(),
            [None, Some(value)] => writeln!(out, "+ {here} {name} = {}", shown(value)).unwrap(),
            [Some(old), Some(new)] if old != new => {
                writeln!(out, "~ {here} {name} = {} -> {}", shown(old), shown(new)).unwrap();
            }
            _ => {}
        }
    }
    let mut children: BTreeMap<&String, [Option<&Node>; 2]> = BTreeMap::new();
    before.children.iter().for_each(|child| children.entry(&child.name).or_default()[0] = Some(child));
    after.children.iter().for_each(|child| children.entry(&child.name).or_default()[1] = Some(child));
    for (name, nodes) in children {
        let path = format!("{path}/{name}");
        match nodes {
            [Some(_), None] => writeln!(out, "- {path}").unwrap(),
            [None, Some(new)] => {
                writeln!(out, "+ {path}").unwrap();
                expected_of_node(&Node::default(), new, &path, out);
            }
            [Some(old), Some(new)] => expected_of_node(old, new, &path, out),
            [None, None] => {}
        }
    }
}

/// The same tree with everything in it the other way round.
fn reversed(model: &Model) -> Model {
    fn turn(node: &Node) -> Node {
        let mut node = Node { children: node.children.iter().map(turn).collect(), ..node.clone() };
        node.children.reverse();
        node.properties.reverse();
        node
    }
    Model { reservations: model.reservations.iter().copied().rev().collect(), root: turn(&model.root) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn dtc_compiles_a_source_to_the_same_tree(model in model(), order in Just([0, 1, 2]).prop_shuffle(), gap in 0usize..3) {
        let tree = scatter(&compile_plain(&model.source()), order, gap);
        let text = source_of(&tree);
        prop_assert!(text.starts_with("/dts-v1/;\n"));
        let again = compile_plain(&text);
        prop_assert_eq!(Model::read(&again), model, "{}", text);
        prop_assert_eq!(source_of(&again), text);
    }

    #[test]
    fn a_difference_is_what_the_model_says(before in model(), after in model()) {
        let trees = [&before, &after, &reversed(&before), &reversed(&after)].map(|model| compile_plain(&model.source()));
        let text = differences(&trees[0], &trees[1]);
        prop_assert_eq!(&text, &expected(&before, &after));
        prop_assert_eq!(&differences(&trees[2], &trees[1]), &text);
        prop_assert_eq!(&differences(&trees[0], &trees[3]), &text);
        prop_assert_eq!(differences(&trees[1], &trees[3]), "");
    }
}

#[test]
fn a_boards_tree_is_written_so_that_dtc_compiles_it_again() {
    let tree = nop_out(&compile(board::SOURCE), "/soc/serial@7e201400");
    let text = source_of(&tree);
    assert_eq!(Model::read(&compile_plain(&text)), Model::read(&tree), "{text}");
    assert!(text.contains("/memreserve/ 0x000000003b000000 0x0000000001000000;\n"), "{text}");
    assert!(text.contains("\n\n\tchosen {\n\t\tbootargs = \"console=ttyS1\";\n"), "{text}");
}

#[test]
fn a_reservation_of_no_bytes_is_kept() {
    let tree = compile_plain("/dts-v1/;\n/memreserve/ 0x1000 0x0;\n/ { };");
    assert_eq!(Model::read(&compile_plain(&source_of(&tree))).reservations, [(0x1000, 0)]);
}

/// A tree of which a byte is another.
fn with(tree: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut tree = tree.to_vec();
    let mut found = 0;
    for at in 0..tree.len() - from.len() {
        if &tree[at..at + from.len()] == from {
            tree[at..at + to.len()].copy_from_slice(to);
            found += 1;
        }
    }
    assert!(found > 0);
    tree
}

#[test]
fn names_that_a_source_cannot_have_are_comments() {
    let tree = compile_plain("/dts-v1/;\n/ { prop-x = \"a\"; node-x { last = <1>; inner { }; }; after { }; };");
    let tree = with(&with(&tree, b"prop-x\0", b"prop;x\0"), b"node-x\0", b"node{x\0");
    let text = source_of(&tree);
    assert!(text.contains("\t// left out: a source cannot name a property prop;x\n"), "{text}");
    assert!(text.contains("\t// left out, with all below it: a source cannot name a node node{x\n"), "{text}");
    let again = Model::read(&compile_plain(&text));
    let names: Vec<&str> = again.root.children.iter().map(|child| child.name.as_str()).collect();
    assert_eq!((names, again.root.properties.len()), (vec!["after"], 0), "{text}");
}

#[test]
fn a_name_that_a_damaged_tree_has_twice_is_compared_in_order() {
    let tree = compile_plain("/dts-v1/;\n/ { one = <1>; two = <2>; a { x; }; b { y; }; };");
    let twice = with(&with(&tree, b"two\0", b"one\0"), b"b\0", b"a\0");
    assert_eq!(differences(&twice, &twice), "");
    assert_eq!(differences(&tree, &twice), "+ / one = <0x00000002>\n- / two\n+ /a\n+ /a y\n- /b\n");
    assert_eq!(differences(&twice, &tree), "- / one\n+ / two = <0x00000002>\n- /a\n+ /b\n+ /b y\n");
}

#[test]
fn a_long_value_is_told_by_its_length_and_a_full_output_ends_the_work() {
    struct Full;
    impl std::fmt::Write for Full {
        fn write_str(&mut self, _: &str) -> std::fmt::Result {
            Err(std::fmt::Error)
        }
    }
    let small = compile_plain("/dts-v1/;\n/ { a; };");
    let bytes = "00 ".repeat(5000);
    let large = compile_plain(&format!("/dts-v1/;\n/ {{ a = [{bytes}]; }};"));
    assert_eq!(differences(&small, &large), "~ / a = nothing -> (5000 bytes)\n");
    let (small, large) = (Tree::new(&small).unwrap(), Tree::new(&large).unwrap());
    assert_eq!(difference(&small, &large, &mut Full), Err(difference::Error::Output));
}

#[test]
fn a_node_with_very_many_names_is_compared_in_time() {
    // dtc has no room for so many.
    let tree = |first: u32| {
        let names: Vec<String> = (first..first + 20_000).map(|number| format!("n{number:05}")).collect();
        let strings: Vec<u8> = names.iter().flat_map(|name| [name.as_bytes(), b"\0"].concat()).collect();
        let mut pieces = vec![Begin("")];
        pieces.extend((0..20_000).map(|number| Property(number * 7, b"")));
        pieces.extend(names.iter().flat_map(|name| [Begin(name), End]));
        pieces.extend([End, Finish]);
        blob(&pieces, &strings)
    };
    let (before, after) = (tree(0), tree(10));
    let start = std::time::Instant::now();
    assert_eq!(differences(&before, &after).lines().count(), 40);
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}
