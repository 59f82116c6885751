//! FIT images: several files in a device tree, with digests, as mkimage -f makes them.
//!
//! The format is U-Boot's (`doc/usage/fit/source_file_format.rst`, now the Flattened Image Tree specification): `/images` has a node for every file,
//! its bytes in `data`, or behind the tree at `data-offset` from its end rounded up to four bytes, or at `data-position` from the tree's beginning, then with `data-size`.
//! Digests are in its `hash` children. `/configurations` says which files go together, and which of its nodes is the `default`.
//!
//! CRC-32, MD5, SHA-1 and SHA-256 can be verified. Other digests (SHA-384, SHA-512) and signatures cannot, and whoever asks is told which they are.

use super::digest::Algorithm;
use super::legacy_image::Compression;
use crate::device_tree::read::Error as ReadError;
use crate::device_tree::{Label, Node, Tree};
use alloc::vec::Vec;
use core::fmt;

/// A FIT image.
#[derive(Clone, Copy, Debug)]
pub struct Fit<'a> {
    tree: Tree<'a>,
    /// The tree and what lies behind it.
    bytes: &'a [u8],
}

/// A file in a FIT image.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    node: Node<'a>,
    /// Its bytes, as they are packed.
    pub data: &'a [u8],
}

/// What a file of a FIT image says that it can be verified by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Digest {
    /// Its digest, as many bytes as the algorithm's have.
    Known(Algorithm, Vec<u8>),
    /// Something that is not computed here, by its name.
    Other(Label),
}

/// Compares a digest that the file `image` says with `found`, what its bytes have.
///
/// # Errors
/// [`Error::Digest`].
pub fn check(image: Label, algorithm: Algorithm, expected: &[u8], found: &[u8]) -> Result<(), Error> {
    if expected == found {
        return Ok(());
    }
    let (expected, found) = (start(expected), start(found));
    Err(Error::Digest { image, algorithm, expected, found })
}

/// Digests and signatures that a file may have. mkimage writes as many as its source names: one, rarely two.
const MOST_DIGESTS: usize = 8;

/// Files that a configuration may have for one role: a tree with all overlays of a board, and Xen's modules, are fewer.
const MOST_FILES: usize = 32;

/// How many bytes the FIT image whose tree is `tree` has with what lies behind its tree.
///
/// # Errors
/// [`Error::NoImages`], [`Error::Place`].
pub fn extent(tree: &Tree<'_>) -> Result<u64, Error> {
    let mut end = tree.bytes().len() as u64;
    for node in images(tree)?.children() {
        if let Some((start, size)) = outside(tree, &node) {
            end = end.max(start.checked_add(size).ok_or(Error::Place { image: node.name().into() })?);
        }
    }
    Ok(end)
}

fn images<'a>(tree: &Tree<'a>) -> Result<Node<'a>, Error> {
    tree.root().child("images").ok_or(Error::NoImages)
}

/// Where an image's data lies that is not in the tree: bytes from the tree's beginning, and their number.
fn outside(tree: &Tree<'_>, node: &Node<'_>) -> Option<(u64, u64)> {
    let number = |name: &str| node.property(name)?.u32().map(u64::from);
    let size = number("data-size")?;
    let behind = (tree.bytes().len() as u64).next_multiple_of(4);
    let start = number("data-position").or_else(|| Some(behind + number("data-offset")?))?;
    Some((start, size))
}

