//! OIDC identity tokens: who a CI job, or a person, is (OpenID Connect Core 1.0, section 2).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sealgate_verifier::Timestamp;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::service::{Role, Service, ServiceError};

/// Whom tokens for Sigstore are meant for (`aud`).
pub const AUDIENCE: &str = "sigstore";
/// Bytes of a token. GitHub's have some 2 KiB.
pub const TOKEN_BYTES: usize = 32 * 1024;

/// Characters of a file's name without a folder that an error repeats.
const PATH: usize = 40;

/// Why there is no identity token. No variant's text holds one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Nobody gave one.
    #[error(
        "no key and no identity token: name a key with --key, or give a token: --identity-token, SIGSTORE_ID_TOKEN, or a GitHub job with `permissions: id-token: write`"
    )]
    None,
    /// A GitHub job that may not ask for one.
    #[error("this GitHub job may not ask for an identity token: give it `permissions: id-token: write`")]
    GitHubPermission,
    /// A GitLab job without one.
    #[error("this GitLab job has no identity token: add `id_tokens: {{ SIGSTORE_ID_TOKEN: {{ aud: {AUDIENCE} }} }}` to it")]
    GitLabToken,
    /// Not a JSON Web Token of the right kind.
    #[error("the identity token is none: expected {expected}")]
    Malformed {
        /// What should stand there.
        expected: &'static str,
    },
    /// The e-mail address in it was never verified.
    #[error("the identity token's e-mail address is not verified by its issuer")]
    EmailUnverified,
    /// It counts no more.
    #[error("the identity token ended at {ended}: get a fresh one just before signing")]
    Expired {
        /// When.
        ended: Timestamp,
    },
    /// A file that should hold it.
    #[error("cannot read the identity token from {file}: {problem}")]
    File {
        /// The file.
        file: String,
        /// What the system said.
        problem: String,
    },
    /// GitHub's token service.
    #[error(transparent)]
    Service(#[from] ServiceError),
}

/// Where a token comes from.
#[derive(Clone)]
pub enum TokenSource {
    /// It was given.
    Given(Zeroizing<String>),
    /// GitHub Actions: `ACTIONS_ID_TOKEN_REQUEST_URL`, and the secret with which to ask there.
    GitHub {
        /// The URL.
        url: String,
        /// `ACTIONS_ID_TOKEN_REQUEST_TOKEN`.
        secret: Zeroizing<String>,
    },
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Given(_) => "Given(…)",
            Self::GitHub { .. } => "GitHub(…)",
        })
    }
}

/// Looks a variable of the environment up.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

impl TokenSource {
    /// What `--identity-token` names: `env://VARIABLE`, a file, or the token itself.
    ///
    /// # Errors
    /// When the variable or the file is not there.
    pub fn named(text: &str, environment: Environment<'_>) -> Result<Self, TokenError> {
        // What may be a token, whole or not, is not repeated; most begin so (RFC 7519 §3.1).
        let secret = text.starts_with("eyJ") || (text.len() > PATH && !text.contains('/'));
        let file = if secret { "the given text".to_owned() } else { text.to_owned() };
        let problem = |problem: String| TokenError::File { file: file.clone(), problem };
        if let Some(name) = text.strip_prefix("env://") {
            let value = environment(name).ok_or_else(|| problem("the variable is not set".to_owned()))?;
            return Ok(Self::Given(Zeroizing::new(value)));
        }
        // Two dots and no slash: a compact JWS (RFC 7515 §3.1), not a path. Its text must not show in an error about a file.
        if text.bytes().filter(|b| *b == b'.').count() == 2 && text.len() > 64 && !text.contains('/') {
            return Ok(Self::Given(Zeroizing::new(text.to_owned())));
        }
        let size = std::fs::metadata(text).map_err(|error| problem(error.to_string()))?.len();
        if size > TOKEN_BYTES as u64 {
            return Err(problem(format!("{size} bytes are over the limit of {TOKEN_BYTES}")));
        }
        let token = std::fs::read_to_string(text).map(Zeroizing::new).map_err(|error| problem(error.to_string()))?;
        Ok(Self::Given(token))
    }

