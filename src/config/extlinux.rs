//! `extlinux.conf`: the menu that distributions write for U-Boot and syslinux (the Boot Loader Specification's first type has other words).
//!
//! Words as U-Boot reads them (`boot/pxe_utils.c`): upper and lower case are the same, what is not known is passed over. There is nobody to choose,
//! so the default label comes first, and the others in their order after it where it cannot be started.

use super::LARGEST_FILE;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// A label: something to boot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: String,
    /// The path of the kernel, or of Xen; of a FIT image with `#` and a configuration behind it, perhaps.
    pub kernel: Option<String>,
    /// The path of the ramdisk.
    pub ramdisk: Option<String>,
    /// The kernel's command line.
    pub args: Option<String>,
    /// The path of the device tree.
    pub device_tree: Option<String>,
    /// The directory of device trees, in which the board's is looked for.
    pub device_trees: Option<String>,
    /// The paths of overlays, with spaces between them.
    pub overlays: Option<String>,
}

/// Labels that are read. Distributions write one for each kernel that is installed.
const MOST_LABELS: usize = 64;

/// Why there is nothing to boot in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// It is no text.
    NotText,
    /// It has no label.
    NoLabel,
    /// No label has a kernel; the first one's name.
    NoKernel(String),
    /// It has more bytes than [`LARGEST_FILE`].
    TooLong(usize),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotText => f.write_str("not a text file"),
            Self::NoLabel => f.write_str("there is no label in it"),
            Self::NoKernel(name) => write!(f, "label {name} has no kernel line"),
            Self::TooLong(bytes) => write!(f, "{bytes} bytes, expected at most {LARGEST_FILE}"),
        }
    }
}

/// The labels that have a kernel, in the order in which they are tried where nobody chooses; there is one at least. A default that is no
/// label counts for nothing.
///
/// # Errors
/// [`Error`].
pub fn labels(bytes: &[u8]) -> Result<Vec<Label>, Error> {
    if bytes.len() > LARGEST_FILE {
        return Err(Error::TooLong(bytes.len()));
    }
    let text = core::str::from_utf8(bytes).map_err(|_| Error::NotText)?;
    let mut default = None;
    let mut labels: Vec<Label> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        let (word, value) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let (word, value) = (word.to_ascii_lowercase(), value.trim());
        let given = || Some(value.to_string()).filter(|value| !value.is_empty());
        let full = labels.len() >= MOST_LABELS;
        match (word.as_str(), labels.last_mut()) {
            ("default" | "ontimeout", _) => default = given().or(default),
            ("menu", Some(label)) if value.eq_ignore_ascii_case("default") => {
                default = default.or_else(|| Some(label.name.clone()));
            }
            ("label", _) if full => break,
            ("label", _) => labels.push(Label { name: value.to_string(), ..Label::default() }),
            ("kernel" | "linux", Some(label)) => label.kernel = given(),
            // Of several the first counts, and one in the arguments is one as well, as syslinux has it.
            ("initrd", Some(label)) => label.ramdisk = label.ramdisk.take().or_else(given),
            ("append", Some(label)) => {
                label.args = given();
                label.ramdisk = label.ramdisk.take().or_else(|| ramdisk_in(value));
            }
            ("fdt" | "devicetree", Some(label)) => label.device_tree = label.device_tree.take().or_else(given),
            ("fdtdir" | "devicetreedir", Some(label)) => label.device_trees = given(),
            ("fdtoverlays" | "devicetree-overlay", Some(label)) => label.overlays = given(),
            _ => {}
        }
    }
    let first = labels.first().ok_or(Error::NoLabel)?.name.clone();
    labels.retain(|label| label.kernel.is_some());
    // The others stay in their order.
    if let Some(place) = labels.iter().position(|label| default.as_ref() == Some(&label.name)) {
        let label = labels.remove(place);
        labels.insert(0, label);
    }
    if labels.is_empty() { Err(Error::NoKernel(first)) } else { Ok(labels) }
}

