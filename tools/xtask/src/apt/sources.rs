//! apt's lists of sources, read so that further suites can be asked from the archive this machine already uses.
//!
//! Both forms of sources.list(5): one line a source (`*.list`) and deb822 paragraphs (`*.sources`). Written as deb822 only. Options that do
//! not matter here are not carried over; `Signed-By` is, whether it is a path or a key in the text.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// One source: an archive, the suites wanted from it, and whose signature to trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// `deb`, `deb-src`.
    pub types: Vec<String>,
    /// Base addresses of the archive.
    pub uris: Vec<String>,
    /// Release code names or suite names.
    pub suites: Vec<String>,
    /// `main`, `contrib`, ...; empty for a flat archive.
    pub components: Vec<String>,
    /// Architectures it is limited to; empty for those of apt's configuration.
    pub architectures: Vec<String>,
    /// A keyring's path, fingerprints, or an armoured key over several lines (continuation lines as in the file).
    pub signed_by: Option<String>,
}

impl Source {
    /// Whether it offers packages of `suite` from the component main.
    pub fn offers(&self, suite: &str) -> bool {
        self.suites.iter().any(|s| s == suite) && self.components.iter().any(|c| c == "main")
    }

    /// The same archive and signature with another suite, for binaries of `architecture`, component main.
    #[must_use]
    pub fn for_suite(&self, suite: &str, architecture: &str) -> Self {
        Self {
            types: vec!["deb".to_owned()],
            uris: self.uris.clone(),
            suites: vec![suite.to_owned()],
            components: vec!["main".to_owned()],
            architectures: vec![architecture.to_owned()],
            signed_by: self.signed_by.clone(),
        }
    }

    /// A deb822 paragraph.
    pub fn to_deb822(&self) -> String {
        let mut text = String::new();
        let mut field = |name: &str, values: &[String]| {
            if !values.is_empty() {
                text.push_str(&format!("{name}: {}\n", values.join(" ")));
            }
        };
        field("Types", &self.types);
        field("URIs", &self.uris);
        field("Suites", &self.suites);
        field("Components", &self.components);
        field("Architectures", &self.architectures);
        if let Some(signed_by) = &self.signed_by {
            text.push_str(&format!("Signed-By: {signed_by}\n"));
        }
        text
    }
}

/// Every enabled source in `directory` (usually `/etc/apt`): `sources.list`, then `sources.list.d/*` by name.
pub fn read_all(directory: &Path) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    let list = directory.join("sources.list");
    if list.is_file() {
        sources.extend(read_file(&list)?);
    }
    let parts = directory.join("sources.list.d");
    if parts.is_dir() {
        let entries = fs::read_dir(&parts).with_context(|| format!("cannot list {}", parts.display()))?;
        let mut paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
        paths.sort();
        for path in paths {
            sources.extend(read_file(&path)?);
        }
    }
    Ok(sources)
}

/// The sources of one file, by its extension; apt ignores other extensions, and so does this.
fn read_file(path: &Path) -> Result<Vec<Source>> {
    let parse: fn(&str) -> Result<Vec<Source>> = match path.extension().and_then(|extension| extension.to_str()) {
        Some("list") => parse_one_line,
        Some("sources") => parse_deb822,
        _ => return Ok(Vec::new()),
    };
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text).with_context(|| format!("in {}", path.display()))
}

/// `deb [ option=value ... ] uri suite [component ...]`, one a line.
pub fn parse_one_line(text: &str) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let source = one_line(line).with_context(|| format!("line {}: `{line}`", number + 1))?;
        sources.push(source);
    }
    Ok(sources)
}

fn one_line(line: &str) -> Result<Source> {
    let (kind, rest) = line.split_once(char::is_whitespace).context("expected `deb URI SUITE [COMPONENT]...`")?;
    if kind != "deb" && kind != "deb-src" {
        bail!("expected `deb` or `deb-src`, found `{kind}`");
    }
    let rest = rest.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(inner) => inner.split_once(']').context("`[` without `]`")?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace().map(str::to_owned);
    let uri = words.next().context("no URI")?;
    let suite = words.next().context("no suite")?;
    let mut source = Source {
        types: vec![kind.to_owned()],
        uris: vec![uri],
        suites: vec![suite],
        components: words.collect(),
        architectures: Vec::new(),
        signed_by: None,
    };
    for option in options.split_whitespace() {
        match option.split_once('=') {
            Some(("arch", value)) => source.architectures = value.split(',').map(str::to_owned).collect(),
            Some(("signed-by", value)) => source.signed_by = Some(value.to_owned()),
            _ => {}
        }
    }
    Ok(source)
}

