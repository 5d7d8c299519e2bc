//! What people type who come from `ss`, `netstat`, `lsof` or `fuser`: accepted where it can be meant only one way, else
//! translated for a hint.

use super::output::Format;
use crate::select::StateSet;

/// The tools whose command line may be pasted whole.
const TOOLS: [&str; 4] = ["ss", "netstat", "lsof", "fuser"];

/// The short flags that the listing has itself.
const OWN_FLAGS: &str = "tulanpe46Hv";

/// Removes the `o` of a bundle such as `-tano`: there it asks for timers, and here it would take a format.
pub fn without_timers(argument: &str) -> Option<String> {
    let flags = argument.strip_prefix('-').filter(|flags| !flags.starts_with('-'))?;
    let (before, after) = flags.split_once('o')?;
    let is_own = |text: &str| text.chars().all(|flag| OWN_FLAGS.contains(flag));
    let is_format = Format::is_name(after.strip_prefix('=').unwrap_or(after));
    (!before.is_empty() && is_own(before) && is_own(after) && !is_format).then(|| format!("-{before}{after}"))
}

/// Says whether the words are a filter of `ss` or the command line of another tool, which would be read as names here.
pub fn is_of_another_tool(words: &[String]) -> bool {
    let is_filter = |index: usize| {
        // What follows a flag is its value: `--sort state`.
        let is_value = index > 0 && (words[index - 1].starts_with("--") || words[index - 1] == "-o");
        let next = words.get(index + 1).map_or("", String::as_str);
        let is_number = |text: &str| text.starts_with(|first: char| first.is_ascii_digit());
        !is_value
            && match &*words[index] {
                "state" | "exclude" => next.parse::<StateSet>().is_ok() || next == "all",
                "sport" | "dport" => next.starts_with([':', '=']) || is_number(next) || next == "eq",
                "src" | "dst" => next.contains(['.', ':']) || is_number(next) || next == "=",
                _ => false,
            }
    };
    (0..words.len()).any(is_filter) || words.first().is_some_and(|first| TOOLS.contains(&&**first) && words.len() > 1)
}

/// What another tool's command line asks for, in the words of portscope.
#[derive(Default)]
struct Translation {
    command: Option<&'static str>,
    flags: Vec<String>,
    targets: Vec<String>,
}

impl Translation {
    fn flag(&mut self, flag: &str) {
        if !self.flags.iter().any(|known| known == flag) {
            self.flags.push(flag.to_owned());
        }
    }
}

/// The line that helps who has typed this, with the exact command; none where nothing is recognized.
///
/// `has_watch` says whether portscope can repeat a listing itself.
pub fn hint(words: &[String], has_watch: bool) -> Option<String> {
    let is_lsof = words.iter().any(|word| is_lsof(word)) || words.first().is_some_and(|word| word == "lsof");
    let is_fuser = words.first().is_some_and(|word| word == "fuser") || words.iter().any(|word| word == "-k");
    let words = match words.first() {
        Some(first) if TOOLS.contains(&&**first) => &words[1..],
        _ => words,
    };
    let mut meant = Translation::default();
    let mut rest = words.iter().map(String::as_str).peekable();
    while let Some(word) = rest.next() {
        match word {
            "state" => meant.flags.push(format!("--state {}", rest.next()?)),
            "sport" | "dport" => {
                let port = rest.by_ref().find(|word| !["=", "==", "eq"].contains(word))?;
                let port = port.trim_start_matches(['=', ':']);
                match word {
                    "sport" => meant.targets.push(format!(":{port}")),
                    _ => meant.flags.push(format!("--peer :{port}")),
                }
            }
            "src" => meant.targets.push(rest.next()?.to_owned()),
            "dst" => meant.flags.push(format!("--peer {}", rest.next()?)),
            "(" | ")" | "and" | "&&" => {}
            "or" | "||" | "exclude" | "not" | "!" => return None,
            _ if word.starts_with("--") => return None,
            _ => match word.strip_prefix('-') {
                Some(flags) if is_lsof => lsof(flags, &mut rest, &mut meant)?,
                Some(flags) if is_fuser && flags == "k" => meant.command = Some("kill"),
                Some(flags) => short(flags, &mut meant)?,
                None => meant.targets.push(word.to_owned()),
            },
        }
    }
    Some(line(meant, has_watch))
}

fn line(meant: Translation, has_watch: bool) -> String {
    let command = match meant.command {
        Some("unix") => return "portscope lists TCP and UDP sockets; for unix sockets use `ss -x`".to_owned(),
        Some("watch") if !has_watch => "watch -n1 portscope".to_owned(),
        Some(command) => format!("portscope {command}"),
        None => "portscope".to_owned(),
    };
    let words = std::iter::once(command).chain(meant.flags).chain(meant.targets);
    format!("use `{}`", words.collect::<Vec<_>>().join(" "))
}

fn is_lsof(word: &str) -> bool {
    let Some(flags) = word.strip_prefix('-').filter(|flags| !flags.starts_with('-')) else { return false };
    let (before, _) = flags.split_once('i').unwrap_or(("-", ""));
    word.starts_with("-sTCP:") || word.starts_with("-sUDP:") || before.chars().all(|flag| "tnPa".contains(flag))
}

