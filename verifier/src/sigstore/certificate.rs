//! Fulcio's certificates (fulcio, docs/certificate-specification.md and docs/oid-info.md).

use serde::Serialize;
use spki::der::asn1::{AnyRef, ObjectIdentifier, Utf8StringRef};
use spki::der::{Decode as _, Encode as _, Tag};
use x509_cert::Certificate;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::CertificateError;
use crate::key::{KeyId, PublicKey};
use crate::time::Timestamp;

/// The arc of Fulcio's extensions.
const FULCIO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1");
/// The arc's number for the type of a user name in an `otherName`.
const USER_NAME: u32 = 7;
/// Extensions up to this number hold bare text, later ones a DER UTF8String (docs/oid-info.md).
const LAST_BARE: u32 = 6;

/// What a verified Fulcio certificate says, and when it was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CertificateIdentity {
    /// The OIDC issuer that vouched for the subject (extension `.8`, or `.1` where that is all there is).
    pub issuer: String,
    /// The subject alternative name: a URI of a workflow, an e-mail address, or a user name.
    pub subject: String,
    /// What the issuer's token said of a build.
    pub claims: Claims,
    /// The earliest verified time of signing.
    pub signed_at: Timestamp,
    /// The certificate's key. It lives for minutes; a principal is issuer and subject.
    pub key: KeyId,
}

/// Fulcio's extensions about a build (docs/oid-info.md); none of them for people.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Claims {
    /// `.9` Build signer URI: the (reusable) workflow that ran the signing job, with its ref.
    pub build_signer_uri: Option<String>,
    /// `.10` Build signer digest.
    pub build_signer_digest: Option<String>,
    /// `.11` Runner environment: `github-hosted` or `self-hosted`.
    pub runner_environment: Option<String>,
    /// `.12` Source repository URI, for example `https://github.com/acme/app`. Where only the older `.5` is there, which is
    /// written by GitHub alone as `acme/app`, it is that behind `https://github.com/`.
    pub source_repository: Option<String>,
    /// `.13` Source repository digest, or the older `.3`: the commit.
    pub source_repository_digest: Option<String>,
    /// `.14` Source repository ref, or the older `.6`, for example `refs/heads/main`.
    pub source_repository_ref: Option<String>,
    /// `.15` Source repository identifier, which survives a renaming.
    pub source_repository_id: Option<String>,
    /// `.16` Source repository owner URI.
    pub source_repository_owner: Option<String>,
    /// `.17` Source repository owner identifier.
    pub source_repository_owner_id: Option<String>,
    /// `.18` Build config URI: the workflow that was started, with its ref.
    pub build_config_uri: Option<String>,
    /// `.19` Build config digest.
    pub build_config_digest: Option<String>,
    /// `.20` Build trigger, or the older `.2`, for example `push`.
    pub build_trigger: Option<String>,
    /// `.21` Run invocation URI.
    pub run_invocation_uri: Option<String>,
    /// `.22` Source repository visibility at signing.
    pub source_repository_visibility: Option<String>,
}

/// A signing certificate, read but not believed.
pub(super) struct SigningCertificate {
    pub(super) der: Vec<u8>,
    pub(super) parsed: Certificate,
    pub(super) key: PublicKey,
    issuer: String,
    subject: String,
    claims: Claims,
}

impl SigningCertificate {
    pub(super) fn parse(der: &[u8]) -> Result<Self, CertificateError> {
        let parsed = Certificate::from_der(der).map_err(|_| CertificateError::Malformed)?;
        let info = parsed.tbs_certificate.subject_public_key_info.to_der().map_err(|_| CertificateError::Malformed)?;
        let extensions = parsed.tbs_certificate.extensions.as_deref().unwrap_or_default();
        let issuer = match text(extensions, 8)? {
            Some(issuer) => issuer,
            None => text(extensions, 1)?.ok_or(CertificateError::NoIssuer)?,
        };
        Ok(Self {
            der: der.to_vec(),
            key: PublicKey::from_der(&info)?,
            issuer,
            subject: subject(&parsed)?,
            claims: claims(extensions)?,
            parsed,
        })
    }

