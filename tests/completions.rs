//! TAB, pressed in the real shells.

mod support;

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use support::{Folder, portscope, skip};

/// Says whether a program is installed; a test without it is skipped.
fn is_there(program: &str) -> bool {
    let found = ["/usr/bin", "/bin"].iter().any(|folder| Path::new(folder).join(program).exists());
    if !found {
        skip(&format!("{program} is not installed"));
    }
    found
}

/// Runs a script of a shell with portscope first in PATH, and returns what it printed.
fn run(shell: &str, arguments: &[&str], script: &str) -> String {
    let folder = Path::new(env!("CARGO_BIN_EXE_portscope")).parent().unwrap();
    let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", folder.display());
    let home = Folder::new();
    let output = Command::new(shell)
        .args(arguments)
        .arg(script)
        .env_clear()
        .envs([("PATH", path.as_str()), ("LC_ALL", "C.UTF-8"), ("TERM", "xterm")])
        .env("HOME", home.join(""))
        .env("XDG_CONFIG_HOME", home.join(""))
        .current_dir(home.join(""))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{shell}: {text}\n{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// What bash would offer for each command line, one line each.
fn bash(lines: &[&str]) -> Vec<String> {
    let script = r#"
        source /usr/share/bash-completion/bash_completion 2>/dev/null
        source <(portscope completions bash)
        complete_line() {
            local function=$1; shift
            COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_TYPE=9 COMPREPLY=()
            COMP_POINT=${#COMP_LINE}
            $function "$1" "${@: -1}" "${COMP_WORDS[COMP_CWORD - 1]}" 2>/dev/null
            echo "${COMPREPLY[*]}" | tr '\v' ' '
        }
        _completion_loader sudo 2>/dev/null
    "#;
    let each: Vec<String> = lines
        .iter()
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let function = if words[0] == "sudo" { "_sudo" } else { "_clap_complete_portscope" };
            let words: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
            format!("complete_line {function} {}", words.join(" "))
        })
        .collect();
    let script = format!("{script}{}", each.join("\n"));
    let offered = run("bash", &["--norc", "-c"], &script);
    let offered: Vec<String> = offered.lines().map(|line| line.trim().to_owned()).collect();
    assert_eq!(offered.len(), lines.len(), "{offered:?}");
    offered
}

/// What fish would offer for each command line: words with their descriptions.
fn fish(line: &str) -> Vec<String> {
    let script = format!("portscope completions fish | source; complete -C '{line}'");
    run("fish", &["-c"], &script).lines().map(str::to_owned).collect()
}

/// What an interactive zsh, which finds the script in its $fpath, shows after one TAB behind each command line. Waits
/// until the wanted text is there.
fn zsh(lines: &[(&str, &str)]) -> Vec<String> {
    let prepare = r#"
        mkdir functions && portscope completions zsh > functions/_portscope || exit 1
        zmodload zsh/zpty zsh/datetime zsh/zselect
        zpty -b shell zsh -f -i
        zpty -w shell "PS1='> '; fpath=($PWD/functions \$fpath); autoload -Uz compinit; compinit -u -D; stty cols 200 -echo"
        zpty -w shell "print -r -- SET''UP"
        deadline=$(( EPOCHREALTIME + 20 )) seen=''
        until_seen() {
            local part
            while [[ $seen != *$1* ]] && (( EPOCHREALTIME < deadline )); do
                zpty -r -t shell part && seen+=$part || zselect -t 2
            done
        }
        tab() {
            seen='' deadline=$(( EPOCHREALTIME + 20 ))
            zpty -w -n shell "$1"$'\t'
            until_seen "$2"
            print -r -- "${(q+)seen}" | tr '\n' ' '
            print
            zpty -w -n shell $'\C-u'
        }
        until_seen SETUP
    "#;
    let tabs: Vec<String> = lines.iter().map(|(line, wanted)| format!("tab '{line}' '{wanted}'")).collect();
    let seen = run("zsh", &["-f", "-c"], &format!("{prepare}{}\nzpty -d shell", tabs.join("\n")));
    seen.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_their_flags_and_closed_sets() {
    if !is_there("bash") {
        return;
    }
    let offered = bash(&[
        "portscope ki",
        "portscope kill --dry",
        "portscope --state est",
        "portscope --columns pid,+stat",
        "portscope audit --explain exposed-s",
        "portscope --exposure lo",
        "portscope --category wel",
        "portscope kill --signal K",
        "portscope --sort por",
        "portscope man che",
        "portscope --output nd",
    ]);
    let wanted = [
        "kill",
        "--dry-run",
        "established",
        "pid,+state",
        "exposed-service",
        "loopback",
        "well-known",
        "KILL",
        "port port:desc",
        "check",
        "ndjson",
    ];
    assert_eq!(offered, wanted);
}

#[test]
fn bash_completes_the_ports_and_processes_of_the_moment_and_no_files() {
    if !is_there("bash") {
        return;
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let own = std::fs::read_to_string("/proc/self/comm").unwrap();
    let own = own.trim();
    let (check, listing, of_process) =
        (format!("portscope check {port}"), format!("portscope {port}"), format!("portscope --process {own}"));
    let offered =
        bash(&[&check, &listing, &of_process, "portscope --space hos", "portscope --user roo", "portscope --state /"]);
    assert_eq!(offered[..4], [port.clone(), port, own.to_owned(), "host".to_owned()]);
    assert_eq!(offered[5], "", "a state is no file");
}

#[test]
fn bash_completes_behind_sudo() {
    if !is_there("bash") || !is_there("sudo") {
        return;
    }
    assert_eq!(bash(&["sudo portscope ki", "sudo portscope kill --sig"]), ["kill", "--signal"]);
}

#[test]
fn fish_completes_with_a_description_of_each_word() {
    if !is_there("fish") {
        return;
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let own = std::fs::read_to_string("/proc/self/comm").unwrap();
    assert_eq!(fish(&format!("portscope check {port}")), [format!("{port}\t{}", own.trim())]);
    let kill = fish("portscope kil");
    assert!(kill.len() == 1 && kill[0].starts_with("kill\t"), "{kill:?}");
    assert_eq!(fish("portscope kill --dry").len(), 1);
    assert_eq!(fish("portscope --state est"), ["established"]);
    if is_there("sudo") {
        assert_eq!(fish("sudo portscope --exposure loop"), ["loopback"]);
    }
}

#[test]
fn zsh_completes_at_the_first_tab_from_fpath_also_behind_sudo() {
    if !is_there("zsh") {
        return;
    }
    let lines = [
        ("portscope kill --dry", "--dry-run"),
        ("portscope ki", "kill"),
        ("portscope --state est", "established"),
        ("sudo portscope --exposure loop", "loopback"),
    ];
    let seen = zsh(&lines);
    assert_eq!(seen.len(), lines.len(), "{seen:#?}");
    for ((line, wanted), seen) in lines.iter().zip(seen) {
        assert!(seen.contains(wanted), "{line}: {seen:?}");
    }
}

#[test]
fn every_shell_has_a_script_and_the_variable_of_the_scripts_is_refused_by_hand() {
    for (shell, mark) in [
        ("bash", "complete -o"),
        ("zsh", "#compdef portscope"),
        ("fish", "complete --keep-order"),
        ("elvish", "edit:completion"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let script = portscope(["completions", shell]).success().stdout;
        assert!(script.contains(mark) && script.contains("PORTSCOPE_COMPLETE"), "{shell}: {script}");
    }
    let run = portscope(["-l"]).env("PORTSCOPE_COMPLETE", "bash").stderr_contains("PORTSCOPE_COMPLETE").exits(2);
    assert_eq!(run.stdout, "");
}
