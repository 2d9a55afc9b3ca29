//! A certificate authority like Fulcio, with a CT log of its own.

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData, SanType,
};
use time::OffsetDateTime;

use super::der;
use super::key::Key;

/// Who asks for a certificate, and what the token says.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The OIDC issuer.
    pub issuer: String,
    /// A URI or an e-mail address.
    pub subject: String,
    /// Fulcio's extensions `1.3.6.1.4.1.57264.1.N`: N and the text.
    pub claims: Vec<(u64, String)>,
}

impl Identity {
    /// The workflow `workflow` (`OWNER/REPO/.github/workflows/FILE@REF`) on GitHub, called from `repository` (`OWNER/REPO`).
    #[must_use]
    pub fn github(workflow: &str, repository: &str) -> Self {
        let subject = format!("https://github.com/{workflow}");
        let git_ref = workflow.rsplit_once('@').map_or("refs/heads/main", |(_, git_ref)| git_ref).to_owned();
        let claims =
            vec![(9, subject.clone()), (11, "github-hosted".to_owned()), (12, format!("https://github.com/{repository}")), (14, git_ref)];
        Self { issuer: "https://token.actions.githubusercontent.com".to_owned(), subject, claims }
    }

    /// A person with an address at Google.
    #[must_use]
    pub fn person(address: &str) -> Self {
        Self { issuer: "https://accounts.google.com".to_owned(), subject: address.to_owned(), claims: Vec::new() }
    }
}

/// A certificate authority with an intermediate, and the log that it shows its certificates to.
#[derive(Debug)]
pub struct Fulcio {
    issuer: Issuer<'static, KeyPair>,
    issuer_info: Vec<u8>,
    /// Intermediate and root, DER.
    pub chain: Vec<Vec<u8>>,
    /// The CT log's key.
    pub ct_log: Key,
}

/// From when to when the authorities themselves are valid.
pub fn years(params: &mut CertificateParams) {
    params.not_before = rcgen::date_time_ymd(2022, 1, 1);
    params.not_after = rcgen::date_time_ymd(2040, 1, 1);
}

/// A root or an intermediate of this name.
pub fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![]).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "sigstore of the tests");
    params.distinguished_name.push(DnType::CommonName, name);
    years(&mut params);
    params
}

impl Fulcio {
    /// A new one.
    #[must_use]
    pub fn new() -> Self {
        let (root_key, key) = (KeyPair::generate().expect("a key"), KeyPair::generate().expect("a key"));
        let root_params = authority("fulcio root");
        let root = root_params.self_signed(&root_key).expect("a root");
        let root_issuer = Issuer::new(root_params, root_key);
        let mut params = authority("fulcio intermediate");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        params.use_authority_key_identifier_extension = true;
        let intermediate = params.signed_by(&key, &root_issuer).expect("an intermediate");
        let chain = vec![intermediate.der().to_vec(), root.der().to_vec()];
        let issuer_info = rcgen::PublicKeyData::subject_public_key_info(&key);
        Self { issuer: Issuer::new(params, key), issuer_info, chain, ct_log: Key::generate() }
    }

    /// A certificate for `key` (DER), valid for ten minutes around `at`, with an SCT by `ct_log` where there is one.
    #[must_use]
    pub fn issue(&self, identity: &Identity, key: &impl PublicKeyData, at: i64, ct_log: Option<&Key>) -> Vec<u8> {
        let params = leaf(identity, at);
        let precertificate = params.clone().signed_by(key, &self.issuer).expect("a certificate").der().to_vec();
        let Some(ct_log) = ct_log else {
            return precertificate;
        };
        let (certificate, _) = der::first(&precertificate);
        let (_, to_be_signed) = der::first(certificate);
        let list = self.sct_list(to_be_signed, at, ct_log);
        let mut params = params;
        params.custom_extensions.push(CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 11129, 2, 4, 2], der::octets(&list)));
        params.signed_by(key, &self.issuer).expect("a certificate").der().to_vec()
    }

    /// RFC 6962, sections 3.2 and 3.3.
    fn sct_list(&self, to_be_signed: &[u8], at: i64, ct_log: &Key) -> Vec<u8> {
        let milliseconds = u64::try_from(at * 1000).expect("a time after 1970").to_be_bytes();
        let length = u32::try_from(to_be_signed.len()).expect("a short certificate").to_be_bytes();
        let issuer = ring::digest::digest(&ring::digest::SHA256, &self.issuer_info);
        let signed = [&[0, 0][..], &milliseconds, &[0, 1], issuer.as_ref(), &length[1..], to_be_signed, &[0, 0]].concat();
        let signature = ct_log.sign(&signed);
        let short = |bytes: &[u8]| [&u16::try_from(bytes.len()).expect("short").to_be_bytes()[..], bytes].concat();
        let sct = [&[0][..], &ct_log.id(), &milliseconds, &[0, 0], &[4, 3], &short(&signature)].concat();
        short(&short(&sct))
    }
}

impl Default for Fulcio {
    fn default() -> Self {
        Self::new()
    }
}

fn leaf(identity: &Identity, at: i64) -> CertificateParams {
    let mut params = CertificateParams::new(vec![]).expect("no names");
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.serial_number = Some(rcgen::SerialNumber::from(vec![7; 8]));
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    let name = identity.subject.as_str().try_into().expect("ASCII");
    params.subject_alt_names = vec![if identity.subject.contains("://") { SanType::URI(name) } else { SanType::Rfc822Name(name) }];
    params.not_before = OffsetDateTime::from_unix_timestamp(at - 60).expect("a time");
    params.not_after = OffsetDateTime::from_unix_timestamp(at + 540).expect("a time");
    let extension = |arc: u64, content: Vec<u8>| CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 57264, 1, arc], content);
    params.custom_extensions =
        vec![extension(1, identity.issuer.clone().into_bytes()), extension(8, der::tlv(12, identity.issuer.as_bytes()))];
    params.custom_extensions.extend(identity.claims.iter().map(|(arc, text)| extension(*arc, der::tlv(12, text.as_bytes()))));
    params
}
