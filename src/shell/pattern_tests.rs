use super::*;

fn all(pattern: &str, text: &str, by: &str) -> Option<String> {
    Pattern::new(pattern).unwrap().replace(text, by, true).unwrap()
}

#[test]
fn characters_sets_and_repetitions_match_as_they_are_used_to() {
    assert_eq!(all("o", "foo", "0").unwrap(), "f00");
    assert_eq!(all("[a-c]+", "xabcx", "-").unwrap(), "x-x");
    assert_eq!(all("[^a-c]", "xaby", "-").unwrap(), "-ab-");
    assert_eq!(all("^a.*c$", "abc", "-").unwrap(), "-");
    assert_eq!(all("a.*?c", "abcabc", "-").unwrap(), "--");
    assert_eq!(all("colou?r", "color colour", "-").unwrap(), "- -");
    assert_eq!(all("\\s\\d", "a 1", "-").unwrap(), "a-");
    assert_eq!(all("cat|dog", "cat dog", "pet").unwrap(), "pet pet");
    assert_eq!(all("x", "abc", "-"), None);
}

#[test]
fn references_give_the_match_and_its_groups() {
    assert_eq!(all("(\\d+)-(\\d+)", "10-20", "\\2-\\1").unwrap(), "20-10");
    assert_eq!(all("b", "abc", "[\\0]").unwrap(), "a[b]c");
    assert_eq!(all("(ab)+", "xababx", "<\\1>").unwrap(), "x<ab>x");
}

#[test]
fn a_reference_to_nothing_stays_as_it_is_written() {
    assert_eq!(all("b", "abc", "[\\1]").unwrap(), "a[\\1]c");
    assert_eq!(all("(x)?(b)", "abc", "<\\2\\0>").unwrap(), "a<\\2b>c");
}

#[test]
fn what_has_been_replaced_is_not_looked_at_again() {
    assert_eq!(all(".*", "abc", "-").unwrap(), "-");
    assert_eq!(all(".*", "", "-"), None);
    assert_eq!(all("^0", "00120", "").unwrap(), "120");
    assert_eq!(Pattern::new("^0").unwrap().replace("00120", "", false).unwrap().unwrap(), "0120");
}

#[test]
fn what_matches_nothing_ends() {
    assert_eq!(all("x*", "ab", "-").unwrap(), "-a-b-");
    assert_eq!(all("(a*)*", "b", "-").unwrap(), "-b-");
}

#[test]
fn a_pattern_that_goes_back_for_ever_is_stopped() {
    let text = "a".repeat(60);
    let found = Pattern::new("(a|a)*(a|a)*(a|a)*c").unwrap().replace(&text, "", true);
    assert_eq!(found, Err(Error::TooMuchWork));
}

#[test]
fn work_without_a_match_counts_too() {
    let text = "a".repeat(64 << 10);
    let many = format!("[{}a]", "b".repeat(1000));
    // Nothing of each match, the whole text looked at for it: without a count this takes minutes.
    for pattern in ["a*?", &format!("{many}*?"), &format!("{many}+c"), &many, "a*a*a*a*c"] {
        let found = Pattern::new(pattern).unwrap().replace(&text, "", true);
        assert_eq!(found, Err(Error::TooMuchWork), "{pattern}");
    }
}

#[test]
fn what_is_no_pattern_is_said() {
    assert_eq!(Pattern::new("(a").unwrap_err(), Error::Unbalanced('('));
    assert_eq!(Pattern::new("a)").unwrap_err(), Error::Unbalanced(')'));
    assert_eq!(Pattern::new("[a").unwrap_err(), Error::Unbalanced('['));
    assert_eq!(Pattern::new("*a").unwrap_err(), Error::NothingToRepeat('*'));
    assert_eq!(Pattern::new(&"(".repeat(100)).unwrap_err(), Error::TooLarge);
}
