//! Makes one kind of socket on demand, for the tests: `mkports FACTORY [KEY=VALUE...]`.
//!
//! Prints one line of JSON that says exactly what it made, waits until its standard input closes (or the thread that
//! started it ends, see below), and ends with every process it started. `mkports --list` names the factories.
//! Exit codes: 0 done; 1 the claim could not be made true; 77 this kernel or user cannot have it (`skipped: why`).
//!
//! It dies with its parent through `PR_SET_PDEATHSIG`, which means the parent *thread*: a test must start it from a
//! thread that outlives its use.

#[cfg(target_os = "linux")]
mod linux;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "skipped: mkports knows only Linux");
    std::process::ExitCode::from(77)
}
