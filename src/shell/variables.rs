//! The variables that scripts find: those of U-Boot on this board, with its values.
//!
//! Source: U-Boot `board/raspberrypi/rpi/rpi.env` and `rpi.c` for names and addresses, and `printenv` of Debian's `u-boot.bin` on the emulated
//! board. What describes U-Boot's own consoles and boot targets is left out, because nothing of it is here.

use super::Environment;
use super::platform::Facts;
use alloc::format;

/// What U-Boot's board file calls a model is what comes after this in ours.
const MAKER: &str = "Raspberry Pi ";

/// Variables that do not depend on the board's own data. Addresses are those of newer U-Boots, which leave larger kernels room.
const FIXED: &[(&str, &str)] = &[
    ("arch", "arm"),
    ("baudrate", "115200"),
    ("board", "rpi"),
    ("bootcmd", "run distro_bootcmd"),
    ("boot_prefixes", "/ /boot/"),
    ("boot_script_dhcp", "boot.scr.uimg"),
    ("boot_scripts", "boot.scr.uimg boot.scr"),
    ("boot_syslinux_conf", "extlinux/extlinux.conf"),
    ("boot_targets", "mmc0 dhcp"),
    ("bootcmd_dhcp", "devtype=dhcp; dhcp ${scriptaddr} ${boot_script_dhcp} && source ${scriptaddr}"),
    (
        "bootcmd_mmc0",
        "devtype=mmc; devnum=0; distro_bootpart=1; for prefix in ${boot_prefixes}; do \
         if test -e mmc 0:1 ${prefix}${boot_syslinux_conf}; then sysboot mmc 0:1 any ${scriptaddr} ${prefix}${boot_syslinux_conf}; fi; \
         for script in ${boot_scripts}; do \
         if test -e mmc 0:1 ${prefix}${script}; then load mmc 0:1 ${scriptaddr} ${prefix}${script} && source ${scriptaddr}; fi; \
         done; done",
    ),
    ("bootdelay", "2"),
    ("cpu", "armv8"),
    ("distro_bootcmd", "for target in ${boot_targets}; do run bootcmd_${target}; done"),
    ("fdt_addr_r", "0x05600000"),
    ("kernel_addr_r", "0x00080000"),
    ("kernel_comp_addr_r", "0x02000000"),
    ("kernel_comp_size", "0x03400000"),
    ("loadaddr", "0x1000000"),
    ("pxefile_addr_r", "0x05500000"),
    ("ramdisk_addr_r", "0x05700000"),
    ("scriptaddr", "0x05400000"),
    ("soc", "bcm283x"),
    ("vendor", "raspberrypi"),
];

/// The variables as a script finds them on the board of `facts`.
pub fn of_board(facts: &Facts) -> Environment {
    let mut environment = Environment::default();
    for (name, value) in FIXED {
        environment.set(name, value);
    }
    if let Some(revision) = facts.revision {
        // Bit 23 says that the code is one of the newer kind, with the board's type in bits 4 to 11.
        let newer = revision >> 23 & 1;
        let kind = if newer == 1 { revision >> 4 & 0xff } else { revision & 0xff };
        environment.set("board_revision", &format!("0x{revision:X}"));
        environment.set("board_rev_scheme", &format!("{newer}"));
        environment.set("board_rev", &format!("0x{kind:X}"));
    }
    if let Some(model) = &facts.model {
        environment.set("board_name", model.strip_prefix(MAKER).unwrap_or(model));
    }
    if let Some(file) = &facts.device_tree {
        environment.set("fdtfile", &format!("broadcom/{file}"));
    }
    if let Some(tree) = facts.firmware_tree {
        environment.set("fdt_addr", &format!("{:x}", tree.start));
        environment.set("fdtcontroladdr", &format!("{:x}", tree.start));
    }
    if let Some(serial) = facts.serial {
        environment.set("serial#", &format!("{serial:016x}"));
    }
    if let Some([a, b, c, d, e, f]) = facts.mac {
        let address = format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}");
        environment.set("ethaddr", &address);
        environment.set("usbethaddr", &address);
    }
    environment
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::range::PhysicalRange;
    use alloc::string::ToString;

    #[test]
    fn the_values_are_those_of_u_boot_on_the_same_board() {
        // `printenv` of Debian's U-Boot 2023.01 on the emulated board; addresses of memory from newer sources.
        let facts = Facts {
            revision: Some(0xb0_3115),
            model: Some("Raspberry Pi 4 Model B".to_string()),
            serial: Some(0),
            mac: Some([0x52, 0x54, 0, 0x12, 0x34, 0x57]),
            device_tree: Some("bcm2711-rpi-4-b.dtb".to_string()),
            firmware_tree: Some(PhysicalRange { start: 0x800_0000, end: 0x800_8000 }),
            bootargs: "not a variable".to_string(),
        };
        let environment = of_board(&facts);
        for (name, value) in [
            ("board_name", "4 Model B"),
            ("board_rev", "0x11"),
            ("board_rev_scheme", "1"),
            ("board_revision", "0xB03115"),
            ("ethaddr", "52:54:00:12:34:57"),
            ("fdt_addr", "8000000"),
            ("fdtfile", "broadcom/bcm2711-rpi-4-b.dtb"),
            ("kernel_addr_r", "0x00080000"),
            ("loadaddr", "0x1000000"),
            ("serial#", "0000000000000000"),
            ("usbethaddr", "52:54:00:12:34:57"),
        ] {
            assert_eq!(environment.get(name), Some(value), "{name}");
        }
        for name in ["bootargs", "ipaddr", "serverip", "netmask", "fdt_high"] {
            assert_eq!(environment.get(name), None, "{name}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_set() {
        let environment = of_board(&Facts::default());
        for name in ["board_rev", "board_name", "fdtfile", "fdt_addr", "serial#", "ethaddr"] {
            assert_eq!(environment.get(name), None, "{name}");
        }
        assert!(environment.get("scriptaddr").is_some());
    }
}
