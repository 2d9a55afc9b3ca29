//! `/token`: bearer tokens, as docker's clients fetch them (distribution, "Token Authentication" and "OAuth2 Token Authentication").
//!
//! GET with Basic credentials or none; POST with a password, or with a token of `sealgate token create` as the refresh token. Whoever is
//! not known gets a token to pull what is open to everybody, since clients send none otherwise; a wrong password gets 401.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Method, Response};
use http_body_util::{BodyExt, Limited};
use sealgate_config::Actions;
use sealgate_verifier::Repository;
use serde_json::json;
use zeroize::Zeroizing;

use super::query::decode;
use crate::auth::{Auth, AuthError, Credential, Unauthenticated, scope};
use crate::body::Body;
use crate::gate::{Gate, Target};
use crate::routes::error::Refusal;

/// Bytes of a form: a secret and sixteen scopes.
pub const FORM: usize = 32 * 1024;
/// `WWW-Authenticate` of a wrong password here: there is no other realm to be sent to.
const BASIC: &str = "Basic realm=\"sealgate\", charset=\"UTF-8\"";

/// What a client asks for.
#[derive(Default)]
struct Asked<'a> {
    scopes: Vec<Cow<'a, str>>,
    grant: Option<Cow<'a, str>>,
    user: Option<Cow<'a, str>>,
    password: Option<Zeroizing<String>>,
    refresh: Option<Zeroizing<String>>,
}

impl<'a> Asked<'a> {
    /// Reads a query or form (application/x-www-form-urlencoded). Parameters that are not known count for nothing (RFC 6749 §3.2).
    fn parse(text: &'a str) -> Result<Self, Refusal> {
        let mut asked = Self::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = || form(value).ok_or_else(|| Refusal::query_invalid(format!("the parameter {key} is malformed")));
            let once = |was: bool| if was { Err(Refusal::query_invalid(format!("the parameter {key} stands twice"))) } else { Ok(()) };
            match key {
                "scope" => asked.scopes.push(value()?),
                "grant_type" => once(asked.grant.replace(value()?).is_some())?,
                "username" => once(asked.user.replace(value()?).is_some())?,
                "password" => once(asked.password.replace(Zeroizing::new(value()?.into_owned())).is_some())?,
                "refresh_token" => once(asked.refresh.replace(Zeroizing::new(value()?.into_owned())).is_some())?,
                _ => {}
            }
        }
        Ok(asked)
    }

    /// The repositories and actions of all scopes.
    fn wanted(&self, gate: &Gate) -> Result<Vec<(Repository, Actions)>, Refusal> {
        let words = self.scopes.iter().flat_map(|scopes| scopes.split(' ')).filter(|word| !word.is_empty());
        let mut wanted = Vec::new();
        for (name, actions) in words.filter_map(scope::parse) {
            if wanted.len() == scope::SCOPES {
                return Err(Refusal::query_invalid(format!("more than {} scopes in one request", scope::SCOPES)));
            }
            // What is no repository here opens nothing; asking for it is no error (the client may ask for several).
            if let Target::Repository(repository) = gate.target(name, None) {
                wanted.push((repository, actions));
            }
        }
        Ok(wanted)
    }

    fn credential(&mut self) -> Result<Credential, Refusal> {
        match (self.grant.as_deref(), self.user.take(), self.password.take(), self.refresh.take()) {
            (Some("password"), Some(user), Some(password), None) => Ok(Credential::Password { user: user.into_owned(), password }),
            (Some("refresh_token"), None, None, Some(secret)) => Ok(Credential::Secret(secret)),
            (_, _, _, _) => Err(Refusal::query_invalid(
                "expected grant_type=password with username and password, or grant_type=refresh_token with refresh_token".to_owned(),
            )),
        }
    }
}

/// GET, and POST with its body.
pub async fn respond<B>(gate: &Arc<Gate>, auth: &Arc<Auth>, request: &Parts, body: B) -> Result<Response<Body>, Refusal>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let text;
    let (asked, shown) = if request.method == Method::POST {
        let bytes = Limited::new(body, FORM).collect().await.map_err(|_| Refusal::body_too_large(FORM))?.to_bytes();
        let named = request.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !named.starts_with("application/x-www-form-urlencoded") {
            return Err(Refusal::query_invalid("expected a body of application/x-www-form-urlencoded".to_owned()));
        }
        text = Zeroizing::new(String::from_utf8(bytes.to_vec()).map_err(|_| Refusal::query_invalid("the form is not UTF-8".to_owned()))?);
        let mut asked = Asked::parse(&text)?;
        let shown = asked.credential()?;
        (asked, Some(shown))
    } else {
        let asked = Asked::parse(request.uri.query().unwrap_or_default())?;
        let malformed = |_| basic(auth.challenge(Unauthenticated::Malformed, None));
        (asked, Credential::read(&request.headers).map_err(malformed)?)
    };
    let wanted = asked.wanted(gate)?;
    let identity = match shown {
        Some(credential) => auth.authenticate(credential, &request.extensions).await.map_err(basic)?,
        None => auth.unasked(&request.extensions),
    };
    let issued = auth.issue(&identity, wanted);
    let answer = json!({
        "token": issued.token,
        "access_token": issued.token,
        "token_type": "Bearer",
        "expires_in": issued.lifetime,
        "issued_at": issued.issued_at.to_string(),
    });
    let mut response = super::document("application/json", answer.to_string().into(), false);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn basic(error: AuthError) -> Refusal {
    match error {
        AuthError::Unauthenticated { challenge: _, problem } => AuthError::Unauthenticated { challenge: BASIC.to_owned(), problem }.into(),
        other => other.into(),
    }
}

/// A value of a form: percent-decoded, with `+` for a space.
fn form(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('+') {
        return decode(text);
    }
    let spaced = text.replace('+', " ");
    decode(&spaced).map(|decoded| Cow::Owned(decoded.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_as_clients_write_them() {
        let asked =
            Asked::parse("account=a&scope=repository%3Aa%2Fb%3Apull%2Cpush&scope=x+y&service=s&offline_token=true").expect("a form");
        assert_eq!(asked.scopes, ["repository:a/b:pull,push", "x y"]);
        let mut asked = Asked::parse("grant_type=password&username=alice&password=a%2Bb%26+c&client_id=docker").expect("a form");
        let Ok(Credential::Password { user, password }) = asked.credential() else { panic!("no password") };
        assert_eq!((user.as_str(), password.as_str()), ("alice", "a+b& c"));
        let mut asked = Asked::parse("grant_type=refresh_token&refresh_token=sgt_x").expect("a form");
        assert!(matches!(asked.credential(), Ok(Credential::Secret(_))));
    }

    #[test]
    fn a_form_that_can_be_read_in_two_ways_is_refused() {
        for text in ["username=a&username=b", "password=a&password=b", "scope=%zz", "grant_type=%f"] {
            assert!(Asked::parse(text).is_err(), "{text}");
        }
        for text in
            ["", "grant_type=client_credentials", "grant_type=password&username=a", "grant_type=refresh_token&refresh_token=x&username=a"]
        {
            assert!(Asked::parse(text).expect(text).credential().is_err(), "{text}");
        }
    }
}
