//! Listings while sockets and processes come and go. Alone in its file, so that no other test's sockets are among them.
#![cfg(target_os = "linux")]

mod support;

use serde_json::Value;
use support::portscope;
use support::scene::Scene;

#[test]
fn c4_c21_under_churn_no_listener_is_missed_and_none_is_without_owner() {
    let (Some(stable), Some(_a), Some(_b)) = (
        Scene::start("reuseport-same n=200"),
        Scene::start("churn kind=process lifetime_ms=3 gap_ms=1"),
        Scene::start("churn kind=listener batch=50"),
    ) else {
        return;
    };
    // A process that refuses even root may hold what nobody else seems to hold.
    let hidden_before = portscope(["-l", "--json"]).success().json()["visibility"]["hidden_owners"].as_u64().unwrap();
    let rounds = if std::env::var_os("CI").is_some() { 1000 } else { 200 };
    for round in 0..rounds {
        let output = portscope(["-l", "--json"]).output();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let rows = report["sockets"].as_array().unwrap();
        let holder = &stable.sockets()[0]["pids"][0];
        let port = &stable.sockets()[0]["port"];
        let found =
            rows.iter().filter(|row| row["local"]["port"] == *port && row["owner"]["processes"][0]["pid"] == *holder);
        assert_eq!(found.count(), 200, "round {round}");
        let ownerless: Vec<&Value> = rows.iter().filter(|row| row["owner"]["tier"] != "process").collect();
        assert!(ownerless.len() as u64 <= hidden_before, "round {round}: {ownerless:#?}");
    }
}
