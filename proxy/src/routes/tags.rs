//! `/v2/NAME/tags/list` (distribution-spec 1.1, "Listing Tags").

use std::sync::Arc;

use http::header::{CACHE_CONTROL, LINK};
use http::{HeaderValue, Response};
use sealgate_registry::TagPage;
use sealgate_verifier::{Repository, Tag};

use super::REVALIDATE;
use super::query::{PAGE, Query};
use crate::auth::Access;
use crate::body::Body;
use crate::gate::Gate;
use crate::routes::error::Refusal;

/// One page, under the name that the client used.
pub async fn respond(
    gate: &Arc<Gate>,
    repository: &Repository,
    name: &str,
    query: &Query<'_>,
    access: &Access,
    head: bool,
) -> Result<Response<Body>, Refusal> {
    let count = query.count.unwrap_or(PAGE);
    let last = query.last.as_ref().map(Tag::as_str);
    let page = match gate.lane(access, repository) {
        Some(pass) => gate.lane_tags(&pass, repository, count, last).await?,
        None => gate.tags(repository, count, last).await?,
    };
    // "When n is zero, this endpoint MUST return an empty list, and MUST NOT include a Link header."
    let TagPage { mut tags, more } = page;
    let more = (more || tags.len() > count) && count > 0;
    tags.truncate(count);
    let link = more.then(|| tags.last().and_then(|last| next(name, count, last, query.ns.as_deref()))).flatten();
    let content = serde_json::json!({ "name": name, "tags": tags }).to_string();
    let mut response = super::document("application/json", content.into(), head);
    response.headers_mut().insert(CACHE_CONTROL, REVALIDATE);
    if let Some(link) = link {
        response.headers_mut().insert(LINK, link);
    }
    Ok(response)
}

/// RFC 8288. Names, tags and registries need no encoding here, except an IPv6 registry's brackets, which every server takes as they are.
fn next(name: &str, count: usize, last: &str, ns: Option<&str>) -> Option<HeaderValue> {
    let ns = ns.map(|ns| format!("&ns={ns}")).unwrap_or_default();
    HeaderValue::try_from(format!("</v2/{name}/tags/list?n={count}&last={last}{ns}>; rel=\"next\"")).ok()
}

#[cfg(test)]
mod tests {
    use super::next;

    #[test]
    fn a_link_keeps_the_registry_that_the_client_named() {
        assert_eq!(next("a/b", 2, "v1", None).unwrap(), "</v2/a/b/tags/list?n=2&last=v1>; rel=\"next\"");
        assert_eq!(next("a", 2, "v1", Some("docker.io")).unwrap(), "</v2/a/tags/list?n=2&last=v1&ns=docker.io>; rel=\"next\"");
    }
}
