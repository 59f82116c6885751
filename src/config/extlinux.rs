//! `extlinux.conf`: the menu that distributions write for U-Boot and syslinux (the Boot Loader Specification's first type has other words).
//!
//! Words as U-Boot reads them (`boot/pxe_utils.c`): upper and lower case are the same, what is not known is passed over. There is nobody to choose,
//! so the default label is what counts, and the first one where there is no default.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// A label: something to boot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: String,
    /// The path of the kernel, or of Xen.
    pub kernel: Option<String>,
    /// The path of the ramdisk.
    pub ramdisk: Option<String>,
    /// The kernel's command line.
    pub args: Option<String>,
    /// The path of the device tree.
    pub device_tree: Option<String>,
    /// The directory of device trees, in which the board's is looked for.
    pub device_trees: Option<String>,
    /// Overlays, which are not applied.
    pub overlays: bool,
}

/// Why there is nothing to boot in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// It is no text.
    NotText,
    /// It has no label.
    NoLabel,
    /// Its default is not there.
    NoDefault(String),
    /// The label has no kernel.
    NoKernel(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotText => f.write_str("not a text file"),
            Self::NoLabel => f.write_str("there is no label in it"),
            Self::NoDefault(name) => write!(f, "its default \"{name}\" is no label in it"),
            Self::NoKernel(name) => write!(f, "label {name} has no kernel line"),
        }
    }
}

/// The label that is booted where nobody chooses; it has a kernel.
///
/// # Errors
/// [`Error`].
pub fn default_label(bytes: &[u8]) -> Result<Label, Error> {
    let text = core::str::from_utf8(bytes).map_err(|_| Error::NotText)?;
    let mut default = None;
    let mut labels: Vec<Label> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        let (word, value) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let (word, value) = (word.to_ascii_lowercase(), value.trim());
        let given = || Some(value.to_string()).filter(|value| !value.is_empty());
        match (word.as_str(), labels.last_mut()) {
            ("default", _) => default = given(),
            ("label", _) => labels.push(Label { name: value.to_string(), ..Label::default() }),
            ("kernel" | "linux", Some(label)) => label.kernel = given(),
            ("initrd", Some(label)) => label.ramdisk = given(),
            ("append", Some(label)) => label.args = given(),
            ("fdt" | "devicetree", Some(label)) => label.device_tree = given(),
            ("fdtdir" | "devicetreedir", Some(label)) => label.device_trees = given(),
            ("fdtoverlays" | "devicetree-overlay", Some(label)) => label.overlays = true,
            _ => {}
        }
    }
    let label = match default {
        Some(name) => labels.into_iter().find(|label| label.name == name).ok_or(Error::NoDefault(name))?,
        None => labels.into_iter().next().ok_or(Error::NoLabel)?,
    };
    if label.kernel.is_none() { Err(Error::NoKernel(label.name)) } else { Ok(label) }
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
    fn the_default_label_counts_or_the_first() {
        let label = default_label(TEXT.as_bytes()).unwrap();
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
                overlays: false,
            }
        );
        let first = default_label(TEXT.replace("DEFAULT l1\n", "").as_bytes()).unwrap();
        assert_eq!(first.kernel, text("/vmlinuz-old"));
    }

    #[test]
    fn what_cannot_be_booted_is_named() {
        assert_eq!(default_label(b"\xff\xfe"), Err(Error::NotText));
        assert_eq!(default_label(b"timeout 5\nkernel /lost\n"), Err(Error::NoLabel));
        assert_eq!(default_label(b"default x\nlabel y\nkernel /k\n"), Err(Error::NoDefault("x".into())));
        assert_eq!(default_label(b"label y\nkernel\n"), Err(Error::NoKernel("y".into())));
        let long = format!("label {}\nkernel k", "x".repeat(10_000));
        assert!(default_label(long.as_bytes()).is_ok());
    }
}