impl<'a> Fit<'a> {
    /// The FIT image in `bytes`, as many as [`extent`] says.
    ///
    /// # Errors
    /// [`Error::Tree`], [`Error::NoImages`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let tree = Tree::new(bytes)?;
        images(&tree)?;
        Ok(Self { tree, bytes })
    }

    /// Its files.
    ///
    /// # Errors
    /// [`Error::NoImages`].
    pub fn images(&self) -> Result<impl Iterator<Item = Result<Image<'a>, Error>> + use<'a>, Error> {
        let fit = *self;
        Ok(images(&self.tree)?.children().map(move |node| fit.image_at(node)))
    }

    /// The file called `name`.
    ///
    /// # Errors
    /// [`Error::NoImage`], [`Error::Place`], [`Error::NoData`].
    pub fn image(&self, name: &str) -> Result<Image<'a>, Error> {
        let node = images(&self.tree)?.children().find(|node| node.name() == name);
        self.image_at(node.ok_or(Error::NoImage { name: name.into() })?)
    }

    fn image_at(&self, node: Node<'a>) -> Result<Image<'a>, Error> {
        let name = Label::new(node.name());
        if let Some(data) = node.property("data") {
            return Ok(Image { node, data: data.value() });
        }
        let (start, size) = outside(&self.tree, &node).ok_or(Error::NoData { image: name })?;
        let end = start.checked_add(size).ok_or(Error::Place { image: name })?;
        let data = self.bytes.get(start as usize..end as usize).ok_or(Error::Place { image: name })?;
        Ok(Image { node, data })
    }

    /// The configurations, in the tree's order.
    pub fn configurations(&self) -> impl Iterator<Item = Node<'a>> + use<'a> {
        self.tree.root().child("configurations").into_iter().flat_map(|node| node.children())
    }

    /// The name of the default configuration.
    pub fn default_configuration(&self) -> Option<&'a str> {
        self.tree.root().child("configurations")?.property("default")?.string()
    }

    /// The file that the configuration `name` (the default one without it) has for `role`: `kernel`, `fdt`, `ramdisk`, `script`.
    ///
    /// # Errors
    /// [`Error::NoRole`], and as [`Fit::images_of`].
    pub fn image_of(&self, name: Option<&str>, role: &str) -> Result<Image<'a>, Error> {
        let configuration = self.configuration(name)?;
        let no_role = Error::NoRole { configuration: configuration.name().into(), role: role.into() };
        let image = configuration.property(role).and_then(|property| property.string()).ok_or(no_role)?;
        self.image(image)
    }

    /// All files that the configuration `name` (the default one without it) has for `role`: a tree and its overlays (`fdt`), `loadables`.
    ///
    /// # Errors
    /// [`Error::NoDefault`], [`Error::NoConfiguration`], [`Error::ManyFiles`], and as [`Fit::image`].
    pub fn images_of(&self, name: Option<&str>, role: &str) -> Result<Vec<Image<'a>>, Error> {
        let configuration = self.configuration(name)?;
        let mut images = Vec::new();
        for image in configuration.property(role).into_iter().flat_map(|property| property.strings()) {
            if images.len() >= MOST_FILES {
                return Err(Error::ManyFiles { configuration: configuration.name().into(), role: role.into() });
            }
            images.push(self.image(image)?);
        }
        Ok(images)
    }

    fn configuration(&self, name: Option<&str>) -> Result<Node<'a>, Error> {
        let name = name.or_else(|| self.default_configuration()).ok_or(Error::NoDefault)?;
        let configuration = self.configurations().find(|node| node.name() == name);
        configuration.ok_or(Error::NoConfiguration { name: name.into() })
    }

    /// The script that `source` runs where it names none: the one that `/images` has as its `default`, or else the default configuration's.
    ///
    /// # Errors
    /// As [`Fit::image_of`].
    pub fn default_script(&self) -> Result<Image<'a>, Error> {
        let named = images(&self.tree)?.property("default").and_then(|property| property.string());
        match named {
            Some(name) => self.image(name),
            None => self.image_of(None, "script"),
        }
    }

    /// What its maker says of it.
    pub fn description(&self) -> &'a str {
        text(&self.tree.root(), "description")
    }

    /// The tree and what lies behind it: all its files are in there.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

fn text<'a>(node: &Node<'a>, name: &str) -> &'a str {
    node.property(name).and_then(|property| property.string()).unwrap_or_default()
}

impl<'a> Image<'a> {
    /// Its name.
    pub fn name(&self) -> &'a str {
        self.node.name()
    }

    /// What it is for: `kernel`, `flat_dt`, `ramdisk`, `script`; empty where it does not say.
    pub fn kind(&self) -> &'a str {
        text(&self.node, "type")
    }

    /// What its maker says of it.
    pub fn description(&self) -> &'a str {
        text(&self.node, "description")
    }

    /// The address at which it is to lie, where it says one: a number of one or two cells.
    pub fn load(&self) -> Option<u64> {
        let value = self.node.property("load")?.value();
        match (<[u8; 4]>::try_from(value), <[u8; 8]>::try_from(value)) {
            (Ok(cell), _) => Some(u32::from_be_bytes(cell).into()),
            (_, Ok(cells)) => Some(u64::from_be_bytes(cells)),
            _ => None,
        }
    }

    /// How it is packed.
    pub fn compression(&self) -> Compression {
        match text(&self.node, "compression") {
            "" | "none" => Compression::None,
            "gzip" => Compression::Gzip,
            "bzip2" => Compression::Other(2),
            "lzma" => Compression::Other(3),
            "lzo" => Compression::Other(4),
            "lz4" => Compression::Other(5),
            "zstd" => Compression::Other(6),
            _ => Compression::Other(u8::MAX),
        }
    }

    /// What its bytes are to be verified by. Whoever has them looks at each ([`check`]).
    ///
    /// # Errors
    /// [`Error::BadDigest`] where one makes no sense, [`Error::ManyDigests`].
    pub fn digests(&self) -> Result<Vec<Digest>, Error> {
        let image = Label::new(self.name());
        let mut digests = Vec::new();
        for node in self.node.children() {
            let ignored = node.property("uboot-ignore").and_then(|property| property.u32()) == Some(1);
            let digest = match node.name() {
                name if name.starts_with("signature") => Digest::Other("signature".into()),
                name if name.starts_with("hash") && !ignored => digest(&node, image)?,
                _ => continue,
            };
            if digests.len() >= MOST_DIGESTS {
                return Err(Error::ManyDigests { image });
            }
            digests.push(digest);
        }
        Ok(digests)
    }
}

