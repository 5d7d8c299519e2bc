//! What is said of a mistake in the file of a policy.

use crate::analyse::policy::{Kind, PolicyError, Problem, ValueFault};

/// Says where the mistake is, what it is, and what is accepted, in one line.
pub fn error(error: &PolicyError) -> String {
    format!("line {}, column {}: {}", error.line, error.column, problem(&error.problem))
}

fn problem(problem: &Problem) -> String {
    match problem {
        Problem::NotToml(words) => words.clone(),
        Problem::UnknownKey { name, near, known } => {
            let suggestion = near.map(|key| format!(" (did you mean `{key}`?)")).unwrap_or_default();
            format!("unknown key `{name}`{suggestion}: expected {}", known.join(", "))
        }
        Problem::NotTables(verb) => {
            let verb = verb.name();
            format!("`{verb}`: expected tables under `[[{verb}]]`")
        }
        Problem::SeverityOfAllow => {
            "`severity`: not accepted in [[allow]]: expected it in [[require]] or [[forbid]]".to_owned()
        }
        Problem::SuppressOfOther => "`suppress`: accepted in [[allow]] only".to_owned(),
        Problem::NoCondition(verb) => format!(
            "[[{}]] has no condition and would match everything: expected at least one of protocol, port, service, exposure, \
             space, exe, unit, container, user, when",
            verb.name()
        ),
        Problem::Value { key, fault } => format!("`{key}`: {}", value(fault)),
        Problem::NoAnswer { protocol, local, reason } => {
            format!("`when`, evaluated for {} {local}: {reason}", protocol.name())
        }
    }
}

fn value(fault: &ValueFault) -> String {
    match fault {
        ValueFault::EmptyList => "the list is empty: expected at least one value".to_owned(),
        ValueFault::NotAString(found) => format!("{} is not accepted: expected a quoted string", kind(*found)),
        ValueFault::NotPorts(found) => format!("{} is not accepted: expected 1-65535 or \"LOW-HIGH\"", kind(*found)),
        ValueFault::NotAChoice { value, known } => format!("unknown value `{value}`: expected {}", known.join(", ")),
        ValueFault::EmptyPattern => {
            "an empty string matches nothing: expected a name, in which `*` matches any characters".to_owned()
        }
        ValueFault::NotAUid(number) => format!("`{number}` is not a user ID: expected 0-4294967295"),
        ValueFault::Ports(error) => error.to_string(),
        ValueFault::UnknownService(name) => {
            format!("no service is named `{name}`: expected a name listed by `portscope services --all`")
        }
        ValueFault::NotADate => "expected a date, such as 2027-12-31".to_owned(),
        ValueFault::NotACondition(words) => words.clone(),
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::String => "a string",
        Kind::Integer => "a number",
        Kind::Float => "a decimal number",
        Kind::Boolean => "a boolean",
        Kind::Datetime => "a date or time",
        Kind::Array => "a list",
        Kind::Table => "a table",
    }
}

#[cfg(test)]
mod tests {
    use crate::analyse::policy::parse;
    use crate::catalogue::Catalogue;

    #[test]
    fn an_error_names_line_column_and_key() {
        for (text, beginning) in [
            (
                "defualt = \"deny\"",
                "line 1, column 1: unknown key `defualt` (did you mean `default`?): expected default, disable, [[allow]]",
            ),
            ("default = \"maybe\"", "line 1, column 11: `default`: unknown value `maybe`: expected allow, deny"),
            ("default = 1", "line 1, column 11: `default`: a number is not accepted: expected a quoted string"),
            ("disable = [\"x\"]", "line 1, column 12: `disable`: unknown value `x`: expected exposed-service"),
            ("[allow]\nport = 1", "line 1, column 1: `allow`: expected tables under `[[allow]]`"),
            ("allow = [1]", "line 1, column 10: `allow`: expected tables under `[[allow]]`"),
            ("[[allow]]\nport = 70000", "line 2, column 8: `port`: `70000` is not a port: expected 1-65535"),
            ("[[allow]]\nport = -1", "line 2, column 8: `port`: `-1` is not a port: expected 1-65535"),
            ("[[allow]]\nport = \"9-1\"", "line 2, column 8: `port`: `9-1` is not a range"),
            (
                "[[allow]]\nport = [1,\n true]",
                "line 3, column 2: `port`: a boolean is not accepted: expected 1-65535 or \"LOW-HIGH\"",
            ),
            ("[[allow]]\nport = 80.5", "line 2, column 8: `port`: a decimal number is not accepted: expected 1-65535"),
            (
                "[[allow]]\nexe = 1e9",
                "line 2, column 7: `exe`: a decimal number is not accepted: expected a quoted string",
            ),
            ("[[allow]]\nport = []", "line 2, column 8: `port`: the list is empty"),
            (
                "[[allow]]\nprot = 1",
                "line 2, column 1: unknown key `prot` (did you mean `protocol`?): expected comment, expires",
            ),
            (
                "[[allow]]\nprotocol = \"icmp\"",
                "line 2, column 12: `protocol`: unknown value `icmp`: expected tcp, udp",
            ),
            ("[[allow]]\nexe = \"\"", "line 2, column 7: `exe`: an empty string matches nothing"),
            ("[[allow]]\nservice = \"no-such\"", "line 2, column 11: `service`: no service is named `no-such`"),
            ("[[allow]]\nuser = -1", "line 2, column 8: `user`: `-1` is not a user ID: expected 0-4294967295"),
            (
                "[[allow]]\nexpires = \"2027-13-01\"",
                "line 2, column 11: `expires`: expected a date, such as 2027-12-31",
            ),
            ("[[allow]]\nexpires = 10:00:00", "line 2, column 11: `expires`: expected a date"),
            ("[[allow]]\nwhen = \"prot == 1\"", "line 2, column 8: `when`: `prot == 1`: `prot` is neither"),
            ("[[allow]]\nseverity = \"low\"", "line 2, column 1: `severity`: not accepted in [[allow]]"),
            ("[[forbid]]\nsuppress = \"x\"", "line 2, column 1: `suppress`: accepted in [[allow]] only"),
            (
                "# é\n[[allow]]\ncomment = \"x\"",
                "line 2, column 1: [[allow]] has no condition and would match everything",
            ),
            ("[[allow]]\nport = ", "line 2, column 8: "),
            ("[[allow]]\nport = 1\nport = 2", "line 3, column 1: duplicate key"),
            ("\"é\" = x", "line 1, column 7: "),
        ] {
            let message = super::error(&parse(text, &Catalogue::default()).unwrap_err());
            assert!(message.starts_with(beginning) && !message.contains('\n'), "{text}\n{message}\n{beginning}");
        }
    }
}
