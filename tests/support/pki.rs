//! Certificate authorities for signatures: roots, intermediates, signing and time-stamping certificates of every kind, right and
//! wrong, and revocation lists.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlDistributionPoint, CrlIssuingDistributionPoint,
    CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SerialNumber,
};

use crate::program::Program;

/// A kind of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    /// EC on P-256.
    P256,
    /// EC on P-384.
    P384,
    /// EC on P-521.
    P521,
    /// RSA with this many bits.
    Rsa(u32),
}

/// A signing key with its certificates.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The key (PKCS #8).
    pub key_pem: String,
    /// The chain, leaf first, root last.
    pub chain_pem: String,
}

impl Identity {
    /// The certificates in DER, leaf first.
    #[must_use]
    pub fn chain_der(&self) -> Vec<Vec<u8>> {
        chain_der(&self.chain_pem)
    }

    /// The key in DER (PKCS #8).
    #[must_use]
    pub fn key_der(&self) -> Vec<u8> {
        let base64: String = self.key_pem.lines().filter(|line| !line.starts_with("-----")).collect();
        STANDARD.decode(base64).expect("PEM")
    }
}

/// The certificates of a PEM file in DER.
#[must_use]
pub fn chain_der(pem: &str) -> Vec<Vec<u8>> {
    let blocks = pem.split("-----BEGIN CERTIFICATE-----").skip(1);
    let base64 = |block: &str| block.split("-----END").next().unwrap_or_default().split_whitespace().collect::<String>();
    blocks.map(|block| STANDARD.decode(base64(block)).expect("base64")).collect()
}

/// A certificate authority, root or intermediate.
#[derive(Debug)]
pub struct Ca {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate and those above it, in PEM.
    pub chain_pem: String,
}

/// `C=US, ST=WA, O=organisation, CN=name`.
#[must_use]
pub fn name(organisation: &str, common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CountryName, "US");
    name.push(DnType::StateOrProvinceName, "WA");
    name.push(DnType::OrganizationName, organisation);
    name.push(DnType::CommonName, common_name);
    name
}

/// A new key. openssl makes the kinds that ring cannot.
#[must_use]
pub fn key(kind: KeyType) -> KeyPair {
    match kind {
        KeyType::P256 => KeyPair::generate().expect("a key"),
        KeyType::P384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).expect("a key"),
        KeyType::Rsa(bits) => {
            let algorithm = match bits {
                3072 => &rcgen::PKCS_RSA_SHA384,
                4096 => &rcgen::PKCS_RSA_SHA512,
                _ => &rcgen::PKCS_RSA_SHA256,
            };
            let pem = openssl_key(&["-algorithm", "RSA", "-pkeyopt", &format!("rsa_keygen_bits:{bits}")]);
            KeyPair::from_pem_and_sign_algo(&pem, algorithm).expect("an RSA key")
        }
        KeyType::P521 => panic!("ring signs nothing with P-521: see p521_identity"),
    }
}

fn openssl_key(arguments: &[&str]) -> String {
    Program::new("openssl").arg("genpkey").args(arguments).run().expect_success().stdout
}

/// A self-signed signing certificate on P-521, by openssl.
#[must_use]
pub fn p521_identity() -> Identity {
    let key_pem = openssl_key(&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"]);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("key.pem");
    std::fs::write(&path, &key_pem).expect("a key");
    let subject = ["-subj", "/C=US/ST=WA/O=Acme/CN=p521", "-days", "1", "-sha512"];
    let extensions = ["-addext", "keyUsage=critical,digitalSignature", "-addext", "basicConstraints=critical,CA:false"];
    let request = Program::new("openssl").args(["req", "-x509", "-new", "-key"]).arg(&path).args(subject).args(extensions);
    let chain_pem = request.args(["-addext", "extendedKeyUsage=codeSigning"]).run().expect_success().stdout;
    Identity { key_pem, chain_pem }
}

/// Parameters of a CA's certificate: valid from yesterday, for a year.
#[must_use]
pub fn ca_params(name: DistinguishedName) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid(params, -86_400, 365 * 86_400)
}