/// The digest that a `hash` node says.
fn digest(node: &Node<'_>, image: Label) -> Result<Digest, Error> {
    let name = Label::new(text(node, "algo"));
    let bad = Error::BadDigest { image, algorithm: name };
    let value = node.property("value").map(|property| property.value()).filter(|value| !value.is_empty()).ok_or(bad)?;
    match Algorithm::named(name.as_str()) {
        Some(algorithm) if algorithm.length() == value.len() => Ok(Digest::Known(algorithm, value.to_vec())),
        Some(_) => Err(bad),
        None => Ok(Digest::Other(name)),
    }
}

/// The first four bytes of a digest.
fn start(digest: &[u8]) -> [u8; 4] {
    digest.first_chunk().copied().unwrap_or_default()
}

/// Why a FIT image cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Its tree is none.
    Tree(ReadError),
    /// It is an ordinary device tree.
    NoImages,
    /// It has no such file.
    NoImage {
        /// The name.
        name: Label,
    },
    /// A file has no bytes.
    NoData {
        /// Its name.
        image: Label,
    },
    /// A file lies outside of the image.
    Place {
        /// Its name.
        image: Label,
    },
    /// No configuration was named, and there is no default one.
    NoDefault,
    /// It has no such configuration.
    NoConfiguration {
        /// The name.
        name: Label,
    },
    /// A configuration does not have what is wanted.
    NoRole {
        /// Its name.
        configuration: Label,
        /// What is wanted.
        role: Label,
    },
    /// A configuration has more than `MOST_FILES` files for one role.
    ManyFiles {
        /// Its name.
        configuration: Label,
        /// What they are for.
        role: Label,
    },
    /// A digest differs.
    Digest {
        /// The file's name.
        image: Label,
        /// How the digest is computed.
        algorithm: Algorithm,
        /// The first bytes that it should have.
        expected: [u8; 4],
        /// The first bytes that it has.
        found: [u8; 4],
    },
    /// A file has more than `MOST_DIGESTS` digests and signatures.
    ManyDigests {
        /// Its name.
        image: Label,
    },
    /// A digest has no value, or one of the wrong length.
    BadDigest {
        /// The file's name.
        image: Label,
        /// The digest's name.
        algorithm: Label,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tree(error) => write!(f, "no FIT image: {error}"),
            Self::NoImages => f.write_str("no FIT image: the device tree has no /images"),
            Self::NoImage { name } => write!(f, "the FIT image has no file {name}; `iminfo` shows what it has"),
            Self::NoData { image } => write!(f, "{image} of the FIT image has no data"),
            Self::Place { image } => write!(f, "{image} of the FIT image lies outside of it: copy the image again"),
            Self::NoDefault => f.write_str("the FIT image has no default configuration: name one"),
            Self::NoConfiguration { name } => {
                write!(f, "the FIT image has no configuration {name}; `iminfo` shows what it has")
            }
            Self::NoRole { configuration, role } => {
                write!(f, "configuration {configuration} of the FIT image has no {role}")
            }
            Self::ManyFiles { configuration, role } => {
                write!(f, "configuration {configuration} of the FIT image has more than {MOST_FILES} files for {role}")
            }
            Self::Digest { image, algorithm, expected, found } => {
                write!(f, "{image} of the FIT image is damaged: {} ", algorithm.name())?;
                found.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                f.write_str("..., it says ")?;
                expected.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                f.write_str("...; copy it again (`setenv verify no` takes it as it is)")
            }
            Self::ManyDigests { image } => {
                write!(f, "{image} of the FIT image has more than {MOST_DIGESTS} digests and signatures")
            }
            Self::BadDigest { image, algorithm } => {
                write!(f, "{image} of the FIT image has a digest {algorithm:?} without a value of the right length")
            }
        }
    }
}

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        Self::Tree(error)
    }
}
