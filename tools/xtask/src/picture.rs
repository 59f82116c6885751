//! Screens of a terminal as one picture, in SVG: text that can be searched and read aloud, sharp at any size, and small.
//!
//! What a terminal shows is kept to the character, and so are bold and reverse. Nothing else is drawn that a program could be held to:
//! no colours but one of the text and one behind it.

use std::fmt::{self, Write};

use crate::tmux::{Row, Run};

/// Size of a character's cell, and what is around a screen, in the picture's units.
const CELL: (f32, f32) = (8.0, 17.0);
const MARGIN: f32 = 16.0;
/// From the top of a cell to its base line.
const BASE: f32 = 13.0;

const BACK: &str = "#11151c";
const FRONT: &str = "#d7dce5";

/// A screen, and what is said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Screen {
    /// A word for it, which is also its `id`.
    pub name: &'static str,
    /// The line above it.
    pub caption: String,
    /// Its rows.
    pub rows: Vec<Row>,
}

/// The picture: the screens one below the other, each `columns` wide.
pub fn svg(screens: &[Screen], columns: u16) -> String {
    let mut svg = String::new();
    // Writing to a String does not fail.
    let _ = write(&mut svg, screens, columns);
    svg
}

fn write(svg: &mut String, screens: &[Screen], columns: u16) -> fmt::Result {
    let rows: usize = screens.iter().map(|screen| screen.rows.len() + 2).sum();
    let width = f32::from(columns) * CELL.0 + 2.0 * MARGIN;
    let height = rows as f32 * CELL.1 + screens.len() as f32 * MARGIN;
    writeln!(svg, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\">")?;
    writeln!(
        svg,
        "<style>text {{ font: 13px ui-monospace, \"DejaVu Sans Mono\", Menlo, Consolas, monospace; fill: {FRONT}; white-space: pre }} \
         .b {{ font-weight: bold }} .r {{ fill: {BACK} }} .c {{ fill: #7b8496 }}</style>"
    )?;
    writeln!(svg, "<rect width=\"100%\" height=\"100%\" fill=\"{BACK}\"/>")?;
    let mut top = MARGIN;
    for screen in screens {
        writeln!(svg, "<g id=\"{}\">", screen.name)?;
        writeln!(svg, "<text class=\"c\" x=\"{MARGIN}\" y=\"{}\">{}</text>", top + BASE, Escaped(&screen.caption))?;
        top += 1.5 * CELL.1;
        for row in &screen.rows {
            write_row(svg, row, top)?;
            top += CELL.1;
        }
        writeln!(svg, "</g>")?;
        top += 0.5 * CELL.1 + MARGIN;
    }
    writeln!(svg, "</svg>")
}

/// A row is one element, so that its text is in one piece; what is behind characters in reverse stands before it.
fn write_row(svg: &mut String, row: &[Run], top: f32) -> fmt::Result {
    let mut column = 0;
    for run in row {
        let length = run.text.chars().count();
        if run.reverse {
            let (x, width) = (MARGIN + column as f32 * CELL.0, length as f32 * CELL.0);
            writeln!(svg, "<rect x=\"{x}\" y=\"{top}\" width=\"{width}\" height=\"{}\" fill=\"{FRONT}\"/>", CELL.1)?;
        }
        column += length;
    }
    if column == 0 {
        return Ok(());
    }
    // However wide the reader's font is, a row has the width of its cells.
    let width = column as f32 * CELL.0;
    let y = top + BASE;
    write!(
        svg,
        "<text x=\"{MARGIN}\" y=\"{y}\" xml:space=\"preserve\" textLength=\"{width}\" lengthAdjust=\"spacingAndGlyphs\">"
    )?;
    for run in row {
        let text = Escaped(&run.text);
        match (run.bold, run.reverse) {
            (false, false) => write!(svg, "{text}")?,
            (true, false) => write!(svg, "<tspan class=\"b\">{text}</tspan>")?,
            (false, true) => write!(svg, "<tspan class=\"r\">{text}</tspan>")?,
            (true, true) => write!(svg, "<tspan class=\"b r\">{text}</tspan>")?,
        }
    }
    writeln!(svg, "</text>")
}

/// Text as it stands in XML.
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            // No XML can hold these.
            control if control.is_control() => f.write_char('?'),
            other => f.write_char(other),
        })
    }
}

/// The rows of the screen `name` in a picture of ours, as text; an empty row is left out of a picture.
///
/// # Errors
/// It is no XML, or has no such screen.
pub fn rows_in(svg: &str, name: &str) -> anyhow::Result<Vec<String>> {
    let document = roxmltree::Document::parse(svg)?;
    let mut groups = document.descendants().filter(|node| node.attribute("id") == Some(name));
    let group = groups.next().ok_or_else(|| anyhow::anyhow!("the picture has no screen {name:?}"))?;
    let rows = group.children().filter(|node| node.has_tag_name("text") && node.attribute("class").is_none());
    let text = |node: roxmltree::Node<'_, '_>| {
        node.descendants().filter_map(|part| part.is_text().then(|| part.text())?).collect()
    };
    Ok(rows.map(text).map(|row: String| row.trim_end().to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_every_character_and_every_style() {
        let run = |text: &str, bold, reverse| Run { text: text.to_owned(), bold, reverse };
        let rows = vec![
            vec![run("a <b> & \"c\"", false, false), run(" bold", true, false)],
            vec![],
            vec![run("> both", true, true), run("  reverse\u{7}", false, true)],
        ];
        let screens = [Screen { name: "one", caption: "What <it> is".into(), rows }];
        let svg = svg(&screens, 80);
        assert_eq!(rows_in(&svg, "one").unwrap(), ["a <b> & \"c\" bold", "> both  reverse?"]);
        assert!(rows_in(&svg, "two").is_err());
        assert!(
            svg.contains("<tspan class=\"b\"> bold</tspan>") && svg.contains("<tspan class=\"b r\">&gt; both</tspan>")
        );
        assert_eq!(svg.matches("<rect").count(), 3, "the picture's own, and one for each run in reverse");
    }
}
