//! Lines: names and reasons that people read in a row of a table, and that say what they show.

/// What a text must be that stands in one line of a report or a terminal.
pub(crate) const RULE: &str = "without control characters and characters that nobody sees";

/// Whether the text shows all that it says.
pub(crate) fn shows_itself(text: &str) -> bool {
    !text.chars().any(hides)
}

/// Whether a character steers what shows it, turns the text around it, or is not seen at all: two
/// texts with it may look alike, and one may look like another that it is not.
pub fn hides(c: char) -> bool {
    c.is_control() || turns(c) || is_unseen(c)
}

/// Marks of the direction in which text is written.
const fn turns(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// Characters of no width, and letters that are blank.
const fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200d}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{2060}'..='\u{2065}'
            | '\u{206a}'..='\u{206f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_script_show_themselves() {
        for name in [
            "Globex",
            "Müller & Söhne GmbH",
            "株式会社アトラス",
            "شركة",
            "חברה בע\u{5f4}מ",
            "e\u{301}clair",
            "naïve 👍\u{fe0f}",
        ] {
            assert!(shows_itself(name), "{name}");
        }
    }

    #[test]
    fn what_is_not_seen_is_refused() {
        for c in [
            '\n',
            '\u{1b}',
            '\u{9b}',
            '\u{ad}',
            '\u{61c}',
            '\u{200b}',
            '\u{200d}',
            '\u{200e}',
            '\u{202e}',
            '\u{2028}',
            '\u{2066}',
            '\u{2060}',
            '\u{3164}',
            '\u{feff}',
            '\u{e0041}',
        ] {
            let name = format!("Glo{c}bex");
            assert!(!shows_itself(&name), "{name:?}");
        }
    }
}
