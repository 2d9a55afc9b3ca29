//! One request to one server: address guard, proxies, time limits, one retry.

use std::sync::{Arc, Once};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use reqwest::{Certificate, Response, Url};

use crate::address::AddressGuard;
use crate::client::ClientConfig;
use crate::error::FetchError;
use crate::failure::{Lost, lost};
use crate::origin::literal_address;
use crate::proxies::Proxies;
use crate::resolver::{GuardedResolver, SystemLookup};

/// Pause before the one retry.
const RETRY_PAUSE: Duration = Duration::from_millis(250);
/// An upload may take this long per byte on top of the idle timeout: 64 KiB/s.
const UPLOAD_BYTES_PER_SECOND: u64 = 64 * 1024;

/// A request to be sent to one server.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Bytes>,
}

impl Request {
    pub(crate) fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: None }
    }
}

/// How many retries an operation has left. A reset connection and 502, 503 and 504 are retried once per operation, over all its hops.
pub(crate) struct Retries(u8);

impl Retries {
    pub(crate) const fn one() -> Self {
        Self(1)
    }

    const fn none_left(&self) -> bool {
        self.0 == 0
    }
}

/// Sends requests.
pub(crate) struct Transport {
    http: reqwest::Client,
    guard: Arc<AddressGuard>,
    proxies: Proxies,
    pub(crate) idle_timeout: Duration,
}

impl Transport {
    pub(crate) fn new(config: &ClientConfig) -> Result<Self, FetchError> {
        install_crypto();
        let guard = Arc::new(config.addresses.clone());
        let proxies = Proxies::read(|name| std::env::var(name).ok())?;
        let resolver = GuardedResolver { guard: Arc::clone(&guard), proxies: proxies.hosts().into(), lookup: Arc::new(SystemLookup) };
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .connect_timeout(config.idle_timeout)
            .dns_resolver(resolver)
            .user_agent(&config.user_agent);
        if let Some(rule) = proxies.rule() {
            builder = builder.proxy(rule);
        }
        if let Some(path) = &config.ca {
            builder = builder.tls_certs_only(read_certificates(path)?);
        }
        let http = builder.build().map_err(|error| lost(&error).error)?;
        Ok(Self { http, guard, proxies, idle_timeout: config.idle_timeout })
    }

    /// Refuses URLs that must not be dialled whatever they resolve to.
    pub(crate) fn check(&self, url: &Url) -> Result<(), FetchError> {
        let refuse = |problem: &str| Err(FetchError::Forbidden { problem: problem.to_owned() });
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("a URL with a user name in it");
        }
        if literal_address(url).is_some_and(|address| !self.guard.permits(address)) {
            return refuse("a private or special address, which is not allowed for this registry");
        }
        if !self.guard.unrestricted && self.proxies.are_named_by(url) {
            return refuse("the forward proxy itself");
        }
        Ok(())
    }

    /// Sends `request` and waits for the answer's head.
    pub(crate) async fn send(&self, request: &Request, retries: &mut Retries) -> Result<Response, FetchError> {
        self.check(&request.url)?;
        loop {
            let outcome = self.send_once(request).await;
            let retriable = request.method.is_idempotent()
                && match &outcome {
                    Ok(response) => {
                        matches!(response.status(), StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
                    }
                    Err(lost) => lost.reset,
                };
            if !retriable || retries.none_left() {
                return outcome.map_err(|lost| lost.error);
            }
            retries.0 -= 1;
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    async fn send_once(&self, request: &Request) -> Result<Response, Lost> {
        let mut builder = self.http.request(request.method.clone(), request.url.clone()).headers(request.headers.clone());
        let mut patience = self.idle_timeout;
        if let Some(body) = &request.body {
            patience += Duration::from_secs(u64::try_from(body.len()).unwrap_or(u64::MAX) / UPLOAD_BYTES_PER_SECOND);
            builder = builder.body(body.clone());
        }
        match tokio::time::timeout(patience, builder.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(lost(&error)),
            Err(_) => Err(Lost { error: FetchError::Timeout, reset: false }),
        }
    }
}

/// reqwest without a built-in provider panics unless rustls has a process-wide one.
fn install_crypto() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // An error says that the program has installed one already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

fn read_certificates(path: &std::path::Path) -> Result<Vec<Certificate>, FetchError> {
    let unreadable = |problem: String| FetchError::Unreachable { detail: format!("CA file {}: {problem}", path.display()) };
    let pem = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
    let certificates = Certificate::from_pem_bundle(&pem).map_err(|_| unreadable("expected PEM certificates".to_owned()))?;
    if certificates.is_empty() { Err(unreadable("expected PEM certificates, found none".to_owned())) } else { Ok(certificates) }
}
