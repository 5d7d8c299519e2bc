//! A process as people call it: by its name, and for an interpreter by what it runs.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::model::{Pid, Process, Snapshot};
use crate::render::text::safe::{Charset, Text};
use crate::render::text::secrets;
use crate::render::words::column;

/// `systemd → sshd → bash → node server.js`: the process and what it descends from, the first process first.
pub fn ancestry(process: &Process, snapshot: &Snapshot, charset: Charset) -> Text {
    let ancestors = snapshot.ancestors(process);
    let eldest = ancestors.last().copied().unwrap_or(process);
    let mut chain = Vec::new();
    if let Some(Pid(unseen)) = eldest.parent {
        chain.push(Text::plain(format!("({unseen}, not seen)")));
    }
    chain.extend(ancestors.iter().rev().map(|ancestor| short(ancestor, charset)));
    chain.push(called(process, charset));
    Text::join(&chain, if charset == Charset::Unicode { " → " } else { " -> " })
}

/// Its name; failing that its number.
fn short(process: &Process, charset: Charset) -> Text {
    column::name(Some(process), charset).unwrap_or_else(|| Text::plain(process.pid.0.to_string()))
}

/// Its name, and what it runs when it is an interpreter.
pub fn called(process: &Process, charset: Charset) -> Text {
    let name = short(process, charset);
    let argv = secrets::masked(process.argv.as_deref().unwrap_or_default());
    let script = script(&argv).into_iter().map(|word| Text::of_os(word, charset));
    Text::join(&std::iter::once(name).chain(script).collect::<Vec<_>>(), " ")
}

/// How the name of an interpreter begins, and its options that take the next argument along.
const INTERPRETERS: [(&str, &[&str]); 12] = [
    ("python", &["-X", "-W", "--check-hash-based-pycs"]),
    ("node", &["-r", "--require", "--import", "--loader", "-C", "--conditions", "--env-file"]),
    ("deno", &[]),
    ("bun", &[]),
    ("ruby", &["-r", "-I", "-C"]),
    ("perl", &["-I"]),
    ("php", &["-c", "-d"]),
    ("java", &["-cp", "-classpath", "--class-path", "-p", "--module-path", "--add-modules"]),
    ("bash", &["-o", "-O", "--rcfile", "--init-file"]),
    ("dash", &["-o"]),
    ("sh", &["-o"]),
    ("lua", &["-l"]),
];

/// The words that say what an interpreter runs: a script without its folder, `-m MODULE`, `-jar FILE`, `-c`.
fn script(argv: &[OsString]) -> Vec<&OsStr> {
    let Some((program, arguments)) = argv.split_first() else { return Vec::new() };
    let Some((name, with_value)) = interpreter(program) else { return Vec::new() };
    let mut arguments = arguments.iter().map(OsString::as_os_str);
    while let Some(argument) = arguments.next() {
        let option = argument.to_str().filter(|text| text.starts_with('-'));
        match (name, option) {
            (_, None) => return vec![base(argument)],
            ("java", Some("-jar")) => return std::iter::once(argument).chain(arguments.next().map(base)).collect(),
            ("java", Some("-m" | "--module")) | ("python", Some("-m")) => {
                return std::iter::once(argument).chain(arguments.next()).collect();
            }
            // Code on the command line is not a name.
            (_, Some("-c" | "-e" | "--eval" | "-")) if !with_value.contains(&option.unwrap_or_default()) => {
                return vec![argument];
            }
            (_, Some(option)) if with_value.contains(&option) => {
                arguments.next();
            }
            (_, Some(_)) => {}
        }
    }
    Vec::new()
}

/// `python3.12` is python; `shutdown` is not sh.
fn interpreter(program: &OsStr) -> Option<(&'static str, &'static [&'static str])> {
    // A login shell's name begins with a dash.
    let name = base(program).to_str()?.trim_start_matches('-');
    let is_it = |(known, _): &&(&'static str, _)| {
        let version = name.strip_prefix(known).map(|rest| rest.strip_prefix("js").unwrap_or(rest));
        version.is_some_and(|version| version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
    };
    INTERPRETERS.iter().find(is_it).copied()
}

fn base(path: &OsStr) -> &OsStr {
    Path::new(path).file_name().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn an_interpreter_is_shown_with_what_it_runs() {
        for (line, shown) in [
            ("node /srv/app/server.js --port 80", "server.js"),
            ("node --require ./trace.js server.js", "server.js"),
            ("/usr/bin/python3.12 -u -m http.server 8000", "-m http.server"),
            ("python3 -X dev app.py", "app.py"),
            ("python3 -c import\u{a0}time", "-c"),
            ("java -Xmx1g -cp a:b -jar /opt/app.jar run", "-jar app.jar"),
            ("java -cp a:b org.example.Main", "org.example.Main"),
            ("-bash", ""),
            ("bash -x /usr/local/bin/serve", "serve"),
            ("php -c /etc/php.ini index.php", "index.php"),
            ("shutdown now", ""),
            ("nginx: master process", ""),
            ("nodejs x.js", "x.js"),
            ("", ""),
        ] {
            let argv: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(script(&argv).join(OsStr::new(" ")), shown, "{line}");
        }
        assert!(script(&[]).is_empty());
    }

    #[test]
    fn the_first_process_stands_first_and_what_is_not_seen_is_said() {
        let mut snapshot = testing::snapshot();
        let shown = |snapshot: &crate::model::Snapshot| {
            ancestry(&snapshot.processes[&Pid(812)], snapshot, Charset::Ascii).into_string()
        };
        assert_eq!(shown(&snapshot), "(1, not seen) -> nginx -> nginx");
        snapshot.processes.get_mut(&Pid(811)).unwrap().parent = None;
        snapshot.processes.get_mut(&Pid(812)).unwrap().argv = Some(vec!["python3".into(), "worker.py".into()]);
        assert_eq!(shown(&snapshot), "nginx -> nginx worker.py");
        snapshot.processes.get_mut(&Pid(811)).unwrap().parent = Some(Pid(812));
        assert!(shown(&snapshot).ends_with("nginx -> nginx worker.py"), "a circle ends");
    }
}
