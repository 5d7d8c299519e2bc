//! What a person does, apart from the library that reads it.

/// A key, or a turn of the mouse wheel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Key {
    /// A character.
    Char(char),
    /// A character with Ctrl.
    Ctrl(char),
    /// Enter.
    Enter,
    /// Esc.
    Esc,
    /// Backspace.
    Backspace,
    /// Up, or the wheel.
    Up,
    /// Down, or the wheel.
    Down,
    /// Page Up.
    PageUp,
    /// Page Down.
    PageDown,
    /// Home.
    Home,
    /// End.
    End,
}

/// What the keys do, for `?`.
pub const HELP: &[(&str, &str)] = &[
    ("Up Down j k", "move; PgUp, PgDn, Home, End, and the mouse wheel too"),
    ("Enter", "everything about the port (portscope info)"),
    ("/", "filter by port, address, or name, as TARGET on the command line"),
    (":", "filter by a CEL condition, as --where"),
    ("c", "change columns, as --columns: +exe,-peer"),
    ("s S", "sort by the next or the previous column"),
    ("r", "reverse the order"),
    ("g", "one row for each service, as --group"),
    ("b", "traffic: bytes per second, round-trip times, retransmits"),
    ("l", "listeners only"),
    ("t u", "TCP, UDP"),
    ("a", "sockets that no process holds any more or yet"),
    ("x", "stop the process that listens (portscope kill); asks first"),
    ("X", "close the socket only (portscope close); asks first"),
    ("w", "save a snapshot"),
    ("e", "events, full height"),
    ("Space", "pause"),
    ("Esc", "close what is open, or clear the filter"),
    ("q Ctrl-C", "quit"),
];

/// The keys of the footer, the most important first.
pub const FOOTER: &[&str] = &[
    "? help",
    "q quit",
    "/ filter",
    "Enter details",
    "x stop",
    "l listeners",
    "s sort",
    "e events",
    "g services",
    "b traffic",
    "Space pause",
];
