//! Why nothing was signed; and the plainest signature: by a key, without anything that vouches for its time.

use sealgate_verifier::sigstore::VerifyError;
use sealgate_verifier::{Digest, media_type};
use serde_json::json;

use crate::key::SigningKey;
use crate::service::ServiceError;
use crate::sigstore::SigningConfigError;
use crate::statement::Statement;

/// Why nothing was signed. No variant's text holds a key or a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The system has no random bytes.
    #[error("the system gave no random bytes")]
    Random,
    /// A key could not be made.
    #[error("no key could be made for this signature")]
    Key,
    /// A service of the Sigstore instance.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The signing config has no service for it.
    #[error(transparent)]
    SigningConfig(#[from] SigningConfigError),
    /// The certificate that was issued is not one that verifiers would believe.
    #[error("the certificate that was issued does not verify against the trust root: {0}")]
    Certificate(VerifyError),
    /// The certificate is for another key.
    #[error("the certificate that was issued is for another key than the one that asked for it")]
    CertificateKey,
    /// What was signed is not what verifiers would believe: nothing is published.
    #[error("the signature does not verify against the trust root, so it is not published: {0}")]
    Unverified(VerifyError),
    /// As above, without a trust root.
    #[error("the signature does not verify by its own key, so it is not published")]
    Wrong,
    /// A log that gives no time, and nobody else to give one.
    #[error("the transparency log (Rekor v2) gives no time, and the signing config names no timestamp authority (`tsaUrls`) for it")]
    NoTime,
    /// A key whose signatures such a log does not take.
    #[error("the transparency log takes no signature of this kind of key: use ECDSA P-256 or P-384, or RSA of 2048, 3072 or 4096 bits")]
    NotLogged,
    /// The older layout needs the log's promise.
    #[error("the log's answer has no inclusion promise, which the older signature format needs: use --signature-format bundle")]
    NoPromise,
}

impl SignError {
    /// Whether it may pass by itself.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        match self {
            Self::Service(error) => error.may_pass(),
            Self::Random
            | Self::Key
            | Self::SigningConfig(_)
            | Self::Certificate(_)
            | Self::CertificateKey
            | Self::Unverified(_)
            | Self::Wrong
            | Self::NoTime
            | Self::NotLogged
            | Self::NoPromise => false,
        }
    }
}

/// Signs `digest` as `cosign sign` 3 does, without a transparency log entry, and returns the bundle's bytes.
///
/// # Errors
/// [`SignError::Random`].
pub fn sign_image(key: &SigningKey, digest: &Digest) -> Result<Vec<u8>, SignError> {
    let statement = Statement::signature(digest);
    let signature = key.sign(&statement.pre_authentication_encoding())?;
    // protobuf-specs sigstore_bundle.proto, in the JSON form that cosign writes.
    let bundle = json!({
        "mediaType": media_type::BUNDLE_V03,
        "verificationMaterial": { "publicKey": { "hint": key.hint() } },
        "dsseEnvelope": statement.envelope(&signature),
    });
    Ok(bundle.to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn the_bundle_has_cosigns_members_and_no_secret() {
        let (key, der) = SigningKey::generate().expect("a key");
        let bundle = sign_image(&key, &Digest::sha256(b"image")).expect("signs");
        let value: serde_json::Value = serde_json::from_slice(&bundle).expect("JSON");
        assert_eq!(value["mediaType"], media_type::BUNDLE_V03);
        assert_eq!(value["verificationMaterial"], json!({ "publicKey": { "hint": key.hint() } }));
        assert_eq!(value["dsseEnvelope"]["signatures"].as_array().map(Vec::len), Some(1));
        assert_eq!(value.as_object().map(serde_json::Map::len), Some(3));
        let secret = STANDARD.encode(&*der);
        assert!(!String::from_utf8_lossy(&bundle).contains(&secret[..40]));
    }
}
