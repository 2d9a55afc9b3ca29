//! Documents of one server that is no registry, such as an identity provider's key set: the same address guard and limits, no
//! credentials, no redirects.

use bytes::Bytes;
use http::{HeaderValue, Method, header};
use reqwest::Url;

use crate::auth::anonymous;
use crate::body::document;
use crate::client::{ClientConfig, successful};
use crate::error::FetchError;
use crate::origin::{Origin, base_url};
use crate::transport::{Request, Retries, Transport};

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

    /// The document at `url`, which must be of this origin, with at most `limit` bytes.
    ///
    /// # Errors
    /// [`FetchError::Forbidden`] for another origin and for a redirect, and what the server and the network do.
    pub async fn get(&self, url: &str, limit: usize) -> Result<Bytes, FetchError> {
        let url = Url::parse(url).map_err(|_| FetchError::Malformed { problem: "expected an absolute URL".to_owned() })?;
        if Origin::of(&url).as_ref() != Some(&self.origin) {
            return Err(FetchError::Forbidden { problem: format!("a URL that is not of {}", self.origin.authority()) });
        }
        let mut request = Request::new(Method::GET, url);
        request.headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        request.headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let response = self.transport.send(&request, &mut Retries::one()).await?;
        if response.status().is_redirection() {
            return Err(FetchError::Forbidden { problem: "a redirect of a document".to_owned() });
        }
        document(successful(response).await?, limit, self.transport.idle_timeout).await
    }
}
