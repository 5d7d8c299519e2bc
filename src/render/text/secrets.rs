//! Masks the usual secrets in command lines: best effort, and said to be.

use std::ffi::{OsStr, OsString};

/// What stands in the place of a secret.
const MASK: &str = "********";

/// Words in the name of an option or variable whose value is a secret.
const SECRET_WORDS: [&str; 12] = [
    "password",
    "passwd",
    "passphrase",
    "mysql_pwd",
    "pgpassword",
    "secret",
    "token",
    "api_key",
    "apikey",
    "private_key",
    "credential",
    "authorization",
];

/// How well-known keys begin: whatever carries them is a secret without being called one.
const SECRET_BEGINNINGS: [&str; 9] =
    ["ghp_", "gho_", "github_pat_", "glpat-", "xoxb-", "sk-", "AKIA", "eyJhbGci", "hvs."];

/// Returns the arguments with the values of secrets masked.
///
/// An argument that is not valid UTF-8 is masked only when an option before it asks for that.
pub fn masked(argv: &[OsString]) -> Vec<OsString> {
    let mut value_is_secret = false;
    let mut shown = Vec::with_capacity(argv.len());
    for (place, argument) in argv.iter().enumerate() {
        // The first is the program.
        if place == 0 {
            shown.push(argument.clone());
            continue;
        }
        let expected = std::mem::take(&mut value_is_secret);
        let Some(text) = argument.to_str() else {
            shown.push(if expected { MASK.into() } else { argument.clone() });
            continue;
        };
        let is_option = text.starts_with('-');
        if expected && !is_option {
            shown.push(MASK.into());
            continue;
        }
        value_is_secret = is_option && !text.contains('=') && is_secret_name(text);
        shown.push(masked_argument(text, argv[0].as_os_str()).into());
    }
    shown
}

fn masked_argument(text: &str, program: &OsStr) -> String {
    if let Some((name, _)) = text.split_once('=').filter(|(name, _)| is_secret_name(name)) {
        return format!("{name}={MASK}");
    }
    if let Some((name, _)) = text.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("authorization")) {
        return format!("{name}: {MASK}");
    }
    if SECRET_BEGINNINGS.iter().any(|beginning| text.contains(beginning) && text.len() > beginning.len() + 8) {
        return MASK.to_owned();
    }
    if let Some(rest) = text.strip_prefix("-p").filter(|rest| !rest.is_empty() && takes_password(program)) {
        return if rest.bytes().all(|byte| byte.is_ascii_digit()) { text.to_owned() } else { format!("-p{MASK}") };
    }
    masked_url(text).unwrap_or_else(|| text.to_owned())
}

fn is_secret_name(name: &str) -> bool {
    let name = name.trim_start_matches('-').to_ascii_lowercase().replace('-', "_");
    SECRET_WORDS.iter().any(|word| name.contains(word)) && !name.ends_with("_file") && !name.ends_with("_path")
}

/// Programs of the `MySQL` family take the password glued to `-p`.
fn takes_password(program: &OsStr) -> bool {
    let program = program.to_string_lossy();
    let name = program.rsplit('/').next().unwrap_or_default();
    ["mysql", "mariadb", "sshpass"].iter().any(|family| name.starts_with(family))
}

/// Masks the password of `scheme://user:password@host`.
fn masked_url(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (userinfo, _) = rest[..authority_end].rsplit_once('@')?;
    let (user, _) = userinfo.split_once(':')?;
    Some(format!("{scheme}://{user}:{MASK}{}", &rest[userinfo.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_secrets_are_masked_and_the_rest_is_not() {
        for (line, shown) in [
            ("mysqld --password=hunter2 --port=3306", "mysqld --password=******** --port=3306"),
            ("tool --api-key abc --verbose", "tool --api-key ******** --verbose"),
            ("tool --token --verbose", "tool --token --verbose"),
            ("mysql -phunter2 -P3306", "mysql -p******** -P3306"),
            ("ssh -p2222 host", "ssh -p2222 host"),
            ("psql postgres://me:pw@db/x", "psql postgres://me:********@db/x"),
            ("curl https://example.org/a@b:c", "curl https://example.org/a@b:c"),
            ("curl Authorization:abc", "curl Authorization: ********"),
            ("x PGPASSWORD=abc", "x PGPASSWORD=********"),
            ("x --password-file=/etc/pw", "x --password-file=/etc/pw"),
            ("x ghp_0123456789abcdef", "x ********"),
        ] {
            let argv: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let shown: Vec<OsString> = shown.split(' ').map(OsString::from).collect();
            let joined = |argv: &[OsString]| argv.join(OsStr::new(" "));
            assert_eq!(joined(&masked(&argv)), joined(&shown));
        }
    }
}
