//! Certification paths (RFC 5280, section 6), built and checked by rustls-webpki at a time that the caller names.

use std::time::Duration;

use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, ring as algorithm};
use x509_cert::der::asn1::{AnyRef, ObjectIdentifier};
use x509_cert::der::{Decode as _, Encode as _, Tag};
use x509_cert::ext::pkix::BasicConstraints;

use super::window::Window;
use crate::time::Timestamp;

/// id-kp-codeSigning (RFC 5280, section 4.2.1.12).
pub(crate) static CODE_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3");
/// id-kp-timeStamping (RFC 5280, section 4.2.1.12).
pub(crate) static TIME_STAMPING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8");

static ALGORITHMS: [&dyn SignatureVerificationAlgorithm; 14] = [
    algorithm::ECDSA_P256_SHA256,
    algorithm::ECDSA_P256_SHA384,
    algorithm::ECDSA_P384_SHA256,
    algorithm::ECDSA_P384_SHA384,
    algorithm::ED25519,
    algorithm::RSA_PKCS1_2048_8192_SHA256,
    algorithm::RSA_PKCS1_2048_8192_SHA384,
    algorithm::RSA_PKCS1_2048_8192_SHA512,
    algorithm::RSA_PKCS1_2048_8192_SHA256_ABSENT_PARAMS,
    algorithm::RSA_PKCS1_2048_8192_SHA384_ABSENT_PARAMS,
    algorithm::RSA_PKCS1_2048_8192_SHA512_ABSENT_PARAMS,
    algorithm::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    algorithm::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    algorithm::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

/// Why no path leads from a certificate to an anchor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The root is not, or no longer, valid at that time.
    #[error("the root certificate is not valid at {at}")]
    Root {
        /// The time.
        at: Timestamp,
    },
    /// What rustls-webpki found.
    #[error("no path at {at}: {problem}")]
    Path {
        /// The time.
        at: Timestamp,
        /// The first problem.
        problem: webpki::Error,
    },
}

/// A self-made end of every path: a root certificate that the operator trusts.
#[derive(Debug, Clone)]
pub(crate) struct Anchor {
    anchor: [TrustAnchor<'static>; 1],
    validity: Window,
}

impl Anchor {
    /// `None` where `der` is no certificate.
    pub(crate) fn new(der: &[u8]) -> Option<Self> {
        let validity = validity(&x509_cert::Certificate::from_der(der).ok()?);
        let anchor = webpki::anchor_from_trusted_cert(&CertificateDer::from(der)).ok()?.to_owned();
        Some(Self { anchor: [anchor], validity })
    }

    /// Whether a path leads from `leaf` through `intermediates` to this anchor at `at`, for `usage`. Answers with the DER
    /// SubjectPublicKeyInfo of the certificate that signed `leaf`.
    pub(crate) fn reach(
        &self,
        leaf: &[u8],
        intermediates: &[CertificateDer<'_>],
        at: Timestamp,
        usage: &'static ObjectIdentifier,
    ) -> Result<Vec<u8>, PathError> {
        // webpki takes an anchor's own dates as settled; RFC 5280, section 6.1, leaves them to the relying party.
        let Some(seconds) = u64::try_from(at.0).ok().filter(|_| self.validity.contains(at)) else {
            return Err(PathError::Root { at });
        };
        let failed = |problem| PathError::Path { at, problem };
        let leaf = CertificateDer::from(leaf);
        let end = EndEntityCert::try_from(&leaf).map_err(failed)?;
        let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let path = end
            .verify_for_usage(&ALGORITHMS, &self.anchor, intermediates, time, KeyUsage::required(usage.as_bytes()), None, None)
            .map_err(failed)?;
        match path.intermediate_certificates().next() {
            Some(issuer) => Ok(issuer.subject_public_key_info().as_ref().to_vec()),
            // An anchor holds the content of its SubjectPublicKeyInfo only.
            None => AnyRef::new(Tag::Sequence, path.anchor().subject_public_key_info.as_ref())
                .and_then(|any| any.to_der())
                .map_err(|_| failed(webpki::Error::BadDer)),
        }
    }
}

/// From notBefore to notAfter, both included (RFC 5280, section 4.1.2.5).
pub(crate) fn validity(certificate: &x509_cert::Certificate) -> Window {
    let validity = &certificate.tbs_certificate.validity;
    let seconds = |time: &x509_cert::time::Time| i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
    Window::between(Timestamp(seconds(&validity.not_before)), Timestamp(seconds(&validity.not_after)))
}

/// Whether the basic constraints say that it may sign certificates.
pub(crate) fn is_authority(certificate: &x509_cert::Certificate) -> bool {
    matches!(certificate.tbs_certificate.get::<BasicConstraints>(), Ok(Some((_, constraints))) if constraints.ca)
}
