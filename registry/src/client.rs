//! One registry, spoken to over the OCI Distribution API.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use reqwest::{Response, Url};
use sealgate_verifier::reference::is_path;

use crate::address::AddressGuard;
use crate::auth::{Access, Authorization, Authorizer, CredentialSource};
use crate::body::drain;
use crate::error::FetchError;
use crate::origin::{Origin, base_url};
use crate::redirect::{Trail, is_redirect};
use crate::transport::{Request, Retries, Transport};

/// How one registry is reached.
#[derive(Clone)]
pub struct ClientConfig {
    /// `https://host[:port]` or `http://host[:port]`, without path.
    pub url: String,
    /// Hosts of token realms that may see credentials, beside the registry itself: `host` for port 443 (80 of a plaintext registry), or
    /// `host:port`.
    pub realms: Vec<String>,
    /// PEM file with the CAs to trust in place of the system's.
    pub ca: Option<PathBuf>,
    /// Which addresses may be dialled.
    pub addresses: AddressGuard,
    /// Credentials by repository path.
    pub credentials: CredentialSource,
    /// Longest wait for a connection with its answer's head, or for the next byte. Default 20 s. A whole document may take three times this.
    pub idle_timeout: Duration,
    /// `User-Agent`, for example `sealgate/0.1.0`.
    pub user_agent: String,
}

/// [`ClientConfig::idle_timeout`] where nothing else is said.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// A client of one registry. Cheap to clone; keeps connections and tokens.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    base: Url,
    origin: Origin,
    transport: Transport,
    authorizer: Authorizer,
}

/// A request within one repository.
pub(crate) struct Operation<'a> {
    /// The repository's path.
    pub(crate) path: &'a str,
    pub(crate) access: Access,
    pub(crate) request: Request,
}

impl Client {
    /// Prepares a client; connects to nobody.
    ///
    /// # Errors
    /// When the CA file cannot be read, the URL is none, or the environment names a proxy that cannot be used.
    pub fn new(config: ClientConfig) -> Result<Self, FetchError> {
        let base = base_url(&config.url)?;
        let origin = Origin::of(&base).ok_or(FetchError::Malformed { problem: "upstream URL".to_owned() })?;
        let transport = Transport::new(&config)?;
        let authorizer = Authorizer::new(origin.clone(), config.realms, config.credentials);
        Ok(Self { inner: Arc::new(Inner { base, origin, transport, authorizer }) })
    }

    /// `/v2/<path>/<rest>` at the registry.
    pub(crate) fn url(&self, path: &str, rest: &str) -> Result<Url, FetchError> {
        if !is_path(path) {
            return Err(FetchError::Malformed { problem: "expected a repository path".to_owned() });
        }
        let mut url = self.inner.base.clone();
        url.set_path(&format!("/v2/{path}/{rest}"));
        Ok(url)
    }

    pub(crate) fn idle_timeout(&self) -> Duration {
        self.inner.transport.idle_timeout
    }

    /// A pull request for `/v2/<path>/<rest>`.
    pub(crate) fn pull<'a>(&self, method: Method, path: &'a str, rest: &str) -> Result<Operation<'a>, FetchError> {
        Ok(Operation { path, access: Access::Pull, request: Request::new(method, self.url(path, rest)?) })
    }

    /// Carries out an operation: credentials at home, redirects as a stranger, one answer to a challenge. The answer may have any status
    /// but a redirect's; of other methods than GET and HEAD no redirect is followed.
    pub(crate) async fn perform(&self, operation: Operation<'_>) -> Result<Response, FetchError> {
        let Operation { path, access, request } = operation;
        let Inner { origin, transport, authorizer, .. } = &*self.inner;
        let follows = matches!(request.method, Method::GET | Method::HEAD);
        let mut retries = Retries::one();
        let mut authorization = authorizer.remembered(path, access).await;
        let mut challenged = false;
        let mut hop = request.clone();
        let mut trail = Trail::new(origin.clone(), hop.url.clone());
        loop {
            hop.headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            hop.headers.remove(header::AUTHORIZATION);
            if let Some(authorization) = authorization.as_ref().filter(|_| !trail.is_abroad()) {
                hop.headers.insert(header::AUTHORIZATION, authorization.header.clone());
            }
            let response = transport.send(&hop, &mut retries).await?;
            let status = response.status();
            if status == StatusCode::UNAUTHORIZED && !trail.is_abroad() && !challenged {
                challenged = true;
                let headers = discard(response).await;
                authorization = Some(authorizer.answer(transport, &headers, path, access, authorization.as_ref()).await?);
                // From the start: a same-origin redirect may have been another for a stranger.
                hop = request.clone();
                trail = Trail::new(origin.clone(), hop.url.clone());
            } else if status == StatusCode::FORBIDDEN && !trail.is_abroad() && !challenged && authorization.is_none() {
                // A registry that strangers may read refuses without a challenge; `/v2/` is where it has one for who has credentials.
                challenged = true;
                let Some(known) = self.introduce(path, access, &mut retries).await else { return Ok(response) };
                drain(response).await;
                authorization = Some(known);
                hop = request.clone();
                trail = Trail::new(origin.clone(), hop.url.clone());
            } else if is_redirect(status) {
                let headers = discard(response).await;
                if !follows {
                    return Err(FetchError::Forbidden { problem: "a redirect of a write".to_owned() });
                }
                hop.url = trail.next(&headers)?;
            } else {
                return Ok(response);
            }
        }
    }
}

impl Client {
    /// What the challenge of `/v2/` leads to (distribution-spec 1.1, "Determining Support"); none without credentials, or without one.
    async fn introduce(&self, path: &str, access: Access, retries: &mut Retries) -> Option<Authorization> {
        let Inner { base, transport, authorizer, .. } = &*self.inner;
        if !authorizer.has_credentials(path) {
            return None;
        }
        let mut url = base.clone();
        url.set_path("/v2/");
        let response = transport.send(&Request::new(Method::GET, url), retries).await.ok()?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return None;
        }
        let headers = discard(response).await;
        authorizer.answer(transport, &headers, path, access, None).await.ok()
    }
}

/// Reads a body away and keeps the head.
pub(crate) async fn discard(mut response: Response) -> HeaderMap {
    let headers = std::mem::take(response.headers_mut());
    drain(response).await;
    headers
}

/// The answer if its status is a success, else what its status means.
pub(crate) async fn successful(response: Response) -> Result<Response, FetchError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    Err(crate::failure::refusal(status, &discard(response).await))
}