    pub(super) fn identity(self, signed_at: Timestamp) -> CertificateIdentity {
        let Self { issuer, subject, claims, key, .. } = self;
        CertificateIdentity { issuer, subject, claims, signed_at, key: key.id() }
    }
}

fn claims(extensions: &[Extension]) -> Result<Claims, CertificateError> {
    let claim = |arc| text(extensions, arc);
    let either = |arc, older| Ok::<_, CertificateError>(claim(arc)?.or(claim(older)?));
    let older_repository = claim(5)?.map(|repository| format!("https://github.com/{repository}"));
    Ok(Claims {
        build_signer_uri: claim(9)?,
        build_signer_digest: claim(10)?,
        runner_environment: claim(11)?,
        source_repository: claim(12)?.or(older_repository),
        source_repository_digest: either(13, 3)?,
        source_repository_ref: either(14, 6)?,
        source_repository_id: claim(15)?,
        source_repository_owner: claim(16)?,
        source_repository_owner_id: claim(17)?,
        build_config_uri: claim(18)?,
        build_config_digest: claim(19)?,
        build_trigger: either(20, 2)?,
        run_invocation_uri: claim(21)?,
        source_repository_visibility: claim(22)?,
    })
}

/// The text of the extension `.arc`; `None` where it is absent. Twice is malformed.
fn text(extensions: &[Extension], arc: u32) -> Result<Option<String>, CertificateError> {
    let malformed = || CertificateError::Extension { arc };
    let oid = FULCIO.push_arc(arc).map_err(|_| malformed())?;
    let mut found = extensions.iter().filter(|extension| extension.extn_id == oid);
    let Some(extension) = found.next() else {
        return Ok(None);
    };
    if found.next().is_some() {
        return Err(malformed());
    }
    let bytes = extension.extn_value.as_bytes();
    let text = if arc <= LAST_BARE {
        std::str::from_utf8(bytes).map_err(|_| malformed())?.to_owned()
    } else {
        Utf8StringRef::from_der(bytes).map_err(|_| malformed())?.as_str().to_owned()
    };
    Ok(Some(text))
}

/// The one name of a kind that Fulcio writes.
fn subject(certificate: &Certificate) -> Result<String, CertificateError> {
    let names = match certificate.tbs_certificate.get::<SubjectAltName>() {
        Ok(Some((_, names))) => names,
        Ok(None) => return Err(CertificateError::Subject { found: 0 }),
        Err(_) => return Err(CertificateError::Malformed),
    };
    let mut subjects: Vec<String> = names.0.iter().filter_map(name).collect();
    match (subjects.pop(), subjects.len()) {
        (Some(subject), 0) if !subject.is_empty() => Ok(subject),
        (None, _) => Err(CertificateError::Subject { found: 0 }),
        (Some(_), others) => Err(CertificateError::Subject { found: others + 1 }),
    }
}

fn name(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::Rfc822Name(address) => Some(address.as_str().to_owned()),
        GeneralName::UniformResourceIdentifier(uri) => Some(uri.as_str().to_owned()),
        GeneralName::OtherName(other) if FULCIO.push_arc(USER_NAME) == Ok(other.type_id) => user_name(&other.value.to_der().ok()?),
        _ => None,
    }
}

/// The value of an `otherName`, under its explicit tag or bare.
fn user_name(der: &[u8]) -> Option<String> {
    let any = AnyRef::from_der(der).ok()?;
    let text = if spki::der::Tagged::tag(&any) == Tag::Utf8String { any } else { AnyRef::from_der(any.value()).ok()? };
    text.decode_as::<Utf8StringRef<'_>>().ok().map(|text| text.as_str().to_owned())
}
