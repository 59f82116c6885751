//! Reading, against the source that the tree was compiled from.

use xenlift::device_tree::Tree;
use xenlift::device_tree::read::Error;
use xenlift::range::PhysicalRange;

use crate::blob::{Begin, End, Finish, Property, blob};
use crate::board;
use crate::model::{Model, nop_out, scatter};
use crate::oracle::{Buffer, compile};

/// Runs `look` on a tree at an aligned address.
fn on<R>(bytes: &[u8], look: impl FnOnce(Tree<'_>) -> R) -> R {
    let mut buffer = Buffer::new(bytes, bytes.len());
    look(Tree::new(buffer.bytes()).unwrap())
}

fn on_source<R>(source: &str, look: impl FnOnce(Tree<'_>) -> R) -> R {
    on(&compile(source), look)
}

fn range(start: u64, size: u64) -> PhysicalRange {
    PhysicalRange::sized(start, size).unwrap()
}

#[test]
fn every_node_and_property_is_what_a_second_reader_sees() {
    fn copy(node: xenlift::device_tree::Node<'_>) -> crate::model::Node {
        crate::model::Node {
            name: node.name().into(),
            properties: node.properties().map(|property| (property.name().into(), property.value().to_vec())).collect(),
            children: node.children().map(copy).collect(),
        }
    }
    let tree = compile(board::SOURCE);
    let less = nop_out(&tree, "/soc/serial@7e201400");
    for bytes in [&tree, &less, &scatter(&tree, [2, 1, 0], 1), &scatter(&less, [0, 2, 1], 0)] {
        let model = Model::read(bytes);
        on(bytes, |tree| {
            assert_eq!(copy(tree.root()), model.root);
            let paths: Vec<String> = tree.nodes().map(|node| node.path().to_string()).collect();
            assert_eq!(paths, model.root.paths(""));
            for path in paths {
                let node = tree.find(&path).unwrap();
                assert_eq!(node.path().to_string(), path);
                let parent = path.rsplit_once('/').map(|(parent, _)| if parent.is_empty() { "/" } else { parent });
                assert_eq!(
                    node.parent().map(|node| node.path().to_string()).as_deref(),
                    parent.filter(|_| path != "/")
                );
                assert_eq!(node.depth(), if path == "/" { 1 } else { 1 + path.matches('/').count() });
            }
        });
    }
}

#[test]
fn nodes_are_found_by_path_alias_and_phandle() {
    on_source(board::SOURCE, |tree| {
        let path = |name: &str| tree.find(name).map(|node| node.path().to_string());
        let uart = Some("/soc/serial@7e201000".to_string());
        assert_eq!(path("/soc/serial@7e201000"), uart);
        assert_eq!(path("//soc//serial@7e201000/"), uart);
        assert_eq!(path("serial0"), uart);
        assert_eq!(path("/soc/serial"), uart, "without unit address: the first");
        assert_eq!(path("serial0/bluetooth"), Some("/soc/serial@7e201000/bluetooth".into()));
        assert_eq!(path("/memory"), Some("/memory@0".into()));
        assert_eq!(path("/"), Some("/".into()));
        for missing in ["", "serial", "serial9", "loop", "/soc/serial@7e20100", "/soc/seria", "/soc/serial@", "soc"] {
            assert_eq!(path(missing), None, "{missing}");
        }
        assert_eq!(tree.walk("/soc/uart@1/x"), Err("uart@1"));
        assert_eq!(tree.walk("serial0/x"), Err("x"));
        let phandle = tree.find("ethernet0").unwrap().property("phy-handle").unwrap().u32().unwrap();
        let phy = tree.by_phandle(phandle).unwrap();
        assert_eq!((phy.name(), phy.phandle()), ("ethernet-phy@1", Some(phandle)));
        assert_eq!(tree.by_phandle(0xffff), None);
        assert_eq!(tree.alias("ethernet0"), Some("/scb/ethernet@7d580000"));
        let found: Vec<_> = tree.compatible("arm,pl011").map(|node| (node.name(), node.is_enabled())).collect();
        assert_eq!(found, [("serial@7e201000", true), ("serial@7e201400", false)]);
    });
}

#[test]
fn an_exact_name_wins_over_one_without_its_unit_address() {
    on_source("/dts-v1/; / { a@1 { }; a { x; }; };", |tree| {
        assert!(tree.find("/a").unwrap().property("x").is_some());
    });
}

#[test]
fn registers_are_addresses_of_the_cpu() {
    on_source(board::SOURCE, |tree| {
        let register = |path: &str, index| tree.find(path).unwrap().register(index);
        assert_eq!(register("serial1", 0), Ok(range(0xfe21_5040, 0x40)));
        assert_eq!(register("ethernet0", 0), Ok(range(0xfd58_0000, 0x10000)));
        assert_eq!(register("/soc/interrupt-controller", 1), Ok(range(0xff84_2000, 0x2000)));
        assert_eq!(register("/memory", 1), Ok(range(0x4000_0000, 0xbc00_0000)));
        assert!(matches!(register("serial1", 1), Err(Error::NoRegister { index: 1, .. })));
        assert!(matches!(register("/chosen", 0), Err(Error::NoRegister { .. })));
        assert!(matches!(register("/", 0), Err(Error::NoRegister { .. })));
        assert!(matches!(register("/soc/unmapped@10000000", 0), Err(Error::NotMapped { address: 0x10000000, .. })));
        // cpus has no ranges: a CPU's reg is no address of memory.
        assert!(matches!(register("/cpus/cpu@0", 0), Err(Error::NotMapped { address: 0, .. })));
    });
}

#[test]
fn ranges_translate_through_every_bus_and_no_further() {
    let source = r#"/dts-v1/; / { #address-cells = <2>; #size-cells = <2>;
        outer { #address-cells = <1>; #size-cells = <1>; ranges = <0x100 0x1 0x1000 0x100 0x400 0x2 0 0x10>;
            inner { #address-cells = <1>; #size-cells = <1>; ranges = <0x0 0x180 0x80>;
                first@0 { reg = <0 4>; }; last@7f { reg = <0x7f 1>; }; behind@80 { reg = <0x80 1>; };
            };
            same { #address-cells = <1>; #size-cells = <1>; ranges; d@404 { reg = <0x404 8>; }; };
            odd { #address-cells = <3>; #size-cells = <1>; ranges; d@0 { reg = <0 0 0 1>; }; };
            high@1fe { reg = <0x1fe 0xffffffff>; };
        };
        top@1 { reg = <0xffffffff 0xffffffff 0 1>; }; over@2 { reg = <0xffffffff 0xffffffff 0 2>; };
    };"#;
    on_source(source, |tree| {
        let register = |path: &str| tree.find(path).unwrap().register(0);
        assert_eq!(register("/outer/inner/first@0"), Ok(range(0x1_0000_1080, 4)));
        assert_eq!(register("/outer/inner/last@7f"), Ok(range(0x1_0000_10ff, 1)));
        assert!(matches!(register("/outer/inner/behind@80"), Err(Error::NotMapped { address: 0x80, .. })));
        assert_eq!(register("/outer/same/d@404"), Ok(range(0x2_0000_0004, 8)));
        assert!(matches!(register("/outer/odd/d@0"), Err(Error::Cells { .. })));
        assert_eq!(register("/outer/high@1fe"), Ok(range(0x1_0000_10fe, 0xffff_ffff)));
        assert!(matches!(register("/over@2"), Err(Error::Wraps { size: 2, .. })));
        assert!(register("/top@1").is_err(), "its end is not an address");
    });
}

#[test]
fn memory_and_reservations_are_what_the_tree_says() {
    on_source(board::SOURCE, |tree| {
        let memory: Vec<_> = tree.memory().unwrap().collect();
        assert_eq!(memory, [range(0, 0x3b40_0000), range(0x4000_0000, 0xbc00_0000), range(1 << 32, 0x8000_0000)]);
        let reservations: Vec<_> = tree.reservations().collect();
        assert_eq!(reservations, [range(0, 0x1000), range(0x3b00_0000, 0x100_0000)]);
        let reserved: Vec<_> =
            tree.reserved_memory().unwrap().map(|region| (region.node.name(), region.range, region.no_map)).collect();
        assert_eq!(
            reserved,
            [
                ("atf@0", range(0, 0x80000), true),
                ("log@3b000000", range(0x3b00_0000, 0x1000), false),
                ("log@3b000000", range(0x3b00_2000, 0x1000), false),
            ]
        );
    });
    on_source(
        "/dts-v1/; / { #address-cells = <2>; #size-cells = <1>; memory@0 { device_type = \"memory\"; reg = <0 0 0>; }; };",
        |tree| {
            assert_eq!(tree.memory().unwrap().count(), 0);
            assert_eq!(tree.reserved_memory().unwrap().count(), 0);
        },
    );
    on_source("/dts-v1/; / { #address-cells = <3>; #size-cells = <1>; };", |tree| {
        assert!(matches!(tree.memory(), Err(Error::Cells { .. })));
    });
}

#[test]
fn memory_nodes_are_known_by_device_type_or_name() {
    let source = r#"/dts-v1/; / { #address-cells = <1>; #size-cells = <1>;
        memory { reg = <0x1000 0x1000>; };
        memory@3000 { reg = <0x3000 0x1000>; };
        bank@5000 { device_type = "memory"; reg = <0x5000 0x1000>; };
        memory@7000 { device_type = "cpu"; reg = <0x7000 0x1000>; };
        memory@9000 { reg = <0x9000 0x1000>; status = "disabled"; };
        memory-controller@b000 { reg = <0xb000 0x1000>; };
    };"#;
    on_source(source, |tree| {
        let starts: Vec<_> = tree.memory().unwrap().map(|range| range.start).collect();
        assert_eq!(starts, [0x1000, 0x3000, 0x5000]);
    });
}

#[test]
fn the_chosen_node_is_read() {
    on_source(board::SOURCE, |tree| {
        let (console, options) = tree.stdout().unwrap();
        assert_eq!((console.name(), options), ("serial@7e215040", "115200n8"));
        assert_eq!(tree.bootargs(), Some("console=ttyS1"));
        assert_eq!(tree.initrd(), Some(range(0x800_0000, 0x10_0000)));
    });
    on_source(
        "/dts-v1/; / { chosen { linux,initrd-start = <8>; linux,initrd-end = <8>; stdout-path = \"/none\"; }; };",
        |tree| {
            assert_eq!(tree.initrd(), None);
            assert_eq!(tree.stdout(), None);
            assert_eq!(tree.bootargs(), None);
        },
    );
}

#[test]
fn a_status_other_than_okay_disables() {
    let source = r#"/dts-v1/; / { a { }; b { status = "okay"; }; c { status = "ok"; }; d { status = "disabled"; };
        e { status = "fail-sss"; }; f { status = ""; }; g { status; }; };"#;
    on_source(source, |tree| {
        let enabled: String = tree.root().children().filter(|node| node.is_enabled()).map(|node| node.name()).collect();
        assert_eq!(enabled, "abc");
    });
}

#[test]
fn a_value_of_the_wrong_shape_reads_as_none() {
    let strings = b"v\0";
    for (value, number, string, list) in [
        (&b""[..], None, None, vec![]),
        (b"\0", None, Some(""), vec![""]),
        (b"ab", None, None, vec![]),
        (b"ab\0", None, Some("ab"), vec!["ab"]),
        (b"ab\0cd\0", None, Some("ab"), vec!["ab", "cd"]),
        (b"ab\0cd", None, Some("ab"), vec!["ab"]),
        (b"\xff\0cd\0", None, None, vec!["cd"]),
        (b"\0\0\x01\x02", Some(0x102), Some(""), vec!["", ""]),
        (b"\0\0\0\x01\0\0\0\x02", Some(0x1_0000_0002), Some(""), vec!["", "", "", "\u{1}", "", ""]),
    ] {
        on(&blob(&[Begin(""), Property(0, value), End, Finish], strings), |tree| {
            let property = tree.root().property("v").unwrap();
            assert_eq!(property.number(), number, "{value:?}");
            assert_eq!(property.string(), string, "{value:?}");
            assert_eq!(property.cells().len(), value.len() / 4);
            if !value.ends_with(b"\x02") {
                assert_eq!(property.strings().collect::<Vec<_>>(), list, "{value:?}");
            }
        });
    }
}

#[test]
fn a_structure_block_at_the_very_end_is_read() {
    // fdt-rs asserts that bytes follow its END token.
    let tree = scatter(&compile(board::SOURCE), [0, 2, 1], 0);
    on(&tree, |tree| assert_eq!(tree.nodes().count(), Model::read(tree.bytes()).root.paths("").len()));
}

#[test]
fn a_tree_at_an_odd_address_is_refused() {
    let bytes = compile(board::SOURCE);
    let mut buffer = Buffer::new(&[&[0; 2], &bytes[..]].concat(), bytes.len() + 2);
    let tree = &buffer.bytes()[2..];
    assert!(matches!(Tree::new(tree), Err(Error::Misaligned { address }) if address == tree.as_ptr().addr()));
}
