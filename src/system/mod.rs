//! What differs between systems besides collecting: standard output, files, folders, and how a program is replaced.
//!
//! With `collect`, the only room that asks which system this is; `parallel` does where it chooses a core.

pub mod console;
pub mod exec;
pub mod file;
pub mod folders;
pub mod memory;
pub mod signals;
pub mod stdout;

/// Says whether a console shows Unicode whatever its locale says.
pub const fn console_is_unicode() -> bool {
    cfg!(windows)
}

/// Says whether a right is had by running as Administrator; elsewhere by sudo.
pub const fn has_administrator() -> bool {
    cfg!(windows)
}
