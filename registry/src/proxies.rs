//! Forward proxies from the environment: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, in either case.
//!
//! Behind a proxy the proxy resolves and dials, so the [address guard](crate::address::AddressGuard) judges only literal addresses of
//! the target; which names the proxy resolves to what is for the proxy to police. The proxy's own host was named by the admin and may be
//! private; in turn no registry, realm or redirect may name it as a target. A loopback target never goes through a proxy.

use reqwest::{NoProxy, Proxy, Url};

use crate::error::FetchError;
use crate::origin::is_loopback_host;

/// The proxies to use.
#[derive(Clone, Default)]
pub(crate) struct Proxies {
    https: Option<Url>,
    http: Option<Url>,
}

impl Proxies {
    /// Reads the environment through `variable`.
    pub(crate) fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, FetchError> {
        let first = |names: &[&str]| names.iter().find_map(|name| variable(name).filter(|value| !value.is_empty()));
        let all = first(&["ALL_PROXY", "all_proxy"]);
        // A CGI program's HTTP_PROXY is a client's `Proxy:` header (httpoxy, CVE-2016-5385).
        let http = if variable("REQUEST_METHOD").is_some() { first(&["http_proxy"]) } else { first(&["HTTP_PROXY", "http_proxy"]) };
        let https = first(&["HTTPS_PROXY", "https_proxy"]);
        Ok(Self { https: https.or_else(|| all.clone()).map(parse).transpose()?, http: http.or(all).map(parse).transpose()? })
    }

    /// The proxies' host names, for the resolver.
    pub(crate) fn hosts(&self) -> Vec<String> {
        [&self.https, &self.http].into_iter().flatten().filter_map(Url::host_str).map(str::to_owned).collect()
    }

    /// Whether `url` names a proxy itself.
    pub(crate) fn are_named_by(&self, url: &Url) -> bool {
        url.host_str().is_some_and(|host| self.hosts().iter().any(|proxy| proxy.eq_ignore_ascii_case(host)))
    }

    /// The rule for the HTTP client, or none without proxies.
    pub(crate) fn rule(&self) -> Option<Proxy> {
        if self.https.is_none() && self.http.is_none() {
            return None;
        }
        let proxies = self.clone();
        let rule = Proxy::custom(move |url| {
            if url.host_str().is_some_and(is_loopback_host) {
                return None;
            }
            if url.scheme() == "https" { proxies.https.clone() } else { proxies.http.clone() }
        });
        Some(rule.no_proxy(NoProxy::from_env()))
    }
}

fn parse(text: String) -> Result<Url, FetchError> {
    // The value may hold a password: it never stands in the error.
    let wrong =
        || FetchError::Unreachable { detail: "the proxy in the environment is not http://host:port or https://host:port".to_owned() };
    let text = if text.contains("://") { text } else { format!("http://{text}") };
    let url = Url::parse(&text).map_err(|_| wrong())?;
    if matches!(url.scheme(), "http" | "https") && url.host_str().is_some() { Ok(url) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Proxies, FetchError> {
        Proxies::read(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn proxies_come_from_the_environment() {
        let proxies = read(&[("HTTPS_PROXY", "http://u:p@proxy.corp:3128"), ("http_proxy", "10.0.0.1:8080")]).expect("proxies");
        assert_eq!(proxies.hosts(), ["proxy.corp", "10.0.0.1"]);
        assert!(proxies.are_named_by(&Url::parse("https://PROXY.corp/").expect("url")));
        assert!(!proxies.are_named_by(&Url::parse("https://registry.example/").expect("url")));
        assert!(read(&[]).is_ok_and(|none| none.rule().is_none()));
        assert!(read(&[("HTTP_PROXY", "http://a:1"), ("REQUEST_METHOD", "GET")]).is_ok_and(|none| none.rule().is_none()));
    }

    #[test]
    fn a_bad_proxy_is_an_error_without_its_password() {
        let error = read(&[("ALL_PROXY", "socks5://u:secret@proxy:1")]).err().expect("an error");
        assert!(!error.to_string().contains("secret"));
    }
}
