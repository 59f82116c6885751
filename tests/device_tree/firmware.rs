//! What the firmware knows, carried into a tree that was shipped with a kernel.

use xenlift::device_tree::Tree;
use xenlift::device_tree::edit::Editor;
use xenlift::device_tree::firmware::{Known, Outcome, carry_over, set_memory};
use xenlift::range::PhysicalRange;

use crate::model::Model;
use crate::oracle::{Buffer, compile, decompile};

/// As Linux ships it.
const SHIPPED: &str = r#"/dts-v1/;
/memreserve/ 0x0 0x1000;
/ {
    #address-cells = <2>;
    #size-cells = <1>;
    compatible = "raspberrypi,4-model-b", "brcm,bcm2711";
    model = "Raspberry Pi 4 Model B";
    aliases { emmc2bus = &emmc2bus; ethernet0 = &genet; pcie0 = &pcie0; blconfig = &blconfig; };
    memory@0 { device_type = "memory"; reg = <0 0 0>; };
    clocks { clk-uart { compatible = "fixed-clock"; clock-frequency = <0>; }; };
    reserved-memory {
        #address-cells = <2>;
        #size-cells = <1>;
        ranges;
        linux,cma { compatible = "shared-dma-pool"; size = <0x4000000>; };
        blconfig: nvram@0 { compatible = "raspberrypi,bootloader-config"; reg = <0 0 0>; status = "disabled"; };
    };
    soc {
        #address-cells = <1>;
        #size-cells = <1>;
        ranges = <0x7e000000 0 0xfe000000 0x1800000>;
        serial@7e201000 { bluetooth { compatible = "brcm,bcm43438-bt"; }; };
    };
    emmc2bus: emmc2bus {
        #address-cells = <2>;
        #size-cells = <1>;
        ranges = <0 0x7e000000 0 0xfe000000 0x1800000>;
        dma-ranges = <0 0xc0000000 0 0 0x40000000>;
        mmc@7e340000 { compatible = "brcm,bcm2711-emmc2"; reg = <0 0x7e340000 0x100>; };
    };
    scb {
        #address-cells = <2>;
        #size-cells = <1>;
        ranges = <0 0x7c000000 0 0xfc000000 0x3800000>;
        pcie0: pcie@7d500000 {
            compatible = "brcm,bcm2711-pcie";
            reg = <0 0x7d500000 0x9310>;
            #address-cells = <3>;
            #size-cells = <2>;
            dma-ranges = <0x2000000 0 0 0 0 0 0xc0000000>;
        };
        genet: ethernet@7d580000 {
            compatible = "brcm,bcm2711-genet-v5";
            reg = <0 0x7d580000 0x10000>;
            phy-handle = <&phy1>;
            mdio@e14 { #address-cells = <1>; #size-cells = <0>; phy1: ethernet-phy@1 { reg = <1>; }; };
        };
    };
};
"#;

/// As the firmware of an 8 GB board with the C0 stepping passes the Raspberry Pi kernel's tree: other aliases and paths.
const FIRMWARE: &str = r#"/dts-v1/;
/memreserve/ 0x0 0x1000;
/memreserve/ 0x3b400000 0x4c00000;
/ {
    #address-cells = <2>;
    #size-cells = <1>;
    compatible = "raspberrypi,4-model-b", "brcm,bcm2711";
    model = "Raspberry Pi 4 Model B Rev 1.4";
    serial-number = "10000000abcdef01";
    memreserve = <0x3b400000 0x04c00000>;
    aliases { emmc2bus = &emmc2bus; pcie0 = &pcie0; };
    system { linux,revision = <0xd03114>; linux,serial = <0x10000000 0xabcdef01>; };
    memory@0 { device_type = "memory"; reg = <0 0 0x3b400000 0 0x40000000 0xbc000000>; };
    memory@100000000 { device_type = "memory"; reg = <1 0 0x80000000 1 0x80000000 0x80000000>; };
    chosen {
        bootargs = "coherent_pool=1M";
        kaslr-seed = <0x12345678 0x9abcdef0>;
        user-warnings = "low voltage";
        log = <0x3e000000 0x40000>;
        linux,initrd-start = <0x2eff0000>;
        linux,initrd-end = <0x2effffff>;
        bootloader { boot-mode = <2>; tryboot = <0>; phandle = <0x99>; deeper { partition = <1>; }; };
    };
    clocks { clk-uart { compatible = "fixed-clock"; clock-frequency = <48000000>; }; };
    reserved-memory {
        #address-cells = <2>;
        #size-cells = <1>;
        ranges;
        linux,cma { compatible = "shared-dma-pool"; size = <0x14000000>; };
        nvram@0 { compatible = "raspberrypi,bootloader-config"; reg = <0 0x3ef6c000 0xf0>; status = "okay"; };
    };
    soc {
        #address-cells = <1>;
        #size-cells = <1>;
        ranges = <0x7e000000 0 0xfe000000 0x1800000>;
        serial@7e215040 { bluetooth { compatible = "brcm,bcm43438-bt"; status = "disabled"; }; };
        serial@7e201000 { bluetooth { compatible = "brcm,bcm43438-bt"; local-bd-address = [01 02 03 04 05 06]; }; };
    };
    emmc2bus: emmc2bus {
        #address-cells = <2>;
        #size-cells = <1>;
        dma-ranges = <0 0 0 0 0xfc000000>;
        mmc@7e340000 { compatible = "brcm,bcm2711-emmc2"; };
    };
    scb {
        #address-cells = <2>;
        #size-cells = <2>;
        pcie0: pcie@7d500000 {
            compatible = "brcm,bcm2711-pcie";
            #address-cells = <3>;
            #size-cells = <2>;
            dma-ranges = <0x2000000 4 0 0 0 2 0>;
        };
        ethernet@7d580000 {
            compatible = "brcm,bcm2711-genet-v5";
            local-mac-address = [dc a6 32 01 02 03];
            phy-handle = <&phy0>;
            mdio@e14 { #address-cells = <1>; #size-cells = <0>; phy0: ethernet-phy@0 { reg = <0>; }; };
        };
    };
};
"#;

fn carried(firmware: &str, shipped: &str, known: &Known) -> (xenlift::device_tree::firmware::Report, Model) {
    let (firmware, shipped) = (compile(firmware), compile(shipped));
    let mut firmware = Buffer::new(&firmware, firmware.len());
    let mut buffer = Buffer::new(&shipped, shipped.len() + 4096);
    let mut editor = Editor::new(buffer.bytes()).unwrap();
    let report = carry_over(Some(&Tree::new(firmware.bytes()).unwrap()), known, &mut editor, &mut || {}).unwrap();
    let bytes = editor.finish();
    decompile(bytes).unwrap();
    (report, Model::read(bytes))
}

fn cells(cells: &[u32]) -> Vec<u8> {
    cells.iter().flat_map(|cell| cell.to_be_bytes()).collect()
}

#[test]
fn everything_on_the_list_is_carried() {
    let (report, mut model) = carried(FIRMWARE, SHIPPED, &Known::default());
    let mut value = |path: &str, name: &str| {
        let node = model.root.at(path).unwrap_or_else(|| panic!("no {path}"));
        node.property(name).unwrap_or_else(|| panic!("no {name} in {path}")).clone()
    };
    assert_eq!(value("/", "model"), b"Raspberry Pi 4 Model B Rev 1.4\0");
    assert_eq!(value("/", "serial-number"), b"10000000abcdef01\0");
    assert_eq!(value("/", "memreserve"), cells(&[0x3b400000, 0x04c00000]));
    let banks = [0, 0, 0x3b400000, 0, 0x40000000, 0xbc000000, 1, 0, 0x80000000, 1, 0x80000000, 0x80000000];
    assert_eq!(value("/memory@0", "reg"), cells(&banks));
    assert_eq!(value("/reserved-memory/linux,cma", "size"), cells(&[0x14000000]));
    assert_eq!(value("/reserved-memory/nvram@0", "reg"), cells(&[0, 0x3ef6c000, 0xf0]));
    assert_eq!(value("/reserved-memory/nvram@0", "status"), b"okay\0");
    assert_eq!(value("/emmc2bus", "dma-ranges"), cells(&[0, 0, 0, 0, 0xfc000000]));
    assert_eq!(value("/chosen", "kaslr-seed"), cells(&[0x12345678, 0x9abcdef0]));
    assert_eq!(value("/chosen", "user-warnings"), b"low voltage\0");
    assert_eq!(value("/chosen", "log"), cells(&[0x3e000000, 0x40000]));
    assert_eq!(value("/chosen/bootloader", "boot-mode"), cells(&[2]));
    assert_eq!(value("/chosen/bootloader/deeper", "partition"), cells(&[1]));
    assert_eq!(value("/system", "linux,revision"), cells(&[0xd03114]));
    assert_eq!(value("/scb/ethernet@7d580000/mdio@e14/ethernet-phy@1", "reg"), cells(&[0]));
    assert_eq!(value("/scb/ethernet@7d580000", "local-mac-address"), [0xdc, 0xa6, 0x32, 1, 2, 3]);
    assert_eq!(value("/soc/serial@7e201000/bluetooth", "local-bd-address"), [1, 2, 3, 4, 5, 6]);
    assert_eq!(value("/clocks/clk-uart", "clock-frequency"), cells(&[48_000_000]));
    // The PCIe bus lies on a bus with other cells in the firmware's tree here: its addresses would mean something else.
    assert_eq!(value("/scb/pcie@7d500000", "dma-ranges"), cells(&[0x2000000, 0, 0, 0, 0, 0, 0xc0000000]));
    assert_eq!(report.outcome("pcie0 dma-ranges"), Some(Outcome::DifferentCells));
    assert_eq!(model.reservations, [(0, 0x1000), (0x3b400000, 0x4c00000)]);
    // What is the firmware's own business stays behind.
    let chosen = model.root.at("/chosen").unwrap();
    for name in ["bootargs", "linux,initrd-start", "linux,initrd-end"] {
        assert_eq!(chosen.property(name), None, "{name}");
    }
    assert_eq!(model.root.at("/chosen/bootloader").unwrap().property("phandle"), None);
    assert_eq!(report.warning, None);
    assert_eq!(report.outcome("rng-seed"), Some(Outcome::NotGiven));
    assert_eq!(
        report.to_string(),
        "from the firmware's tree: memory, /memreserve/, model, serial number, memreserve, linux,cma size, \
         emmc2bus dma-ranges, blconfig reg, blconfig status, kaslr-seed, user-warnings, log, PHY reg, MAC address, \
         local-bd-address, clk-uart clock-frequency, bootloader node, system node; \
         not carried, other #cells: pcie0 dma-ranges"
    );
}

#[test]
fn carrying_a_second_time_changes_nothing() {
    let (firmware, shipped) = (compile(FIRMWARE), compile(SHIPPED));
    let mut firmware = Buffer::new(&firmware, firmware.len());
    let firmware = Tree::new(firmware.bytes()).unwrap();
    let mut buffer = Buffer::new(&shipped, shipped.len() + 4096);
    let mut editor = Editor::new(buffer.bytes()).unwrap();
    carry_over(Some(&firmware), &Known::default(), &mut editor, &mut || {}).unwrap();
    let once = editor.as_bytes().to_vec();
    let report = carry_over(Some(&firmware), &Known::default(), &mut editor, &mut || {}).unwrap();
    assert_eq!(editor.as_bytes(), once);
    assert_eq!(report.with(Outcome::Carried).count(), 0);
    assert!(report.to_string().starts_with("from the firmware's tree: nothing"));
}

#[test]
fn the_mailbox_fills_what_the_tree_lacks_and_nothing_else() {
    let known = Known { mac_address: Some([2, 3, 4, 5, 6, 7]), serial_number: Some(0x1000_0000_1234_5678) };
    let (report, mut model) = carried(FIRMWARE, SHIPPED, &known);
    assert_eq!(report.outcome("MAC address (mailbox)"), Some(Outcome::Same));
    assert_eq!(model.root.property("serial-number").unwrap(), b"10000000abcdef01\0");

    let zero = FIRMWARE.replace("dc a6 32 01 02 03", "00 00 00 00 00 00").replace("serial-number", "no-number");
    let (report, mut model) = carried(&zero, SHIPPED, &known);
    assert_eq!(report.outcome("MAC address (mailbox)"), Some(Outcome::Carried));
    assert_eq!(report.outcome("serial number (mailbox)"), Some(Outcome::Carried));
    assert_eq!(model.root.property("serial-number").unwrap(), b"1000000012345678\0");
    let ethernet = model.root.at("/scb/ethernet@7d580000").unwrap();
    assert_eq!(ethernet.property("local-mac-address").unwrap(), &[2, 3, 4, 5, 6, 7]);
}

#[test]
fn without_a_tree_from_the_firmware_the_mailbox_is_all() {
    let shipped = compile(SHIPPED);
    let mut buffer = Buffer::new(&shipped, shipped.len() + 4096);
    let mut editor = Editor::new(buffer.bytes()).unwrap();
    let known = Known { mac_address: Some([2, 3, 4, 5, 6, 7]), serial_number: None };
    let report = carry_over(None, &known, &mut editor, &mut || {}).unwrap();
    assert_eq!(report.entries.len(), 1);
    assert_eq!(
        editor.tree().unwrap().find("ethernet0").unwrap().property("local-mac-address").unwrap().value(),
        [2, 3, 4, 5, 6, 7]
    );
}

#[test]
fn a_device_that_the_tree_lacks_is_reported() {
    let (report, mut model) =
        carried(FIRMWARE, "/dts-v1/; / { #address-cells = <2>; #size-cells = <1>; };", &Known::default());
    for what in ["PHY reg", "MAC address", "emmc2bus dma-ranges", "clk-uart clock-frequency", "linux,cma size"] {
        assert_eq!(report.outcome(what), Some(Outcome::NoPlace), "{what}");
    }
    // Memory and /chosen are made.
    assert!(model.root.at("/memory@0").unwrap().property("reg").is_some());
    assert!(model.root.at("/chosen").unwrap().property("kaslr-seed").is_some());
    let warning = report.warning.unwrap();
    assert!(!warning.same_chip);
}

#[test]
fn another_board_is_a_warning() {
    let other = SHIPPED.replace("raspberrypi,4-model-b", "raspberrypi,400");
    let (report, _) = carried(FIRMWARE, &other, &Known::default());
    let warning = report.warning.unwrap();
    assert!(warning.same_chip);
    assert_eq!(
        warning.to_string(),
        "the device tree is for \"raspberrypi,400\", this board is \"raspberrypi,4-model-b\": some devices may not work"
    );
}

fn memory_after(
    shipped: &str,
    ranges: &[PhysicalRange],
) -> Result<Vec<PhysicalRange>, xenlift::device_tree::edit::Error> {
    let shipped = compile(shipped);
    let mut buffer = Buffer::new(&shipped, shipped.len() + 4096);
    let mut editor = Editor::new(buffer.bytes()).unwrap();
    set_memory(&mut editor, ranges)?;
    decompile(editor.as_bytes()).unwrap();
    Ok(editor.tree().unwrap().memory().unwrap().collect())
}

#[test]
fn memory_is_said_with_the_cells_that_the_tree_has() {
    let gigabyte = 1u64 << 30;
    let ranges = [PhysicalRange { start: 0, end: 0x3b40_0000 }, PhysicalRange { start: gigabyte, end: 8 * gigabyte }];
    // 7 GiB in one bank do not fit one cell: it becomes 3 + 3 + 1.
    let split = [
        ranges[0],
        PhysicalRange { start: gigabyte, end: 4 * gigabyte },
        PhysicalRange { start: 4 * gigabyte, end: 7 * gigabyte },
        PhysicalRange { start: 7 * gigabyte, end: 8 * gigabyte },
    ];
    assert_eq!(memory_after(SHIPPED, &ranges).unwrap(), split);
    let wide = SHIPPED
        .replacen("#size-cells = <1>", "#size-cells = <2>", 1)
        .replace("reg = <0 0 0>; };\n    clocks", "};\n    clocks");
    assert_eq!(memory_after(&wide, &ranges).unwrap(), ranges);
    let narrow =
        "/dts-v1/; / { #address-cells = <1>; #size-cells = <1>; memory { reg = <0 0>; status = \"disabled\"; }; };";
    assert_eq!(memory_after(narrow, &ranges[..1]).unwrap(), ranges[..1]);
    assert!(memory_after(narrow, &split).is_err(), "4 GiB and above cannot be said in one cell");
}
