//! Text with stars, each standing for any run of characters, and the overlap of two such texts.

/// Compiled from case-folded text.
pub(super) struct Glob {
    first: String,
    middle: Vec<String>,
    /// Absent when there is no star: then `first` is the whole text.
    last: Option<String>,
}

impl Glob {
    pub fn new(text: &str) -> Self {
        let mut pieces = text.split('*').map(str::to_owned);
        let first = pieces.next().unwrap_or_default();
        let mut middle: Vec<String> = pieces.collect();
        let last = middle.pop();
        middle.retain(|piece| !piece.is_empty());
        Self { first, middle, last }
    }

    /// Whole text; with `fold`, ASCII upper case in `text` counts as lower case.
    pub fn matches(&self, text: &str, fold: bool) -> bool {
        let text = text.as_bytes();
        let Some(last) = &self.last else { return equal(text, self.first.as_bytes(), fold) };
        let Some((start, rest)) = text.split_at_checked(self.first.len()) else { return false };
        let Some(split) = rest.len().checked_sub(last.len()) else { return false };
        let Some((mut between, end)) = rest.split_at_checked(split) else { return false };
        if !equal(start, self.first.as_bytes(), fold) || !equal(end, last.as_bytes(), fold) {
            return false;
        }
        // Taking each piece at its first occurrence leaves the most room for the following ones.
        self.middle.iter().all(|piece| match find(between, piece.as_bytes(), fold) {
            Some(after) => {
                between = between.get(after..).unwrap_or_default();
                true
            }
            None => false,
        })
    }
}

fn equal(text: &[u8], piece: &[u8], fold: bool) -> bool {
    if fold { text.eq_ignore_ascii_case(piece) } else { text == piece }
}

/// Where the first occurrence ends.
fn find(text: &[u8], piece: &[u8], fold: bool) -> Option<usize> {
    text.windows(piece.len()).position(|window| equal(window, piece, fold)).map(|at| at + piece.len())
}

/// Whether some name fits both a pattern (its stars run over anything) and a wildcard name (its stars stay within one
/// label). Both are walked at once; a cell says that the two rests may still meet.
pub(super) fn overlap(pattern: &str, wildcard: &str) -> bool {
    let (pattern, wildcard) = (pattern.as_bytes(), wildcard.as_bytes());
    let mut row = vec![false; wildcard.len() + 1];
    if let Some(start) = row.first_mut() {
        *start = true;
    }
    close_over_stars(&mut row, wildcard);
    for token in pattern {
        let mut next = vec![false; row.len()];
        for (at, open) in row.iter().enumerate() {
            if !open {
                continue;
            }
            let other = wildcard.get(at).copied();
            let (stay, advance) = match (*token, other) {
                (b'*', _) => (true, false),
                (literal, Some(b'*')) => (literal != b'.', false),
                (literal, Some(other)) => (false, literal == other),
                (_, None) => (false, false),
            };
            open_cell(&mut next, at, stay);
            open_cell(&mut next, at + 1, advance);
        }
        if *token == b'*' {
            // A star of the pattern swallows whatever the wildcard name still has.
            let mut open = false;
            for cell in &mut next {
                open |= *cell;
                *cell = open;
            }
        }
        close_over_stars(&mut next, wildcard);
        row = next;
    }
    row.last().copied().unwrap_or(false)
}

fn open_cell(row: &mut [bool], at: usize, open: bool) {
    if let Some(cell) = row.get_mut(at) {
        *cell |= open;
    }
}

/// A star of the wildcard name may stand for nothing more.
fn close_over_stars(row: &mut [bool], wildcard: &[u8]) {
    for (at, byte) in wildcard.iter().enumerate() {
        if *byte == b'*' && row.get(at).copied().unwrap_or(false) {
            open_cell(row, at + 1, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stars_stand_for_any_run() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("a", "a", true),
            ("a", "b", false),
            ("*", "", true),
            ("a*", "a", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "acb", false),
            ("*ab*ab*", "xabab", true),
            ("*ab*ab*", "xab", false),
        ] {
            assert_eq!(Glob::new(pattern).matches(text, false), expected, "{pattern} {text}");
        }
        assert!(Glob::new("a*").matches("ABC", true));
        assert!(!Glob::new("a*").matches("ABC", false));
    }

    proptest! {
        #[test]
        fn filling_the_stars_matches(pattern in "[ab*.]{0,8}", fill in "[ab.]{0,3}") {
            prop_assert!(Glob::new(&pattern).matches(&pattern.replace('*', &fill), false));
        }

        #[test]
        fn overlap_is_found_wherever_a_name_fits_both(pattern in "[ab*.]{0,6}", wildcard in "[ab*.]{0,6}", fill in "[ab]{0,3}") {
            let name = wildcard.replace('*', &fill);
            if Glob::new(&pattern).matches(&name, false) {
                prop_assert!(overlap(&pattern, &wildcard), "{} {} {}", pattern, wildcard, name);
            }
        }

        #[test]
        fn texts_without_stars_overlap_only_when_equal(one in "[ab.]{0,4}", other in "[ab.]{0,4}") {
            prop_assert_eq!(overlap(&one, &other), one == other);
        }
    }
}
