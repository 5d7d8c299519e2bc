//! Listings while sockets and processes come and go, in a namespace in which nobody else has sockets.
#![cfg(target_os = "linux")]

mod support;

use serde_json::Value;
use support::portscope;
use support::room::Room;

#[test]
fn under_churn_no_listener_is_missed_and_none_is_without_owner() {
    let Some(room) = Room::new() else { return };
    let (Some(stable), Some(_a), Some(_b)) = (
        room.scene("reuseport-same n=200"),
        room.scene("churn kind=process lifetime_ms=3 gap_ms=1"),
        room.scene("churn kind=listener batch=50"),
    ) else {
        return;
    };
    let rounds = if std::env::var_os("CI").is_some() { 1000 } else { 200 };
    for round in 0..rounds {
        let report = room.look(portscope(["-l", "--json"])).success().json();
        let rows = report["sockets"].as_array().unwrap();
        let holder = &stable.sockets()[0]["pids"][0];
        let port = &stable.sockets()[0]["port"];
        let found =
            rows.iter().filter(|row| row["local"]["port"] == *port && row["owner"]["processes"][0]["pid"] == *holder);
        assert_eq!(found.count(), 200, "round {round}");
        let ownerless: Vec<&Value> = rows.iter().filter(|row| row["owner"]["tier"] != "process").collect();
        assert!(ownerless.is_empty(), "round {round}: {ownerless:#?}");
    }
}
