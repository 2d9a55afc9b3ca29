//! The files of a TUF repository, over HTTP.

use bytes::Bytes;
use sealgate_config::TufRepository;
use sealgate_registry::{AddressGuard, AddressRange, ClientConfig, Documents, FetchError, IDLE_TIMEOUT, anonymous};
use sealgate_verifier::tuf::Wanted;

/// A client of one repository.
pub struct Repository {
    url: String,
    documents: Documents,
}

impl Repository {
    /// Prepares a client; connects to nobody.
    ///
    /// # Errors
    /// When the CA file cannot be read.
    pub fn new(config: &TufRepository) -> Result<Self, FetchError> {
        let (scheme, rest) = config.url.split_once("://").unwrap_or_default();
        let authority = rest.split('/').next().unwrap_or_default();
        let listed = config.allow_addresses.iter().map(|range| AddressRange { network: range.network, prefix: range.prefix });
        // A literal address allows itself, as an upstream's does (DESIGN §3): the admin wrote it out.
        let literal = crate::gate::upstreams::literal(&config.url);
        let documents = Documents::new(ClientConfig {
            url: format!("{scheme}://{authority}"),
            realms: Vec::new(),
            ca: config.ca.clone(),
            addresses: AddressGuard { allowed: listed.chain(literal).collect(), unrestricted: false },
            credentials: anonymous(),
            idle_timeout: IDLE_TIMEOUT,
            user_agent: concat!("sealgate/", env!("CARGO_PKG_VERSION")).to_owned(),
        })?;
        Ok(Self { url: config.url.clone(), documents })
    }

    /// A metadata file, none where there is none. Object stores answer 403 for that, as python-tuf's client knows too.
    ///
    /// # Errors
    /// What the server and the network do; more bytes than are wanted.
    pub async fn metadata(&self, wanted: &Wanted) -> Result<Option<Bytes>, FetchError> {
        match self.documents.get(&format!("{}/{}", self.url, wanted.path), wanted.limit).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(FetchError::NotFound | FetchError::Denied { status: 403 }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A target.
    ///
    /// # Errors
    /// As [`Self::metadata`].
    pub async fn target(&self, wanted: &Wanted) -> Result<Bytes, FetchError> {
        self.documents.get(&format!("{}/targets/{}", self.url, wanted.path), wanted.limit).await
    }
}