    /// What the environment of a CI job offers.
    ///
    /// # Errors
    /// When it offers nothing, with what to change.
    pub fn ambient(environment: Environment<'_>) -> Result<Self, TokenError> {
        let set = |name| environment(name).filter(|value| !value.is_empty());
        if let Some(token) = set("SIGSTORE_ID_TOKEN") {
            return Ok(Self::Given(Zeroizing::new(token)));
        }
        match (set("ACTIONS_ID_TOKEN_REQUEST_URL"), set("ACTIONS_ID_TOKEN_REQUEST_TOKEN")) {
            (Some(url), Some(secret)) => Ok(Self::GitHub { url, secret: Zeroizing::new(secret) }),
            _ if set("GITHUB_ACTIONS").is_some() => Err(TokenError::GitHubPermission),
            _ if set("GITLAB_CI").is_some() => Err(TokenError::GitLabToken),
            _ => Err(TokenError::None),
        }
    }

    /// The token, asked for where it must be.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub async fn token(&self, user_agent: &str) -> Result<IdentityToken, TokenError> {
        match self {
            Self::Given(text) => IdentityToken::parse(text),
            Self::GitHub { url, secret } => {
                #[derive(Deserialize)]
                struct Answer {
                    value: String,
                }
                // docs.github.com, "OpenID Connect reference": the URL has a query already.
                let joint = if url.contains('?') { '&' } else { '?' };
                let service = Service::new(Role::TokenIssuer, url.split('?').next().unwrap_or_default(), user_agent)?.private()?;
                let body = service.get(&format!("{url}{joint}audience={AUDIENCE}"), secret).await?;
                let answer: Answer = serde_json::from_slice(&body).map_err(|_| service.unexpected("JSON with `value`"))?;
                IdentityToken::parse(&Zeroizing::new(answer.value))
            }
        }
    }
}

/// A token, unverified: the certificate authority verifies it.
pub struct IdentityToken {
    text: Zeroizing<String>,
    issuer: String,
    subject: String,
    ends: Option<Timestamp>,
}

impl fmt::Debug for IdentityToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdentityToken({} of {})", self.subject, self.issuer)
    }
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    #[serde(default)]
    sub: String,
    email: Option<String>,
    email_verified: Option<Verified>,
    exp: Option<f64>,
}

/// Some issuers write the boolean as a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Verified {
    Bool(bool),
    Text(String),
}

