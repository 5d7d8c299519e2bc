//! Sockets of every kind, made on demand by the program `mkports`, which says what it made.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{Kept, eventually, is_root, skip, start};

/// A running scene; it ends with this value.
pub struct Scene {
    process: Kept,
    made: Value,
}

impl Scene {
    /// Starts `mkports` with these words; nothing where this kernel or user cannot have the scene.
    pub fn start(words: &str) -> Option<Scene> {
        Scene::start_under(&["env"], words)
    }

    /// The same by way of another command.
    pub fn start_under(wrapper: &[&str], words: &str) -> Option<Scene> {
        let program = std::path::Path::new(env!("CARGO_BIN_EXE_portscope")).with_file_name("examples").join("mkports");
        let mut command = Command::new(wrapper[0]);
        command
            .args(&wrapper[1..])
            .arg(program)
            .args(words.split_whitespace())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = Kept(start(&mut command));
        let mut line = String::new();
        BufReader::new(process.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line.is_empty() {
            let why = super::read_all(process.0.stderr.take().unwrap());
            assert_eq!(process.0.wait().unwrap().code(), Some(77), "mkports {words}: {why}");
            skip(why.trim().trim_start_matches("skipped: "));
            return None;
        }
        Some(Scene { process, made: serde_json::from_str(&line).unwrap() })
    }

    /// The sockets that were made.
    pub fn sockets(&self) -> &[Value] {
        self.made["sockets"].as_array().unwrap()
    }

    /// The first one that plays this part.
    #[track_caller]
    pub fn socket(&self, note: &str) -> &Value {
        self.sockets()
            .iter()
            .find(|socket| socket["note"] == note)
            .unwrap_or_else(|| panic!("no {note}: {}", self.made))
    }

    /// The process that was started.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// A number of the scene's own.
    #[track_caller]
    pub fn number(&self, key: &str) -> u64 {
        self.made[key].as_u64().unwrap_or_else(|| panic!("no {key}: {}", self.made))
    }

    /// The command that runs another one in the network namespace of the scene's child.
    pub fn inside(&self) -> Vec<String> {
        ["nsenter".to_owned(), format!("--net=/proc/{}/ns/net", self.number("child"))].to_vec()
    }
}

/// A process of the scene in a cgroup of that name, and in a network namespace of its own.
pub fn in_group(name: &str, words: &str, look: impl FnOnce(&Scene)) {
    // A hierarchy of version 1, or the one tree of version 2.
    let groups =
        ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"].map(|tree| format!("{tree}/portscope-{}/{name}", std::process::id()));
    let Some(group) = groups.iter().find(|group| is_root() && std::fs::create_dir_all(group).is_ok()) else {
        return skip("needs root to make a cgroup");
    };
    let script = format!("echo $$ > {group}/cgroup.procs && exec \"$0\" \"$@\"");
    let Some(scene) = Scene::start_under(&["sh", "-c", &script], words) else { return };
    look(&scene);
    drop(scene);
    let parent = std::path::Path::new(group).parent().unwrap();
    eventually("the group is empty", || std::fs::remove_dir(group).ok());
    let _ = std::fs::remove_dir(parent);
}

/// The row of a report that is this socket, and the only one.
#[track_caller]
pub fn row<'a>(rows: &'a [Value], made: &Value) -> &'a Value {
    let found: Vec<&Value> = rows.iter().filter(|row| is_same(row, made)).collect();
    assert_eq!(found.len(), 1, "{made}\n{found:#?}");
    found[0]
}

fn is_same(row: &Value, made: &Value) -> bool {
    let peer = |key: &str| made["peer"].is_null() || row["peer"][key] == made["peer"][key];
    let has_inode = made["inode"] != 0;
    row["protocol"] == made["protocol"]
        && row["local"]["address"] == made["local"]
        && row["local"]["port"] == made["port"]
        && (if has_inode { row["inode"] == made["inode"] } else { row["inode"].is_null() })
        && peer("address")
        && peer("port")
}

/// Asserts that every socket of the scene is in the report, in its state, with its holders and no others.
#[track_caller]
pub fn all_are_listed(scene: &Scene, rows: &[Value]) {
    for made in scene.sockets() {
        let row = row(rows, made);
        assert_eq!(row["state"], made["state"], "{made}\n{row:#}");
        let mut holders: Vec<u64> = made["pids"].as_array().unwrap().iter().map(|pid| pid.as_u64().unwrap()).collect();
        holders.sort_unstable();
        let shown: Vec<u64> = super::pids(row).into_iter().map(u64::from).collect();
        assert_eq!(shown, holders, "{made}\n{row:#}");
    }
}
