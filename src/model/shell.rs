//! Words of a command line that a person may copy into a shell.

/// The text as one word of a POSIX shell, quoted where it is more than a plain name.
pub fn shell_word(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_more_than_a_plain_name_is_quoted() {
        for (text, shown) in
            [("web-1", "web-1"), ("a b", "'a b'"), ("$(x)", "'$(x)'"), ("it's", r"'it'\''s'"), ("~", "'~'"), ("", "''")]
        {
            assert_eq!(shell_word(text), shown);
        }
    }
}
