//! The interpreters of JavaScript, and the task runners that run on them.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::{Arguments, base, option, script, simple, words};

const NODE_VALUES: [&str; 21] = [
    "-r",
    "--require",
    "--import",
    "--loader",
    "--experimental-loader",
    "-C",
    "--conditions",
    "--env-file",
    "--env-file-if-exists",
    "--input-type",
    "--title",
    "--icu-data-dir",
    "--openssl-config",
    "--watch-path",
    "--inspect-port",
    "--redirect-warnings",
    "--diagnostic-dir",
    "--disable-warning",
    "--max-http-header-size",
    "--unhandled-rejections",
    "--dns-result-order",
];

/// What Node.js runs: a script, or the task of a task runner that is written for it.
pub fn node(rest: &mut Arguments<'_>) -> Option<OsString> {
    if let Some(index) = rest.0.iter().position(|argument| *argument == "--run")
        && rest.0.iter().take(index).all(|argument| option(argument).is_some())
    {
        return words(&["--run", simple(rest.0.get(index + 1)?)?]);
    }
    let mut path = rest.positional(&NODE_VALUES, &["-e", "--eval", "-p", "--print", "-pe", "-i"])?;
    if path == "inspect" {
        path = rest.next()?;
    }
    let name = base(path);
    let plain = name.to_str().unwrap_or_default();
    let stem = plain.trim_end_matches(".js").trim_end_matches(".cjs").trim_end_matches(".mjs");
    match stem.trim_end_matches("-cli") {
        launcher @ ("npm" | "npx" | "pnpm" | "pnpx" | "yarn" | "yarnpkg") => task_of(launcher, rest),
        launcher if launcher.starts_with("yarn-") => task_of("yarn", rest),
        runner @ ("tsx" | "ts-node" | "ts-node-esm" | "ts-node-dev" | "nodemon" | "babel-node") => {
            let is_source = |argument: &&OsStr| {
                let extension = Path::new(argument).extension().and_then(OsStr::to_str);
                option(argument).is_none()
                    && extension
                        .is_some_and(|end| ["js", "ts", "mjs", "cjs", "mts", "cts", "tsx", "jsx"].contains(&end))
            };
            match rest.0.iter().copied().find(is_source).map(base).and_then(simple) {
                Some(source) => words(&[runner, source]),
                None => words(&[runner]),
            }
        }
        _ => Some(name.to_owned()),
    }
}

/// The task that a launcher of scripts was asked to run: `npm run dev`.
pub fn task_of(launcher: &str, rest: &mut Arguments<'_>) -> Option<OsString> {
    const VALUES: [&str; 12] = [
        "--prefix",
        "-w",
        "--workspace",
        "-C",
        "--dir",
        "--cwd",
        "--filter",
        "-F",
        "--userconfig",
        "--loglevel",
        "-p",
        "--package",
    ];
    let Some(command) = rest.positional(&VALUES, &["-c", "--call"]).and_then(simple) else {
        return words(&[launcher]);
    };
    match command {
        "run" | "run-script" | "exec" | "x" | "dlx" => {
            match rest.positional(&VALUES, &["-c", "--call"]).and_then(simple) {
                Some(task) => words(&[launcher, command, task]),
                None => words(&[launcher, command]),
            }
        }
        _ => words(&[launcher, command]),
    }
}

/// What Deno runs.
pub fn deno(rest: &mut Arguments<'_>) -> Option<OsString> {
    const VALUES: [&str; 13] = [
        "-c",
        "--config",
        "--import-map",
        "--location",
        "--port",
        "--host",
        "--cert",
        "--seed",
        "--ext",
        "--cwd",
        "-f",
        "--filter",
        "-L",
    ];
    let first = rest.positional(&VALUES, &[])?;
    match first.to_str() {
        Some("run" | "serve" | "test" | "bench" | "watch") => script(rest.positional(&VALUES, &[])?),
        Some("task") => words(&["task", simple(rest.positional(&VALUES, &[])?)?]),
        Some("eval" | "repl") => None,
        _ => script(first),
    }
}

/// What Bun runs.
pub fn bun(rest: &mut Arguments<'_>) -> Option<OsString> {
    const VALUES: [&str; 11] =
        ["-r", "--preload", "--cwd", "-c", "--config", "--env-file", "--port", "-d", "--define", "-F", "--filter"];
    const CODE: [&str; 4] = ["-e", "--eval", "-p", "--print"];
    let first = rest.positional(&VALUES, &CODE)?;
    match first.to_str() {
        Some(command @ ("run" | "x")) => {
            let what = rest.positional(&VALUES, &CODE)?;
            let is_file = command == "run" && (Path::new(what).extension().is_some() || what.to_str()?.contains('/'));
            if is_file { script(what) } else { words(&[command, simple(what)?]) }
        }
        _ => script(first),
    }
}
