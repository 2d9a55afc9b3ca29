//! An origin (RFC 6454): scheme, host and port.

use std::net::IpAddr;

use reqwest::Url;

use crate::error::FetchError;

/// Scheme, host and port of a URL. Two URLs with the same origin are one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) https: bool,
    host: String,
    port: u16,
}

impl Origin {
    /// The origin of an `http` or `https` URL.
    pub(crate) fn of(url: &Url) -> Option<Self> {
        let https = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        Some(Self { https, host: url.host_str()?.to_owned(), port: url.port_or_known_default()? })
    }

    /// Whether the host is this machine: `localhost`, 127.0.0.0/8 or `[::1]`.
    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback_host(&self.host)
    }

    /// Whether `listed` (`host` for the scheme's own port, or `host:port`) names this origin's server.
    pub(crate) fn is_listed_as(&self, listed: &str) -> bool {
        let default_port = if self.https { 443 } else { 80 };
        let with_port = format!("{}:{}", self.host, self.port);
        listed.eq_ignore_ascii_case(&with_port) || (self.port == default_port && listed.eq_ignore_ascii_case(&self.host))
    }

    /// `host:port`, for messages.
    pub(crate) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// Whether `host` (without port) is this machine.
pub(crate) fn is_loopback_host(host: &str) -> bool {
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || literal.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A literal address in `url`, in whatever form it was written (the parser normalises decimal, octal and hex forms).
pub(crate) fn literal_address(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Reads a registry's base URL: `https://host[:port]` or `http://host[:port]`, nothing more.
pub(crate) fn base_url(text: &str) -> Result<Url, FetchError> {
    let wrong = |problem: &str| FetchError::Malformed { problem: format!("upstream URL: expected https://host[:port], {problem}") };
    let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    if Origin::of(&url).is_none() {
        return Err(wrong("found another scheme"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("found a user name in it"));
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("found a path in it"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Origin {
        Origin::of(&Url::parse(text).expect(text)).expect(text)
    }

    #[test]
    fn origins_differ_by_scheme_host_and_port() {
        assert_eq!(origin("https://a.example/x"), origin("https://A.example:443/y"));
        assert_ne!(origin("https://a.example"), origin("http://a.example"));
        assert_ne!(origin("https://a.example"), origin("https://a.example:444"));
        assert!(origin("https://a.example").is_listed_as("a.example") && origin("https://a.example:444").is_listed_as("a.example:444"));
        assert!(!origin("https://a.example:444").is_listed_as("a.example") && !origin("https://b.a.example").is_listed_as("a.example"));
    }

    #[test]
    fn every_spelling_of_a_literal_address_is_seen() {
        // B2
        for text in
            ["http://2130706433/", "http://0x7f.1/", "http://0177.0.0.1/", "http://127.0.0.1./", "http://127.1/", "http://１２７.0.0.1/"]
        {
            let url = Url::parse(text).expect(text);
            assert_eq!(literal_address(&url), Some(IpAddr::from([127, 0, 0, 1])), "{text}");
        }
        assert!(literal_address(&Url::parse("http://[::ffff:7f00:1]/").expect("url")).is_some());
        assert_eq!(literal_address(&Url::parse("https://registry.example/").expect("url")), None);
    }

    #[test]
    fn base_urls_are_bare() {
        assert!(base_url("https://registry.example:5443").is_ok() && base_url("http://127.0.0.1:5000/").is_ok());
        for bad in ["registry.example", "ftp://a.example", "https://u:p@a.example", "https://a.example/v2", "https://a.example?x", ""] {
            assert!(base_url(bad).is_err(), "{bad}");
        }
    }
}
