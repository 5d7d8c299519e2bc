//! `portscope events` while more ports open and close at once than looks at the table could see.
#![cfg(target_os = "linux")]
#![allow(clippy::pedantic, reason = "test code reads better without its ceremonies")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;

use support::stream::{Stream, json, listener_at, needs_root, pids};
use support::{ReachableBinary, is_root, skip};

/// Opens and closes so many listeners on an address that no other test has.
fn burst(address: &str, count: usize) {
    for _ in 0..count.div_ceil(100) {
        let _listeners: Vec<TcpListener> = (0..100).map(|_| TcpListener::bind((address, 0)).unwrap()).collect();
    }
}

#[test]
fn every_listener_of_a_burst_is_told_to_root_once_with_its_process_or_counted_as_lost() {
    if !needs_root() {
        return;
    }
    let (address, end) = ("127.77.1.1", "127.77.1.2");
    let _initial = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut stream = Stream::start(json());
    burst(address, 5000);
    let _last = listener_at(end);
    let own = u64::from(std::process::id());
    let (mut counts, mut by_look, mut lost) = (BTreeMap::new(), 0, [0, 0]);
    while let Some(event) = stream.next().filter(|event| event["local"]["address"] != end) {
        let kind = event["event"].as_str().unwrap();
        if kind == "lost" {
            lost[0] += event["count"]["opened"].as_u64().unwrap_or(0);
            lost[1] += event["count"]["closed"].as_u64().unwrap_or(0);
        } else if event["local"]["address"] == address && matches!(kind, "opened" | "closed") {
            // A table may be read while another test starts a process, which has them too until it runs its program.
            assert!(pids(&event["owner"]).contains(&own), "{event:#}");
            by_look += u64::from(event["seen"] == "poll");
            *counts.entry((event["cookie"].as_u64().unwrap(), kind == "closed")).or_insert(0_u64) += 1;
        }
    }
    // A table that is read between an end and its record reports the end; the record must not do so again.
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
    let closed = counts.keys().filter(|(_, is_closed)| *is_closed).count() as u64;
    let opened = counts.len() as u64 - closed;
    assert!((opened..=opened + lost[0]).contains(&5000), "{opened} opened, {closed} closed, {lost:?} lost");
    assert!((closed..=closed + lost[1]).contains(&5000), "{opened} opened, {closed} closed, {lost:?} lost");
    assert!(by_look < 100, "the kernel tells nearly all of them: {by_look}");
    stream.end();
}

#[test]
fn nobody_is_told_of_every_closing_of_a_burst_by_the_kernels_notices() {
    if !is_root() {
        skip("only root can become somebody else");
        return;
    }
    let reachable = ReachableBinary::new();
    let _initial = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut stream = Stream::start(json().run_by_nobody(&reachable));
    let (address, end) = ("127.77.2.1", "127.77.2.2");
    burst(address, 5000);
    drop(listener_at(end));
    let (mut closed, mut lost) = (BTreeSet::new(), 0);
    while let Some(event) = stream.next().filter(|event| event["local"]["address"] != end) {
        match event["event"].as_str().unwrap() {
            "closed" if event["local"]["address"] == address => {
                let is_new = closed.insert(event["cookie"].as_u64().unwrap());
                assert!(is_new, "told twice: {event:#}");
            }
            "lost" => lost += event["count"]["closed"].as_u64().unwrap(),
            _ => {}
        }
    }
    let closed = closed.len() as u64;
    assert!((closed..=closed + lost).contains(&5000), "{closed} closed, {lost} lost");
    stream.end();
}
