//! What an interpreter runs, by its command line: `server.js` for `node server.js --port 80`.
//!
//! Only the names of programs, scripts, modules, classes and tasks are taken. Code, other arguments and the values of
//! options never are, since they may carry secrets. A process can change its command line, so this is a claim.

mod javascript;

use std::ffi::{OsStr, OsString};
use std::path::Path;

use self::javascript::{bun, deno, node, task_of};

/// A longer name is not the name of a script.
const LONGEST: usize = 255;

/// The interpreters that are known, by how their command lines are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Interpreter {
    Node,
    Deno,
    Bun,
    Python,
    Ruby,
    Perl,
    Php,
    Java,
    Dotnet,
    Beam,
    Shell,
    Lua,
}

/// Says whether a program of this name may be an interpreter: the name of a process, or of the file that it runs.
pub fn is_interpreter(name: &OsStr) -> bool {
    interpreter(name).is_some() || is_main_thread(name)
}

/// Node.js calls its first thread so, and with it the process.
fn is_main_thread(name: &OsStr) -> bool {
    name == "MainThread" || name == "node-MainThread"
}

fn interpreter(program: &OsStr) -> Option<Interpreter> {
    // The name of a login shell begins with a dash.
    let name = base(program).to_str()?.trim_start_matches('-');
    let name = name.strip_suffix(".exe").unwrap_or(name);
    let plain = name.trim_end_matches(|last: char| last.is_ascii_digit() || last == '.' || last == '-');
    match if plain.is_empty() { name } else { plain } {
        "node" | "nodejs" => Some(Interpreter::Node),
        "deno" => Some(Interpreter::Deno),
        "bun" => Some(Interpreter::Bun),
        "python" | "pythonw" | "pypy" => Some(Interpreter::Python),
        "ruby" | "jruby" | "truffleruby" => Some(Interpreter::Ruby),
        "perl" => Some(Interpreter::Perl),
        "php" => Some(Interpreter::Php),
        "java" | "javaw" => Some(Interpreter::Java),
        "dotnet" => Some(Interpreter::Dotnet),
        "beam" | "beam.smp" => Some(Interpreter::Beam),
        "sh" | "bash" | "dash" | "ash" | "zsh" | "ksh" | "mksh" | "fish" => Some(Interpreter::Shell),
        "lua" | "luajit" => Some(Interpreter::Lua),
        _ => None,
    }
}

/// Returns what the interpreter runs: a script without its folder, `-m MODULE`, a jar, a main class, or the task of a
/// task runner (`npm run dev`). Absent for other programs, for code on the command line, and without a script.
pub fn runs(argv: &[OsString]) -> Option<OsString> {
    let (program, arguments) = argv.split_first()?;
    let mut rest = Arguments(arguments.iter().map(OsString::as_os_str).collect());
    let found = match interpreter(program)? {
        Interpreter::Node => node(&mut rest),
        Interpreter::Deno => deno(&mut rest),
        Interpreter::Bun => bun(&mut rest),
        Interpreter::Python => python(&mut rest),
        Interpreter::Ruby => clustered(&mut rest, &RUBY),
        Interpreter::Perl => clustered(&mut rest, &PERL),
        Interpreter::Php => clustered(&mut rest, &PHP),
        Interpreter::Java => java(&mut rest),
        Interpreter::Dotnet => dotnet(&mut rest),
        Interpreter::Beam => beam(&rest),
        Interpreter::Shell => shell(&mut rest),
        Interpreter::Lua => clustered(&mut rest, &LUA),
    };
    found.filter(|name| !name.is_empty() && name.len() <= LONGEST)
}

/// The arguments that are not read yet.
struct Arguments<'a>(std::collections::VecDeque<&'a OsStr>);

impl<'a> Arguments<'a> {
    fn next(&mut self) -> Option<&'a OsStr> {
        self.0.pop_front()
    }

    /// The next argument that is no option. `with_value` are the options that take the argument after them; `code` are
    /// those behind which code stands, so that there is no name.
    fn positional(&mut self, with_value: &[&str], code: &[&str]) -> Option<&'a OsStr> {
        while let Some(argument) = self.next() {
            match option(argument) {
                None => return Some(argument),
                Some("--") => return self.next(),
                Some("-") => return None,
                Some(option) if code.contains(&option) => return None,
                Some(option) if with_value.contains(&option) => drop(self.next()),
                Some(_) => {}
            }
        }
        None
    }
}

/// The argument as text, when it begins as options do.
fn option(argument: &OsStr) -> Option<&str> {
    argument.as_encoded_bytes().starts_with(b"-").then(|| argument.to_str().unwrap_or("-?"))
}

