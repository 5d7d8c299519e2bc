//! Commands that find a socket again, as they are typed into a shell.

use crate::analyse::audit::is_elsewhere;
use crate::model::{Row, Space};

/// The command that shows who is on the row's port.
pub fn command(row: &Row<'_>) -> String {
    let port = row.socket.local.port;
    if is_elsewhere(row) {
        format!("portscope --space {} :{port}", name(row.space))
    } else {
        format!("portscope :{port}")
    }
}

/// The word that `--space` takes for the space: its label, unless that means something else there or cannot be typed as
/// it is shown.
fn name(space: &Space) -> String {
    let label = &space.label;
    let is_misread = label.is_empty() || label == "all" || label.starts_with('-') || label.contains(',');
    if is_misread || !label.chars().all(|character| character == ' ' || character.is_ascii_graphic()) {
        return space.id.0.to_string();
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@%+".contains(&byte);
    if label.bytes().all(is_plain) { label.clone() } else { format!("'{}'", label.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{SocketSource, SpaceId, SpaceKind};

    #[test]
    fn a_space_is_named_as_a_shell_and_the_flag_take_it() {
        for (label, word) in [
            ("web", "web"),
            ("user@1000.service", "user@1000.service"),
            ("a b", "'a b'"),
            ("$(x)", "'$(x)'"),
            ("it's", r"'it'\''s'"),
            ("~", "'~'"),
            ("all", "7"),
            ("", "7"),
            ("-x", "7"),
            ("a,b", "7"),
            ("a\nb", "7"),
            ("é", "7"),
        ] {
            let space = Space::new(SpaceId(7), SpaceKind::Netns, label.to_owned(), SocketSource::Netlink);
            assert_eq!(name(&space), word, "{label}");
        }
    }
}
