//! Debian's own device trees of the Raspberry Pi 4, through the check, the reader, the editor and what is carried over.
// A test's way to fail.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../device_tree/model.rs"]
#[allow(dead_code, reason = "each test program that includes it uses a part of it")]
mod model;
#[path = "../../device_tree/oracle.rs"]
#[allow(dead_code, reason = "each test program that includes it uses a part of it")]
mod oracle;

use anyhow::{Context, Result};
use model::Model;
use oracle::{Buffer, compile_plain, decompile};
use xenlift::device_tree::firmware::{Known, Outcome, carry_over};
use xenlift::device_tree::{Editor, Tree, check, difference, source};
use xenlift::range::PhysicalRange;
use xenlift_e2e::{Release, cache, packages};

/// Every tree of a board with the BCM2711 in Debian's kernels: release, file name, bytes.
fn trees() -> Result<Vec<(String, Vec<u8>)>> {
    let cache = cache()?;
    let mut trees = Vec::new();
    for release in [Release::Bookworm, Release::Trixie] {
        for name in ["bcm2711-rpi-4-b.dtb", "bcm2711-rpi-400.dtb", "bcm2711-rpi-cm4-io.dtb"] {
            let path = packages::linux(&cache, release)?.device_trees.join(name);
            let bytes = std::fs::read(&path).with_context(|| format!("{} is not there", path.display()))?;
            trees.push((format!("{}'s {name}", release.name()), bytes));
        }
    }
    Ok(trees)
}

fn range(start: u64, size: u64) -> PhysicalRange {
    PhysicalRange::sized(start, size).expect("a range")
}

#[test]
fn every_tree_is_read_as_a_second_reader_reads_it() -> Result<()> {
    for (name, bytes) in trees()? {
        let model = Model::read(&bytes);
        let mut buffer = Buffer::new(&bytes, bytes.len());
        let tree = Tree::new(buffer.bytes())?;
        let paths: Vec<String> = tree.nodes().map(|node| node.path().to_string()).collect();
        assert_eq!(paths, model.root.paths(""), "{name}");
        assert_eq!(tree.memory()?.count(), 0, "{name}: it is shipped with <0 0 0>");
        assert_eq!(tree.reservations().collect::<Vec<_>>(), [range(0, 0x1000)], "{name}");
        let register = |path: &str| tree.find(path).map(|node| node.register(0));
        assert_eq!(register("ethernet0"), Some(Ok(range(0xfd58_0000, 0x10000))), "{name}");
        assert_eq!(register("serial0"), Some(Ok(range(0xfe20_1000, 0x200))), "{name}");
        let console = tree.stdout().map(|(node, options)| (node.register(0), options));
        assert_eq!(console, Some((Ok(range(0xfe21_5040, 0x40)), "115200n8")), "{name}");
    }
    Ok(())
}

#[test]
fn every_tree_is_written_as_a_source_that_dtc_compiles_to_it_again() -> Result<()> {
    for (name, bytes) in trees()? {
        let mut buffer = Buffer::new(&bytes, bytes.len());
        let tree = Tree::new(buffer.bytes())?;
        let mut text = String::new();
        source(&tree, &mut text)?;
        let again = compile_plain(&text);
        assert_eq!(Model::read(&again), Model::read(&bytes), "{name}");
        let mut again = Buffer::new(&again, again.len());
        let mut lines = String::new();
        assert_eq!(difference(&tree, &Tree::new(again.bytes())?, &mut lines)?, 0, "{name}: {lines}");
    }
    Ok(())
}

#[test]
fn every_tree_is_edited_as_a_boot_edits_it() -> Result<()> {
    for (name, bytes) in trees()? {
        let mut buffer = Buffer::new(&bytes, bytes.len() + 4096);
        let mut editor = Editor::new(buffer.bytes())?;
        let (mut model, before) = Model::read_raw(editor.as_bytes());
        editor.set_cells("/chosen", "#address-cells", &[2])?;
        editor.add_node("/chosen", "module@e00000")?;
        editor.set_cells("/chosen/module@e00000", "reg", &[0, 0xe0_0000, 0, 0x7a_1200])?;
        editor.delete_property("/chosen", "stdout-path")?;
        editor.set_cells("/memory@0", "reg", &[0, 0, 0x3b40_0000])?;
        for uart in ["serial@7e201400", "serial@7e201600", "serial@7e201800", "serial@7e201a00"] {
            editor.delete_node(&format!("/soc/{uart}"))?;
        }
        decompile(editor.as_bytes()).map_err(anyhow::Error::msg)?;
        let (after, raw) = Model::read_raw(editor.as_bytes());
        for node in before {
            let touched = node.0 == "/" || node.0 == "/soc" || ["/chosen", "/memory@0"].contains(&node.0.as_str());
            let deleted =
                ["1400", "1600", "1800", "1a00"].iter().any(|end| node.0.contains(&format!("serial@7e20{end}")));
            assert!(touched || deleted != raw.contains(&node), "{name}: {}", node.0);
        }
        let chosen = model.root.at("/chosen").expect("a chosen node");
        chosen.properties = vec![("#address-cells".into(), vec![0, 0, 0, 2])];
        let module =
            vec![("reg".into(), [0u32, 0xe0_0000, 0, 0x7a_1200].iter().flat_map(|cell| cell.to_be_bytes()).collect())];
        chosen.children.push(model::Node { name: "module@e00000".into(), properties: module, children: Vec::new() });
        let memory = model.root.at("/memory@0").and_then(|node| node.property("reg")).expect("memory");
        *memory = [0u32, 0, 0x3b40_0000].iter().flat_map(|cell| cell.to_be_bytes()).collect();
        let soc = model.root.at("/soc").expect("a soc node");
        soc.children.retain(|child| {
            !["1400", "1600", "1800", "1a00"].iter().any(|end| child.name == format!("serial@7e20{end}"))
        });
        assert_eq!(after, model, "{name}");
    }
    Ok(())
}

