//! A report of a made-up workstation.

use serde_json::Value;

use super::Folder;

/// The report of the workstation, with 2,500 connections that are over.
pub fn workstation(folder: &Folder) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/workstation.json");
    let mut report: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let sockets = report["sockets"].as_array_mut().unwrap();
    let over = sockets.last().unwrap().clone();
    for port in 20_000..22_500 {
        let mut over = over.clone();
        (over["state"], over["peer"]["port"]) = ("TIME_WAIT".into(), port.into());
        for unknown in ["uid", "user", "inode"] {
            over[unknown] = Value::Null;
        }
        over["owner"]["tier"] = "none".into();
        over["owner"]["reason"] = "time-wait".into();
        over["owner"]["processes"] = Value::Array(Vec::new());
        sockets.push(over);
    }
    let file = folder.join("workstation.json");
    std::fs::write(&file, report.to_string()).unwrap();
    file.to_str().unwrap().to_owned()
}
