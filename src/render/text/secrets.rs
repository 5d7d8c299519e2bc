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
/// They are bytes: one that is no UTF-8 must not keep a secret from being found. Where it is one it is shown with U+FFFD in
/// place of what is no text.
pub fn masked(argv: &[OsString]) -> Vec<OsString> {
    let mut value_is_secret = false;
    let mut shown = Vec::with_capacity(argv.len());
    for (index, argument) in argv.iter().enumerate() {
        // The first is the program.
        if index == 0 {
            shown.push(argument.clone());
            continue;
        }
        let expected = std::mem::take(&mut value_is_secret);
        let text = argument.to_string_lossy();
        let is_option = text.starts_with('-');
        if expected && !is_option {
            shown.push(MASK.into());
            continue;
        }
        value_is_secret = is_option && !text.contains('=') && is_secret_option(&text);
        let masked = masked_argument(&text, argv[0].as_os_str());
        shown.push(if masked == text { argument.clone() } else { masked.into() });
    }
    shown
}

fn masked_argument(text: &str, program: &OsStr) -> String {
    let is_secret = |name: &str| if name.starts_with('-') { is_secret_option(name) } else { is_secret_name(name) };
    if let Some((name, _)) = text.split_once('=').filter(|(name, _)| is_secret(name)) {
        return format!("{name}={MASK}");
    }
    if let Some((name, _)) = text.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("authorization")) {
        return format!("{name}: {MASK}");
    }
    if SECRET_BEGINNINGS.iter().any(|beginning| text.contains(beginning) && text.len() > beginning.len() + 8) {
        return MASK.to_owned();
    }
    if let Some(rest) = text.strip_prefix("-p").filter(|rest| !rest.is_empty()) {
        // A port, or the password of a program that takes one so. What follows `-p` without a blank and is neither a
        // number nor an address is a password more often than not.
        let is_number = rest.bytes().all(|byte| byte.is_ascii_digit());
        let is_plain_option = rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-' || byte == b'=');
        let is_password = takes_password(program) || !(is_plain_option || rest.contains([':', '/', ',', '=']));
        let known = rest.contains("secret") || rest.contains("pass");
        if !is_number && (is_password || known) {
            return format!("-p{MASK}");
        }
    }
    masked_url(text).unwrap_or_else(|| text.to_owned())
}

/// Says whether the value of an option is a secret: also `--db-pass` and `--redis-pw`, whose last word says so.
fn is_secret_option(name: &str) -> bool {
    let last = name.rsplit(['-', '_', '.']).next().unwrap_or_default().to_ascii_lowercase();
    is_secret_name(name) || ["pass", "pw", "pwd", "psw"].contains(&last.as_str())
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
            ("server -psecret -p8080 -p 80", "server -p******** -p8080 -p 80"),
            ("server --db-pass pw --redis-pw=x --bypass y", "server --db-pass ******** --redis-pw=******** --bypass y"),
            ("docker-proxy -proto tcp -p127.0.0.1:80", "docker-proxy -proto tcp -p127.0.0.1:80"),
        ] {
            let argv: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let shown: Vec<OsString> = shown.split(' ').map(OsString::from).collect();
            let joined = |argv: &[OsString]| argv.join(OsStr::new(" "));
            assert_eq!(joined(&masked(&argv)), joined(&shown));
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_byte_that_is_no_text_hides_no_secret() {
        use std::os::unix::ffi::OsStringExt;
        let argv = |words: &[&[u8]]| words.iter().map(|word| OsString::from_vec(word.to_vec())).collect::<Vec<_>>();
        let shown = masked(&argv(&[b"x", b"--password=hunter2\x9b", b"a\x9b", b"--token", b"b\x9b"]));
        assert_eq!(shown, argv(&[b"x", b"--password=********", b"a\x9b", b"--token", b"********"]));
    }
}
