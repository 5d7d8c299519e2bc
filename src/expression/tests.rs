//! Which conditions are accepted, what they match, and what is said about the others.

use proptest::prelude::*;

use super::*;

fn socket() -> serde_json::Value {
    let mut object: serde_json::Value = FIELDS.into_iter().map(|name| (name, serde_json::Value::Null)).collect();
    object["protocol"] = "tcp".into();
    object["local"] = serde_json::json!({"address": "127.0.0.1", "port": 8080});
    object["queue"] = serde_json::json!({"used": 3, "limit": 4});
    object["cookie"] = u64::MAX.into();
    object["owner"] = serde_json::json!({"processes": [{"name": "nginx", "exe": "/usr/sbin/nginx"}]});
    object
}

fn holds(text: &str) -> Result<bool, String> {
    text.parse::<Expression>()?.holds(&socket())
}

#[test]
fn an_expression_that_would_not_end_or_take_all_memory_is_refused_at_once() {
    let list = "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33,34,35]";
    let all = format!("{list}.all(a, {list}.all(b, {list}.all(c, {list}.all(d, {list}.all(e, a + b + c + d > e)))))");
    let doubled = format!("['xxxxxxxx']{}.size() == 1", ".map(a, a + a)".repeat(40));
    for text in [all, doubled] {
        let start = Instant::now();
        let error = holds(&text).unwrap_err();
        assert!(error.ends_with("would take too long: nest fewer macros"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(5));
    }
    for text in [
        "owner.processes.exists(p, p.name == 'nginx')",
        "owner.processes.exists(p, p.name.startsWith('n') && p.exe.contains('nginx'))",
        "owner.processes.all(p, owner.processes.exists(q, q.name == p.name))",
        "owner.processes.map(p, p.name + '/' + p.exe).exists(t, t.matches('^n.*x$'))",
        "size(owner.processes.filter(p, p.name == 'nginx')) == 1",
    ] {
        assert_eq!(holds(text), Ok(true), "{text}");
    }
}

#[test]
fn an_expression_is_asked_over_the_fields_of_a_socket() {
    for (text, expected) in [
        ("local.port == 8080", true),
        ("local.port + 1 == 8081 && local.port in [80, 8080]", true),
        ("protocol == 'udp'", false),
        ("queue.used * 10 > queue.limit * 8", false),
        ("cookie > 1", true),
        ("peer == null", true),
        ("peer != null && peer.port == 443", false),
        ("user == 'root'", false),
        ("owner.processes.exists(p, p.exe.startsWith('/usr/'))", true),
        ("owner.processes.all(p, p.name.matches('^ngin[x]$'))", true),
        ("size(owner.processes) == 1", true),
    ] {
        assert_eq!(holds(text), Ok(expected), "{text}");
    }
}

#[test]
fn what_cannot_be_answered_is_an_error_and_never_false() {
    for (text, error) in [
        ("peer.port == 443", "cannot be evaluated"),
        ("uid > 0", "cannot be evaluated"),
        ("local.prot == 80", "no field is called `prot` there: expected address, port"),
        ("local.port", "is not a condition"),
        ("1 + 1", "is not a condition"),
        ("prot == 'tcp'", "`prot` is neither a function nor a field: expected space, protocol"),
        ("nonsense(protocol)", "`nonsense` is neither a function nor a field"),
        ("protocol ==", "is not a valid expression: column "),
        ("", "is not a valid expression"),
    ] {
        let message = holds(text).unwrap_err();
        assert!(message.contains(error) && !message.contains('\n'), "{text}: {message}");
    }
    assert!(" ".repeat(5000).parse::<Expression>().unwrap_err().contains("expected at most 2048"));
}

#[test]
fn to_ask_for_null_first_is_advised_only_where_a_field_is_null() {
    for (text, is_advised) in [
        ("peer.port == 443", true),
        ("uid > 0", true),
        ("uid + 1 == 2", true),
        ("size(peer) > 1", true),
        ("user.startsWith('r')", true),
        ("peer.all(p, p == 1)", true),
        ("uid ? true : false", true),
        ("1/0 == 1", false),
        ("local.port.x == 1", false),
        ("protocol.matches('(')", false),
        ("owner.processes[7].name == 'x'", false),
    ] {
        let message = holds(text).unwrap_err();
        let is_plain = message.contains("cannot be evaluated: ") && !message.contains('\n');
        assert!(is_plain && message.contains("first check that the field is not null") == is_advised, "{message}");
    }
}

#[test]
fn what_rests_on_processes_that_are_not_known_has_no_answer() {
    for (text, answer) in [
        ("owner.processes.exists(p, p.exe == '/opt/x')", Ok(None)),
        ("owner.processes.all(p, p.exe == '/opt/x')", Ok(None)),
        ("owner.processes[0].exe == '/opt/x'", Ok(None)),
        ("size(owner.processes) == 0", Ok(None)),
        ("protocol == 'udp' && owner.processes.exists(p, p.exe == '/opt/x')", Ok(Some(false))),
        ("owner.processes.exists(p, p.exe == '/opt/x') && protocol == 'udp'", Ok(Some(false))),
        ("owner.processes.exists(p, p.exe == '/opt/x') || protocol == 'tcp'", Ok(Some(true))),
        ("local.port == 8080", Ok(Some(true))),
    ] {
        let expression: Expression = text.parse().unwrap();
        assert_eq!(expression.holds_without_processes(socket()), answer, "{text}");
    }
    let expression: Expression = "peer.port == 1".parse().unwrap();
    assert!(expression.holds_without_processes(socket()).is_err(), "a field that is null is a mistake here too");
}

#[test]
fn no_expression_is_too_deep_or_too_long_for_the_stack() {
    for part in ["(", "[", "{", "!", "-", "1+", "a.", "p?", "size(", "!(", "[1].map(p,", "1<", "'", "local[", "[[0],"] {
        assert!(holds(&part.repeat(MOST_BYTES / part.len())).is_err(), "{part}");
    }
    for (first, part, last) in [
        ("1", "+1", "==1"),
        ("1", "<1", ""),
        ("1", "==1", ""),
        ("local", ".a", "==1"),
        ("local", "[0]", "==1"),
        ("local", ".f()", "==1"),
        ("", "-", "1==1"),
        ("", "true?true:", "true"),
    ] {
        let text = |times: usize| format!("{first}{}{last}", part.repeat(times));
        // The parser itself takes `--` away.
        if let Err(longest) = holds(&text((MOST_BYTES - 20) / part.len())) {
            let told = ["nested too deeply", "is not a valid expression"].iter().any(|told| longest.contains(told));
            assert!(told, "{part}: {longest}");
        }
        // As deep as may be: what evaluates it has a stack of 2 MiB in this test, and twice to ten times the need of
        // a release build.
        for times in [10, 20, MOST_NESTED - 3] {
            let _ = holds(&text(times));
        }
    }
    assert_eq!(holds(&format!("true{}", "&&true".repeat(300))), Ok(true), "a chain of && is not deep");
    assert_eq!(holds(&format!("{}true{}", "(".repeat(40), ")".repeat(40))), Ok(true));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _ = holds(&text);
    }

    #[test]
    fn no_scrap_of_the_language_makes_it_panic(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "local", ".", "port", "(", ")", "[", "]", "{", "}", "==", "&&", "||", "!", "-", "?", ":", ",", "1",
                "0x", "9999999999999999999", "'a", "\"\"\"", "b'", "in", "has", "all", "p", "+", "/", "0", "%", "\\", "//",
                "matches", "size", "null", "true", "owner", "@", "\u{0}", "é",
            ]),
            0..24,
        ),
        blank in any::<bool>(),
    ) {
        let text = words.join(if blank { " " } else { "" });
        let _ = holds(&text);
    }
}
