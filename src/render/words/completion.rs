//! What a shell shows beside the words that it offers.

/// Beside a sort key with `:desc`.
pub const HIGHEST_FIRST: &str = "highest first";

/// Beside the state `connected`.
pub const EVERY_CONNECTION: &str = "every state of a connection";

/// Beside the port space `all`.
pub const EVERY_SPACE: &str = "every port space of this host";

/// Beside the name of a process.
pub fn process(ports: &[String]) -> String {
    if ports.is_empty() { "process".to_owned() } else { format!("listens on {}", ports.join(", ")) }
}
