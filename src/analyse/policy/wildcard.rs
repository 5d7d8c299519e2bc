//! Patterns with `*`.

/// A text in which `*` stands for any characters, also none, and also `/`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wildcard(String);

impl Wildcard {
    /// Takes the pattern as it was written.
    pub fn new(pattern: &str) -> Wildcard {
        Wildcard(pattern.to_owned())
    }

    /// Says whether the whole text fits.
    pub fn matches(&self, text: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = text.strip_prefix(first) else { return false };
        let mut parts: Vec<&str> = parts.collect();
        let Some(last) = parts.pop() else { return rest.is_empty() };
        for part in parts {
            let Some(start) = rest.find(part) else { return false };
            rest = &rest[start + part.len()..];
        }
        rest.ends_with(last)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, text, matches) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "a/b", true),
            ("/opt/*", "/opt/x/y", true),
            ("/opt/*", "/opt", false),
            ("*.service", "nginx.service", true),
            ("*.service", "nginx.service.d", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a*a", "a", false),
            ("**", "x", true),
            ("nginx", "nginx2", false),
            ("é*", "éa", true),
        ] {
            assert_eq!(Wildcard::new(pattern).matches(text), matches, "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn a_text_fits_itself_and_itself_with_stars(text in "[ab/é]{0,12}", characters in 0usize..13) {
            prop_assert!(Wildcard::new(&text).matches(&text));
            let middle = text.char_indices().nth(characters).map_or(text.len(), |(start, _)| start);
            let starred = format!("{}*{}", &text[..middle], &text[middle..]);
            prop_assert!(Wildcard::new(&starred).matches(&text));
        }
    }
}