/// The path behind `initrd=`, up to the next space.
fn ramdisk_in(arguments: &str) -> Option<String> {
    let (_, path) = arguments.split_once("initrd=")?;
    let path = path.split(' ').next().unwrap_or(path);
    (!path.is_empty()).then(|| path.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    const TEXT: &str = "\
# made by a distribution
DEFAULT l1
MENU TITLE U-Boot menu
TIMEOUT 50

label l0
    linux /vmlinuz-old
label l1
\tMENU LABEL Debian
\tLINUX /vmlinuz
\tINITRD /initrd.img
\tFDTDIR /dtbs/
\tAPPEND root=LABEL=root ro  quiet
";

    #[test]
    fn the_default_label_comes_first_and_then_the_others() {
        let found = labels(TEXT.as_bytes()).unwrap();
        assert_eq!(found.len(), 2);
        let label = found[0].clone();
        let text = |text: &str| Some(text.to_string());
        assert_eq!(
            label,
            Label {
                name: "l1".into(),
                kernel: text("/vmlinuz"),
                ramdisk: text("/initrd.img"),
                args: text("root=LABEL=root ro  quiet"),
                device_tree: None,
                device_trees: text("/dtbs/"),
                overlays: None,
            }
        );
        assert_eq!(found[1].kernel, text("/vmlinuz-old"));
        for default in ["", "DEFAULT nowhere\n"] {
            let found = labels(TEXT.replace("DEFAULT l1\n", default).as_bytes()).unwrap();
            assert_eq!(found[0].kernel, text("/vmlinuz-old"), "{default}");
        }
        let first = |top: &str, of_l1: &str| {
            let text = TEXT.replace("DEFAULT l1\n", top) + of_l1;
            labels(text.as_bytes()).unwrap()[0].name.clone()
        };
        assert_eq!(first("", "\tMENU DEFAULT\n"), "l1");
        assert_eq!(first("", "\tmenu label default\n"), "l0");
        assert_eq!(first("ontimeout l1\n", ""), "l1");
        assert_eq!(first("default l0\n", "menu default\n"), "l0", "one that was named stays");
        assert_eq!(first("default l0\n", "ontimeout l1\n"), "l1", "unless it is named anew");
        for (lines, ramdisk) in [
            ("append root=a initrd=/b.img quiet\n", text("/b.img")),
            ("append initrd=b.img\n", text("b.img")),
            ("append initrd= quiet\n", None),
            ("initrd /first\nappend initrd=/second\ninitrd /third\n", text("/first")),
            ("append initrd=/first\ninitrd /second\n", text("/first")),
        ] {
            let found = labels(format!("label a\nkernel k\n{lines}").as_bytes()).unwrap();
            assert_eq!(found[0].ramdisk, ramdisk, "{lines}");
        }
        let overlays = labels(b"label a\nkernel k\nFDTOVERLAYS /a.dtbo  b.dtbo\n").unwrap();
        assert_eq!(overlays[0].overlays, text("/a.dtbo  b.dtbo"));
    }

    #[test]
    fn what_cannot_be_booted_is_named() {
        assert_eq!(labels(b"\xff\xfe"), Err(Error::NotText));
        assert_eq!(labels(b"timeout 5\nkernel /lost\n"), Err(Error::NoLabel));
        assert_eq!(labels(b"label y\nkernel\nlabel z\n"), Err(Error::NoKernel("y".into())));
        assert_eq!(labels(&[b' '; LARGEST_FILE + 1]), Err(Error::TooLong(LARGEST_FILE + 1)));
        assert_eq!(labels("label a\nkernel b\n".repeat(10_000).as_bytes()).unwrap().len(), MOST_LABELS);
        let long = format!("label {}\nkernel k", "x".repeat(10_000));
        assert!(labels(long.as_bytes()).is_ok());
    }
}
