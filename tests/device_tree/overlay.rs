//! Overlays, against fdtoverlay.

use xenlift::device_tree::edit::Editor;
use xenlift::device_tree::overlay::{Error, LARGEST, apply};
use xenlift::device_tree::{Tree, check};

use crate::model::{Model, Node};
use crate::oracle::{Buffer, compile, compile_plain, decompile, fdtoverlay};

const BASE: &str = r#"/dts-v1/; / {
    #address-cells = <1>;
    #size-cells = <1>;
    compatible = "brcm,bcm2711";
    aliases { serial0 = &uart0; };
    soc: soc {
        #address-cells = <1>;
        #size-cells = <1>;
        gpio: gpio@7e200000 { reg = <0x7e200000 0xb4>; uart0_pins: uart0_gpio14 { brcm,pins = <14 15>; }; };
        uart0: serial@7e201000 { reg = <0x7e201000 0x200>; status = "okay"; bt: bluetooth { gpios = <&gpio 1 2>; }; };
        uart1: serial@7e215040 { reg = <0x7e215040 0x40>; status = "okay"; };
        spi@7e204000 { reg = <0x7e204000 0x200>; };
    };
};"#;

/// What the Raspberry Pi's disable-bt does, and one that brings nodes and refers to them.
const OVERLAYS: &[&str] = &[
    r#"/dts-v1/; /plugin/; / { compatible = "brcm,bcm2711";
        fragment@0 { target = <&uart1>; __overlay__ { status = "disabled"; }; };
        fragment@1 { target = <&uart0>; __overlay__ { pinctrl-names = "default"; pinctrl-0 = <&uart0_pins>; status = "okay"; }; };
        fragment@2 { target = <&bt>; __overlay__ { status = "disabled"; }; };
        fragment@3 { target-path = "/aliases"; __overlay__ { serial0 = "/soc/serial@7e201000"; serial1 = "/soc/serial@7e215040"; }; };
        fragment@4 { target = <&uart0>; __dormant__ { status = "fail"; }; };
    };"#,
    r#"/dts-v1/; /plugin/; / {
        fragment@0 { target = <&gpio>; __overlay__ { pins: my_pins { brcm,pins = <8>; }; uart0_gpio14 { brcm,function = <4>; }; }; };
        fragment@1 { target-path = "/soc/spi@7e204000"; __overlay__ {
            #address-cells = <1>; #size-cells = <0>; empty;
            pinctrl-0 = <&pins &uart0_pins>;
            dev: spidev@0 { reg = <0>; parent = <&gpio 3 4>, <&dev>; deeper { also = <&pins>; }; };
        }; };
        fragment@2 { target-path = "/"; __overlay__ { added { }; }; };
        __overrides__ { speed = <&dev>, "spi-max-frequency:0"; };
    };"#,
    "/dts-v1/; /plugin/; &uart0 { bluetooth { max-speed = <3>; }; }; &{/soc} { x { }; };",
];

fn sorted(mut node: Node) -> Node {
    node.properties.sort();
    node.children = node.children.into_iter().map(sorted).collect();
    node.children.sort_by(|left, right| left.name.cmp(&right.name));
    node
}

fn applied(base: &[u8], overlay: &[u8], room: usize) -> Result<Vec<u8>, Error> {
    let mut buffer = Buffer::new(base, base.len() + room);
    let mut overlay = Buffer::new(overlay, overlay.len());
    let mut editor = Editor::new(buffer.bytes()).unwrap();
    let result = apply(&Tree::new(overlay.bytes()).unwrap(), &mut editor);
    check(editor.as_bytes()).unwrap();
    decompile(editor.as_bytes()).unwrap();
    result.map(|()| editor.finish().to_vec())
}

#[test]
fn overlays_do_what_fdtoverlay_does() {
    let base = compile(BASE);
    for (index, source) in OVERLAYS.iter().enumerate() {
        let overlay = compile(source);
        let ours = applied(&base, &overlay, 4096).unwrap_or_else(|error| panic!("{index}: {error}"));
        let theirs = fdtoverlay(&base, &[&overlay]);
        assert_eq!(sorted(Model::read(&ours).root), sorted(Model::read(&theirs).root), "{index}");
    }
}

#[test]
fn one_overlay_after_the_other_sees_what_the_first_brought() {
    let base = compile(BASE);
    let user = compile("/dts-v1/; /plugin/; &dev { uses = <&pins>; };");
    let mut ours = base.clone();
    let all: Vec<Vec<u8>> = OVERLAYS.iter().map(|source| compile(source)).chain([user]).collect();
    for overlay in &all {
        ours = applied(&ours, overlay, 4096).unwrap();
    }
    let theirs = fdtoverlay(&base, &all.iter().map(Vec::as_slice).collect::<Vec<_>>());
    assert_eq!(sorted(Model::read(&ours).root), sorted(Model::read(&theirs).root));
}

