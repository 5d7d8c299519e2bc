//! What is asked before something is done that cannot be undone, and what is said of the answers.

/// The answer was no, or nothing was chosen.
pub const NOTHING_DONE: &str = "nothing was done";

/// Nobody was to be asked.
pub const DRY_RUN: &str = "nothing was done (--dry-run)";

/// There is no terminal to ask at.
pub const NO_TERMINAL: &str = "not a terminal, so nothing was done: use --yes to confirm";

/// No port was named where there is no terminal to choose at.
pub fn no_port(command: &str) -> String {
    format!("no port was named: expected `portscope {command} PORT`; on a terminal, you can choose from a list")
}

/// Asks which entries of the list are meant.
pub fn which(command: &str) -> String {
    format!("Which to {command}? Numbers such as 1, 3-5, or Enter for none:")
}

/// The text is no number of the list.
pub fn not_in_the_list(text: &str, last: usize) -> String {
    format!("`{text}` is not in the list: expected numbers from 1 to {last}")
}

/// Nothing is in the list.
pub fn nothing_to_choose(name: Option<&str>) -> String {
    match name {
        Some(name) => format!("nothing that listens is called `{name}`"),
        None => "no process that this user can see is listening on any port".to_owned(),
    }
}
