//! A report of a made-up server: a web server in front of a service in a container, a database, a cache, and metrics.

use serde_json::{Value, json};

use super::Folder;

/// What a row of the server is made of.
struct Program {
    name: &'static str,
    exe: &'static str,
    pid: u32,
    workers: u32,
    user: (u32, &'static str),
    unit: &'static str,
}

const SSHD: Program = program("sshd", "/usr/sbin/sshd", 702, 0, (0, "root"), "ssh.service");
const NGINX: Program = program("nginx", "/usr/sbin/nginx", 1100, 8, (33, "www-data"), "nginx.service");
const POSTGRES: Program = program(
    "postgres",
    "/usr/lib/postgresql/15/bin/postgres",
    1300,
    0,
    (114, "postgres"),
    "postgresql@15-main.service",
);
const REDIS: Program =
    program("redis-server", "/usr/bin/redis-server", 1400, 0, (115, "redis"), "redis-server.service");
const RESOLVED: Program = program(
    "systemd-resolve",
    "/usr/lib/systemd/systemd-resolved",
    610,
    0,
    (101, "systemd-resolve"),
    "systemd-resolved.service",
);
const EXPORTER: Program = program(
    "node_exporter",
    "/usr/bin/prometheus-node-exporter",
    1500,
    0,
    (116, "prometheus"),
    "prometheus-node-exporter.service",
);
const PROXY: Program = program("docker-proxy", "/usr/bin/docker-proxy", 2100, 0, (0, "root"), "docker.service");

const fn program(
    name: &'static str,
    exe: &'static str,
    pid: u32,
    workers: u32,
    user: (u32, &'static str),
    unit: &'static str,
) -> Program {
    Program { name, exe, pid, workers, user, unit }
}

/// The report of the server, with 400 clients of its web server and 1,200 connections that are over.
pub fn server(folder: &Folder) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/workstation.json");
    let mut report: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    report["host"]["name"] = "shop-prod-1".into();
    report["scope"]["protocols"] = json!(["tcp", "udp", "udplite"]);
    let mut sockets = vec![
        listener(&SSHD, "0.0.0.0", 22),
        listener(&SSHD, "::", 22),
        listener(&NGINX, "0.0.0.0", 80),
        listener(&NGINX, "::", 80),
        listener(&NGINX, "0.0.0.0", 443),
        listener(&NGINX, "::", 443),
        listener(&POSTGRES, "10.0.0.5", 5432),
        listener(&REDIS, "127.0.0.1", 6379),
        listener(&REDIS, "::1", 6379),
        listener(&EXPORTER, "::", 9100),
        published(),
    ];
    let mut resolver = listener(&RESOLVED, "127.0.0.53", 53);
    resolver["device"] = "lo".into();
    sockets.push(resolver);
    for client in 0..400 {
        let peer = format!("2001:db8:17:{:x}:a0b1:c2d3:e4f5:{client:x}", client % 7);
        sockets.push(connection(&NGINX, ("2001:db8::5", 443), (&peer, 40_000 + client), "ESTABLISHED"));
    }
    for client in 0..20 {
        sockets.push(connection(&POSTGRES, ("10.0.0.5", 5432), ("10.0.0.7", 50_000 + client), "ESTABLISHED"));
    }
    sockets.push(connection(&SSHD, ("203.0.113.5", 22), ("198.51.100.9", 61_022), "ESTABLISHED"));
    for client in 0..1_200 {
        let mut over = connection(&NGINX, ("203.0.113.5", 443), ("198.51.100.77", 20_000 + client), "TIME_WAIT");
        (over["uid"], over["user"], over["inode"]) = (Value::Null, Value::Null, Value::Null);
        over["owner"] = json!({"tier": "none", "reason": "time-wait", "processes": []});
        sockets.push(over);
    }
    for (number, socket) in sockets.iter_mut().enumerate() {
        socket["cookie"] = (number + 1).into();
        if !socket["inode"].is_null() {
            socket["inode"] = (30_000 + number).into();
        }
    }
    report["sockets"] = sockets.into();
    let file = folder.join("server.json");
    std::fs::write(&file, report.to_string()).unwrap();
    file.to_str().unwrap().to_owned()
}

fn listener(of: &Program, address: &str, port: u16) -> Value {
    let is_ipv6 = address.contains(':');
    let processes: Vec<Value> = (0..=of.workers).map(|worker| process(of, worker)).collect();
    let service = match port {
        22 => json!({"name": "ssh", "source": "well-known", "description": "SSH Remote Login Protocol"}),
        53 => json!({"name": "domain", "source": "well-known", "description": "Domain Name Server"}),
        80 => json!({"name": "www-http", "source": "well-known", "description": "World Wide Web HTTP"}),
        443 => json!({"name": "https", "source": "well-known", "description": "http protocol over TLS/SSL"}),
        5432 => json!({"name": "postgresql", "source": "iana", "description": "PostgreSQL Database"}),
        6379 => json!({"name": "redis", "source": "iana", "description": "An advanced key-value cache and store"}),
        8080 => json!({"name": "http-alt", "source": "iana", "description": "HTTP Alternate (see port 80)"}),
        _ => Value::Null,
    };
    json!({
        "space": 4_026_531_840_u64,
        "protocol": "tcp",
        "family": if is_ipv6 { "ipv6" } else { "ipv4" },
        "local": {"address": address, "port": port},
        "peer": null,
        "state": "LISTEN",
        "service": service,
        "v6only": if is_ipv6 && address == "::" { json!(port != 9100) } else { Value::Null },
        "queue": {"used": 0, "limit": 511},
        "inode": 1,
        "uid": if of.workers > 0 { 0 } else { of.user.0 },
        "user": if of.workers > 0 { "root" } else { of.user.1 },
        "owner": {"tier": "process", "processes": processes, "unit": of.unit, "claims": []},
    })
}

fn process(of: &Program, worker: u32) -> Value {
    // The first process of a server with workers is root's.
    let user = if of.workers > 0 && worker == 0 { (0, "root") } else { of.user };
    json!({
        "pid": of.pid + worker, "fds": [6], "name": of.name, "exe": of.exe, "started_at": "2026-11-02T06:25:00Z",
        "uid": user.0, "user": user.1, "parent": if worker == 0 { 1 } else { of.pid },
    })
}

fn connection(of: &Program, local: (&str, u16), peer: (&str, u16), state: &str) -> Value {
    let mut socket = listener(of, local.0, local.1);
    (socket["state"], socket["queue"]) = (state.into(), Value::Null);
    socket["peer"] = json!({"address": peer.0, "port": peer.1});
    socket["owner"]["processes"] = json!([process(of, u32::from(peer.1) % (of.workers + 1))]);
    socket
}

/// A port of a container of Compose, which its proxy holds.
fn published() -> Value {
    let container = json!({
        "runtime": "docker", "id": "4f5e6d7c8b9a".repeat(5) + "4f5e", "name": "shop-api-1", "image": "shop/api:2.4",
        "compose": "shop/api",
    });
    let mut socket = listener(&PROXY, "0.0.0.0", 8080);
    socket["forward"] = json!({
        "by": "proxy", "to": {"address": "172.18.0.3", "port": 3000, "ports": [3000, 3000]}, "container": container,
    });
    socket
}
