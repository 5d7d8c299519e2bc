//! `portscope diff` over several port spaces, and between what root and what another user can see of them.
#![cfg(target_os = "linux")]

mod support;

use std::path::{Path, PathBuf};

use serde_json::Value;
use support::netns::OwnSpace;
use support::scene::Scene;
use support::{Folder, ReachableBinary, is_root, portscope, skip};

fn by_root(folder: &Folder, name: &str) -> PathBuf {
    let file = folder.join(name);
    let _ = portscope(["snapshot"]).arg(file.display()).any_stderr().success();
    file
}

fn by_nobody(folder: &Folder, name: &str) -> PathBuf {
    let file = folder.join(name);
    // A /proc that hides processes hides their spaces too; this one does not.
    let visible = ["unshare", "-m", "sh", "-c", "mount -t proc proc /proc && exec \"$0\" \"$@\""];
    let binary = ReachableBinary::new();
    let run = portscope(["snapshot"]).run_by_nobody(&binary).under(visible);
    std::fs::write(&file, run.any_stderr().success().stdout).unwrap();
    file
}

fn diff(before: &Path, after: &Path) -> Value {
    let run = portscope(["diff", "--json"]).arg(before.display()).arg(after.display());
    run.exits_with([0, 1]).json()
}

/// The kinds of the changes on the port. Others come from what else goes on.
fn kinds(diff: &Value, port: u64) -> Vec<&str> {
    let changes = diff["changes"].as_array().unwrap().iter().filter(|change| change["port"] == port);
    changes.map(|change| change["kind"].as_str().unwrap()).collect()
}

/// The space with that number in a report.
#[track_caller]
fn space(report: &Path, id: u64) -> Value {
    let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    let spaces = report["spaces"].as_array().unwrap();
    spaces.iter().find(|space| space["id"] == id).unwrap_or_else(|| panic!("no space {id}: {spaces:#?}")).clone()
}

fn says(diff: &Value, words: &str) -> bool {
    diff["warnings"].as_array().unwrap().iter().any(|warning| warning.as_str().unwrap().contains(words))
}

#[test]
fn a_port_that_closes_in_one_of_two_spaces_of_one_name_has_closed() {
    if !is_root() {
        return skip("needs root to make network namespaces");
    }
    let folder = Folder::new();
    let Some(first) = Scene::start("netns n=1 port=0") else { return };
    let port = first.socket(first.sockets()[0]["note"].as_str().unwrap())["port"].as_u64().unwrap();
    let Some(second) = Scene::start(&format!("netns n=1 port={port}")) else { return };
    let closing: u64 = second.sockets()[0]["note"].as_str().unwrap()["netns ".len()..].parse().unwrap();
    let before = by_root(&folder, "both.json");
    drop(second);
    let after = by_root(&folder, "one.json");
    let changed = diff(&before, &after);
    assert_eq!(kinds(&changed, port), ["closed"], "{changed:#}");
    let change = changed["changes"].as_array().unwrap().iter().find(|change| change["port"] == port).unwrap();
    assert_eq!(change["space_id"], closing);
    assert_eq!(kinds(&diff(&after, &before), port), ["opened"]);
    assert_eq!(kinds(&diff(&before, &before), port), [] as [&str; 0]);
    let schema = portscope(["schema", "diff"]).success().json();
    assert!(jsonschema::draft202012::new(&schema).unwrap().is_valid(&changed), "{changed:#}");
}

#[test]
fn a_space_whose_first_process_ends_has_another_name_and_is_the_same() {
    let folder = Folder::new();
    let Some(own) = OwnSpace::new("") else { return };
    let inside = own.inside();
    let Some(scene) = Scene::start_under(&inside.each_ref().map(String::as_str), "tcp4") else { return };
    let port = scene.socket("listener")["port"].as_u64().unwrap();
    let id = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(format!("/proc/{}/ns/net", scene.pid())).unwrap());
    let before = by_root(&folder, "before.json");
    drop(own);
    let after = by_root(&folder, "after.json");
    assert_ne!(space(&before, id)["label"], space(&after, id)["label"], "it is called after another process now");
    let same = diff(&before, &after);
    assert_eq!(kinds(&same, port), [] as [&str; 0], "{same:#}");
}

#[test]
fn a_user_who_sees_less_than_root_does_not_see_it_change() {
    let folder = Folder::new();
    let Some(own) = OwnSpace::new("") else { return };
    let inside = own.inside();
    let inside = inside.each_ref().map(String::as_str);
    let (Some(for_lo), Some(client), Some(server)) = (
        Scene::start("for-lo"),
        Scene::start_under(&inside, "udp-autobound"),
        Scene::start_under(&inside, "udp4 port=45678"),
    ) else {
        return;
    };
    let port_of = |scene: &Scene, note: &str| scene.socket(note)["port"].as_u64().unwrap();
    let (root, nobody) = (by_root(&folder, "root.json"), by_nobody(&folder, "nobody.json"));
    for (before, after, which) in [(&root, &nobody, "after"), (&nobody, &root, "before")] {
        let same = diff(before, after);
        for port in [
            port_of(&for_lo, "device lo"),
            port_of(&client, "sender"),
            port_of(&client, "receiver"),
            port_of(&server, "receiver"),
        ] {
            assert_eq!(kinds(&same, port), [] as [&str; 0], "{which}: {same:#}");
        }
        for words in [
            "the interface that a socket is bound to is unknown on the",
            "whether the kernel chose the port is unknown on the",
        ] {
            assert!(says(&same, &format!("{words} {which} side")), "{same:#}");
        }
    }
    // What both can see is compared.
    let port = port_of(&server, "receiver");
    drop(server);
    assert_eq!(kinds(&diff(&root, &by_nobody(&folder, "later.json")), port), ["closed"]);
}

#[test]
fn a_terminal_of_any_width_is_told_what_changed() {
    let folder = Folder::new();
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let before = by_root(&folder, "before.json");
    let mut after: Value = serde_json::from_slice(&std::fs::read(&before).unwrap()).unwrap();
    after["sockets"].as_array_mut().unwrap().retain(|socket| socket["local"]["port"] != port);
    let file = folder.join("after.json");
    std::fs::write(&file, after.to_string()).unwrap();
    for (width, room) in [("80", false), ("50", false), ("20", true)] {
        let run = portscope(["diff", "--no-pager"]).arg(before.display()).arg(file.display()).env("COLUMNS", width);
        let (code, seen) = run.env("TERM", "xterm").at_terminal().ends();
        assert_eq!(code, 1, "{seen}");
        let words = seen.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("127.0.0.1 (loopback) by"), "{width}: {seen}");
        let program = std::env::current_exe().unwrap();
        assert!(words.contains(program.file_name().unwrap().to_str().unwrap()), "{width}: {seen}");
        assert_eq!(words.contains("hidden columns: SPACE"), room, "{width}: {seen}");
    }
}