/// The last part of a path, or of an address without what follows its path.
fn base(path: &OsStr) -> &OsStr {
    let plain = match path.to_str() {
        Some(text) if text.contains("://") => OsStr::new(text.split(['?', '#']).next().unwrap_or_default()),
        _ => path,
    };
    Path::new(plain).file_name().unwrap_or(plain)
}

#[expect(clippy::unnecessary_wraps, reason = "it is what every caller returns")]
fn script(path: &OsStr) -> Option<OsString> {
    Some(base(path).to_owned())
}

/// A word that is the name of a task or a program and cannot be anything else.
fn simple(word: &OsStr) -> Option<&str> {
    let word = word.to_str()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:/@+".contains(&byte);
    (!word.is_empty() && !word.starts_with('-') && word.bytes().all(is_plain) && word.len() <= 64).then_some(word)
}

#[expect(clippy::unnecessary_wraps, reason = "it is what every caller returns")]
fn words(parts: &[&str]) -> Option<OsString> {
    Some(parts.join(" ").into())
}

fn python(rest: &mut Arguments<'_>) -> Option<OsString> {
    while let Some(argument) = rest.next() {
        let Some(text) = option(argument) else { return script(argument) };
        if text == "-" {
            return None;
        }
        if text == "--" {
            return script(rest.next()?);
        }
        if text == "--check-hash-based-pycs" {
            rest.next();
        }
        if text.starts_with("--") {
            continue;
        }
        for (index, letter) in text.char_indices().skip(1) {
            let attached = &text[index + letter.len_utf8()..];
            match letter {
                'c' => return None,
                'm' => {
                    let module =
                        if attached.is_empty() { simple(rest.next()?)? } else { simple(OsStr::new(attached))? };
                    return words(&["-m", module]);
                }
                'W' | 'X' | 'Q' => {
                    if attached.is_empty() {
                        rest.next();
                    }
                    break;
                }
                _ => {}
            }
        }
    }
    None
}

/// How an interpreter writes its options, one letter each and several behind one dash.
struct Letters {
    /// What follows is code.
    code: &'static str,
    /// They take what follows in the same argument, or else the next argument.
    value: &'static str,
    /// They take only what follows in the same argument.
    attached: &'static str,
    /// What follows is the script.
    script: &'static str,
    /// Long options that take the next argument.
    long: &'static [&'static str],
}

const RUBY: Letters = Letters {
    code: "e",
    value: "rICE",
    attached: "WKFTx0i",
    script: "",
    long: &["--encoding", "--external-encoding", "--internal-encoding"],
};
const PERL: Letters = Letters { code: "eE", value: "I", attached: "MmCDxiFVd", script: "", long: &[] };
const PHP: Letters = Letters {
    code: "rBRE",
    value: "cdStzT",
    attached: "",
    script: "fF",
    long: &["--php-ini", "--define", "--docroot", "--server"],
};
const LUA: Letters = Letters { code: "e", value: "l", attached: "jOb", script: "", long: &[] };

fn clustered(rest: &mut Arguments<'_>, letters: &Letters) -> Option<OsString> {
    while let Some(argument) = rest.next() {
        let Some(text) = option(argument) else { return script(argument) };
        match text {
            "-" => return None,
            "--" => return script(rest.next()?),
            "--run" | "--process-code" => return None,
            "--file" | "--process-file" => return script(rest.next()?),
            _ if letters.long.contains(&text) => drop(rest.next()),
            _ if text.starts_with("--") => {}
            _ => {
                for (index, letter) in text.char_indices().skip(1) {
                    let attached = &text[index + letter.len_utf8()..];
                    if letters.code.contains(letter) {
                        return None;
                    }
                    if letters.script.contains(letter) {
                        return script(if attached.is_empty() { rest.next()? } else { OsStr::new(attached) });
                    }
                    if letters.value.contains(letter) {
                        if attached.is_empty() {
                            rest.next();
                        }
                        break;
                    }
                    if letters.attached.contains(letter) {
                        break;
                    }
                }
            }
        }
    }
    None
}

fn java(rest: &mut Arguments<'_>) -> Option<OsString> {
    const VALUES: [&str; 14] = [
        "-cp",
        "-classpath",
        "--class-path",
        "-p",
        "--module-path",
        "--upgrade-module-path",
        "--add-modules",
        "--add-reads",
        "--add-exports",
        "--add-opens",
        "--limit-modules",
        "--patch-module",
        "--source",
        "--enable-native-access",
    ];
    while let Some(argument) = rest.next() {
        match option(argument) {
            // A file with more arguments.
            None if argument.as_encoded_bytes().starts_with(b"@") => {}
            // A source file may be given in place of a class.
            None => return script(argument),
            Some("-jar") => return script(rest.next()?),
            Some("-m" | "--module") => return words(&["-m", simple(rest.next()?)?]),
            Some("-d" | "--describe-module") => return None,
            Some(option) if VALUES.contains(&option) => drop(rest.next()),
            Some(option) => {
                if let Some(module) = option.strip_prefix("--module=") {
                    return words(&["-m", simple(OsStr::new(module))?]);
                }
            }
        }
    }
    None
}

