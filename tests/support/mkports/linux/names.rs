//! Processes whose names, arguments or files are hostile or strange.

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use rustix::fs::{MemfdFlags, memfd_create};

use super::keys::Keys;
use super::made::{Made, Row};
use super::net;
use super::outcome::{Context, Failure, Outcome};
use super::programs::{copy_own_program, own_program, run_as_tcp4};
use super::stage::Stage;

/// `evil-comm`: a child whose name is `name=`, with escapes; the kernel keeps 15 bytes of it.
pub fn comm(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let name = keys.bytes("name", b"\x1b[31mRED\x1b[0m")?;
    let name = CString::new(name).map_err(|_| Failure::Error("a name cannot contain a zero byte".to_owned()))?;
    let address = keys.endpoint("127.0.0.1")?;
    let child = stage.child(|stage| {
        rustix::thread::set_name(&name).context("set the name")?;
        let listener = net::listener(address, 16)?;
        let made = Made::of([Row::of(&listener, "listener")?]);
        stage.keep(listener);
        Ok(made)
    })?;
    let mut kept = std::fs::read(format!("/proc/{}/comm", child.pid)).context("read a child's name")?;
    kept.pop(); // the line feed that /proc adds
    Ok(child.made.fact("child", child.pid).bytes_fact("comm", &kept))
}

/// `evil-argv`: a program with a rewritten title, escapes, an empty argument, a secret, a line feed, invalid UTF-8.
pub fn argv(_: &Keys, stage: &mut Stage) -> Outcome<Made> {
    const ARGUMENTS: [&[u8]; 7] = [
        b"postgres: writer process   ",
        b"\x1b]8;;http://evil.example\x07click\x1b]8;;\x07",
        b"",
        b"--password=hunter2",
        b"new\nline",
        b"\xff\xfe\x80bad",
        "\u{202e}gpj.exe".as_bytes(),
    ];
    let mut command = own_program()?;
    command.arg0(OsStr::from_bytes(ARGUMENTS[0]));
    command.args(ARGUMENTS[1..].iter().map(|argument| OsStr::from_bytes(argument)));
    let made = run_as_tcp4(command, stage)?;
    let readable: Vec<_> = ARGUMENTS.iter().map(|argument| String::from_utf8_lossy(argument)).collect();
    Ok(made.fact("argv", readable).fact("argv_bytes", ARGUMENTS.to_vec()))
}

/// `evil-exe`: a program in a folder `folder=` with a file name `name=`, both with escapes.
pub fn exe(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let mut folder = format!("mkports-{}-", std::process::id()).into_bytes();
    folder.extend(keys.bytes("folder", b"a\nb\x1b[31mred")?);
    let folder = std::env::temp_dir().join(OsString::from_vec(folder));
    let name = OsString::from_vec(keys.bytes("name", b"server")?);
    let path = folder.join(name);
    stage.own_folder(folder)?;
    copy_own_program(&path)?;
    let made = run_as_tcp4(Command::new(&path), stage)?;
    with_exe(made)
}

/// `deleted-exe`: a program whose file is gone.
pub fn deleted_exe(_: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let folder = std::env::temp_dir().join(format!("mkports-{}-deleted", std::process::id()));
    let path = folder.join("server");
    stage.own_folder(folder)?;
    copy_own_program(&path)?;
    let made = run_as_tcp4(Command::new(&path), stage)?;
    std::fs::remove_file(&path).context("remove the program")?;
    with_exe(made.fact("path", path.to_string_lossy()))
}

/// `memfd-exe`: a program that never had a file.
pub fn memfd_exe(_: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let memory = memfd_create("mkports", MemfdFlags::CLOEXEC).or_skip("make a memory file")?;
    let mut writer = File::from(memory);
    let mut program = File::open("/proc/self/exe").context("open the program")?;
    io::copy(&mut program, &mut writer).context("copy the program")?;
    // A file that is open for writing cannot be executed.
    let reader = File::open(format!("/proc/self/fd/{}", writer.as_raw_fd())).context("reopen the memory file")?;
    drop(writer);
    let reader = OwnedFd::from(reader);
    let mut command = Command::new(format!("/proc/self/fd/{}", reader.as_raw_fd()));
    command.arg0("mkports");
    with_exe(run_as_tcp4(command, stage)?)
}

/// Adds what the kernel says is the child's file.
fn with_exe(made: Made) -> Outcome<Made> {
    let child = made.number("child")?;
    let exe: PathBuf = std::fs::read_link(format!("/proc/{child}/exe")).context("read a child's program")?;
    Ok(made.bytes_fact("exe", exe.as_os_str().as_bytes()))
}