/// Parameters of a signing certificate: valid from an hour ago, for a day.
#[must_use]
pub fn signing_params(name: DistinguishedName) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    params.is_ca = IsCa::ExplicitNoCa;
    valid(params, -3_600, 86_400)
}

/// Parameters of a time-stamping certificate (RFC 3161, section 2.3: the purpose alone, and critical).
#[must_use]
pub fn timestamping_params(name: DistinguishedName) -> CertificateParams {
    let mut params = signing_params(name);
    params.extended_key_usages = vec![];
    params.custom_extensions = vec![purpose_extension(&[0x2b, 6, 1, 5, 5, 7, 3, 8], true)];
    params
}

/// An extended key usage extension with one purpose, of which `oid` is the content.
#[must_use]
pub fn purpose_extension(oid: &[u8; 8], critical: bool) -> CustomExtension {
    let value = [&[0x30, 10, 6, 8][..], oid].concat();
    let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 37], value);
    extension.set_criticality(critical);
    extension
}

/// The same parameters, valid from and until these seconds from now.
#[must_use]
pub fn valid(mut params: CertificateParams, from: i64, until: i64) -> CertificateParams {
    let at = |seconds: i64| {
        let offset = Duration::from_secs(seconds.unsigned_abs());
        let now = SystemTime::now();
        if seconds < 0 { now - offset } else { now + offset }
    };
    params.not_before = at(from).into();
    params.not_after = at(until).into();
    params
}

impl Ca {
    /// A new root.
    #[must_use]
    pub fn root(params: CertificateParams, kind: KeyType) -> Self {
        let key = key(kind);
        let chain_pem = params.self_signed(&key).expect("a root").pem();
        Self { issuer: Issuer::new(params, key), chain_pem }
    }

    /// The usual root, of `organisation`, on P-256.
    #[must_use]
    pub fn of(organisation: &str) -> Self {
        Self::root(ca_params(name(organisation, "root")), KeyType::P256)
    }

    /// A CA under this one.
    #[must_use]
    pub fn intermediate(&self, params: CertificateParams, kind: KeyType) -> Self {
        let key = key(kind);
        let certificate = params.signed_by(&key, &self.issuer).expect("an intermediate").pem();
        Self { issuer: Issuer::new(params, key), chain_pem: format!("{certificate}{}", self.chain_pem) }
    }

    /// A certificate under this one.
    #[must_use]
    pub fn issue(&self, params: &CertificateParams, kind: KeyType) -> Identity {
        let key = key(kind);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate").pem();
        Identity { key_pem: key.serialize_pem(), chain_pem: format!("{certificate}{}", self.chain_pem) }
    }

    /// Another certificate under this one for the key of `identity`: the chain alone, in PEM.
    #[must_use]
    pub fn certify(&self, params: &CertificateParams, identity: &Identity) -> String {
        let key = KeyPair::from_pem(&identity.key_pem).expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate").pem();
        format!("{certificate}{}", self.chain_pem)
    }

    /// The root's certificate: what one must trust.
    #[must_use]
    pub fn root_pem(&self) -> &str {
        let start = self.chain_pem.rfind("-----BEGIN").expect("a certificate");
        &self.chain_pem[start..]
    }

    /// A revocation list, in PEM, of these serial numbers, from and until these seconds from now.
    #[must_use]
    pub fn revocation_list(&self, serials: &[u64], from: i64, until: i64) -> String {
        self.list(serials, from, until, None)
    }

    /// An empty list that covers only what one distribution point names.
    #[must_use]
    pub fn partial_revocation_list(&self, from: i64, until: i64) -> String {
        let distribution_point = CrlDistributionPoint { uris: vec!["http://127.0.0.1/part.crl".to_owned()] };
        self.list(&[], from, until, Some(CrlIssuingDistributionPoint { distribution_point, scope: None }))
    }

    fn list(&self, serials: &[u64], from: i64, until: i64, part: Option<CrlIssuingDistributionPoint>) -> String {
        let times = valid(CertificateParams::default(), from, until);
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: times.not_before,
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: times.not_before,
            next_update: times.not_after,
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: part,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).expect("a revocation list").pem().expect("PEM")
    }
}
