//! The names and fixed words that an expression may compare, checked before anything runs: a name that no field has, or a
//! word that a field never has, would otherwise silently match nothing.

use cel::common::ast::{EntryExpr, Expr, IdedEntryExpr, IdedExpr, LiteralValue, operators};

use super::FIELDS;
use crate::model::{Category, Exposure, Family, ForwardedBy, Protocol, ServiceSource, State};

/// What a field holds, as far as that can be checked.
#[derive(Clone, Copy)]
enum Kind {
    /// Any value.
    Any,
    /// One of these words.
    Word(fn() -> Vec<&'static str>),
    /// An object with these fields.
    Object(&'static [(&'static str, Kind)]),
    /// A list of such values.
    List(&'static Kind),
}

use Kind::{Any, List, Object, Word};

const ENDPOINT: Kind = Object(&[("address", Any), ("port", Any)]);
const CONTAINER: Kind =
    Object(&[("runtime", Any), ("id", Any), ("name", Any), ("image", Any), ("pod", Any), ("compose", Any)]);
const REDIRECTION: Kind = Object(&[("answer", Any), ("to", Any), ("rule", Any), ("senders", Any), ("reason", Any)]);
const PROJECT: Kind = Object(&[("name", Any), ("branch", Any), ("folder", Any), ("source", Any)]);
const PROCESS: Kind = Object(&[
    ("pid", Any),
    ("fd", Any),
    ("fds", Any),
    ("name", Any),
    ("exe", Any),
    ("runs", Any),
    ("project", PROJECT),
    ("cwd", Any),
    ("argv", Any),
    ("started_at", Any),
    ("uid", Any),
    ("user", Any),
    ("parent", Any),
    ("undecodable", Any),
]);

/// What a field of a socket holds.
fn kind_of(field: &str) -> Kind {
    const TIERS: fn() -> Vec<&'static str> = || vec!["process", "unit", "container", "user", "none", "hidden"];
    match field {
        "protocol" => Word(|| Protocol::ALL.iter().map(|one| one.name()).collect()),
        "family" => Word(|| Family::ALL.iter().map(|one| one.name()).collect()),
        "state" => Word(|| State::ALL.iter().map(|one| one.name()).collect()),
        "category" => Word(|| Category::ALL.iter().map(|one| one.name()).collect()),
        "exposure" => Word(|| Exposure::ALL.iter().map(|one| one.name()).collect()),
        "local" | "peer" => ENDPOINT,
        "service" => Object(&[
            ("name", Any),
            ("source", Word(|| ServiceSource::ALL.iter().map(|one| one.name()).collect())),
            ("description", Any),
        ]),
        "queue" => Object(&[("used", Any), ("limit", Any)]),
        "traffic" => {
            Object(&[("received", Any), ("sent", Any), ("rtt_us", Any), ("retransmits", Any), ("idle_ms", Any)])
        }
        "forward" => Object(&[
            ("by", Word(|| ForwardedBy::ALL.iter().map(|one| one.name()).collect())),
            ("to", Object(&[("address", Any), ("port", Any), ("ports", Any)])),
            ("container", CONTAINER),
        ]),
        "reachability" => Object(&[("outside", REDIRECTION), ("local", REDIRECTION), ("filtered", Any)]),
        "activation" => Object(&[("socket", Any), ("service", Any)]),
        "owner" => Object(&[
            ("tier", Word(TIERS)),
            ("reason", Any),
            ("processes", List(&PROCESS)),
            ("unit", Any),
            ("container", CONTAINER),
            ("outer_container", CONTAINER),
            ("claims", Any),
        ]),
        _ => Any,
    }
}

/// Names that the macros of the language bind, each with what it stands for.
type Bound<'e> = Vec<(&'e str, Kind)>;

/// Says what is wrong with a name or word of the expression.
pub fn check(expression: &IdedExpr) -> Result<(), String> {
    look(expression, &mut Vec::new()).map(|_| ())
}

/// Checks one part, and says what it holds.
fn look<'e>(part: &'e IdedExpr, bound: &mut Bound<'e>) -> Result<Kind, String> {
    match &part.expr {
        Expr::Ident(name) => named(name, bound),
        Expr::Select(select) => match look(&select.operand, bound)? {
            Object(fields) => match fields.iter().find(|(name, _)| *name == select.field) {
                Some((_, kind)) => Ok(*kind),
                None => Err(unknown_field(&select.field, fields)),
            },
            List(_) | Word(_) => Err(format!("`{}` is asked of something that has no fields", select.field)),
            Any => Ok(Any),
        },
        Expr::Call(call) => {
            let target = call.target.as_deref().map(|target| look(target, bound)).transpose()?;
            let kinds = call.args.iter().map(|argument| look(argument, bound)).collect::<Result<Vec<Kind>, _>>()?;
            compare(&call.func_name, &call.args, &kinds)?;
            Ok(match (&*call.func_name, target, kinds.first()) {
                (operators::INDEX, None, Some(List(kind))) => **kind,
                _ => Any,
            })
        }
        Expr::Comprehension(each) => {
            let element = match look(&each.iter_range, bound)? {
                List(kind) => *kind,
                Any | Word(_) | Object(_) => Any,
            };
            look(&each.accu_init, bound)?;
            let before = bound.len();
            bound.push((&each.accu_var, Any));
            bound.push((&each.iter_var, element));
            bound.extend(each.iter_var2.as_deref().map(|name| (name, element)));
            for part in [&each.loop_cond, &each.loop_step, &each.result] {
                look(part, bound)?;
            }
            bound.truncate(before);
            Ok(Any)
        }
        Expr::List(list) => {
            list.elements.iter().try_for_each(|element| look(element, bound).map(|_| ()))?;
            Ok(Any)
        }
        Expr::Map(map) => map.entries.iter().try_for_each(|part| entry(part, bound)).map(|()| Any),
        Expr::Struct(fields) => fields.entries.iter().try_for_each(|part| entry(part, bound)).map(|()| Any),
        Expr::Unspecified | Expr::Literal(_) => Ok(Any),
    }
}

