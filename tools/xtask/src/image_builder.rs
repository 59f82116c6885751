//! U-Boot scripts as ImageBuilder's `uboot-script-gen` writes them, line by line, for tests and for the bench.
//!
//! In two forms: that of its release 2023.2, with addresses and sizes as numbers, and that of `-s`, where U-Boot works them out with
//! `setexpr` as it loads. Xen's patch list has the latter ("uboot-script-gen: Dynamically compute addr and size when loading binaries").

use std::fmt::Write as _;

/// The lowest address of the script itself, which goes behind MEMORY_START.
const LOWEST: u64 = 0xc0_0000;
/// Files begin at multiples of this.
const OFFSET: u64 = 2 << 20;

/// A file that a script loads.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// Its name on the server or the card.
    pub name: &'a str,
    /// Its bytes.
    pub size: u64,
    /// The bytes that it takes once it runs.
    pub memory: u64,
}

impl<'a> File<'a> {
    /// A file with this content. An arm64 Image says in its header how much memory it takes (Linux, Documentation/arch/arm64/booting.rst).
    pub fn new(name: &'a str, bytes: &[u8]) -> Self {
        let size = bytes.len() as u64;
        let image = bytes.get(56..60) == Some(b"ARM\x64");
        let image_size = bytes.get(16..24).filter(|_| image).and_then(|field| field.try_into().ok());
        Self { name, size, memory: size.max(image_size.map_or(0, u64::from_le_bytes)) }
    }
}

/// What runs in a domain.
#[derive(Clone, Copy, Debug)]
pub struct Domain<'a> {
    /// DOM0_KERNEL, DOMU_KERNEL.
    pub kernel: File<'a>,
    /// DOM0_RAMDISK, DOMU_RAMDISK.
    pub ramdisk: Option<File<'a>>,
    /// DOM0_CMD, DOMU_CMD.
    pub command_line: &'a str,
}

/// What stands in ImageBuilder's config file.
#[derive(Clone, Copy, Debug)]
pub struct Config<'a> {
    /// MEMORY_START: where the memory begins that the script may use.
    pub memory_start: u64,
    /// LOAD_CMD, or what `-t` makes of it: `tftpb`, `load mmc 0:1`.
    pub load: &'a str,
    /// XEN.
    pub xen: File<'a>,
    /// XEN_CMD.
    pub xen_command_line: &'a str,
    /// DEVICE_TREE.
    pub tree: File<'a>,
    /// DT_OVERLAY.
    pub overlays: &'a [File<'a>],
    /// DOM0_*.
    pub dom0: Domain<'a>,
    /// DOMU_*; each with one processor, 128 MiB of memory and a vpl011.
    pub guests: &'a [Domain<'a>],
}

impl Config<'_> {
    /// The script with addresses and sizes in it.
    pub fn script(&self) -> String {
        self.write(false)
    }

    /// The script that has U-Boot work them out (`-s`).
    pub fn calculating_script(&self) -> String {
        self.write(true)
    }

    fn write(&self, calculated: bool) -> String {
        let first = (self.memory_start + OFFSET).max(LOWEST) + OFFSET;
        let mut script = Script { text: String::new(), next: first, load: self.load, calculated };
        if calculated {
            script.line(&format!("setenv memaddr {first:#X}"));
        }
        let dom0 = script.load_domain(&self.dom0, "dom0_linux", "dom0_ramdisk");
        let guests = self.guests.iter().enumerate().map(|(number, guest)| {
            script.load_domain(guest, &format!("domU{number}_kernel"), &format!("domU{number}_ramdisk"))
        });
        let guests: Vec<_> = guests.collect();
        let xen = script.load(&self.xen, "host_kernel");
        let overlays = self.overlays.iter().enumerate();
        let overlays: Vec<_> =
            overlays.map(|(number, overlay)| script.load(overlay, &format!("host_fdto{number}"))).collect();
        let tree = script.load(&self.tree, "host_fdt");

        script.line(&format!("fdt addr {}\nfdt resize 1024", tree.address(calculated)));
        for overlay in &overlays {
            script.line(&format!("fdt apply {}", overlay.address(calculated)));
        }
        script.line("fdt set /chosen \\#address-cells <0x2>\nfdt set /chosen \\#size-cells <0x2>");
        script.line(&format!("fdt set /chosen xen,xen-bootargs \"{}\"", self.xen_command_line));
        let node = if calculated { format!("dom0@{:X}", dom0.0.address) } else { "dom0".to_owned() };
        script.module("/chosen", &node, "\"xen,linux-zimage\" \"xen,multiboot-module\" \"multiboot,module\"", &dom0.0);
        script.line(&format!("fdt set /chosen xen,dom0-bootargs \"{}\"", self.dom0.command_line));
        if let Some(ramdisk) = &dom0.1 {
            let node =
                if calculated { format!("dom0-ramdisk@{:X}", ramdisk.address) } else { "dom0-ramdisk".to_owned() };
            let kind = "\"xen,linux-initrd\" \"xen,multiboot-module\" \"multiboot,module\"";
            script.module("/chosen", &node, kind, ramdisk);
        }
        for (number, (guest, (kernel, ramdisk))) in self.guests.iter().zip(&guests).enumerate() {
            script.guest(&format!("domU{number}"), kernel, ramdisk.as_ref(), guest.command_line);
        }
        script.line("setenv fdt_high 0xffffffffffffffff");
        script.line(&format!("booti {} - {}", xen.address(calculated), tree.address(calculated)));
        script.text
    }
}