#[test]
fn a_node_that_the_tree_has_keeps_its_phandle() {
    let base = compile(BASE);
    let overlay = compile(
        "/dts-v1/; /plugin/; / { fragment@0 { target = <&gpio>; __overlay__ {
            again: uart0_gpio14 { x; }; user { uses = <&again>; }; }; }; };",
    );
    let bytes = applied(&base, &overlay, 4096).unwrap();
    let mut buffer = Buffer::new(&bytes, bytes.len());
    let tree = Tree::new(buffer.bytes()).unwrap();
    let mut before = Buffer::new(&base, base.len());
    let before = Tree::new(before.bytes()).unwrap();
    let path = "/soc/gpio@7e200000/uart0_gpio14";
    let phandle = before.find(path).unwrap().phandle();
    assert_eq!(tree.find(path).unwrap().phandle(), phandle);
    assert_eq!(tree.find("/soc/gpio/user").unwrap().property("uses").unwrap().u32(), phandle);
}

#[test]
fn a_fragment_may_go_to_what_an_earlier_one_brought() {
    let overlay = compile(
        "/dts-v1/; /plugin/; / {
            fragment@0 { target-path = \"/soc\"; __overlay__ { first: first { }; }; };
            fragment@1 { target = <&first>; __overlay__ { second { }; }; }; };",
    );
    let bytes = applied(&compile(BASE), &overlay, 4096).unwrap();
    assert!(Model::read(&bytes).root.at("/soc/first/second").is_some());
}

#[test]
fn what_is_missing_is_named() {
    let message = |base: &[u8], source: &str| applied(base, &compile(source), 4096).unwrap_err().to_string();
    let base = compile(BASE);
    assert_eq!(
        message(&base, "/dts-v1/; /plugin/; &i2c1 { status = \"okay\"; };"),
        "overlay needs the label i2c1, which the device tree does not have (is it for another kernel's tree?)"
    );
    assert_eq!(
        message(&compile_plain(BASE), "/dts-v1/; /plugin/; &uart0 { status = \"okay\"; };"),
        "overlay needs the label uart0, but the device tree has no __symbols__: compile it with dtc -@"
    );
    assert_eq!(
        message(&base, "/dts-v1/; /plugin/; / { fragment@0 { target-path = \"/none\"; __overlay__ { }; }; };"),
        "overlay's fragment@0: its target (/none) is not in the device tree"
    );
    assert_eq!(message(&base, BASE), "not an overlay: no node in it has an __overlay__ (is it a whole device tree?)");
    let large = format!("/dts-v1/; /plugin/; &uart0 {{ x = [{}]; }};", "00 ".repeat(LARGEST));
    assert!(message(&base, &large).starts_with("overlay of "));
    assert!(matches!(applied(&base, &compile(OVERLAYS[1]), 64), Err(Error::Edit(_))));
}

#[test]
fn damaged_fixups_are_refused() {
    let base = compile(BASE);
    let overlay = |fixups: &str| {
        format!(
            "/dts-v1/; / {{ fragment@0 {{ target-path = \"/soc\"; __overlay__ {{ a {{ p = <1>; }}; }}; }}; {fixups} }};"
        )
    };
    let good = overlay("__fixups__ { gpio = \"/fragment@0/__overlay__/a:p:0\"; };");
    assert!(applied(&base, &compile_plain(&good), 1024).is_ok());
    for place in [
        "/fragment@0/__overlay__/a:p:1",
        "/fragment@0/__overlay__/a:p:-4",
        "/fragment@0/__overlay__/a:q:0",
        "a",
        "",
        "/fragment@0/__overlay__/b:p:0",
        "/fragment@0/__overlay__/a:p:99999999999999999999",
        ":::",
    ] {
        let bad = overlay(&format!("__fixups__ {{ gpio = \"{place}\"; }};"));
        assert!(matches!(applied(&base, &compile_plain(&bad), 1024), Err(Error::BadFixup { .. })), "{place}");
    }
    for local in ["p = <1>;", "p = <0xfffffffd>;", "p = <0>;", "q = <0>;", "b { };"] {
        let bad = overlay(&format!("__local_fixups__ {{ fragment@0 {{ __overlay__ {{ a {{ {local} }}; }}; }}; }};"));
        assert!(matches!(applied(&base, &compile_plain(&bad), 1024), Err(Error::BadFixup { .. })), "{local}");
    }
    let phandles = overlay("n { phandle = <64999>; };");
    assert_eq!(applied(&base, &compile_plain(&phandles), 1024), Err(Error::NoPhandle));
}
