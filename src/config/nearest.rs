//! The nearest known word to a mistyped one, for error messages.

/// Words longer than this are not compared: nobody mistypes a key into 32 characters, and the work stays bounded.
const LONGEST: usize = 32;

/// The word among `known` that `word` was most likely meant to be; `None` where none is near enough to be worth a suggestion.
///
/// Near enough means at most one edit for every three characters of the longer word. Upper and lower case count as the same, and so do
/// `-` and `_`. Of equally near words the first wins.
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let mut best: Option<(usize, &str)> = None;
    for candidate in known {
        let Some(distance) = distance(word, candidate) else { continue };
        let longer = word.chars().count().max(candidate.chars().count());
        if distance * 3 <= longer && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Edits (insert, delete, replace, swap of neighbours) that lead from `a` to `b`; `None` if one of them is too long to be compared.
fn distance(a: &str, b: &str) -> Option<usize> {
    let (mut left, mut right) = (['\0'; LONGEST], ['\0'; LONGEST]);
    let left = folded(a, &mut left)?;
    let right = folded(b, &mut right)?;
    // Three rows of the usual table: two back (for the swap), one back, and the present one.
    let mut before = [0usize; LONGEST + 1];
    let mut last = [0usize; LONGEST + 1];
    for (index, cell) in last.iter_mut().enumerate() {
        *cell = index;
    }
    for (row, from) in left.iter().enumerate() {
        let mut present = [0usize; LONGEST + 1];
        present[0] = row + 1;
        for (column, to) in right.iter().enumerate() {
            let replaced = last[column] + usize::from(from != to);
            let mut least = replaced.min(last[column + 1] + 1).min(present[column] + 1);
            let swapped = row > 0 && column > 0 && left[row - 1] == *to && right[column - 1] == *from;
            if swapped {
                least = least.min(before[column - 1] + 1);
            }
            present[column + 1] = least;
        }
        before = last;
        last = present;
    }
    Some(last[right.len()])
}

/// `word` in lower case with `_` as `-`, in `room`; `None` where it does not fit.
fn folded<'r>(word: &str, room: &'r mut [char; LONGEST]) -> Option<&'r [char]> {
    let mut length = 0;
    for character in word.chars() {
        *room.get_mut(length)? = if character == '_' { '-' } else { character.to_ascii_lowercase() };
        length += 1;
    }
    room.get(..length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_insertions_deletions_replacements_and_swaps_as_one() {
        assert_eq!(distance("ramdisk", "ramdisk"), Some(0));
        assert_eq!(distance("ramdsk", "ramdisk"), Some(1));
        assert_eq!(distance("ramddisk", "ramdisk"), Some(1));
        assert_eq!(distance("ramdusk", "ramdisk"), Some(1));
        assert_eq!(distance("ramdiks", "ramdisk"), Some(1));
        assert_eq!(distance("", "xen"), Some(3));
        assert_eq!(distance("kitten", "sitting"), Some(3));
    }

    #[test]
    fn case_and_underscore_are_no_edits() {
        assert_eq!(distance("Device_Tree", "device-tree"), Some(0));
    }

    #[test]
    fn a_suggestion_is_made_only_where_it_is_near() {
        let known = ["name", "title", "device-tree", "overlays", "fallback"];
        assert_eq!(nearest("devicetree", known), Some("device-tree"));
        assert_eq!(nearest("overlay", known), Some("overlays"));
        assert_eq!(nearest("nmae", known), Some("name"));
        assert_eq!(nearest("bootargs", known), None);
    }

    #[test]
    fn a_word_too_long_to_compare_gets_no_suggestion() {
        let long = "a".repeat(LONGEST + 1);
        assert_eq!(nearest(&long, [long.as_str()]), None);
        let fits = "a".repeat(LONGEST);
        assert_eq!(nearest(&fits, [fits.as_str()]), Some(fits.as_str()));
    }
}
