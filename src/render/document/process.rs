//! A process and its project in the JSON documents.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::{Holder, Pid, Process, Project, Row, Uid};
use crate::render::text::secrets;
use crate::render::text::time;

/// One process that holds a socket.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Process")]
pub struct ProcessReport<'a> {
    /// Its PID.
    pub pid: u32,
    /// Its lowest file descriptor for the socket.
    pub fd: Option<u32>,
    /// All of its file descriptors for the socket.
    pub fds: Vec<u32>,
    /// Its short name, which the process itself can change.
    pub name: Option<Cow<'a, str>>,
    /// Its executable.
    pub exe: Option<Cow<'a, str>>,
    /// What it runs, if it is an interpreter: the name of a script, `-m MODULE`, a jar, a class or a task, taken from its
    /// arguments. The process can change these, so this is not proven.
    pub runs: Option<Cow<'a, str>>,
    /// The project of its working directory, or the Compose service that its container belongs to. Known only for the
    /// owners of listeners.
    pub project: Option<ProjectReport<'a>>,
    /// Its working directory; known only for the owners of listeners.
    pub cwd: Option<Cow<'a, str>>,
    /// Its arguments with common kinds of secrets masked; null unless requested.
    pub argv: Option<Vec<String>>,
    /// When it started, RFC 3339 in UTC.
    pub started_at: Option<String>,
    /// The ID of the user that it runs as.
    pub uid: Option<u32>,
    /// The user that it runs as.
    pub user: Option<&'a str>,
    /// The process that started it.
    pub parent: Option<u32>,
    /// The names of the fields above that are not valid UTF-8, in which bytes were replaced by U+FFFD.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub undecodable: Vec<&'a str>,
}

/// A project. Anyone who can write to its directory chooses these names, so they are not proven.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Project")]
pub struct ProjectReport<'a> {
    /// The name of its directory; for Compose, `PROJECT/SERVICE`.
    pub name: Cow<'a, str>,
    /// The branch that is checked out; null if there is none or it cannot be read.
    pub branch: Option<Cow<'a, str>>,
    /// The directory, as the process sees it; null for Compose.
    pub folder: Option<Cow<'a, str>>,
    /// What identifies it: `git`, `compose`, or the name of a manifest such as `package.json`.
    pub source: &'static str,
}

/// Turns a project into its object.
pub fn project(project: &Project) -> ProjectReport<'_> {
    ProjectReport {
        name: project.name.to_string_lossy(),
        branch: project.branch.as_deref().map(OsStr::to_string_lossy),
        folder: project.folder.as_deref().map(std::path::Path::to_string_lossy),
        source: project.source.name(),
    }
}

/// Turns a process that holds the row's socket into its object.
pub fn process_report<'a>(row: &Row<'a>, pid: Pid, process: Option<&'a Process>) -> ProcessReport<'a> {
    let of_pid = |holder: &&Holder| holder.pid == pid;
    let fds: Vec<u32> = row.socket.owner.holders().iter().filter(of_pid).filter_map(|holder| holder.fd).collect();
    let Some(process) = process else {
        return ProcessReport { fd: fds.first().copied(), fds, ..ProcessReport::unknown(pid) };
    };
    let mut undecodable = Vec::new();
    let mut text = |field, bytes: &'a OsStr| {
        if bytes.to_str().is_none() {
            undecodable.push(field);
        }
        bytes.to_string_lossy()
    };
    let name = process.name.as_deref().map(|name| text("name", name));
    let exe = process.exe.as_deref().map(|exe| text("exe", exe.as_os_str()));
    let runs = process.runs.as_deref().map(|runs| text("runs", runs));
    let cwd = process.cwd.as_deref().map(|cwd| text("cwd", cwd.as_os_str()));
    if process.project.as_ref().is_some_and(is_undecodable) {
        undecodable.push("project");
    }
    let argv = process.argv.as_ref().map(|argv| argv_report(argv, &mut undecodable));
    ProcessReport {
        runs,
        project: process.project.as_ref().map(project),
        cwd,
        pid: pid.0,
        fd: fds.first().copied(),
        fds,
        name,
        exe,
        argv,
        started_at: process.started_at.map(time::rfc3339),
        uid: process.uid.map(|Uid(uid)| uid),
        user: row.user_of(process),
        parent: process.parent.map(|Pid(pid)| pid),
        undecodable,
    }
}

/// Says whether one of its texts is not UTF-8.
pub fn is_undecodable(project: &Project) -> bool {
    let texts =
        [Some(project.name.as_os_str()), project.branch.as_deref(), project.folder.as_ref().map(|f| f.as_os_str())];
    texts.into_iter().flatten().any(|text| text.to_str().is_none())
}

impl ProcessReport<'_> {
    fn unknown(pid: Pid) -> Self {
        ProcessReport {
            runs: None,
            project: None,
            cwd: None,
            pid: pid.0,
            fd: None,
            fds: Vec::new(),
            name: None,
            exe: None,
            argv: None,
            started_at: None,
            uid: None,
            user: None,
            parent: None,
            undecodable: Vec::new(),
        }
    }
}

fn argv_report(argv: &[OsString], undecodable: &mut Vec<&str>) -> Vec<String> {
    if argv.iter().any(|argument| argument.to_str().is_none()) {
        undecodable.push("argv");
    }
    secrets::masked(argv).iter().map(|argument| argument.to_string_lossy().into_owned()).collect()
}