impl IdentityToken {
    /// Reads a compact JWS.
    ///
    /// # Errors
    /// [`TokenError::Malformed`] and [`TokenError::EmailUnverified`].
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let malformed = |expected| TokenError::Malformed { expected };
        let text = text.trim();
        let parts: Vec<&str> = text.split('.').collect();
        let [_, payload, _] = parts.as_slice() else { return Err(malformed("a JSON Web Token, three parts with dots between them")) };
        if text.len() > TOKEN_BYTES || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(malformed("printable text of at most 32 KiB"));
        }
        let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).map(Zeroizing::new).map_err(|_| malformed("base64url"))?;
        let claims: Claims = serde_json::from_slice(&payload).map_err(|_| malformed("claims in JSON with `iss`"))?;
        let verified = match claims.email_verified {
            Some(Verified::Bool(verified)) => verified,
            Some(Verified::Text(text)) => text == "true",
            None => false,
        };
        let subject = match claims.email.filter(|email| !email.is_empty()) {
            Some(_) if !verified => return Err(TokenError::EmailUnverified),
            Some(email) => email,
            None => claims.sub,
        };
        if subject.is_empty() {
            return Err(malformed("a claim `sub` or `email`"));
        }
        #[expect(clippy::cast_possible_truncation, reason = "NumericDate may have a fraction (RFC 7519 §2); casts saturate")]
        let ends = claims.exp.map(|seconds| Timestamp(seconds as i64));
        Ok(Self { text: Zeroizing::new(text.to_owned()), issuer: claims.iss, subject, ends })
    }

    /// Itself, if it still counts at `now`.
    ///
    /// # Errors
    /// [`TokenError::Expired`].
    pub fn current(self, now: Timestamp) -> Result<Self, TokenError> {
        match self.ends {
            Some(ended) if ended <= now => Err(TokenError::Expired { ended }),
            Some(_) | None => Ok(self),
        }
    }

    /// The token itself: a secret.
    pub(crate) fn secret(&self) -> &str {
        &self.text
    }

    /// What the proof of possession is over: the verified e-mail address where there is one, else `sub` (sigstore/fulcio,
    /// docs/how-certificate-issuing-works.md; sigstore/sigstore, `oauthflow.SubjectFromToken`).
    pub(crate) fn subject(&self) -> &str {
        &self.subject
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &str) -> String {
        format!("{}.{}.{}", URL_SAFE_NO_PAD.encode("{}"), URL_SAFE_NO_PAD.encode(claims), URL_SAFE_NO_PAD.encode("a signature"))
    }

    #[test]
    fn the_subject_is_the_verified_address_or_sub() {
        let subject = |claims: &str| IdentityToken::parse(&token(claims)).map(|token| token.subject.clone());
        assert_eq!(subject(r#"{"iss":"i","sub":"s"}"#).as_deref(), Ok("s"));
        assert_eq!(subject(r#"{"iss":"i","sub":"s","email":"a@b","email_verified":true}"#).as_deref(), Ok("a@b"));
        assert_eq!(subject(r#"{"iss":"i","sub":"s","email":"a@b","email_verified":"true"}"#).as_deref(), Ok("a@b"));
        assert_eq!(subject(r#"{"iss":"i","sub":"s","email":"a@b"}"#), Err(TokenError::EmailUnverified));
        assert_eq!(subject(r#"{"iss":"i","sub":"s","email":"a@b","email_verified":false}"#), Err(TokenError::EmailUnverified));
        for bad in [r#"{"iss":"i"}"#, r#"{"sub":"s"}"#, "[]", ""] {
            assert!(matches!(subject(bad), Err(TokenError::Malformed { .. })), "{bad}");
        }
        for bad in ["", "a.b", "a.b.c.d", "a.é.c"] {
            assert!(IdentityToken::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_ended_token_is_refused_and_no_text_shows_one() {
        let text = token(r#"{"iss":"i","sub":"s","exp":100.5}"#);
        let ended = IdentityToken::parse(&text).expect("a token").current(Timestamp(100)).expect_err("ended");
        assert_eq!(ended, TokenError::Expired { ended: Timestamp(100) });
        let token = IdentityToken::parse(&text).expect("a token").current(Timestamp(99)).expect("current");
        assert!(!format!("{token:?}{ended:?}").contains(&text[3..20]));
        assert_eq!(format!("{:?}", TokenSource::Given(Zeroizing::new(text))), "Given(…)");
    }

    #[test]
    fn the_environment_of_a_job_says_where_its_token_is_or_what_is_missing() {
        let of = |pairs: &'static [(&'static str, &'static str)]| {
            TokenSource::ambient(&move |name| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
        };
        assert!(matches!(of(&[("SIGSTORE_ID_TOKEN", "t"), ("GITLAB_CI", "true")]), Ok(TokenSource::Given(_))));
        let github = &[("ACTIONS_ID_TOKEN_REQUEST_URL", "https://x?y=z"), ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "t")];
        assert!(matches!(of(github), Ok(TokenSource::GitHub { .. })));
        assert_eq!(of(&[("GITHUB_ACTIONS", "true")]).expect_err("no permission"), TokenError::GitHubPermission);
        assert_eq!(of(&[("GITLAB_CI", "true")]).expect_err("no token"), TokenError::GitLabToken);
        assert_eq!(of(&[]).expect_err("nothing"), TokenError::None);
    }

    #[test]
    fn a_named_token_is_a_variable_a_file_or_itself() {
        let text = token(r#"{"iss":"https://issuer.example","sub":"somebody"}"#);
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("token");
        std::fs::write(&file, format!("{text}\n")).expect("written");
        let environment = |name: &str| (name == "T").then(|| text.clone());
        for named in ["env://T", file.to_str().expect("a path"), &text] {
            match TokenSource::named(named, &environment).expect(named) {
                TokenSource::Given(found) => assert_eq!(found.trim(), text),
                TokenSource::GitHub { .. } => panic!("GitHub"),
            }
        }
        // A token that was cut short is no file, and does not show.
        let cut = TokenSource::named(&text[..50], &environment).expect_err("cut short").to_string();
        assert!(cut.contains("the given text") && !cut.contains(&text[..20]), "{cut}");
        assert!(TokenSource::named("env://U", &environment).is_err() && TokenSource::named("/not/there", &environment).is_err());
    }
}
