//! What a request shows: the `Authorization` header (RFC 9110 §11.6.2).

use base64::Engine;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use zeroize::Zeroizing;

/// Bytes of a credential: an OIDC identity token of a CI service has about 2 KiB, the head of a request at most 16.
const CREDENTIAL_BYTES: usize = 12 * 1024;

/// A credential, unchecked. It has no `Debug`.
#[derive(PartialEq, Eq)]
pub enum Credential {
    /// RFC 7617.
    Password {
        /// As the client wrote it.
        user: String,
        /// As the client wrote it.
        password: Zeroizing<String>,
    },
    /// RFC 6750, or a refresh token at the token endpoint: the secret alone says whose it is.
    Secret(Zeroizing<String>),
}

/// The header is there, and is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MalformedCredential;

impl Credential {
    /// Reads the header; none without one.
    ///
    /// # Errors
    /// Several headers, another scheme, or a malformed value.
    pub fn read(headers: &HeaderMap) -> Result<Option<Self>, MalformedCredential> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return if headers.contains_key(AUTHORIZATION) { Err(MalformedCredential) } else { Ok(None) };
        };
        let text = value.to_str().ok().filter(|text| text.len() <= CREDENTIAL_BYTES).ok_or(MalformedCredential)?;
        let (scheme, rest) = text.split_once(' ').ok_or(MalformedCredential)?;
        let rest = rest.trim_matches(' ');
        if scheme.eq_ignore_ascii_case("basic") {
            return basic(rest).map(Some).ok_or(MalformedCredential);
        }
        let token = !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic());
        (scheme.eq_ignore_ascii_case("bearer") && token)
            .then(|| Some(Self::Secret(Zeroizing::new(rest.to_owned()))))
            .ok_or(MalformedCredential)
    }
}

/// `user:password`; the first colon ends the user name (RFC 7617 §2).
fn basic(encoded: &str) -> Option<Credential> {
    let engine: &GeneralPurpose = if encoded.ends_with('=') || encoded.len().is_multiple_of(4) { &STANDARD } else { &STANDARD_NO_PAD };
    let decoded = Zeroizing::new(engine.decode(encoded).ok()?);
    let (user, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some(Credential::Password { user: user.to_owned(), password: Zeroizing::new(password.to_owned()) })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(values: &[&str]) -> Result<Option<Credential>, MalformedCredential> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
        }
        Credential::read(&headers)
    }

    #[test]
    fn basic_and_bearer_are_read() {
        assert!(read(&[]) == Ok(None));
        let alice = Credential::Password { user: "alice".to_owned(), password: Zeroizing::new("a:b".to_owned()) };
        assert!(read(&["Basic YWxpY2U6YTpi"]).as_ref() == Ok(&Some(alice)));
        assert!(matches!(read(&["basic YTpi"]), Ok(Some(Credential::Password { .. }))));
        assert!(matches!(read(&["Basic YTo="]), Ok(Some(Credential::Password { .. }))));
        assert!(read(&["BEARER abc"]) == Ok(Some(Credential::Secret(Zeroizing::new("abc".to_owned())))));
    }

    #[test]
    fn everything_else_is_malformed_and_never_anonymous() {
        let long = format!("Bearer {}", "a".repeat(13_000));
        for values in [
            &["Basic"][..],
            &[""],
            &["Basic !!!"],
            &["Basic YWxpY2U="],
            &["Basic /////w=="],
            &["Bearer "],
            &["Bearer a b"],
            &["Digest x=y"],
            &["Basic YTpi", "Basic YTpi"],
            &["Bearer é"],
            &[&long],
        ] {
            assert!(read(values) == Err(MalformedCredential), "{values:?}");
        }
    }
}