/// Paragraphs of `Field: value` with continuation lines, separated by empty lines.
pub fn parse_deb822(text: &str) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for paragraph in paragraphs(text) {
        if paragraph
            .value("enabled")
            .is_some_and(|value| matches!(value, "no" | "false" | "without" | "off" | "disable"))
        {
            continue;
        }
        let source = Source {
            types: paragraph.words("types"),
            uris: paragraph.words("uris"),
            suites: paragraph.words("suites"),
            components: paragraph.words("components"),
            architectures: paragraph.words("architectures"),
            signed_by: paragraph.value("signed-by").map(str::to_owned),
        };
        for (name, values) in [("Types", &source.types), ("URIs", &source.uris), ("Suites", &source.suites)] {
            if values.is_empty() {
                bail!("a paragraph without {name}");
            }
        }
        sources.push(source);
    }
    Ok(sources)
}

/// One deb822 paragraph: field names in lower case, with their values.
pub struct Paragraph {
    fields: Vec<(String, String)>,
}

impl Paragraph {
    /// The value of `name` (lower case), continuation lines included.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    fn words(&self, name: &str) -> Vec<String> {
        self.value(name).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    }
}

/// Splits deb822 text, the form of apt's answers too, into paragraphs. Lines that are no field are skipped.
pub fn paragraphs(text: &str) -> Vec<Paragraph> {
    let mut all = Vec::new();
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            if !fields.is_empty() {
                all.push(Paragraph { fields: std::mem::take(&mut fields) });
            }
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push('\n');
                value.push_str(line);
            }
        } else if let Some((name, value)) = line.split_once(':') {
            fields.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    if !fields.is_empty() {
        all.push(Paragraph { fields });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn one_line_form_with_options_and_comments() {
        let text = "# a comment\n\ndeb [ arch=amd64,arm64 signed-by=/k.gpg ] http://archive.test/debian bookworm main contrib # end\n\
                    deb-src http://archive.test/debian bookworm main\n";
        let sources = parse_one_line(text).unwrap();
        assert_eq!(sources.len(), 2);
        assert_eq!(
            sources[0],
            Source {
                types: strings(&["deb"]),
                uris: strings(&["http://archive.test/debian"]),
                suites: strings(&["bookworm"]),
                components: strings(&["main", "contrib"]),
                architectures: strings(&["amd64", "arm64"]),
                signed_by: Some("/k.gpg".to_owned()),
            }
        );
        assert_eq!(sources[1].types, strings(&["deb-src"]));
    }

    #[test]
    fn a_bad_line_is_named() {
        let error = format!("{:#}", parse_one_line("deb http://archive.test/debian\n").unwrap_err());
        assert_eq!(error, "line 1: `deb http://archive.test/debian`: no suite");
    }

    #[test]
    fn deb822_form_with_two_paragraphs_comments_and_a_key_in_the_text() {
        let text = "Types: deb\n# snapshot\nURIs: http://a.test/debian\nSuites: bookworm bookworm-updates\nComponents: main\n\
                    Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n -----END PGP PUBLIC KEY BLOCK-----\n\n\
                    Types: deb deb-src\nURIs: http://b.test/\nSuites: stable\nComponents: main\nEnabled: no\n";
        let sources = parse_deb822(text).unwrap();
        assert_eq!(sources.len(), 1);
        assert!(sources[0].offers("bookworm-updates"));
        assert!(!sources[0].offers("stable"));
        let key = sources[0].signed_by.as_deref().unwrap();
        assert!(key.starts_with("\n -----BEGIN") && key.ends_with("-----END PGP PUBLIC KEY BLOCK-----"), "{key}");
    }

    #[test]
    fn writing_and_reading_deb822_gives_the_same_source() {
        let text = "Types: deb\nURIs: http://a.test/debian\nSuites: bookworm\nComponents: main\nSigned-By:\n -----BEGIN\n abc\n";
        let sources = parse_deb822(text).unwrap();
        assert_eq!(parse_deb822(&sources[0].to_deb822()).unwrap(), sources);
    }

    #[test]
    fn another_suite_keeps_archive_and_signature() {
        let source = &parse_one_line("deb [signed-by=/k.gpg] http://a.test/debian bookworm main").unwrap()[0];
        let other = source.for_suite("trixie", "arm64");
        assert_eq!(
            other.to_deb822(),
            "Types: deb\nURIs: http://a.test/debian\nSuites: trixie\nComponents: main\nArchitectures: arm64\nSigned-By: /k.gpg\n"
        );
    }

    #[test]
    fn a_directory_is_read_in_apts_order_and_other_extensions_are_ignored() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("sources.list"), "deb http://one.test/ a main\n").unwrap();
        let parts = directory.path().join("sources.list.d");
        fs::create_dir(&parts).unwrap();
        fs::write(parts.join("b.sources"), "Types: deb\nURIs: http://three.test/\nSuites: a\nComponents: main\n")
            .unwrap();
        fs::write(parts.join("a.list"), "deb http://two.test/ a main\n").unwrap();
        fs::write(parts.join("c.list.disabled"), "nonsense").unwrap();
        let uris: Vec<String> =
            read_all(directory.path()).unwrap().into_iter().flat_map(|source| source.uris).collect();
        assert_eq!(uris, ["http://one.test/", "http://two.test/", "http://three.test/"]);
    }
}
