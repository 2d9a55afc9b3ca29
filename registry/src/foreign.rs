//! What registries send, as far as it is read without asking one: for tests/fuzz only.

use http::{HeaderMap, HeaderValue, header};
use reqwest::Url;
use sealgate_verifier::Digest;

use crate::challenge::Challenge;
use crate::{listing, token};

fn headers(name: header::HeaderName, value: &[u8]) -> Option<HeaderMap> {
    Some(HeaderMap::from_iter([(name, HeaderValue::from_bytes(value).ok()?)]))
}

/// The realm of the challenge that a client would answer; `Some(None)` for Basic.
#[must_use]
pub fn realm(www_authenticate: &[u8]) -> Option<Option<String>> {
    Challenge::best(&headers(header::WWW_AUTHENTICATE, www_authenticate)?).map(|challenge| match challenge {
        Challenge::Bearer { realm, .. } => Some(realm),
        Challenge::Basic => None,
    })
}

/// Whether a body is a token endpoint's answer.
#[must_use]
pub fn is_token(body: &[u8]) -> bool {
    token::answer(body).is_ok()
}

/// What a page of referrers lists.
#[must_use]
pub fn referrers(body: &[u8]) -> Option<Vec<(Digest, u64)>> {
    listing::referrers(body).ok()
}

/// At most `count` tags of a page.
#[must_use]
pub fn tags(body: &[u8], count: usize) -> Option<Vec<String>> {
    listing::tags(body, count).ok().map(|(tags, _)| tags)
}

/// The next page of a listing at `here`.
#[must_use]
pub fn next_page(link: &[u8], here: &str) -> Option<String> {
    let here = Url::parse(here).ok()?;
    listing::next_page(&headers(header::LINK, link)?, &here, &here).ok().flatten().map(|url| url.to_string())
}