fn entry<'e>(part: &'e IdedEntryExpr, bound: &mut Bound<'e>) -> Result<(), String> {
    match &part.expr {
        EntryExpr::StructField(field) => look(&field.value, bound).map(|_| ()),
        EntryExpr::MapEntry(entry) => {
            look(&entry.key, bound)?;
            look(&entry.value, bound).map(|_| ())
        }
    }
}

fn named(name: &str, bound: &Bound<'_>) -> Result<Kind, String> {
    if let Some((_, kind)) = bound.iter().rev().find(|(known, _)| *known == name) {
        return Ok(*kind);
    }
    if FIELDS.contains(&name) {
        return Ok(kind_of(name));
    }
    Err(format!("`{name}` is neither a function nor a field: expected {}", FIELDS.join(", ")))
}

fn unknown_field(name: &str, fields: &[(&str, Kind)]) -> String {
    let known: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    format!("no field is called `{name}` there: expected {}", known.join(", "))
}

/// Checks the words that a field with a fixed vocabulary is compared with.
fn compare(operator: &str, arguments: &[IdedExpr], kinds: &[Kind]) -> Result<(), String> {
    let (Some(one), Some(other)) = (arguments.first(), arguments.get(1)) else { return Ok(()) };
    let (words, wanted): (_, Vec<&IdedExpr>) = match (operator, kinds) {
        (operators::EQUALS | operators::NOT_EQUALS, [Word(words), _]) => (words(), vec![other]),
        (operators::EQUALS | operators::NOT_EQUALS, [_, Word(words)]) => (words(), vec![one]),
        (operators::IN, [Word(words), _]) => match &other.expr {
            Expr::List(list) => (words(), list.elements.iter().collect()),
            _ => return Ok(()),
        },
        _ => return Ok(()),
    };
    for wanted in wanted {
        if let Expr::Literal(LiteralValue::String(text)) = &wanted.expr
            && !words.contains(&text.inner())
        {
            let word = text.inner();
            let near = words.iter().find(|known| known.eq_ignore_ascii_case(word));
            let near = near.map(|near| format!(" (did you mean '{near}'?)")).unwrap_or_default();
            return Err(format!("no value is ever '{word}' there{near}: expected {}", words.join(", ")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Expression;

    #[test]
    fn a_name_or_word_that_never_matches_is_refused_before_anything_runs() {
        for (text, problem) in [
            ("true || nope", "`nope` is neither a function nor a field: expected space, "),
            ("state == 'listen'", "no value is ever 'listen' there (did you mean 'LISTEN'?): expected LISTEN, BOUND"),
            ("'TCP' != protocol", "no value is ever 'TCP' there (did you mean 'tcp'?): expected tcp, udp"),
            ("state in ['LISTEN', 'OPEN']", "no value is ever 'OPEN' there: expected LISTEN"),
            ("false && owner.tier == 'root'", "no value is ever 'root' there: expected process, unit"),
            ("true || local.prot == 80", "no field is called `prot` there: expected address, port"),
            ("peer != null && peer.adress == ''", "no field is called `adress` there: expected address, port"),
            ("owner.processes.exists(p, p.nam == 'x')", "no field is called `nam` there: expected pid, fd"),
            ("owner.processes[0].nam == 'x'", "no field is called `nam` there: expected pid, fd"),
            ("owner.processes.all(p, q == 1)", "`q` is neither"),
            ("forward != null && forward.by == 'docker'", "no value is ever 'docker' there: expected proxy, nat"),
        ] {
            let message = text.parse::<Expression>().unwrap_err();
            assert!(message.contains(problem), "{text}: {message}");
        }
        for text in [
            "state == 'LISTEN' || state == null",
            "category in ['well-known', 'dynamic']",
            "owner.processes.exists(p, p.exe != null && p.exe.startsWith('/usr'))",
            "owner.processes.map(p, p.pid).exists(n, n > 1)",
            "has(local.port) && size(owner.processes) == 0",
            "[1, 2].exists(n, n == local.port)",
            "service != null && service.source == 'iana'",
            "owner.processes[0].project.name == 'shop'",
        ] {
            assert!(text.parse::<Expression>().is_ok(), "{text}: {:?}", text.parse::<Expression>());
        }
    }

    #[test]
    fn every_field_of_a_socket_is_known_here() {
        use crate::render::document::listing;
        fn all(value: &serde_json::Value, path: &str, paths: &mut Vec<String>) {
            match value {
                serde_json::Value::Object(fields) => {
                    for (name, value) in fields {
                        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                        paths.push(path.clone());
                        all(value, &path, paths);
                    }
                }
                serde_json::Value::Array(values) => {
                    for value in values {
                        all(value, &format!("{path}[0]"), paths);
                    }
                }
                _ => {}
            }
        }
        let snapshot = crate::testing::snapshot();
        let listing = crate::join::listing(&snapshot, None);
        let mut paths = Vec::new();
        for row in &listing.rows {
            all(&serde_json::to_value(listing::socket(row)).unwrap(), "", &mut paths);
        }
        assert!(paths.iter().any(|path| path == "owner.processes[0].runs"), "{paths:?}");
        for path in paths {
            let condition = format!("{path} == null");
            assert!(condition.parse::<Expression>().is_ok(), "{condition}: {:?}", condition.parse::<Expression>());
        }
    }
}
