//! A Sigstore instance as one that signs asks it: who may sign ([`fulcio`]), that it was signed ([`rekor`]) and when ([`timestamp`]).
//!
//! Nothing that it answers is believed: a certificate is verified against the trust root before it is used, and the finished bundle
//! before it is published.

pub mod fulcio;
pub mod identity_token;
pub mod rekor;
pub mod signing_config;
pub mod timestamp;

pub use identity_token::{IdentityToken, TokenError, TokenSource};
pub use signing_config::{SigningConfig, SigningConfigError};

use sealgate_verifier::Timestamp;
use sealgate_verifier::sigstore::TrustRoot;
use serde_json::Value;

use crate::service::{Role, Service};
use crate::sign::SignError;
use rekor::{Logged, Verifier};

/// An instance: where it answers, and what its answers must be signed with.
#[derive(Debug)]
pub struct Instance {
    /// Where it answers.
    pub config: SigningConfig,
    /// The trust root that verifiers will use.
    pub root: TrustRoot,
    /// `User-Agent`.
    pub user_agent: String,
}

/// What an instance says about one signature.
#[derive(Debug, Default)]
pub(crate) struct Vouched {
    /// Log entries, as bundles hold them.
    pub(crate) entries: Vec<Value>,
    /// Timestamp responses, DER.
    pub(crate) timestamps: Vec<Vec<u8>>,
}

impl Instance {
    pub(crate) fn service(&self, role: Role, url: &str) -> Result<Service, SignError> {
        Ok(Service::new(role, url, &self.user_agent)?)
    }

    /// Has `stamped` timestamped and `signature` logged, by the services that count at `now`. `versions`: the log's API versions that
    /// will do.
    pub(crate) async fn vouch(
        &self,
        logged: Logged<'_>,
        stamped: &[u8],
        signature: &[u8],
        verifier: &Verifier,
        versions: &[u32],
        now: Timestamp,
    ) -> Result<Vouched, SignError> {
        let mut vouched = Vouched::default();
        for authority in self.config.timestamp_authorities(now)? {
            let service = self.service(Role::TimestampAuthority, &authority.url)?;
            vouched.timestamps.push(timestamp::stamp(&service, stamped).await?);
        }
        for log in self.config.logs(versions, now)? {
            if log.version == 2 && vouched.timestamps.is_empty() && verifier.is_certificate() {
                return Err(SignError::NoTime);
            }
            let service = self.service(Role::TransparencyLog, &log.url)?;
            let entry = match log.version {
                1 => rekor::enter_v1(&service, logged, signature, verifier).await?,
                _ => rekor::enter_v2(&service, logged, signature, verifier).await?,
            };
            vouched.entries.push(entry);
        }
        Ok(vouched)
    }
}
