//! Credentials that are recognised by what they decode to, or by the name they stand under.

use super::Hit;
use super::encoding::{base64, base64_url, is_varied};

/// How a JSON Web Token begins: `{"` in base64.
pub const JWT: &str = "eyJ";
/// The names of AWS's secret access key.
pub const AWS_SECRET: [&str; 4] = ["aws_secret_access_key", "AWS_SECRET_ACCESS_KEY", "SecretAccessKey", "secretAccessKey"];
/// In connection strings of Azure's storage.
pub const AZURE: &str = "AccountKey=";
/// In docker's config.json.
pub const DOCKER: &str = "\"auth\"";
/// Slack's incoming webhooks.
pub const SLACK_HOOK: &str = "hooks.slack.com/services/";

/// RFC 7519, section 3: header and claims are JSON objects, and the header has an `alg` that is not `none`.
pub fn jwt(text: &[u8], start: usize) -> Option<Hit> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-' || *byte == b'_';
    if start > 0 && text.get(start - 1).is_some_and(|before| is_part(before) || *before == b'.') {
        return None;
    }
    let rest = &text[start..];
    let mut parts = [&rest[..0]; 3];
    let mut at = 0;
    for (index, part) in parts.iter_mut().enumerate() {
        if index > 0 {
            at += usize::from(rest.get(at) == Some(&b'.'));
        }
        let length = rest[at..].iter().take_while(|byte| is_part(byte)).count();
        *part = &rest[at..at + length];
        at += length;
    }
    let [header, claims, signature] = parts;
    let object = |part: &[u8]| serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&base64_url(part)?).ok();
    let algorithm = object(header)?.get("alg")?.as_str()?.to_owned();
    object(claims)?;
    (algorithm != "none" && signature.len() >= 20).then(|| Hit::new("jwt", start, start + at, JWT))
}

/// 40 characters of base64 after the name, `=` or `:` and quotes between.
pub fn aws_secret(text: &[u8], start: usize, name: &str) -> Option<Hit> {
    let from = value_after(text, start + name.len())?;
    let length = text[from..].iter().take(41).take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'/' || **byte == b'+').count();
    let value = &text[from..from + length];
    (length == 40 && is_varied(value) && value.iter().any(u8::is_ascii_digit))
        .then(|| Hit::new("aws-secret-key", start, from + length, name))
}

/// 64 bytes in base64.
pub fn azure(text: &[u8], start: usize) -> Option<Hit> {
    let from = start + AZURE.len();
    let value = text.get(from..from + 88)?;
    (base64(value)?.len() == 64 && is_varied(value)).then(|| Hit::new("azure-storage-key", start, from + 88, AZURE))
}

/// `"auth": "…"`, base64 of `user:password`.
pub fn docker(text: &[u8], start: usize) -> Option<Hit> {
    let from = value_after(text, start + DOCKER.len())?;
    let length = text[from..].iter().take(4096).take_while(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(byte)).count();
    if length < 8 || text.get(from + length) != Some(&b'"') {
        return None;
    }
    let decoded = String::from_utf8(base64(&text[from..from + length])?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    let graphic = |text: &str| !text.is_empty() && text.chars().all(|character| !character.is_control());
    (graphic(user) && graphic(password)).then(|| Hit::new("docker-auth", start, from + length, DOCKER))
}

/// `T…/B…/` and 24 characters.
pub fn slack_hook(text: &[u8], start: usize) -> Option<Hit> {
    let rest = &text[start + SLACK_HOOK.len()..];
    let length = rest.iter().take(100).take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'/').count();
    let mut parts = rest[..length].split(|byte| *byte == b'/');
    let (team, hook, key) = (parts.next()?, parts.next()?, parts.next()?);
    let formed = team.starts_with(b"T") && hook.starts_with(b"B") && team.len() >= 9 && hook.len() >= 9 && key.len() == 24;
    (formed && is_varied(key)).then(|| Hit::new("slack-webhook", start, start + SLACK_HOOK.len() + length, SLACK_HOOK))
}

/// Where the value begins that `=`, `:` or a comma gives to the name before `at`.
fn value_after(text: &[u8], at: usize) -> Option<usize> {
    let gap = text.get(at..)?.iter().take(12).take_while(|byte| b" \t\"'=:>,".contains(byte)).count();
    text[at..at + gap].iter().any(|byte| b"=:,".contains(byte)).then_some(at + gap)
}