fn dotnet(rest: &mut Arguments<'_>) -> Option<OsString> {
    const VALUES: [&str; 7] = [
        "--additionalprobingpath",
        "--additional-deps",
        "--depsfile",
        "--runtimeconfig",
        "--fx-version",
        "--roll-forward",
        "--roll-forward-on-no-candidate-fx",
    ];
    let mut first = rest.positional(&VALUES, &[])?;
    if first == "exec" {
        first = rest.positional(&VALUES, &[])?;
    }
    let extension = Path::new(first).extension().and_then(OsStr::to_str)?;
    if ["dll", "exe"].contains(&extension) { script(first) } else { None }
}

/// Erlang's command line: what follows `-extra` is that of a program on top of it, such as Elixir's `mix`; else the
/// module that is started first.
fn beam(rest: &Arguments<'_>) -> Option<OsString> {
    let after = |flag: &str| {
        let index = rest.0.iter().position(|argument| *argument == flag)?;
        Some(rest.0.iter().skip(index + 1).copied())
    };
    if let Some(mut extra) = after("-extra")
        && let Some(program) = extra.next().map(base).and_then(simple)
    {
        return match (program, extra.next().and_then(simple)) {
            ("mix", Some(task)) => words(&["mix", task]),
            _ => words(&[program]),
        };
    }
    let mut places = rest.0.iter().zip(rest.0.iter().skip(1));
    let starts = |(flag, module): (&&OsStr, &&OsStr)| {
        let is_start = matches!(flag.to_str(), Some("-s" | "-run"));
        // Erlang's own, which every system has.
        let is_own = |module: &&str| ["elixir", "init", "user", "heart", "observer"].contains(module);
        simple(module).filter(|module| is_start && !is_own(module)).map(str::to_owned)
    };
    places.find_map(starts).map(OsString::from)
}

fn shell(rest: &mut Arguments<'_>) -> Option<OsString> {
    let mut is_command = false;
    while let Some(argument) = rest.next() {
        let bytes = argument.as_encoded_bytes();
        let is_option = bytes.len() > 1 && (bytes[0] == b'-' || bytes[0] == b'+');
        if !is_option {
            // Options end with a dash alone, too.
            let what = if argument == "-" { rest.next()? } else { argument };
            return if is_command { command(what) } else { script(what) };
        }
        let text = argument.to_str()?;
        match text {
            "--" => {
                let what = rest.next()?;
                return if is_command { command(what) } else { script(what) };
            }
            "--rcfile" | "--init-file" => drop(rest.next()),
            _ if text.starts_with("--") => {}
            _ => {
                let letters = &text[1..];
                // What follows `-s` are arguments of a script that is typed.
                if letters.contains('s') && !letters.contains('c') {
                    return None;
                }
                is_command |= text.starts_with('-') && letters.contains('c');
                if letters.ends_with(['o', 'O']) {
                    rest.next();
                }
            }
        }
    }
    None
}

/// The program of one plain command of a shell, and what it runs when it is an interpreter itself. What takes a shell to
/// understand has no name here.
fn command(text: &OsStr) -> Option<OsString> {
    let text = text.to_str()?;
    if text.contains(|letter: char| ";|&<>`$(){}\n\"'\\*?#!".contains(letter)) {
        return None;
    }
    let is_setting = |word: &&str| word.split_once('=').is_some_and(|(name, _)| simple(OsStr::new(name)).is_some());
    let plain = text.split_ascii_whitespace().skip_while(|word| *word == "exec" || is_setting(word));
    let argv: Vec<OsString> = plain.map(OsString::from).collect();
    let program = simple(base(argv.first()?))?;
    match interpreter(OsStr::new(program)) {
        // What runs inside of it is known, or nothing but a shell is.
        Some(Interpreter::Shell) => None,
        Some(_) => match runs(&argv) {
            Some(inner) => {
                let mut both = OsString::from(program);
                both.push(" ");
                both.push(inner);
                Some(both)
            }
            None => words(&[program]),
        },
        None => match program {
            "npm" | "npx" | "pnpm" | "yarn" => {
                let mut rest = Arguments(argv.iter().skip(1).map(OsString::as_os_str).collect());
                task_of(program, &mut rest)
            }
            _ => words(&[program]),
        },
    }
}

#[cfg(test)]
mod tests;
