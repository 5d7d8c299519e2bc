//! The machine itself.

use std::fs;
use std::time::SystemTime;

use crate::model::Host;

/// Describes the machine. Source: uname(2), os-release(5), random(4).
pub fn describe(captured_at: SystemTime) -> Host {
    let uname = rustix::system::uname();
    let text = |text: &std::ffi::CStr| Some(text.to_string_lossy().into_owned());
    Host { name: text(uname.nodename()), os: os_name(), kernel: text(uname.release()), boot_id: boot_id(), captured_at }
}

/// Changes at each start of the system.
pub fn boot_id() -> Option<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim_end().to_owned())
}

fn os_name() -> Option<String> {
    let text = fs::read_to_string("/etc/os-release").or_else(|_| fs::read_to_string("/usr/lib/os-release")).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(value.trim_matches('"').to_owned())
}
