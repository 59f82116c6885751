//! Sequences of edits, at random, against a model of the tree in memory and against dtc.

use proptest::prelude::*;
use proptest::sample::Index;
use xenlift::device_tree::check;
use xenlift::device_tree::edit::{Editor, Error};
use xenlift::range::PhysicalRange;

use crate::board;
use crate::model::{Model, Raw, nop_out, scatter};
use crate::oracle::{Buffer, compile, decompile};

#[derive(Clone, Debug)]
enum Edit {
    Set(Index, &'static str, Vec<u8>),
    SetKnown(Index, Index, Vec<u8>),
    Append(Index, &'static str, Vec<u8>),
    DeleteProperty(Index, Index),
    AddNode(Index, &'static str),
    DeleteNode(Index),
    Reserve(u64, u64),
    Release(Index),
    Phandle(Index),
    Compact,
}

const PROPERTIES: &[&str] =
    &["reg", "status", "compatible", "tatus", "xen,dom0-bootargs", "bootargs", "new-property", "a"];
const NODES: &[&str] =
    &["module@0", "module@1", "chosen", "xen,evtchn-v1", "x", "a-node-name-of-some-forty-characters@1234"];

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(Vec::new()), prop::collection::vec(any::<u8>(), 1..24), prop::collection::vec(1u8..128, 40..90),]
}

fn edit() -> impl Strategy<Value = Edit> {
    let property = || prop::sample::select(PROPERTIES);
    prop_oneof![
        3 => (any::<Index>(), property(), value()).prop_map(|(node, name, value)| Edit::Set(node, name, value)),
        3 => (any::<Index>(), any::<Index>(), value()).prop_map(|(node, name, value)| Edit::SetKnown(node, name, value)),
        2 => (any::<Index>(), property(), value()).prop_map(|(node, name, value)| Edit::Append(node, name, value)),
        2 => (any::<Index>(), any::<Index>()).prop_map(|(node, property)| Edit::DeleteProperty(node, property)),
        3 => (any::<Index>(), prop::sample::select(NODES)).prop_map(|(node, name)| Edit::AddNode(node, name)),
        1 => any::<Index>().prop_map(Edit::DeleteNode),
        1 => (0u64..1 << 40, 1u64..1 << 32).prop_map(|(start, size)| Edit::Reserve(start, size)),
        1 => any::<Index>().prop_map(Edit::Release),
        1 => any::<Index>().prop_map(Edit::Phandle),
        1 => Just(Edit::Compact),
    ]
}

/// Makes the edit in the model; gives the path of the node that it changes, or the error that the editor is to report.
fn expected(model: &mut Model, edit: &Edit) -> Result<Option<String>, &'static str> {
    let paths = model.root.paths("");
    let pick = |index: &Index| paths[index.index(paths.len())].clone();
    match edit {
        Edit::Set(node, name, value) => {
            let path = pick(node);
            let node = model.root.at(&path).unwrap();
            match node.property(name) {
                Some(there) => there.clone_from(value),
                None => node.properties.push((name.to_string(), value.clone())),
            }
            Ok(Some(path))
        }
        Edit::SetKnown(node, property, value) => {
            let path = pick(node);
            let node = model.root.at(&path).unwrap();
            if node.properties.is_empty() {
                return Err("nothing to set");
            }
            let count = node.properties.len();
            let (name, there) = &mut node.properties[property.index(count)];
            if name == "phandle" {
                // dtc refuses a phandle that is none.
                return Err("phandle");
            }
            there.clone_from(value);
            Ok(Some(path))
        }
        Edit::Append(node, name, value) => {
            let path = pick(node);
            let node = model.root.at(&path).unwrap();
            match node.property(name) {
                Some(there) => there.extend(value),
                None => node.properties.push((name.to_string(), value.clone())),
            }
            Ok(Some(path))
        }
        Edit::DeleteProperty(node, property) => {
            let path = pick(node);
            let node = model.root.at(&path).unwrap();
            if node.properties.is_empty() {
                return Err("no property");
            }
            node.properties.remove(property.index(node.properties.len()));
            Ok(Some(path))
        }
        Edit::AddNode(node, name) => {
            let path = pick(node);
            let node = model.root.at(&path).unwrap();
            if node.children.iter().any(|child| child.name == *name) {
                return Err("exists");
            }
            node.children.push(crate::model::Node { name: name.to_string(), ..Default::default() });
            Ok(Some(path))
        }
        Edit::DeleteNode(node) => {
            let path = pick(node);
            let Some((parent, name)) = path.rsplit_once('/').filter(|(_, name)| !name.is_empty()) else {
                return Err("root");
            };
            let parent = if parent.is_empty() { "/" } else { parent };
            model.root.at(parent).unwrap().children.retain(|child| child.name != name);
            Ok(Some(parent.to_string()))
        }
        Edit::Reserve(start, size) => {
            model.reservations.push((*start, *size));
            Ok(None)
        }
        Edit::Release(index) => {
            if model.reservations.is_empty() {
                return Err("no reservation");
            }
            let (start, size) = model.reservations[index.index(model.reservations.len())];
            let first = model.reservations.iter().position(|&entry| entry == (start, size)).unwrap();
            model.reservations.remove(first);
            Ok(None)
        }
        Edit::Phandle(node) => {
            let path = pick(node);
            if model.root.at(&path).unwrap().property("phandle").is_some_and(|value| value.len() == 4) {
                return Ok(Some(path));
            }
            let mut highest = 0;
            for path in &paths {
                let value = model.root.at(path).unwrap().property("phandle").cloned();
                if let Some(Ok(value)) = value.map(<[u8; 4]>::try_from) {
                    let phandle = u32::from_be_bytes(value);
                    highest = if phandle < 65000 { highest.max(phandle) } else { highest };
                }
            }
            let value = (highest + 1).to_be_bytes().to_vec();
            let node = model.root.at(&path).unwrap();
            match node.property("phandle") {
                Some(there) => *there = value,
                None => node.properties.push(("phandle".into(), value)),
            }
            Ok(Some(path))
        }
        Edit::Compact => Ok(None),
    }
}

