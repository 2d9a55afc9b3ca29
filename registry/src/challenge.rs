//! `WWW-Authenticate` (RFC 9110 §11.6.1): what a registry asks for.

use http::{HeaderMap, header};

/// Bytes of all challenges together that are read.
const CHALLENGE_BYTES: usize = 8 * 1024;
/// Challenges and parameters that are read.
const CHALLENGES: usize = 8;
const PARAMETERS: usize = 16;

/// A challenge that the client can answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// Fetch a token from `realm` (distribution "Token Authentication Specification"). The scope that a registry proposes is not read:
    /// a client asks for what it needs.
    Bearer { realm: String, service: Option<String> },
    /// Send the credentials themselves (RFC 7617).
    Basic,
}

impl Challenge {
    /// The best challenge in an answer: Bearer before Basic.
    pub(crate) fn best(headers: &HeaderMap) -> Option<Self> {
        let mut budget = CHALLENGE_BYTES;
        let mut parsed = Vec::new();
        for value in headers.get_all(header::WWW_AUTHENTICATE) {
            let text = value.to_str().ok().filter(|text| text.len() <= budget)?;
            budget -= text.len();
            Scanner { rest: text }.challenges(&mut parsed);
        }
        let bearer = parsed.iter().filter(|raw| raw.scheme.eq_ignore_ascii_case("bearer")).find_map(|raw| {
            let realm = raw.parameter("realm")?.to_owned();
            Some(Self::Bearer { realm, service: raw.parameter("service").map(str::to_owned) })
        });
        bearer.or_else(|| parsed.iter().any(|raw| raw.scheme.eq_ignore_ascii_case("basic")).then_some(Self::Basic))
    }
}

struct Raw {
    scheme: String,
    parameters: Vec<(String, String)>,
}

impl Raw {
    /// A parameter that stands there exactly once (RFC 9110: names must only occur once per challenge).
    fn parameter(&self, name: &str) -> Option<&str> {
        let mut values = self.parameters.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        match (values.next(), values.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }
}

struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    fn challenges(mut self, out: &mut Vec<Raw>) {
        loop {
            self.skip(|c| matches!(c, ' ' | '\t' | ','));
            let word = self.token();
            if word.is_empty() {
                return;
            }
            self.skip(|c| matches!(c, ' ' | '\t'));
            if let Some(rest) = self.rest.strip_prefix('=') {
                self.rest = rest;
                self.skip(|c| matches!(c, ' ' | '\t'));
                let Some(value) = self.value() else { return };
                match out.last_mut() {
                    Some(raw) if raw.parameters.len() < PARAMETERS => raw.parameters.push((word.to_owned(), value)),
                    _ => return,
                }
            } else if out.len() < CHALLENGES {
                out.push(Raw { scheme: word.to_owned(), parameters: Vec::new() });
            } else {
                return;
            }
        }
    }

    fn skip(&mut self, which: impl Fn(char) -> bool) {
        self.rest = self.rest.trim_start_matches(which);
    }

    /// RFC 9110 §5.6.2, with the characters of token68 that no separator uses.
    fn token(&mut self) -> &'a str {
        let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~/:".contains(c);
        let end = self.rest.find(|c| !is_token(c)).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        token
    }

    /// A token or a quoted string; `None` when a quote is not closed.
    fn value(&mut self) -> Option<String> {
        let Some(quoted) = self.rest.strip_prefix('"') else {
            let value = self.token().to_owned();
            // The padding of a token68.
            self.skip(|c| c == '=');
            return Some(value);
        };
        let mut value = String::new();
        let mut characters = quoted.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.rest = quoted.get(at + 1..).unwrap_or("");
                    return Some(value);
                }
                '\\' => value.push(characters.next()?.1),
                other => value.push(other),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best(values: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::WWW_AUTHENTICATE, value.parse().expect(value));
        }
        Challenge::best(&headers)
    }

    fn bearer(realm: &str, service: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) })
    }

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/nginx:pull",error="invalid_token""#;
        assert_eq!(best(&[hub]), bearer("https://auth.docker.io/token", Some("registry.docker.io")));
        assert_eq!(best(&["bearer realm=https://a.example/t , service=x"]), bearer("https://a.example/t", Some("x")));
        assert_eq!(best(&[r#"Basic realm="x", Bearer realm="https://a.example/\"q\"""#]), bearer("https://a.example/\"q\"", None));
        assert_eq!(best(&["Negotiate abc==, Basic realm=\"a, b\"", "Digest x=y"]), Some(Challenge::Basic));
        assert_eq!(best(&["Basic"]), Some(Challenge::Basic));
    }

    #[test]
    fn hostile_challenges_are_none() {
        // C16: bounded; a realm that stands there twice is none.
        for bad in ["", "Bearer", "Bearer realm=\"https://a.example", "Bearer realm=a, realm=b", "=x", "\"", "Bearer service=x", ",,,,"] {
            assert_eq!(best(&[bad]), None, "{bad}");
        }
        assert_eq!(best(&[&format!("Bearer realm=\"https://a.example/{}\"", "a".repeat(9_000))]), None);
        assert_eq!(best(&[&"Digest x, ".repeat(700), "Basic"]), None);
    }
}