/// Where a file lies once it is loaded.
struct Place {
    /// Of the variables that hold what U-Boot worked out.
    name: String,
    /// Where U-Boot works it out, no more than a part of a node's name.
    address: u64,
    size: u64,
}

impl Place {
    fn address(&self, calculated: bool) -> String {
        if calculated { format!("${{{}_addr}}", self.name) } else { format!("{:#X}", self.address) }
    }
}

struct Script<'a> {
    text: String,
    next: u64,
    load: &'a str,
    calculated: bool,
}

impl Script<'_> {
    fn line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    fn load(&mut self, file: &File<'_>, name: &str) -> Place {
        let place = Place { name: name.to_owned(), address: self.next, size: file.size };
        let load = self.load;
        if self.calculated {
            self.line(&format!(
                "{load} ${{memaddr}} {}\nsetenv {name}_addr ${{memaddr}}\nsetenv {name}_size ${{filesize}}\n\
                 setexpr memaddr ${{memaddr}} \\+ ${{filesize}}\nsetexpr memaddr ${{memaddr}} \\+ {:#X}\n\
                 setexpr memaddr ${{memaddr}} \\& {:#X}",
                file.name,
                OFFSET - 1,
                !(OFFSET - 1)
            ));
            self.next += OFFSET;
        } else {
            self.line(&format!("{load} {:#X} {}", place.address, file.name));
            self.next = (place.address + file.memory).next_multiple_of(OFFSET);
        }
        place
    }

    fn load_domain(&mut self, domain: &Domain<'_>, kernel: &str, ramdisk: &str) -> (Place, Option<Place>) {
        (self.load(&domain.kernel, kernel), domain.ramdisk.as_ref().map(|file| self.load(file, ramdisk)))
    }

    /// A node for a file below the node `path`.
    fn module(&mut self, path: &str, node: &str, compatible: &str, place: &Place) {
        let Place { name, address, size } = place;
        self.line(&format!("fdt mknod {path} {node}\nfdt set {path}/{node} compatible  {compatible}"));
        if self.calculated {
            for (half, of) in [("addr_hi", "addr"), ("addr_lo", "addr"), ("size_hi", "size"), ("size_lo", "size")] {
                let how = if half.ends_with("hi") { "/ 0x100000000" } else { "\\& 0xFFFFFFFF" };
                let _ = writeln!(self.text, "setexpr {half} ${{{name}_{of}}} {how}");
            }
            let cells = "0x${addr_hi} 0x${addr_lo} 0x${size_hi} 0x${size_lo}";
            self.line(&format!("fdt set {path}/{node} reg <{cells}>"));
        } else {
            self.line(&format!("fdt set {path}/{node} reg <0x0 {address:#X} 0x0 {size:#X} >"));
        }
    }

    fn guest(&mut self, node: &str, kernel: &Place, ramdisk: Option<&Place>, command_line: &str) {
        let path = format!("/chosen/{node}");
        self.line(&format!(
            "fdt mknod /chosen {node}\nfdt set {path} compatible \"xen,domain\"\n\
             fdt set {path} \\#address-cells <0x2>\nfdt set {path} \\#size-cells <0x2>\n\
             fdt set {path} memory <0 131072>\nfdt set {path} cpus <1>"
        ));
        self.line(&format!("fdt set {path} vpl011{}", if self.calculated { "" } else { " \"pl011\"" }));
        let name = |calculated: bool, address: u64| {
            if calculated { format!("module@{address:X}") } else { format!("module{address:#X}") }
        };
        let module = name(self.calculated, kernel.address);
        self.module(&path, &module, "\"multiboot,kernel\" \"multiboot,module\"", kernel);
        self.line(&format!("fdt set {path}/{module} bootargs \"{command_line}\""));
        if let Some(ramdisk) = ramdisk {
            let module = name(self.calculated, ramdisk.address);
            self.module(&path, &module, "\"multiboot,ramdisk\" \"multiboot,module\"", ramdisk);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn file(name: &str, size: u64) -> File<'_> {
        File { name, size, memory: size }
    }

    const CONFIG: Config<'_> = Config {
        memory_start: 0,
        load: "tftpb",
        xen: file("xen", 103),
        xen_command_line: "console=dtuart dtuart=serial0 dom0_mem=1500M dom0_max_vcpus=1 bootscrub=0 vwfi=native sched=null   ",
        tree: file("bcm2711-rpi-4-b.dtb", 416),
        overlays: &[],
        dom0: Domain {
            kernel: file("Image-dom0", 8_000_000),
            ramdisk: None,
            command_line: "console=hvc0 earlycon=xen earlyprintk=xen clk_ignore_unused root=/dev/ram0",
        },
        guests: &[],
    };

    /// What ImageBuilder 2023.2 wrote for files of these sizes.
    #[test]
    fn a_script_is_image_builders_to_the_letter() {
        let expected = r#"tftpb 0xE00000 Image-dom0
tftpb 0x1600000 xen
tftpb 0x1800000 bcm2711-rpi-4-b.dtb
fdt addr 0x1800000
fdt resize 1024
fdt set /chosen \#address-cells <0x2>
fdt set /chosen \#size-cells <0x2>
fdt set /chosen xen,xen-bootargs "console=dtuart dtuart=serial0 dom0_mem=1500M dom0_max_vcpus=1 bootscrub=0 vwfi=native sched=null   "
fdt mknod /chosen dom0
fdt set /chosen/dom0 compatible  "xen,linux-zimage" "xen,multiboot-module" "multiboot,module"
fdt set /chosen/dom0 reg <0x0 0xE00000 0x0 0x7A1200 >
fdt set /chosen xen,dom0-bootargs "console=hvc0 earlycon=xen earlyprintk=xen clk_ignore_unused root=/dev/ram0"
setenv fdt_high 0xffffffffffffffff
booti 0x1600000 - 0x1800000
"#;
        assert_eq!(CONFIG.script(), expected);
    }

    #[test]
    fn a_file_lies_behind_what_the_one_before_takes_in_memory() {
        let mut image = vec![0; 0x1000];
        image[16..24].copy_from_slice(&0x20_0001_u64.to_le_bytes());
        assert_eq!(File::new("no image", &image).memory, 0x1000);
        image[56..60].copy_from_slice(b"ARM\x64");
        let kernel = File::new("Image-dom0", &image);
        let script = Config { dom0: Domain { kernel, ..CONFIG.dom0 }, ..CONFIG }.script();
        assert!(script.starts_with("tftpb 0xE00000 Image-dom0\ntftpb 0x1200000 xen\n"), "{script}");
    }

    #[test]
    fn a_calculating_script_names_no_address_but_the_first() {
        let guest = Domain { ramdisk: Some(file("rootfs", 1)), ..CONFIG.dom0 };
        let script = Config { overlays: &[file("test.dtbo", 1)], guests: &[guest], ..CONFIG }.calculating_script();
        assert!(
            script.starts_with(
                "setenv memaddr 0xE00000\ntftpb ${memaddr} Image-dom0\nsetenv dom0_linux_addr ${memaddr}\n"
            )
        );
        for line in [
            "setexpr memaddr ${memaddr} \\& 0xFFFFFFFFFFE00000",
            "setexpr size_lo ${domU0_ramdisk_size} \\& 0xFFFFFFFF",
            "fdt apply ${host_fdto0_addr}",
            "booti ${host_kernel_addr} - ${host_fdt_addr}",
        ] {
            assert!(script.lines().any(|there| there == line), "{line} in:\n{script}");
        }
        let tell = |line: &&str| line.contains(" 0x") && !line.starts_with("setexpr") && !line.contains("-cells");
        let literal: Vec<&str> = script.lines().filter(tell).collect();
        assert_eq!(literal[0], "setenv memaddr 0xE00000");
        assert!(
            literal[1..].iter().all(|line| line.contains("reg <0x${") || line.starts_with("setenv fdt_high")),
            "{literal:?}"
        );
    }
}