/// The flags of one word after `ss` and `netstat`.
fn short(flags: &str, meant: &mut Translation) -> Option<()> {
    for flag in flags.chars() {
        match flag {
            's' => meant.command = Some("usage"),
            'c' | 'r' => meant.command = Some("watch"),
            'x' => meant.command = Some("unix"),
            'e' | 'o' | 'p' | 'W' => {}
            flag if OWN_FLAGS.contains(flag) => meant.flag(&format!("-{flag}")),
            _ => return None,
        }
    }
    Some(())
}

/// The flags of one word after `lsof`: `-i`, `-iTCP:80`, `-ti`, `-nP`, `-sTCP:LISTEN`.
fn lsof<'w>(
    flags: &str,
    rest: &mut std::iter::Peekable<impl Iterator<Item = &'w str>>,
    meant: &mut Translation,
) -> Option<()> {
    if let Some(state) = flags.strip_prefix("sTCP:").or(flags.strip_prefix("sUDP:")) {
        match state {
            "LISTEN" => meant.flag("-l"),
            state => meant.flag(&format!("--state {}", state.to_lowercase())),
        }
        return Some(());
    }
    let (before, address) = flags.split_once('i').map_or((flags, None), |(before, after)| (before, Some(after)));
    for flag in before.chars() {
        match flag {
            't' => meant.flag("--pids"),
            'n' | 'P' | 'a' => {}
            _ => return None,
        }
    }
    let Some(address) = address else { return Some(()) };
    let next = rest.next_if(|next| address.is_empty() && !next.starts_with('-'));
    let mut address = next.unwrap_or(address);
    for (start, flag) in [("4", "-4"), ("6", "-6"), ("TCP", "-t"), ("tcp", "-t"), ("UDP", "-u"), ("udp", "-u")] {
        if let Some(after) = address.strip_prefix(start) {
            address = after;
            meant.flag(flag);
        }
    }
    let address = address.strip_prefix('@').unwrap_or(address);
    if address.is_empty() {
        if !meant.flags.iter().any(|flag| flag == "-t" || flag == "-u") {
            meant.flag("-tu");
        }
    } else {
        meant.targets.push(address.to_owned());
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_timers_of_ss_are_left_out_and_a_format_is_kept() {
        for (argument, expected) in [
            ("-tano", Some("-tan")),
            ("-tnop", Some("-tnp")),
            ("-tulpeno", Some("-tulpen")),
            ("-o", None),
            ("-ojson", None),
            ("-lojson", None),
            ("-tlo=csv", None),
            ("--output", None),
            ("-tan", None),
            ("4000", None),
        ] {
            assert_eq!(without_timers(argument).as_deref(), expected, "{argument}");
        }
    }

    #[test]
    fn what_other_tools_take_is_translated() {
        for (typed, command) in [
            ("state established", "portscope --state established"),
            ("-t state listening", "portscope -t --state listening"),
            ("sport = :22", "portscope :22"),
            ("( sport = :22 )", "portscope :22"),
            ("sport :ssh", "portscope :ssh"),
            ("-tn dport = :443", "portscope -t -n --peer :443"),
            ("dst 10.0.0.0/8", "portscope --peer 10.0.0.0/8"),
            ("src 127.0.0.1", "portscope 127.0.0.1"),
            ("state established and dst 10.0.0.1", "portscope --state established --peer 10.0.0.1"),
            ("-i :8080", "portscope :8080"),
            ("-i:8080", "portscope :8080"),
            ("-iTCP -sTCP:LISTEN", "portscope -t -l"),
            ("-iTCP:80 -sTCP:LISTEN -nP", "portscope -t -l :80"),
            ("-i@127.0.0.1:80", "portscope 127.0.0.1:80"),
            ("-ti :80", "portscope --pids :80"),
            ("-t -i :80", "portscope --pids :80"),
            ("-i", "portscope -tu"),
            ("-iUDP:53", "portscope -u :53"),
            ("lsof -nP -i4TCP:80", "portscope -4 -t :80"),
            ("fuser 8080/tcp", "portscope 8080/tcp"),
            ("fuser -k 8080/tcp", "portscope kill 8080/tcp"),
            ("-k 8080/tcp", "portscope kill 8080/tcp"),
            ("netstat -anp", "portscope -a -n"),
            ("ss -tlnp sport = :22", "portscope -t -l -n :22"),
            ("-s", "portscope usage"),
            ("-c", "portscope watch"),
            ("-tnr", "portscope watch -t -n"),
        ] {
            assert_eq!(hint(&words(typed), true), Some(format!("use `{command}`")), "{typed}");
        }
        assert_eq!(hint(&words("-c -l"), false).unwrap(), "use `watch -n1 portscope -l`");
        assert!(hint(&words("-x"), true).unwrap().contains("`ss -x`"));
        for typed in ["-z", "--lisening", "sport = :22 or sport = :80", "-q 80"] {
            assert_eq!(hint(&words(typed), true), None, "{typed}");
        }
    }

    #[test]
    fn only_what_cannot_be_a_target_is_taken_for_another_tools() {
        for typed in ["state established", "-t sport = :22", "dst 10.0.0.1", "lsof -i", "fuser 80/tcp"] {
            assert!(is_of_another_tool(&words(typed)), "{typed}");
        }
        for typed in [
            "8080",
            "ss",
            "state",
            "nginx 80",
            "--state listen",
            "-l src -t",
            "--sort state 80",
            "state 80",
            "src nginx",
        ] {
            assert!(!is_of_another_tool(&words(typed)), "{typed}");
        }
    }
}