/// One release's tree is filled in as the firmware does, and carried into every other.
#[test]
fn what_the_firmware_filled_in_is_carried_into_every_tree() -> Result<()> {
    let trees = trees()?;
    let (_, bytes) = trees.first().context("no tree")?;
    let mut firmware = Buffer::new(bytes, bytes.len() + 4096);
    let mut editor = Editor::new(firmware.bytes())?;
    let banks = [0, 0, 0x3b40_0000, 0, 0x4000_0000, 0xbc00_0000];
    editor.set_cells("/memory@0", "reg", &banks)?;
    editor.set_string("/", "model", "Raspberry Pi 4 Model B Rev 1.5")?;
    editor.set_cells("emmc2bus", "dma-ranges", &[0, 0, 0, 0, 0xfc00_0000])?;
    editor.set_cells("pcie0", "dma-ranges", &[0x200_0000, 4, 0, 0, 0, 1, 0])?;
    editor.set_cells("ethernet0/mdio/ethernet-phy", "reg", &[5])?;
    editor.set_cells("blconfig", "reg", &[0, 0x3ef6_c000, 0xf0])?;
    editor.set_string("blconfig", "status", "okay")?;
    editor.set_property("ethernet0", "local-mac-address", &[0xdc, 0xa6, 0x32, 1, 2, 3])?;
    editor.set_property("/soc/serial@7e201000/bluetooth", "local-bd-address", &[6, 5, 4, 3, 2, 1])?;
    editor.add_reservation(range(0x3b40_0000, 0x4c0_0000))?;
    let firmware = editor.tree()?;
    for (name, bytes) in &trees {
        let mut buffer = Buffer::new(bytes, bytes.len() + 4096);
        let mut editor = Editor::new(buffer.bytes())?;
        let report = carry_over(Some(&firmware), &Known::default(), &mut editor, &mut || {})?;
        decompile(editor.as_bytes()).map_err(anyhow::Error::msg)?;
        for what in
            ["memory", "/memreserve/", "model", "emmc2bus dma-ranges", "pcie0 dma-ranges", "PHY reg", "blconfig reg"]
        {
            assert_eq!(report.outcome(what), Some(Outcome::Carried), "{name}: {what}: {report}");
        }
        for what in ["blconfig status", "MAC address", "local-bd-address"] {
            assert_eq!(report.outcome(what), Some(Outcome::Carried), "{name}: {what}: {report}");
        }
        assert_eq!(report.warning.is_none(), name.contains("rpi-4-b"), "{name}");
        let memory: Vec<_> = editor.tree()?.memory()?.collect();
        assert_eq!(memory, [range(0, 0x3b40_0000), range(0x4000_0000, 0xbc00_0000)], "{name}");
    }
    Ok(())
}

#[test]
fn a_cut_or_scribbled_tree_is_refused_or_read() -> Result<()> {
    for (name, bytes) in trees()? {
        for cut in (0..bytes.len()).step_by(97) {
            assert!(check(&bytes[..cut]).is_err(), "{name} cut to {cut}");
        }
        // A word of ones at every 211th byte: each is refused, or everything can be read.
        for at in (0..bytes.len() - 4).step_by(211) {
            let mut buffer = Buffer::new(&bytes, bytes.len());
            buffer.bytes()[at..at + 4].fill(0xff);
            if let Ok(tree) = Tree::new(buffer.bytes()) {
                let seen: usize = tree.nodes().map(|node| node.name().len() + node.properties().count()).sum();
                assert!(seen > 0);
            }
        }
    }
    Ok(())
}
