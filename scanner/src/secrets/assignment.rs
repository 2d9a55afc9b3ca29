//! Passwords and keys that are only known by the name they are assigned to, or by their place in a URL.
//!
//! They are looked for where configuration is written, not in programs or in what distributions and registries publish.

use super::Hit;
use super::encoding::{entropy, is_placeholder};

/// Names of what is secret, in lower case; of the second kind the value must look random.
const PASSWORDS: [&str; 4] = ["password", "passwd", "passphrase", "pgpass"];
const KEYS: [&str; 12] = [
    "secret",
    "token",
    "api_key",
    "apikey",
    "api-key",
    "access_key",
    "accesskey",
    "private_key",
    "signing_key",
    "encryption_key",
    "master_key",
    "credential",
];
/// Ends of names that speak of a secret and hold none.
const ABOUT: [&str; 16] = [
    "file",
    "path",
    "url",
    "uri",
    "name",
    "id",
    "length",
    "type",
    "ttl",
    "size",
    "count",
    "header",
    "expiry",
    "endpoint",
    "algorithm",
    "policy",
];
/// Folders of what others publish.
const PUBLISHED: [&str; 7] = ["node_modules/", "site-packages/", "dist-packages/", "usr/share/", "usr/lib/", "usr/src/", "usr/include/"];
/// Endings of files in which configuration is written.
const CONFIGURATION: [&str; 17] = [
    "env",
    "properties",
    "yaml",
    "yml",
    "json",
    "toml",
    "ini",
    "conf",
    "cfg",
    "cnf",
    "tfvars",
    "npmrc",
    "pypirc",
    "netrc",
    "pgpass",
    "sh",
    "config",
];
/// Files without an ending in which credentials are kept.
const CREDENTIALS: [&str; 6] = ["credentials", ".git-credentials", "config", ".boto", ".s3cfg", "Dockerfile"];

/// Whether configuration is written in a file at `path`.
pub fn is_configuration(path: &str) -> bool {
    if PUBLISHED.iter().any(|folder| path.contains(folder)) {
        return false;
    }
    let name = crate::path::split(path).1;
    let ending = name.rsplit_once('.').map(|(_, ending)| ending);
    ending.is_some_and(|ending| CONFIGURATION.contains(&ending)) || CREDENTIALS.contains(&name) || name.starts_with(".env")
}

/// Whether hashes of passwords are kept in a file at `path` (shadow(5), htpasswd).
pub fn is_password_file(path: &str) -> bool {
    matches!(path, "etc/shadow" | "etc/shadow-" | "etc/gshadow" | "etc/gshadow-") || path.ends_with("htpasswd")
}

/// `user:$6$…` as crypt(5) writes it, or htpasswd's `$apr1$`.
pub fn password_hashes(text: &[u8]) -> Vec<Hit> {
    lines(text)
        .filter_map(|(at, line)| {
            let colon = memchr::memchr(b':', line)?;
            let hash = line[colon + 1..].split(|byte| *byte == b':').next()?;
            let is_hash = hash.len() >= 13 && hash.starts_with(b"$") && hash.iter().filter(|byte| **byte == b'$').count() >= 2;
            is_hash.then(|| Hit::new("password-hash", at, at + colon + 1 + hash.len(), &crate::path::printable(&line[..colon + 1])))
        })
        .collect()
}

/// Assignments and URLs in a text.
pub fn in_lines(text: &[u8]) -> Vec<Hit> {
    lines(text)
        .filter(|(_, line)| line.len() <= 64 * 1024)
        .flat_map(|(at, line)| assigned(at, line).into_iter().chain(urls(at, line)))
        .collect()
}

fn lines(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    text.split(|byte| *byte == b'\n').map(move |line| {
        let start = at;
        at += line.len() + 1;
        (start, line)
    })
}

/// Every `name = value`, `name: value` and `"name": "value"` of a line.
fn assigned(at: usize, line: &[u8]) -> Vec<Hit> {
    let separators = memchr::memchr2_iter(b'=', b':', line);
    let mut hits: Vec<Hit> = vec![];
    let mut done = 0;
    for separator in separators {
        let Some((from, name)) = name_before(line, separator) else { continue };
        let Some((start, end)) = value_after(line, separator + 1) else { continue };
        if from >= done && is_secret(&name.to_ascii_lowercase(), &line[start..end]) {
            hits.push(Hit::new("assigned-secret", at + from, at + end, &format!("{name}=")));
            done = end;
        }
    }
    // .netrc: `machine HOST login USER password VALUE`.
    if let Some(found) = memchr::memmem::find(line, b" password ").filter(|_| line.starts_with(b"machine ")) {
        let start = found + b" password ".len();
        let length = line[start..].iter().take_while(|byte| byte.is_ascii_graphic()).count();
        if length > 0 && !is_placeholder(&line[start..start + length]) {
            hits.push(Hit::new("assigned-secret", at, at + start + length, "machine password "));
        }
    }
    hits
}

