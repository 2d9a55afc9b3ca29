//! Lists from a registry: referrers and tags.

use http::{HeaderMap, Method, StatusCode, header};
use reqwest::Url;
use sealgate_verifier::{Digest, Tag, limits, media_type};
use serde::Deserialize;

use crate::body::document;
use crate::client::{Client, discard, successful};
use crate::error::FetchError;
use crate::manifest::{essence, is_json};
use crate::origin::Origin;

/// Pages of referrers that are read.
const REFERRER_PAGES: usize = 16;
/// Referrers that are kept: far over [`limits::ATTACHMENTS`], since a listing holds more than signatures.
const REFERRERS: usize = 1_024;
/// Tags that one page may be asked for.
const TAGS_PER_PAGE: usize = 10_000;

/// What the referrers API answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Referrers {
    /// A listing: the digests of manifests that say they refer to the subject, in the listing's order. The media and artifact types that
    /// listings give are not kept, since some registries misreport them.
    Listed {
        /// Digest and size of each.
        manifests: Vec<(Digest, u64)>,
        /// Whether pages were left out because of a limit.
        truncated: bool,
    },
    /// 404, 400, 405, 501 or a 303 to nowhere: the registry has no referrers API; the tag schema holds the listing.
    Unsupported,
}

/// One page of tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagPage {
    /// The tags that are valid tags.
    pub tags: Vec<String>,
    /// Whether the registry has more.
    pub more: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReferrersDocument {
    #[serde(default)]
    media_type: Option<String>,
    /// Some registries write `null` for an empty list.
    manifests: Option<Vec<ListedDescriptor>>,
}

#[derive(Deserialize)]
struct ListedDescriptor {
    digest: Digest,
    size: u64,
}

#[derive(Deserialize)]
struct TagsDocument {
    tags: Option<Vec<String>>,
}

impl Client {
    /// The referrers of `digest`, all pages up to 16 or 1024 entries.
    ///
    /// # Errors
    /// See [`FetchError`]. 429, 5xx and timeouts are errors and never "none"; a next page elsewhere is `Forbidden`.
    pub async fn referrers(&self, path: &str, digest: &Digest) -> Result<Referrers, FetchError> {
        let first = self.url(path, &format!("referrers/{digest}"))?;
        let mut next = Some(first.clone());
        let mut visited: Vec<Url> = Vec::new();
        let mut found: Vec<(Digest, u64)> = Vec::new();
        while let Some(url) = next.take() {
            if visited.len() >= REFERRER_PAGES || found.len() > REFERRERS || visited.contains(&url) {
                found.truncate(REFERRERS);
                return Ok(Referrers::Listed { manifests: found, truncated: true });
            }
            let Some((listed, headers)) = self.referrers_page(path, url.clone(), visited.is_empty()).await? else {
                return Ok(Referrers::Unsupported);
            };
            found.extend(listed);
            next = next_page(&headers, &url, &first)?;
            visited.push(url);
        }
        let truncated = found.len() > REFERRERS;
        found.truncate(REFERRERS);
        Ok(Referrers::Listed { manifests: found, truncated })
    }

    /// One page, or `None` when there is no such API (F28), which only the first page can say.
    async fn referrers_page(&self, path: &str, url: Url, is_first: bool) -> Result<Option<(Vec<(Digest, u64)>, HeaderMap)>, FetchError> {
        let mut operation = self.pull(Method::GET, path, "referrers/")?;
        operation.request.url = url;
        operation.request.headers.insert(header::ACCEPT, header::HeaderValue::from_static(media_type::OCI_INDEX));
        let mut response = self.perform(operation).await?;
        // No referrers route: 404 (distribution-spec 1.1), 400, 405 or 501 (older registries), 303 (GHCR). Taking them for "no such API"
        // only ever hides signatures, and a hidden signature denies.
        let status = response.status();
        let none = matches!(status.as_u16(), 303 | 400 | 404 | 405 | 501);
        if none && is_first {
            discard(response).await;
            return Ok(None);
        }
        if status == StatusCode::NOT_FOUND {
            return Err(malformed("a next page that is not there"));
        }
        response = successful(response).await?;
        if essence(response.headers()).is_some_and(|essence| !is_json(&essence)) {
            return Err(malformed("another Content-Type"));
        }
        let headers = response.headers().clone();
        let bytes = document(response, limits::REFERRERS_BYTES, self.idle_timeout()).await?;
        Ok(Some((referrers(&bytes)?, headers)))
    }

