//! Checks that hyper leaves to its user (D13), so that every service sees requests of one shape.

use std::net::Ipv6Addr;

use http::header::{HOST, HeaderValue};
use http::uri::{PathAndQuery, Uri};
use http::{Request, Version};
use http_body::Body;

use super::refusal::BadRequest;

/// RFC 1035 §2.3.4: a name has at most 255 octets; a port adds six.
const HOST_LENGTH: usize = 255 + 6;

/// Checks a request and brings its target into origin form: a path, with the authority in `Host` only.
pub(super) fn check<B: Body>(mut request: Request<B>, max_body: Option<u64>) -> Result<Request<B>, BadRequest> {
    check_host(&request)?;
    if request.uri().authority().is_some() || request.uri().scheme().is_some() {
        take_authority(&mut request)?;
    }
    if !request.uri().path().starts_with('/') {
        return Err(BadRequest::Target);
    }
    check_length(request.body(), max_body)?;
    Ok(request)
}

/// RFC 9112 §3.2: 400 for a request of HTTP/1.1 without `Host`, and for any with several or with a malformed one.
fn check_host<B>(request: &Request<B>) -> Result<(), BadRequest> {
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if is_host(host.as_bytes()) => Ok(()),
        (None, _) if request.version() != Version::HTTP_11 => Ok(()),
        (None | Some(_), _) => Err(BadRequest::Host),
    }
}

/// RFC 9112 §3.2.2 (absolute form) and RFC 9113 §8.3.1 (`:authority`). Where `Host` is there as well, both must agree.
fn take_authority<B>(request: &mut Request<B>) -> Result<(), BadRequest> {
    let uri = std::mem::take(request.uri_mut());
    let authority = uri.authority().ok_or(BadRequest::Target)?;
    if !is_host(authority.as_str().as_bytes()) {
        return Err(BadRequest::Host);
    }
    match request.headers().get(HOST) {
        Some(host) if host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()) => {}
        Some(_) => return Err(BadRequest::Authority),
        None => {
            let host = HeaderValue::from_str(authority.as_str()).map_err(|_| BadRequest::Host)?;
            request.headers_mut().insert(HOST, host);
        }
    }
    // CONNECT has an authority only.
    let target: PathAndQuery = uri.path_and_query().cloned().ok_or(BadRequest::Target)?;
    *request.uri_mut() = Uri::from(target);
    Ok(())
}

/// `uri-host [ ":" port ]` (RFC 9110 §7.2) with a name, an IPv4 or a bracketed IPv6 address. No user information, no escapes.
fn is_host(host: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else { return false };
    if host.len() > HOST_LENGTH {
        return false;
    }
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => {
            let valid = address.parse::<Ipv6Addr>().is_ok();
            let port = if rest.is_empty() { Some("0") } else { rest.strip_prefix(':') };
            (valid, port)
        }
        None => {
            let (name, port) = host.split_once(':').unwrap_or((host, "0"));
            let valid = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
            (valid, Some(port))
        }
    };
    name && port.is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok())
}

fn check_length<B: Body>(body: &B, max: Option<u64>) -> Result<(), BadRequest> {
    let Some(max) = max else { return Ok(()) };
    if body.is_end_stream() {
        return Ok(());
    }
    match body.size_hint().exact() {
        Some(length) if length <= max => Ok(()),
        Some(_) => Err(BadRequest::Size),
        None => Err(BadRequest::Length),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // D13
    #[test]
    fn a_host_is_a_name_or_an_address_with_perhaps_a_port() {
        for host in ["gate.example", "gate.example:5000", "127.0.0.1:80", "my_gate", "[::1]", "[::1]:5000", "a:65535"] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        let long = "a".repeat(300);
        for host in [
            "",
            ":80",
            "a b",
            "a/b",
            "user@gate",
            "a:b",
            "a:",
            "a:65536",
            "a:+1",
            "a:1:2",
            "::1",
            "[::1",
            "[gate]",
            "[::1]80",
            "a,b",
            "a%2eb",
            "a?b",
            "a#b",
            "a\tb",
            &long,
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
        assert!(!is_host(b"\xff"));
    }

    fn request(uri: &str, hosts: &[&str]) -> Request<crate::body::Body> {
        let mut builder = Request::builder().uri(uri);
        for host in hosts {
            builder = builder.header(HOST, *host);
        }
        builder.body(crate::body::Body::empty()).unwrap()
    }

    // D13
    #[test]
    fn a_target_with_an_authority_becomes_a_path() {
        let checked = check(request("http://Gate.example/v2/?a=b", &["gate.example"]), None).unwrap();
        assert_eq!(checked.uri(), "/v2/?a=b");
        assert_eq!(checked.headers()[HOST], "gate.example");
    }

    // D13
    #[test]
    fn a_target_of_another_host_is_refused() {
        assert_eq!(check(request("http://other.example/v2/", &["gate.example"]), None).unwrap_err(), BadRequest::Authority);
        assert_eq!(check(request("http://user@gate.example/v2/", &["gate.example"]), None).unwrap_err(), BadRequest::Host);
        assert_eq!(check(request("gate.example:443", &["gate.example:443"]), None).unwrap_err(), BadRequest::Target);
        assert_eq!(check(request("*", &["gate.example"]), None).unwrap_err(), BadRequest::Target);
    }

    // D13
    #[test]
    fn one_host_header_is_needed() {
        assert!(check(request("/", &["gate"]), None).is_ok());
        for hosts in [&[] as &[&str], &["gate", "gate"], &["gate", "other"], &["gate/"]] {
            assert_eq!(check(request("/", hosts), None).unwrap_err(), BadRequest::Host, "{hosts:?}");
        }
    }

    #[test]
    fn a_body_beyond_the_limit_is_refused_by_its_length() {
        let sized = |length: usize| request("/", &["gate"]).map(|_| crate::body::Body::full(vec![0; length].into()));
        assert!(check(sized(10), Some(10)).is_ok());
        assert_eq!(check(sized(11), Some(10)).unwrap_err(), BadRequest::Size);
        assert!(check(sized(11), None).is_ok());
    }
}
