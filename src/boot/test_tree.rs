//! A small tree with the parts of a Raspberry Pi 4's that booting Xen touches, for tests.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::device_tree::Editor;

/// A tree in a buffer with room to grow.
pub struct TestTree {
    buffer: Box<Buffer>,
}

/// Aligned as Xen wants a tree.
#[repr(align(8))]
struct Buffer([u8; TestTree::SIZE]);

impl TestTree {
    const SIZE: usize = 16 * 1024;

    /// A tree with nothing but a root.
    pub fn empty() -> Self {
        let header: [u32; 10] = [0xd00d_feed, 72, 56, 72, 40, 17, 16, 0, 0, 16];
        let structure: [u32; 4] = [1, 0, 2, 9];
        let words = header.iter().copied().chain([0; 4]).chain(structure);
        let bytes: Vec<u8> = words.flat_map(u32::to_be_bytes).collect();
        let mut buffer = Box::new(Buffer([0; Self::SIZE]));
        buffer.0[..bytes.len()].copy_from_slice(&bytes);
        Self { buffer }
    }

    /// The UARTs, their pins, the watchdog, aliases and a `/chosen` as a firmware leaves it; memory of 1 GB.
    pub fn board() -> Self {
        let mut tree = Self::empty();
        let mut editor = tree.editor();
        editor.set_cells("/", "#address-cells", &[2]).unwrap();
        editor.set_cells("/", "#size-cells", &[1]).unwrap();
        editor.add_node("/", "aliases").unwrap();
        editor.set_string("/aliases", "serial0", "/soc/serial@7e201000").unwrap();
        editor.set_string("/aliases", "serial1", "/soc/serial@7e215040").unwrap();
        editor.add_node("/", "chosen").unwrap();
        editor.set_string("/chosen", "stdout-path", "serial1:115200n8").unwrap();
        editor.set_string("/chosen", "bootargs", "coherent_pool=1M").unwrap();
        editor.set_cells("/chosen", "linux,initrd-start", &[0x2e00_0000]).unwrap();
        editor.set_cells("/chosen", "linux,initrd-end", &[0x2e10_0000]).unwrap();
        editor.add_node("/", "memory@0").unwrap();
        editor.set_string("/memory@0", "device_type", "memory").unwrap();
        editor.set_cells("/memory@0", "reg", &[0, 0, 0x3b40_0000]).unwrap();
        editor.add_node("/", "soc").unwrap();
        editor.add_node("/soc", "gpio@7e200000").unwrap();
        for (name, phandle, pins) in [("uart0_gpio32", 8, [32, 33]), ("uart1_gpio14", 13, [14, 15])] {
            editor.add_node("/soc/gpio@7e200000", name).unwrap();
            let path = alloc::format!("/soc/gpio@7e200000/{name}");
            editor.set_cells(&path, "phandle", &[phandle]).unwrap();
            editor.set_cells(&path, "brcm,pins", &pins).unwrap();
        }
        let pl011: &[&str] = &["arm,pl011", "arm,primecell"];
        let auxiliary: &[&str] = &["brcm,bcm2835-aux-uart"];
        for (name, compatible, interrupt, status, pins) in [
            ("serial@7e201000", pl011, 0x79, "okay", Some(8)),
            ("serial@7e201400", pl011, 0x79, "disabled", None),
            ("serial@7e201600", pl011, 0x79, "okay", None),
            ("serial@7e215040", auxiliary, 0x5d, "okay", Some(13)),
        ] {
            editor.add_node("/soc", name).unwrap();
            let path = alloc::format!("/soc/{name}");
            editor.set_strings(&path, "compatible", compatible).unwrap();
            editor.set_cells(&path, "interrupts", &[0, interrupt, 4]).unwrap();
            editor.set_string(&path, "status", status).unwrap();
            if let Some(pins) = pins {
                editor.set_cells(&path, "pinctrl-0", &[pins]).unwrap();
            }
        }
        editor.add_node("/soc", "watchdog@7e100000").unwrap();
        let watchdog = ["brcm,bcm2711-pm", "brcm,bcm2835-pm-wdt"];
        editor.set_strings("/soc/watchdog@7e100000", "compatible", &watchdog).unwrap();
        tree
    }

    /// The tree, to be read and edited.
    pub fn editor(&mut self) -> Editor<'_> {
        Editor::new(&mut self.buffer.0).unwrap()
    }
}
