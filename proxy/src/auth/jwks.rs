//! Key sets of identity providers (RFC 7517), from a file or from the issuer (OpenID Connect Discovery 1.0 §4).

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature;
use sealgate_config::Oidc;
use sealgate_registry::{AddressGuard, AddressRange, ClientConfig, Documents, IDLE_TIMEOUT, anonymous};
use serde::Deserialize;

use crate::server::{Stamp, stamp};

/// Bytes of a key set or discovery document. GitHub's has about 10 KiB.
const DOCUMENT: usize = 256 * 1024;
/// Keys of a set; issuers have a handful.
const KEYS: usize = 64;
/// How long a key set is used before it is fetched again.
const FRESH: Duration = Duration::from_secs(3_600);
/// How long a key set counts while the issuer does not answer.
const STALE: Duration = Duration::from_secs(24 * 3_600);
/// At most one fetch in this time, however many unknown keys clients name (D6).
const PAUSE: Duration = Duration::from_secs(60);
/// And after a fetch that failed.
const RETRY: Duration = Duration::from_secs(10);
/// Curve points begin with this (SEC 1 §2.3.3).
const UNCOMPRESSED: u8 = 4;

/// The algorithms that are accepted (RFC 7518 §3.1). Each belongs to one kind of key: nothing that a token says can mix them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
}

impl Algorithm {
    /// The algorithm that a header names.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            _ => None,
        }
    }
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// Modulus and exponent.
    Rsa {
        /// Big-endian.
        n: Vec<u8>,
        /// Big-endian.
        e: Vec<u8>,
    },
    /// An uncompressed point of P-256.
    P256(Vec<u8>),
}

impl Key {
    const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa { .. } => Algorithm::Rs256,
            Self::P256(_) => Algorithm::Es256,
        }
    }

    /// Whether `signature` is this key's over `message`. RSA keys under 2048 bits verify nothing.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Rsa { n, e } => {
                let key = signature::RsaPublicKeyComponents { n, e };
                key.verify(&signature::RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok()
            }
            Self::P256(point) => {
                signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point).verify(message, signature).is_ok()
            }
        }
    }
}

/// One entry of a key set. Keys of other kinds are left out.
#[derive(Deserialize)]
struct Entry {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

type KeySet = HashMap<(String, Algorithm), Key>;

fn parse(bytes: &[u8]) -> Result<KeySet, String> {
    let document: Document = serde_json::from_slice(bytes).map_err(|_| "expected a JSON Web Key Set".to_owned())?;
    let entries = document.keys.into_iter().take(KEYS).filter_map(|entry| serde_json::from_value::<Entry>(entry).ok());
    let keys: KeySet = entries.filter_map(key).collect();
    if keys.is_empty() { Err("the key set holds no RSA or P-256 key with a `kid`".to_owned()) } else { Ok(keys) }
}

fn key(entry: Entry) -> Option<((String, Algorithm), Key)> {
    let bytes = |text: Option<String>| URL_SAFE_NO_PAD.decode(text?.trim_end_matches('=')).ok();
    let key = match (entry.kty.as_str(), entry.crv.as_deref()) {
        ("RSA", _) => Key::Rsa { n: bytes(entry.n)?, e: bytes(entry.e)? },
        ("EC", Some("P-256")) => Key::P256([vec![UNCOMPRESSED], bytes(entry.x)?, bytes(entry.y)?].concat()),
        (_, _) => return None,
    };
    let algorithm = key.algorithm();
    let fits =
        entry.alg.is_none_or(|alg| Algorithm::named(&alg) == Some(algorithm)) && entry.purpose.is_none_or(|purpose| purpose == "sig");
    fits.then_some(((entry.kid?, algorithm), key))
}

enum Source {
    File(PathBuf),
    Issuer { issuer: String, documents: Box<Documents> },
}

struct Held {
    keys: Arc<KeySet>,
    since: Instant,
    stamp: Option<Stamp>,
}

/// The keys of one issuer.
pub struct Jwks {
    source: Source,
    held: Mutex<Option<Held>>,
    /// When the issuer may be asked again; held while it is asked, so that all wait for one answer.
    again: tokio::sync::Mutex<Instant>,
}

impl Jwks {
    /// Where `entry` has its keys; speaks to nobody.
    ///
    /// # Errors
    /// The key set file is none, or the CA file cannot be read.
    pub fn new(entry: &Oidc) -> Result<Self, String> {
        let source = match &entry.jwks {
            Some(file) => Source::File(file.clone()),
            None => Source::Issuer { issuer: entry.issuer.clone(), documents: Box::new(documents(entry)?) },
        };
        let jwks = Self { source, held: Mutex::default(), again: tokio::sync::Mutex::new(Instant::now()) };
        if let Source::File(file) = &jwks.source {
            jwks.hold(read(file)?, stamp(file));
        }
        Ok(jwks)
    }

