//! Text in rows of a terminal's width.

use alloc::string::String;
use alloc::vec::Vec;

/// What a row begins with that goes on with a line.
const INDENT: &str = "    ";

/// `text` in rows of at most `width` characters, cut at blanks where there are any, and without blanks at their ends. What follows a cut is indented.
pub fn rows(text: &str, width: usize) -> Vec<String> {
    // Narrower than this there is no room behind the indent.
    let width = width.max(2 * INDENT.len());
    let mut rows = Vec::new();
    for line in text.lines() {
        let mut row = String::new();
        let mut used = 0;
        for piece in line.split_inclusive(' ') {
            let length = piece.trim_end().chars().count();
            if used > 0 && used + length > width {
                next(&mut rows, &mut row, &mut used);
            }
            for character in piece.chars() {
                if used >= width && character != ' ' {
                    next(&mut rows, &mut row, &mut used);
                }
                row.push(character);
                used += 1;
            }
        }
        row.truncate(row.trim_end().len());
        rows.push(row);
    }
    rows
}

/// Ends the row and begins the next one.
fn next(rows: &mut Vec<String>, row: &mut String, used: &mut usize) {
    row.truncate(row.trim_end().len());
    rows.push(core::mem::replace(row, String::from(INDENT)));
    *used = INDENT.len();
}

/// `items` in rows of at most `width` characters, two blanks between them. Of what does not fit into `most` rows nothing is there.
pub fn items(items: &[&str], width: usize, most: usize) -> Vec<String> {
    let mut rows: Vec<String> = Vec::new();
    for item in items {
        let is_full = rows.len() >= most;
        match rows.last_mut() {
            Some(row) if row.len() + 2 + item.len() <= width => {
                row.push_str("  ");
                row.push_str(item);
            }
            _ if is_full => {}
            _ => rows.push(String::from(*item)),
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rows_end_at_blanks_and_long_words_are_cut() {
        assert_eq!(rows("one two three\n\nfour", 9), ["one two", "    three", "", "four"]);
        assert_eq!(rows("abcdefghijklm no", 10), ["abcdefghij", "    klm no"]);
        assert_eq!(rows("", 10), [""; 0]);
    }

    #[test]
    fn items_stay_whole_and_what_has_no_row_is_left_out() {
        let keys = ["Enter: boot", "?: help", "e: edit"];
        assert_eq!(items(&keys, 79, 2), ["Enter: boot  ?: help  e: edit"]);
        assert_eq!(items(&keys, 20, 2), ["Enter: boot  ?: help", "e: edit"]);
        assert_eq!(items(&keys, 20, 1), ["Enter: boot  ?: help"]);
        assert_eq!(items(&keys, 12, 2), ["Enter: boot", "?: help"]);
    }

    proptest! {
        #[test]
        fn rows_have_all_of_the_text_and_none_is_too_wide(text in "[ -~é\\n]{0,300}", width in 8_usize..100) {
            let wrapped = rows(&text, width);
            prop_assert!(wrapped.iter().all(|row| row.chars().count() <= width && !row.ends_with(' ')));
            let words = |text: &str| text.split_whitespace().collect::<String>();
            prop_assert_eq!(words(&wrapped.join("\n")), words(&text));
        }
    }
}
