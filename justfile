# Short loops. Every recipe is a command or a script that also runs without just.
# just comes from a package manager, or as `rust-just` from PyPI and npm.

# List the recipes
default:
    @just --list --unsorted

# Format, lints: before every commit
check:
    cargo fmt --check
    cargo clippy --locked --all-targets -- -D warnings

# Unit tests and the test of the layers: seconds
unit *ARGS:
    cargo test --locked --lib {{ARGS}}
    cargo test --locked --test layering

# All tests, or those of one file: `just test check` (with the example that tests start, which only `cargo test` alone builds)
test FILE="":
    {{ if FILE == "" { "" } else { "cargo build --locked --examples" } }}
    cargo test --locked --no-fail-fast {{ if FILE == "" { "" } else { "--test " + FILE } }}

# Everything that must pass before a change lands; installs Debian packages (root)
gate:
    .ci/run

# Compare with ss, netstat and lsof
bench *ARGS:
    cargo build --locked --release
    benches/compare {{ARGS}}

# Fuzz every reader for a minute, or one for longer: `just fuzz netlink 600`
fuzz *ARGS:
    scripts/fuzz {{ARGS}}

# Try the files of contrib/ with DuckDB, ClickHouse, Prometheus, Ansible, Facter, Nagios, Icinga, rsyslog: minutes (root, Debian)
fleet PORTSCOPE="":
    {{ if PORTSCOPE == "" { "cargo build --locked --release" } else { "" } }}
    scripts/fleet/all {{ if PORTSCOPE == "" { "target/release/portscope" } else { PORTSCOPE } }}

# Make the packages in dist/, from a binary that is built twice and compared: minutes (root, Debian, rustup)
dist:
    scripts/dist/all

# Run every command for ten minutes, or as many seconds as you say, while sockets, processes, and namespaces come and go (root)
soak SECONDS="600" PORTSCOPE="":
    {{ if PORTSCOPE == "" { "cargo build --locked --release" } else { "" } }}
    scripts/soak {{ if PORTSCOPE == "" { "target/release/portscope" } else { PORTSCOPE } }} {{SECONDS}}
