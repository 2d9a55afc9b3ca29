//! Whom a client certificate names. TLS has verified it against the configured CAs before anything here looks at it.

use std::sync::Arc;

use sealgate_verifier::Timestamp;
use x509_cert::Certificate;
use x509_cert::der::asn1::{PrintableStringRef, TeletexStringRef, Utf8StringRef};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{Decode, Tag, Tagged};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// RFC 5280 §4.2.1.6.
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
/// RFC 5280 appendix A.1, `id-at-commonName`.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
/// Characters of a name: a DNS name has at most 253, a SPIFFE identifier rarely more.
const NAME: usize = 255;

/// Whom a verified certificate names; an extension of every request of its connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The first URI among the subject alternative names, else the first DNS name, else the first e-mail address; the common name only
    /// where there is no such extension (RFC 6125 §6.4.4).
    pub name: Arc<str>,
    /// The connection may outlive the certificate.
    pub not_after: Timestamp,
}

impl ClientCertificate {
    /// Reads a certificate in DER. None where it names nobody in a way that a grant could write.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let certificate = Certificate::from_der(der).ok()?.tbs_certificate;
        let ends = certificate.validity.not_after.to_unix_duration().as_secs();
        let extension = certificate.extensions.iter().flatten().find(|extension| extension.extn_id == SUBJECT_ALT_NAME);
        let name = match extension {
            Some(extension) => alternative(&SubjectAltName::from_der(extension.extn_value.as_bytes()).ok()?)?,
            None => common(&certificate.subject)?,
        };
        // `#` would make two principals look alike.
        let plain = !name.is_empty() && name.chars().count() <= NAME && !name.chars().any(|c| c.is_control() || matches!(c, '#' | '*'));
        plain.then(|| Self { name: name.into(), not_after: Timestamp(i64::try_from(ends).unwrap_or(i64::MAX)) })
    }
}

fn alternative(names: &SubjectAltName) -> Option<String> {
    let uri = |name: &GeneralName| if let GeneralName::UniformResourceIdentifier(uri) = name { Some(uri.to_string()) } else { None };
    let dns = |name: &GeneralName| if let GeneralName::DnsName(dns) = name { Some(dns.to_string()) } else { None };
    let mail = |name: &GeneralName| if let GeneralName::Rfc822Name(mail) = name { Some(mail.to_string()) } else { None };
    names.0.iter().find_map(uri).or_else(|| names.0.iter().find_map(dns)).or_else(|| names.0.iter().find_map(mail))
}

/// The one common name. With several, none: readers differ on which counts.
fn common(subject: &x509_cert::name::Name) -> Option<String> {
    let mut found = subject.0.iter().flat_map(|set| set.0.iter()).filter(|attribute| attribute.oid == COMMON_NAME);
    let (Some(attribute), None) = (found.next(), found.next()) else { return None };
    let value = &attribute.value;
    match value.tag() {
        Tag::Utf8String => value.decode_as::<Utf8StringRef<'_>>().ok().map(|text| text.as_str().to_owned()),
        Tag::PrintableString => value.decode_as::<PrintableStringRef<'_>>().ok().map(|text| text.as_str().to_owned()),
        Tag::TeletexString => value.decode_as::<TeletexStringRef<'_>>().ok().map(|text| text.as_str().to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn named(common: &[&str], alternatives: Vec<SanType>) -> Option<String> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for name in common {
            params.distinguished_name.push(DnType::CommonName, *name);
        }
        params.subject_alt_names = alternatives;
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        ClientCertificate::read(certificate.der()).map(|found| found.name.to_string())
    }

    #[test]
    fn the_alternative_name_wins_over_the_common_name() {
        let dns = || SanType::DnsName("build-1.acme.example".try_into().expect("a name"));
        let uri = || SanType::URI("spiffe://acme.example/ci".try_into().expect("a URI"));
        let mail = || SanType::Rfc822Name("ci@acme.example".try_into().expect("an address"));
        assert_eq!(named(&["admin"], vec![dns(), uri(), mail()]).as_deref(), Some("spiffe://acme.example/ci"));
        assert_eq!(named(&["admin"], vec![mail(), dns()]).as_deref(), Some("build-1.acme.example"));
        assert_eq!(named(&["admin"], vec![mail()]).as_deref(), Some("ci@acme.example"));
        assert_eq!(named(&["build-1"], vec![]).as_deref(), Some("build-1"));
        let address = SanType::IpAddress("127.0.0.1".parse().expect("an address"));
        assert_eq!(named(&["admin"], vec![address]), None, "the common name does not count beside the extension");
    }

    #[test]
    fn a_certificate_that_names_nobody_is_no_client() {
        for name in [&[][..], &[""], &["a#b"], &["*"], &["a\nb"]] {
            assert_eq!(named(name, vec![]), None, "{name:?}");
        }
        assert_eq!(ClientCertificate::read(b""), None);
        assert_eq!(ClientCertificate::read(&[0x30, 0x82, 0xff, 0xff]), None);
    }
}