fn name_before(line: &[u8], separator: usize) -> Option<(usize, String)> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    let before = line[..separator].trim_ascii_end();
    let before = before.strip_suffix(b"\"").or_else(|| before.strip_suffix(b"'")).unwrap_or(before);
    let length = before.iter().rev().take(64).take_while(|byte| is_name(byte)).count();
    let from = before.len() - length;
    let name = std::str::from_utf8(&before[from..]).ok()?.trim_start_matches(['-', '.']);
    (!name.is_empty()).then(|| (from, name.to_owned()))
}

fn value_after(line: &[u8], from: usize) -> Option<(usize, usize)> {
    let start = from + line[from..].iter().take_while(|byte| b" \t".contains(byte)).count();
    let quote = line.get(start).copied().filter(|byte| b"\"'`".contains(byte));
    let start = start + usize::from(quote.is_some());
    let ends = |byte: u8| match quote {
        Some(quote) => byte == quote,
        None => byte.is_ascii_whitespace() || b",;\"'&".contains(&byte),
    };
    let length = line[start..].iter().take_while(|byte| !ends(**byte)).count();
    (length > 0).then_some((start, start + length))
}

fn is_secret(name: &str, value: &[u8]) -> bool {
    if ABOUT.iter().any(|word| name.ends_with(word)) || name.contains("public") || name.contains("tokenizer") || name.ends_with("tokens") {
        return false;
    }
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    let (least, bits) = if has(&PASSWORDS) {
        (8, 2.5)
    } else if has(&KEYS) {
        (16, 3.2)
    } else {
        return false;
    };
    let kinds = [u8::is_ascii_lowercase, u8::is_ascii_uppercase, u8::is_ascii_digit, u8::is_ascii_punctuation];
    let kinds = kinds.iter().filter(|kind| value.iter().any(kind)).count();
    // Letters alone are a secret when their case changes as it does in no name.
    let changes = value.windows(2).filter(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase()).count();
    let varied = kinds >= 2 && (changes >= 3 || value.iter().any(|byte| !byte.is_ascii_alphabetic()));
    (least..=512).contains(&value.len()) && varied && entropy(value) >= bits && is_literal(value) && !is_placeholder(value)
}

/// Whether a value stands there itself: no variable, reference, path, address, call or template.
fn is_literal(value: &[u8]) -> bool {
    let printable = value.iter().all(|byte| byte.is_ascii_graphic());
    let refers = [
        &b"$"[..],
        b"<",
        b"{",
        b"%",
        b"@",
        b"/",
        b"./",
        b"../",
        b"http:",
        b"https:",
        b"file:",
        b"env:",
        b"arn:",
        b"vault:",
        b"sha256:",
        b"[",
        b"!",
    ]
    .iter()
    .any(|beginning| value.starts_with(beginning));
    let computes = value.iter().any(|byte| b"(){}<>[]".contains(byte)) || memchr::memmem::find(value, b"${").is_some();
    let words = value.split(|byte| b"-_.".contains(byte)).all(|word| word.iter().all(u8::is_ascii_lowercase));
    printable && !refers && !computes && !words
}

/// RFC 3986, section 3.2.1: `scheme://user:password@host`.
fn urls(at: usize, line: &[u8]) -> Vec<Hit> {
    memchr::memmem::find_iter(line, b"://")
        .filter_map(|separator| url(line, separator))
        .map(|(start, end, scheme)| Hit::new("url-password", at + start, at + end, &format!("{scheme}://")))
        .collect()
}

fn url(line: &[u8], separator: usize) -> Option<(usize, usize, String)> {
    let length = line[..separator].iter().rev().take(24).take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte)).count();
    let scheme = std::str::from_utf8(&line[separator - length..separator]).ok()?;
    let authority = &line[separator + 3..];
    let end = authority
        .iter()
        .take(512)
        .position(|byte| !byte.is_ascii_graphic() || b"/?#\"'<>`".contains(byte))
        .unwrap_or(authority.len().min(512));
    let at = authority[..end].iter().rposition(|byte| *byte == b'@')?;
    let colon = memchr::memchr(b':', &authority[..at])?;
    let password = &authority[colon + 1..at];
    let common = [&b"password"[..], b"pass", b"passwd", b"pwd", b"secret", b"token", b"user", b"postgres", b"root", b"guest"];
    let plain = password.len() >= 4
        && is_literal_password(password)
        && !is_placeholder(password)
        && !common.contains(&password.to_ascii_lowercase().as_slice());
    let host = &authority[at + 1..end];
    let is_example = memchr::memmem::find(host, b"example.").is_some();
    (plain && !scheme.is_empty() && !host.is_empty() && !is_example).then(|| (separator - length, separator + 3 + at, scheme.to_owned()))
}

fn is_literal_password(password: &[u8]) -> bool {
    !password.iter().any(|byte| b"${}()<>[]*".contains(byte)) && !password.starts_with(b"%")
}