    /// One page of tags, at most `count`, after `last`.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub async fn tags(&self, path: &str, count: usize, last: Option<&str>) -> Result<TagPage, FetchError> {
        let count = count.clamp(1, TAGS_PER_PAGE);
        let mut operation = self.pull(Method::GET, path, "tags/list")?;
        let pairs = std::iter::once(("n", count.to_string())).chain(last.map(|last| ("last", last.to_owned())));
        operation.request.url.query_pairs_mut().extend_pairs(pairs);
        let response = successful(self.perform(operation).await?).await?;
        let linked =
            response.headers().get_all(header::LINK).iter().any(|value| value.to_str().is_ok_and(|text| next_target(text).is_some()));
        if essence(response.headers()).is_some_and(|essence| !is_json(&essence)) {
            return Err(FetchError::Malformed { problem: "expected a tag list, found another Content-Type".to_owned() });
        }
        let bytes = document(response, limits::TAG_LIST_BYTES, self.idle_timeout()).await?;
        let (tags, surplus) = tags(&bytes, count)?;
        // The next page is asked for by the last tag: without one there is none.
        let more = (surplus || linked) && !tags.is_empty();
        Ok(TagPage { tags, more })
    }
}

/// Digests and sizes that one page of referrers lists.
pub(crate) fn referrers(bytes: &[u8]) -> Result<Vec<(Digest, u64)>, FetchError> {
    let document: ReferrersDocument = serde_json::from_slice(bytes).map_err(|error| malformed(&error.to_string()))?;
    if document.media_type.as_deref().is_some_and(|found| found != media_type::OCI_INDEX) {
        return Err(malformed("another mediaType"));
    }
    Ok(document.manifests.unwrap_or_default().into_iter().map(|entry| (entry.digest, entry.size)).collect())
}

/// At most `count` tags of a page, and whether it held more.
pub(crate) fn tags(bytes: &[u8], count: usize) -> Result<(Vec<String>, bool), FetchError> {
    let list: TagsDocument =
        serde_json::from_slice(bytes).map_err(|error| FetchError::Malformed { problem: format!("expected a tag list, found: {error}") })?;
    let mut tags = list.tags.unwrap_or_default();
    // A registry may ignore `n` and send all at once.
    let surplus = tags.len() > count;
    tags.truncate(count);
    tags.retain(|tag| tag.parse::<Tag>().is_ok());
    Ok((tags, surplus))
}

fn malformed(found: &str) -> FetchError {
    FetchError::Malformed { problem: format!("expected an index of referrers, found: {found}") }
}

/// The next page of a listing: on the same origin and below the same path, or refused.
pub(crate) fn next_page(headers: &HeaderMap, here: &Url, first: &Url) -> Result<Option<Url>, FetchError> {
    let links = headers.get_all(header::LINK).iter();
    let Some(target) = links.filter_map(|value| value.to_str().ok()).find_map(next_target) else {
        return Ok(None);
    };
    let next = here.join(target).map_err(|_| malformed("a next page that is no URL"))?;
    if Origin::of(&next) != Origin::of(first) || next.path() != first.path() {
        return Err(FetchError::Forbidden { problem: "a next page of referrers in another place".to_owned() });
    }
    Ok(Some(next))
}

/// The target of `<target>; rel="next"` (RFC 8288) in one header value.
fn next_target(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('<') {
        let (target, after) = after.split_once('>')?;
        let parameters = after.split('<').next().unwrap_or_default();
        let is_next = parameters
            .split([';', ','])
            .filter_map(|parameter| parameter.split_once('='))
            .any(|(name, value)| name.trim().eq_ignore_ascii_case("rel") && value.trim().trim_matches('"').eq_ignore_ascii_case("next"));
        if is_next {
            return Some(target);
        }
        rest = after;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_read_as_registries_write_them() {
        assert_eq!(next_target("</v2/a/referrers/x?last=1>; rel=\"next\""), Some("/v2/a/referrers/x?last=1"));
        assert_eq!(next_target("<a>; rel=prev, <b>; rel=next"), Some("b"));
        assert_eq!(next_target("<a>; title=\"rel=next\"; rel=last"), None);
        assert_eq!(next_target("<a"), None);
        assert_eq!(next_target("a>; rel=next"), None);
    }
}
