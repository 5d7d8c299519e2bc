//! Commands that find a socket again, as they are typed into a shell.

use crate::analyse::audit::is_elsewhere;
use crate::model::{Row, Space, shell_word};

/// The command that shows who is on the row's port.
pub fn command(row: &Row<'_>) -> String {
    let port = row.socket.local.port;
    if is_elsewhere(row) {
        format!("portscope --space {} :{port}", name(row.space))
    } else {
        format!("portscope :{port}")
    }
}

/// The word that `--space` takes for the space: its label, unless a process chose that, it means something else there, or
/// it cannot be typed as it is shown.
pub fn name(space: &Space) -> String {
    let label = &space.label;
    let is_misread = label.is_empty() || label == "all" || label.starts_with('-') || label.contains(',');
    let can_be_typed = label.chars().all(|character| character == ' ' || character.is_ascii_graphic());
    if !space.named_by.decides() || is_misread || !can_be_typed { space.id.0.to_string() } else { shell_word(label) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Origin, SocketSource, SpaceId, SpaceKind};

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
            let mut space = Space::new(SpaceId(7), SpaceKind::Netns, label.to_owned(), SocketSource::Netlink);
            assert_eq!(name(&space), "7", "{label} is only what a process says");
            space.named_by = Origin::Kernel;
            assert_eq!(name(&space), word, "{label}");
        }
    }
}
