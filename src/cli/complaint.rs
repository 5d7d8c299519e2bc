//! One line for what is wrong with a command line, where clap would print a paragraph.

use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

/// Says what was wrong and what is accepted.
pub fn one_line(error: &Error) -> String {
    let context = |kind| error.get(kind).map(text).unwrap_or_default();
    let argument = context(ContextKind::InvalidArg);
    match error.kind() {
        ErrorKind::ValueValidation => match std::error::Error::source(error) {
            // The value's own message names it and says what is accepted.
            Some(source) => match flag_of(&argument) {
                Some(flag) => format!("{flag}: {source}"),
                None => source.to_string(),
            },
            None => paragraph(error),
        },
        ErrorKind::InvalidValue => {
            let value = context(ContextKind::InvalidValue);
            let accepted = context(ContextKind::ValidValue);
            match flag_of(&argument) {
                Some(flag) if value.is_empty() && accepted.is_empty() => format!("{flag} needs a value"),
                Some(flag) if value.is_empty() => format!("{flag} needs a value: expected {accepted}"),
                Some(flag) => {
                    let suggestion = context(ContextKind::SuggestedValue);
                    let suggestion =
                        if suggestion.is_empty() { suggestion } else { format!(" (did you mean `{suggestion}`?)") };
                    format!("{flag}: unknown value `{value}`{suggestion}: expected {accepted}")
                }
                // What clap takes as it is and not empty are the names of files.
                None if accepted.is_empty() => {
                    format!("{} is empty: expected a file name", argument.trim_matches(['<', '>', '[', ']', '.']))
                }
                None => format!("unknown value `{value}`: expected {accepted}"),
            }
        }
        ErrorKind::UnknownArgument => {
            let suggestion = context(ContextKind::SuggestedArg);
            let suggestion = if suggestion.is_empty() { context(ContextKind::SuggestedSubcommand) } else { suggestion };
            if flag_of(&argument).is_none() {
                match usage(error) {
                    Some(usage) => format!("unexpected argument `{argument}`: expected {usage}"),
                    None => format!("unexpected argument `{argument}`; see --help"),
                }
            } else if suggestion.is_empty() {
                format!("unknown option `{argument}`; see --help")
            } else {
                format!("unknown option `{argument}` (did you mean `{suggestion}`?)")
            }
        }
        ErrorKind::ArgumentConflict => {
            let other = context(ContextKind::PriorArg);
            let other = if other.is_empty() { "another argument".to_owned() } else { format!("`{other}`") };
            format!("`{argument}` cannot be used with {other}")
        }
        _ => paragraph(error),
    }
}

/// How the command is called: `portscope info [OPTIONS] <PORT|NAME>`.
fn usage(error: &Error) -> Option<String> {
    let text = error.get(ContextKind::Usage).map(text)?;
    Some(text.strip_prefix("Usage:").unwrap_or(&text).trim().to_owned()).filter(|line| !line.contains('\n'))
}

/// `--pid <PID>` without its value; nothing for a positional argument.
fn flag_of(argument: &str) -> Option<&str> {
    argument.starts_with('-').then(|| argument.split(' ').next()).flatten()
}

fn text(value: &ContextValue) -> String {
    match value {
        ContextValue::String(text) => text.clone(),
        ContextValue::Strings(texts) => texts.join(", "),
        ContextValue::StyledStr(text) => text.to_string(),
        ContextValue::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

/// clap's own words, up to its usage text, on one line.
fn paragraph(error: &Error) -> String {
    let rendered = error.to_string();
    let lines = rendered.lines().take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
    let words: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
    let line = words.join(" ");
    line.strip_prefix("error: ").unwrap_or(&line).to_owned()
}
