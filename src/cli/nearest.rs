//! What a mistyped word was meant to be.

use strsim::damerau_levenshtein;

/// Adds the name that is nearest to what was typed to a message that says what is accepted.
pub fn suggesting(problem: String, typed: &str, names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let typed = typed.trim_start_matches(['+', '-']).to_ascii_lowercase();
    let distance = |name: &str| damerau_levenshtein(&typed, name);
    let nearest = names.into_iter().map(|name| (distance(name.as_ref()), name)).min_by_key(|(distance, _)| *distance);
    match nearest {
        // A third of the letters may be wrong; beyond that the suggestion would be a guess.
        Some((distance, name)) if distance <= 1.max(typed.len() / 3) => {
            problem.replacen(": expected", &format!(" (did you mean `{}`?): expected", name.as_ref()), 1)
        }
        _ => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_name_is_suggested_and_a_far_one_is_not() {
        let problem = |word: &str| {
            suggesting(format!("`{word}` is not a column: expected pid, process"), word, ["pid", "process"])
        };
        assert_eq!(problem("pdi"), "`pdi` is not a column (did you mean `pid`?): expected pid, process");
        assert_eq!(problem("proces"), "`proces` is not a column (did you mean `process`?): expected pid, process");
        assert_eq!(problem("weather"), "`weather` is not a column: expected pid, process");
    }
}