    /// The key that a token names. An unknown one makes the gate ask the issuer again, but not often.
    pub async fn key(&self, kid: &str, algorithm: Algorithm) -> Option<Key> {
        let wanted = (kid.to_owned(), algorithm);
        match &self.source {
            Source::File(file) => {
                self.reread(file).await;
                self.held(STALE).0?.get(&wanted).cloned()
            }
            Source::Issuer { issuer, documents } => {
                if let Some(found) = self.held(FRESH).0.and_then(|keys| keys.get(&wanted).cloned()) {
                    return Some(found);
                }
                let mut again = self.again.lock().await;
                let known = self.held(FRESH).0.is_some_and(|keys| keys.contains_key(&wanted));
                if !known && *again <= Instant::now() {
                    let pause = match fetch(issuer, documents).await {
                        Ok(keys) => {
                            self.hold(keys, None);
                            PAUSE
                        }
                        Err(problem) => {
                            tracing::error!(%issuer, %problem, "the issuer's keys could not be fetched");
                            RETRY
                        }
                    };
                    *again = Instant::now() + pause;
                }
                drop(again);
                self.held(STALE).0?.get(&wanted).cloned()
            }
        }
    }

    /// A file that changed is read again; a broken one changes nothing.
    async fn reread(&self, file: &Path) {
        let present = stamp(file);
        if self.held(Duration::MAX).1 == present {
            return;
        }
        let path = file.to_owned();
        let read = tokio::task::spawn_blocking(move || read(&path)).await;
        match read.map_err(|error| error.to_string()).and_then(|read| read) {
            Ok(keys) => self.hold(keys, present),
            Err(problem) => tracing::error!(%problem, "the key set was not reloaded; the last good one stays in force"),
        }
    }

    fn hold(&self, keys: KeySet, stamp: Option<Stamp>) {
        let held = Held { keys: Arc::new(keys), since: Instant::now(), stamp };
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(held);
    }

    /// The keys, where they are no older than `age` or of a file, and the file's stamp.
    fn held(&self, age: Duration) -> (Option<Arc<KeySet>>, Option<Stamp>) {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(held) = held.as_ref() else { return (None, None) };
        let usable = held.since.elapsed() < age || matches!(self.source, Source::File(_));
        (usable.then(|| Arc::clone(&held.keys)), held.stamp)
    }
}

fn read(file: &Path) -> Result<KeySet, String> {
    let failed = |problem: String| format!("{}: {problem}", file.display());
    let bytes = std::fs::read(file).map_err(|error| failed(error.to_string()))?;
    if bytes.len() > DOCUMENT { Err(failed(format!("is larger than {DOCUMENT} bytes"))) } else { parse(&bytes).map_err(failed) }
}

async fn fetch(issuer: &str, documents: &Documents) -> Result<KeySet, String> {
    let get = async |url: &str| documents.get(url, DOCUMENT).await.map_err(|error| error.to_string());
    let discovery = get(&format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))).await?;
    let Discovery { issuer: found, jwks_uri } =
        serde_json::from_slice(&discovery).map_err(|_| "expected a discovery document with issuer and jwks_uri".to_owned())?;
    // Discovery §4.3: "MUST be identical".
    if found != issuer {
        return Err("the discovery document is of another issuer".to_owned());
    }
    parse(&get(&jwks_uri).await?)
}

fn documents(entry: &Oidc) -> Result<Documents, String> {
    let (scheme, rest) = entry.issuer.split_once("://").unwrap_or_default();
    let authority = rest.split('/').next().unwrap_or_default();
    let listed = entry.allow_addresses.iter().map(|range| AddressRange { network: range.network, prefix: range.prefix });
    // A literal address allows itself, as an upstream's does (DESIGN §3): the admin wrote it out.
    let literal = crate::gate::upstreams::literal(&entry.issuer);
    Documents::new(ClientConfig {
        url: format!("{scheme}://{authority}"),
        realms: Vec::new(),
        ca: entry.ca.clone(),
        addresses: AddressGuard { allowed: listed.chain(literal).collect(), unrestricted: false },
        credentials: anonymous(),
        idle_timeout: IDLE_TIMEOUT,
        user_agent: concat!("sealgate/", env!("CARGO_PKG_VERSION")).to_owned(),
    })
    .map_err(|error| format!("issuer {}: {error}", entry.issuer))
}
