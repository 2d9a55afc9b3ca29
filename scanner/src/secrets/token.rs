//! Tokens that services give a fixed beginning and a fixed form, so that they can be found when they leak.

use super::Hit;
use super::encoding::{base64_url, has_crc32_base62, is_varied};

/// A token's form.
pub struct Token {
    pub kind: &'static str,
    pub what: &'static str,
    /// How it begins.
    pub prefix: &'static str,
    /// Which bytes follow, and how many.
    alphabet: fn(u8) -> bool,
    least: usize,
    most: usize,
    check: fn(&[u8]) -> bool,
}

const fn word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

const fn url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

const fn underscored(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

const fn hex(byte: u8) -> bool {
    byte.is_ascii_digit() || (byte >= b'a' && byte <= b'f')
}

const fn base32(byte: u8) -> bool {
    byte.is_ascii_uppercase() || (byte >= b'2' && byte <= b'7')
}

const fn bech32(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

/// What a row of [`TOKENS`] is made of.
type Row = (&'static str, &'static str, &'static str, fn(u8) -> bool, usize, usize, fn(&[u8]) -> bool);

const fn token(row: Row) -> Token {
    let (kind, what, prefix, alphabet, least, most, check) = row;
    Token { kind, what, prefix, alphabet, least, most, check }
}

const GITHUB: &str = "prefix, 30 characters, and their CRC-32 in base62";
const AWS: &str = "AKIA or ASIA, 16 characters of base32 that hold an account's number";
const SLACK: &str = "prefix, numbers of workspace and user, key";
const STRIPE: &str = "live key of 24 characters or more";
const GITLAB: &str = "prefix and 20 characters or more";
const RANDOM: &str = "prefix and a random part of the service's length";

/// The tokens. A prefix stands here once.
pub const TOKENS: [Token; 36] = [
    token(("github-token", GITHUB, "ghp_", word, 36, 36, has_crc32_base62)),
    token(("github-token", GITHUB, "gho_", word, 36, 36, has_crc32_base62)),
    token(("github-token", GITHUB, "ghu_", word, 36, 36, has_crc32_base62)),
    token(("github-token", GITHUB, "ghs_", word, 36, 36, has_crc32_base62)),
    token(("github-token", GITHUB, "ghr_", word, 36, 36, has_crc32_base62)),
    token(("github-fine-grained-token", RANDOM, "github_pat_", underscored, 82, 82, is_varied)),
    token(("npm-token", GITHUB, "npm_", word, 36, 36, has_crc32_base62)),
    token(("pypi-token", "a macaroon of pypi.org", "pypi-", url, 85, 512, is_pypi)),
    token(("aws-access-key", AWS, "AKIA", base32, 16, 16, is_aws)),
    token(("aws-access-key", AWS, "ASIA", base32, 16, 16, is_aws)),
    token(("gitlab-token", GITLAB, "glpat-", url, 20, 64, is_varied)),
    token(("gitlab-token", GITLAB, "gldt-", url, 20, 64, is_varied)),
    token(("gitlab-token", GITLAB, "glrt-", url, 20, 64, is_varied)),
    token(("gitlab-token", GITLAB, "glptt-", hex, 40, 40, is_varied)),
    token(("slack-token", SLACK, "xoxb-", url, 40, 120, is_slack)),
    token(("slack-token", SLACK, "xoxp-", url, 40, 120, is_slack)),
    token(("slack-token", SLACK, "xoxa-", url, 40, 120, is_slack)),
    token(("slack-token", SLACK, "xoxs-", url, 40, 120, is_slack)),
    token(("slack-token", SLACK, "xapp-", url, 60, 160, is_slack)),
    token(("stripe-key", STRIPE, "sk_live_", word, 24, 128, is_varied)),
    token(("stripe-key", STRIPE, "rk_live_", word, 24, 128, is_varied)),
    token(("google-api-key", RANDOM, "AIza", url, 35, 35, is_varied)),
    token(("google-oauth-secret", RANDOM, "GOCSPX-", url, 28, 28, is_varied)),
    token(("docker-hub-token", RANDOM, "dckr_pat_", url, 27, 27, is_varied)),
    token(("vault-token", RANDOM, "hvs.", url, 90, 140, is_varied)),
    token(("sendgrid-key", "SG., 22 and 43 characters of base64url", "SG.", |byte| url(byte) || byte == b'.', 66, 66, is_sendgrid)),
    token(("digitalocean-token", RANDOM, "dop_v1_", hex, 64, 64, is_varied)),
    token(("hugging-face-token", RANDOM, "hf_", word, 34, 34, is_varied)),
    token(("anthropic-key", RANDOM, "sk-ant-", url, 90, 120, is_varied)),
    token(("openai-key", RANDOM, "sk-proj-", url, 48, 200, is_varied)),
    token(("shopify-token", RANDOM, "shpat_", hex, 32, 32, is_varied)),
    token(("databricks-token", RANDOM, "dapi", hex, 32, 32, is_varied)),
    token(("grafana-token", "glsa_, 32 characters and a checksum of 8", "glsa_", underscored, 41, 41, is_grafana)),
    token(("age-key", RANDOM, "AGE-SECRET-KEY-1", bech32, 58, 58, is_varied)),
    token(("linear-key", RANDOM, "lin_api_", word, 40, 40, is_varied)),
    token(("pulumi-token", RANDOM, "pul-", hex, 40, 40, is_varied)),
];

impl Token {
    /// The token whose prefix stands at `start`.
    pub fn at(&self, text: &[u8], start: usize) -> Option<Hit> {
        if start > 0 && text.get(start - 1).is_some_and(|before| underscored(*before)) {
            return None;
        }
        let rest = text.get(start + self.prefix.len()..)?;
        let length = rest.iter().take(self.most + 1).take_while(|byte| (self.alphabet)(**byte)).count();
        let ends = rest.get(length).is_none_or(|after| !underscored(*after));
        if length < self.least || length > self.most || !ends || !(self.check)(&rest[..length]) {
            return None;
        }
        Some(Hit::new(self.kind, start, start + self.prefix.len() + length, self.prefix))
    }
}

/// The account's number is in the first 48 bits of what base32 (RFC 4648) decodes to: 40 bits after the first.
fn is_aws(body: &[u8]) -> bool {
    let bits = body
        .iter()
        .take(10)
        .fold(0u64, |sum, byte| sum << 5 | u64::from(if byte.is_ascii_digit() { byte - b'2' + 26 } else { byte - b'A' }));
    let account = (bits >> 2 & 0x7fff_ffff_ff80) >> 7;
    (1..=999_999_999_999).contains(&account) && is_varied(body)
}

/// libmacaroons' version 2: byte 2, then the location's field 1 with its length.
fn is_pypi(body: &[u8]) -> bool {
    let whole = body.len() / 4 * 4;
    base64_url(&body[..whole])
        .is_some_and(|bytes| bytes.starts_with(b"\x02\x01\x08pypi.org") || bytes.starts_with(b"\x02\x01\x0dtest.pypi.org"))
}

fn is_slack(body: &[u8]) -> bool {
    let mut parts = body.split(|byte| *byte == b'-');
    let numbered = parts
        .any(|part| part.len() >= 9 && part.iter().skip(1).all(|byte| byte.is_ascii_alphanumeric()) && part.iter().any(u8::is_ascii_digit));
    numbered && body.rsplit(|byte| *byte == b'-').next().is_some_and(|key| key.len() >= 20 && is_varied(key))
}

fn is_sendgrid(body: &[u8]) -> bool {
    body[22] == b'.' && !body[..22].contains(&b'.') && !body[23..].contains(&b'.') && is_varied(&body[23..])
}

fn is_grafana(body: &[u8]) -> bool {
    body[32] == b'_' && body[33..].iter().all(u8::is_ascii_hexdigit) && is_varied(&body[..32])
}
