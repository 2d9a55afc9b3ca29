//! Documents of one server that is no registry, such as an identity provider's key set or a transparency log: the same address guard
//! and limits, no credentials but those that a request brings, no redirects.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use reqwest::{Response, Url};

use crate::address::AddressGuard;

use crate::auth::anonymous;
use crate::body::document;
use crate::client::{ClientConfig, successful};
use crate::error::FetchError;
use crate::origin::{Origin, base_url};
use crate::transport::{self, Retries, Transport};

/// What is sent beside the URL.
#[derive(Debug, Default)]
pub struct Request<'a> {
    /// `Authorization`. Never logged.
    pub authorization: Option<&'a str>,
    /// `Accept`; empty for JSON.
    pub accept: &'static str,
    /// `Content-Type` and the body of a POST; none for a GET.
    pub body: Option<(&'static str, Bytes)>,
}

/// An answer with any status but a redirect's.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The body.
    pub body: Bytes,
}

/// Fetches documents from one origin.
pub struct Documents {
    origin: Origin,
    transport: Transport,
}

impl Documents {
    /// Prepares a client of the server at `config.url`; connects to nobody. Credentials and realms of `config` count for nothing.
    ///
    /// # Errors
    /// As [`crate::Client::new`].
    pub fn new(config: ClientConfig) -> Result<Self, FetchError> {
        let origin = Origin::of(&base_url(&config.url)?).ok_or(FetchError::Malformed { problem: "URL".to_owned() })?;
        let config = ClientConfig { credentials: anonymous(), realms: Vec::new(), ..config };
        Ok(Self { origin, transport: Transport::new(&config)? })
    }

    /// Prepares a client of the server that the user named with `url`, of which only the origin counts: any address, the system's CAs.
    ///
    /// # Errors
    /// As [`Documents::new`], and when it is no URL.
    pub fn of_user(url: &str, user_agent: &str, idle_timeout: Duration) -> Result<Self, FetchError> {
        let wrong = || FetchError::Malformed { problem: "expected a URL with https:// or http://".to_owned() };
        let mut origin = Url::parse(url).map_err(|_| wrong())?;
        origin.set_path("/");
        origin.set_query(None);
        origin.set_fragment(None);
        let addresses = AddressGuard { allowed: Vec::new(), unrestricted: true };
        Self::new(ClientConfig { addresses, idle_timeout, ..ClientConfig::anonymous(origin.as_str(), user_agent) })
    }

    /// Whether nobody on the way can read what is sent: https, or this machine itself.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.origin.https || self.origin.is_loopback()
    }

    /// The document at `url`, which must be of this origin, with at most `limit` bytes.
    ///
    /// # Errors
    /// [`FetchError::Forbidden`] for another origin and for a redirect, and what the server and the network do.
    pub async fn get(&self, url: &str, limit: usize) -> Result<Bytes, FetchError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let response = self.exchange(url, Method::GET, headers, None).await?;
        document(successful(response).await?, limit, self.transport.idle_timeout).await
    }

    /// The answer to `request` at `url`, which must be of this origin, with at most `limit` bytes. Nothing is sent twice.
    ///
    /// # Errors
    /// [`FetchError::Forbidden`] for another origin and for a redirect, and what the network does. A status is no error.
    pub async fn ask(&self, url: &str, request: Request<'_>, limit: usize) -> Result<Answer, FetchError> {
        let malformed = || FetchError::Malformed { problem: "expected a header value".to_owned() };
        let mut headers = HeaderMap::new();
        let accept = if request.accept.is_empty() { "application/json" } else { request.accept };
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        if let Some(authorization) = request.authorization {
            let mut value = HeaderValue::from_str(authorization).map_err(|_| malformed())?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        let (method, body) = match request.body {
            Some((content_type, body)) => {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
                (Method::POST, Some(body))
            }
            None => (Method::GET, None),
        };
        let response = self.exchange(url, method, headers, body).await?;
        let status = response.status();
        Ok(Answer { status, body: document(response, limit, self.transport.idle_timeout).await? })
    }

    async fn exchange(&self, url: &str, method: Method, headers: HeaderMap, body: Option<Bytes>) -> Result<Response, FetchError> {
        let url = Url::parse(url).map_err(|_| FetchError::Malformed { problem: "expected an absolute URL".to_owned() })?;
        if Origin::of(&url).as_ref() != Some(&self.origin) {
            return Err(FetchError::Forbidden { problem: format!("a URL that is not of {}", self.origin.authority()) });
        }
        let mut request = transport::Request { method, url, headers, body };
        request.headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let response = self.transport.send(&request, &mut Retries::one()).await?;
        if response.status().is_redirection() {
            return Err(FetchError::Forbidden { problem: "a redirect of a document".to_owned() });
        }
        Ok(response)
    }
}
