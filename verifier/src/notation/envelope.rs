//! What the two envelope formats share (signature-specification.md, "Signature Envelope").

use super::algorithm::EnvelopeAlgorithm;
use super::error::NotationError;
use super::{cose, jws};
use crate::media_type;
use crate::message::quote;
use crate::time::Timestamp;

pub(super) const SIGNING_SCHEME: &str = "io.cncf.notary.signingScheme";
pub(super) const SIGNING_TIME: &str = "io.cncf.notary.signingTime";
pub(super) const AUTHENTIC_SIGNING_TIME: &str = "io.cncf.notary.authenticSigningTime";
pub(super) const EXPIRY: &str = "io.cncf.notary.expiry";
pub(super) const PLUGIN: &str = "io.cncf.notary.verificationPlugin";
pub(super) const PLUGIN_MIN_VERSION: &str = "io.cncf.notary.verificationPluginMinVersion";
pub(super) const TIMESTAMP: &str = "io.cncf.notary.timestampSignature";
/// The one payload type.
const PAYLOAD: &str = "application/vnd.cncf.notary.payload.v1+json";

/// How the signing time is known (signing-scheme.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    /// `notary.x509`: by the signer's word only, or by a timestamp.
    X509 { claimed: Timestamp },
    /// `notary.x509.signingAuthority`: by the authority's word.
    SigningAuthority { authentic: Timestamp },
}

/// An envelope's parts. Nothing in it has been checked but its form and its headers' consistency.
#[derive(Debug)]
pub(super) struct Envelope {
    pub(super) attributes: Attributes,
    pub(super) payload: Vec<u8>,
    /// The bytes that are signed.
    pub(super) signed: Vec<u8>,
    pub(super) signature: Vec<u8>,
    /// The chain, in DER, leaf first.
    pub(super) certificates: Vec<Vec<u8>>,
    /// The timestamp countersignature.
    pub(super) timestamp: Option<Vec<u8>>,
}

/// The signed attributes.
#[derive(Debug)]
pub(super) struct Attributes {
    pub(super) algorithm: EnvelopeAlgorithm,
    pub(super) scheme: Scheme,
    pub(super) expiry: Option<Timestamp>,
}

/// The protected headers as a format gives them.
#[derive(Debug, Default)]
pub(super) struct Headers {
    pub(super) algorithm: Option<EnvelopeAlgorithm>,
    pub(super) content_type: Option<String>,
    pub(super) scheme: Option<String>,
    pub(super) signing_time: Option<Timestamp>,
    pub(super) authentic_signing_time: Option<Timestamp>,
    pub(super) expiry: Option<Timestamp>,
    /// The plugin's name, or the plain fact that a plugin is asked for.
    pub(super) plugin: Option<String>,
    pub(super) critical: Option<Vec<String>>,
}

impl Envelope {
    /// Reads an envelope of `media_type`.
    pub(super) fn parse(bytes: &[u8], media_type: &str) -> Result<Self, NotationError> {
        match media_type {
            media_type::JOSE => jws::parse(bytes),
            media_type::COSE => cose::parse(bytes),
            other => Err(NotationError::MediaType { found: quote(other) }),
        }
    }
}

impl Headers {
    /// Checks the headers against each other ("Signed Attributes"; notation-core-go's base envelope).
    pub(super) fn check(self) -> Result<Attributes, NotationError> {
        let missing = |header| NotationError::MissingHeader { header };
        if let Some(plugin) = &self.plugin {
            return Err(NotationError::Plugin { plugin: quote(plugin) });
        }
        let algorithm = self.algorithm.ok_or_else(|| missing("alg"))?;
        let content_type = self.content_type.as_deref().ok_or_else(|| missing("content type"))?;
        if content_type != PAYLOAD {
            return Err(NotationError::ContentType { found: quote(content_type) });
        }
        let scheme = self.scheme()?;
        self.check_critical(scheme)?;
        let (Scheme::X509 { claimed: signed_at } | Scheme::SigningAuthority { authentic: signed_at }) = scheme;
        match self.expiry {
            Some(expires) if expires <= signed_at => Err(NotationError::ExpiryBeforeSigning { signed_at, expires }),
            expiry => Ok(Attributes { algorithm, scheme, expiry }),
        }
    }

    fn scheme(&self) -> Result<Scheme, NotationError> {
        let missing = |header| NotationError::MissingHeader { header };
        let other = |header, scheme| Err(NotationError::HeaderOfOtherScheme { header, scheme });
        match self.scheme.as_deref().ok_or_else(|| missing(SIGNING_SCHEME))? {
            scheme @ "notary.x509" if self.authentic_signing_time.is_some() => other(AUTHENTIC_SIGNING_TIME, scheme_name(scheme)),
            "notary.x509" => Ok(Scheme::X509 { claimed: self.signing_time.ok_or_else(|| missing(SIGNING_TIME))? }),
            scheme @ "notary.x509.signingAuthority" if self.signing_time.is_some() => other(SIGNING_TIME, scheme_name(scheme)),
            "notary.x509.signingAuthority" => {
                let authentic = self.authentic_signing_time.ok_or_else(|| missing(AUTHENTIC_SIGNING_TIME))?;
                Ok(Scheme::SigningAuthority { authentic })
            }
            _ => Err(NotationError::Header { header: SIGNING_SCHEME, expected: "notary.x509 or notary.x509.signingAuthority" }),
        }
    }

    /// Every header that must be critical is, and no other: an unknown one "MUST cause signature verification to fail".
    fn check_critical(&self, scheme: Scheme) -> Result<(), NotationError> {
        let mut required = vec![SIGNING_SCHEME];
        if matches!(scheme, Scheme::SigningAuthority { .. }) {
            required.push(AUTHENTIC_SIGNING_TIME);
        }
        if self.expiry.is_some() {
            required.push(EXPIRY);
        }
        for header in self.critical.iter().flatten() {
            // Taken out, so that a second mention is refused.
            match required.iter().position(|required| required == header) {
                Some(at) => drop(required.swap_remove(at)),
                None => return Err(NotationError::Critical { header: quote(header) }),
            }
        }
        required.first().map_or(Ok(()), |header| Err(NotationError::NotCritical { header }))
    }
}

fn scheme_name(scheme: &str) -> &'static str {
    if scheme == "notary.x509" { "notary.x509" } else { "notary.x509.signingAuthority" }
}