/// Makes the edit in the buffer. `before` is the model before the edit.
fn make(editor: &mut Editor<'_>, before: &mut Model, edit: &Edit) -> Result<(), Error> {
    let paths = before.root.paths("");
    let pick = |index: &Index| paths[index.index(paths.len())].clone();
    match edit {
        Edit::Set(node, name, value) => editor.set_property(&pick(node), name, value),
        Edit::SetKnown(node, property, value) => {
            let path = pick(node);
            let properties = &before.root.at(&path).unwrap().properties;
            editor.set_property(&path, &properties[property.index(properties.len())].0, value)
        }
        Edit::Append(node, name, value) => editor.append_property(&pick(node), name, value),
        Edit::DeleteProperty(node, property) => {
            let path = pick(node);
            let properties = &before.root.at(&path).unwrap().properties;
            editor.delete_property(&path, &properties[property.index(properties.len())].0)
        }
        Edit::AddNode(node, name) => editor.add_node(&pick(node), name),
        Edit::DeleteNode(node) => editor.delete_node(&pick(node)),
        Edit::Reserve(start, size) => editor.add_reservation(PhysicalRange::sized(*start, *size).unwrap()),
        Edit::Release(index) => {
            let (start, size) = before.reservations[index.index(before.reservations.len())];
            editor.delete_reservation(PhysicalRange::sized(start, size).unwrap())
        }
        Edit::Phandle(node) => editor.new_phandle(&pick(node)).map(|_| ()),
        Edit::Compact => editor.compact(),
    }
}

/// Nodes that the edit had no business with: those that neither contain nor are the node it changed.
fn untouched(raw: Vec<Raw>, changed: Option<&str>) -> Vec<Raw> {
    raw.into_iter()
        .filter(|(path, _)| match changed {
            None => true,
            Some(changed) => path != "/" && path != changed && !changed.starts_with(&format!("{path}/")),
        })
        .collect()
}

fn run(start: &[u8], room: usize, edits: &[Edit]) -> Result<(), TestCaseError> {
    let mut buffer = Buffer::new(start, start.len() + room);
    let end = buffer.bytes().len();
    let mut model = Model::read(start);
    let mut editor = Editor::new(buffer.bytes()).unwrap();
    prop_assert_eq!(&Model::read(editor.as_bytes()), &model);
    for edit in edits {
        let mut next = model.clone();
        let Ok(changed) = expected(&mut next, edit) else { continue };
        let (_, before) = Model::read_raw(editor.as_bytes());
        let bytes = editor.as_bytes().to_vec();
        match make(&mut editor, &mut model, edit) {
            Ok(()) => model = next,
            Err(Error::NoRoom { needed, have }) => {
                prop_assert!(needed > have && have == end, "{} needed, {} there", needed, have);
                prop_assert_eq!(editor.as_bytes(), &bytes[..], "an edit that fails changes nothing");
                continue;
            }
            Err(error) => return Err(TestCaseError::fail(format!("{edit:?}: {error}"))),
        }
        let header = check(editor.as_bytes()).unwrap();
        prop_assert_eq!(header.total_size, editor.as_bytes().len());
        prop_assert_eq!(header.structure_offset, 40 + 16 * (model.reservations.len() + 1));
        prop_assert_eq!(header.strings_offset, header.structure_offset + header.structure_size);
        prop_assert_eq!(header.total_size, header.strings_offset + header.strings_size);
        prop_assert_eq!(editor.room(), end - header.total_size);
        let (read, after) = Model::read_raw(editor.as_bytes());
        prop_assert_eq!(&read, &model, "{:?}", edit);
        prop_assert!(Model::is_padded_with_zeroes(editor.as_bytes()), "{:?}", edit);
        if !matches!(edit, Edit::Compact) {
            let kept: Vec<Raw> = untouched(before, changed.as_deref());
            for node in kept {
                let deleted = matches!(edit, Edit::DeleteNode(_)) && !after.iter().any(|(path, _)| *path == node.0);
                prop_assert!(deleted || after.contains(&node), "{:?} changed {}", edit, node.0);
            }
        }
        decompile(editor.as_bytes()).map_err(TestCaseError::fail)?;
    }
    // The same tree compiled by dtc from the model says the same.
    let ours = decompile(editor.finish()).map_err(TestCaseError::fail)?;
    let theirs = decompile(&crate::oracle::compile_plain(&model.source())).map_err(TestCaseError::fail)?;
    prop_assert_eq!(ours, theirs);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_sequence_of_edits_is_what_the_model_and_dtc_say(edits in prop::collection::vec(edit(), 1..40)) {
        run(&compile(board::SOURCE), 4096, &edits)?;
    }

    #[test]
    fn a_tree_with_nops_and_scattered_blocks_is_edited_alike(
        edits in prop::collection::vec(edit(), 1..20),
        order in Just([0, 1, 2]).prop_shuffle(),
        gap in 0usize..4,
    ) {
        let tree = nop_out(&nop_out(&compile(board::SOURCE), "/soc/serial@7e201400"), "/cpus/cpu@0");
        run(&scatter(&tree, order, gap), 4096, &edits)?;
    }

    #[test]
    fn a_full_buffer_refuses_and_stays_whole(edits in prop::collection::vec(edit(), 1..40), room in 0usize..200) {
        run(&compile(board::SOURCE), room, &edits)?;
    }
}
