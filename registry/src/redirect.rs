//! Redirects, followed by hand. A GET or HEAD may leave for any https host, as a stranger: without credentials or cookies (B3,
//! GHSA-vh4v-2xq2-g5cg). Never from https to http (B4), never in a loop; the address guard judges each stop.

use http::{HeaderMap, StatusCode, header};
use reqwest::Url;

use crate::error::FetchError;
use crate::origin::Origin;

/// Stops after the first URL. Registries need one or two.
const HOPS: usize = 5;

/// The way of one request.
pub(crate) struct Trail {
    origin: Origin,
    visited: Vec<Url>,
    abroad: bool,
}

impl Trail {
    /// A way that begins at `start` on the registry's own origin.
    pub(crate) fn new(origin: Origin, start: Url) -> Self {
        Self { origin, visited: vec![start], abroad: false }
    }

    /// Whether a redirect has left the registry. Once abroad, nothing is sent that a stranger would not send, not even back home.
    pub(crate) const fn is_abroad(&self) -> bool {
        self.abroad
    }

    /// Where the answer points next.
    pub(crate) fn next(&mut self, headers: &HeaderMap) -> Result<Url, FetchError> {
        let location = headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
        let here = self.visited.last().ok_or_else(|| malformed("without a beginning"))?;
        let mut target = here.join(location.ok_or_else(|| malformed("without a Location"))?).map_err(|_| malformed("to no URL"))?;
        target.set_fragment(None);
        let origin = Origin::of(&target).ok_or_else(|| refused("a redirect to a scheme other than https"))?;
        if !origin.https && Origin::of(here).is_none_or(|here| here.https) {
            return Err(refused(&format!("a redirect from https to http://{}", origin.authority())));
        }
        if self.visited.contains(&target) {
            return Err(refused("a redirect that loops"));
        }
        if self.visited.len() > HOPS {
            return Err(refused(&format!("more than {HOPS} redirects")));
        }
        self.abroad |= origin != self.origin;
        self.visited.push(target.clone());
        Ok(target)
    }
}

/// Whether `status` asks to repeat the same request elsewhere. 303 does not: it leads to a page about the answer (RFC 9110 §15.4.4).
pub(crate) fn is_redirect(status: StatusCode) -> bool {
    matches!(status, StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT)
}

fn refused(problem: &str) -> FetchError {
    FetchError::Forbidden { problem: problem.to_owned() }
}

fn malformed(problem: &str) -> FetchError {
    FetchError::Malformed { problem: format!("a redirect {problem}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trail(start: &str) -> Trail {
        let url = Url::parse(start).expect(start);
        Trail::new(Origin::of(&url).expect(start), url)
    }

    fn follow(trail: &mut Trail, location: &str) -> Result<String, FetchError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::LOCATION, location.parse().expect(location));
        trail.next(&headers).map(String::from)
    }

    #[test]
    fn a_redirect_never_leaves_https() {
        // B4
        let mut trail = trail("https://registry.example/v2/a/blobs/x");
        assert!(matches!(follow(&mut trail, "http://registry.example/x"), Err(FetchError::Forbidden { .. })));
        assert!(matches!(follow(&mut trail, "file:///etc/passwd"), Err(FetchError::Forbidden { .. })));
        assert!(matches!(follow(&mut trail, "ftp://a.example/"), Err(FetchError::Forbidden { .. })));
        assert_eq!(follow(&mut trail, "https://cdn.example/x#y"), Ok("https://cdn.example/x".to_owned()));
        assert!(matches!(follow(&mut trail, "http://cdn.example/x"), Err(FetchError::Forbidden { .. })));
    }

    #[test]
    fn a_plaintext_registry_may_stay_plaintext_but_not_fall_back_to_it() {
        let mut trail = trail("http://127.0.0.1:5000/x");
        assert!(follow(&mut trail, "http://127.0.0.1:5001/x").is_ok());
        assert!(follow(&mut trail, "https://cdn.example/x").is_ok());
        assert!(follow(&mut trail, "http://127.0.0.1:5000/y").is_err());
    }

    #[test]
    fn a_loop_and_an_endless_chain_end() {
        // B4
        let mut looping = trail("https://a.example/1");
        assert!(follow(&mut looping, "/2").is_ok() && follow(&mut looping, "/1").is_err());
        let mut endless = trail("https://a.example/0");
        let hops = (1..100).take_while(|n| follow(&mut endless, &format!("/{n}")).is_ok()).count();
        assert_eq!(hops, HOPS);
    }

    #[test]
    fn who_has_gone_abroad_stays_a_stranger() {
        // B3
        let mut trail = trail("https://a.example/1");
        assert!(follow(&mut trail, "/2").is_ok() && !trail.is_abroad());
        assert!(follow(&mut trail, "https://b.example/").is_ok() && trail.is_abroad());
        assert!(follow(&mut trail, "https://a.example/3").is_ok() && trail.is_abroad());
    }
}
