//! Who signs: the holder of a key, or of a certificate that lives for minutes ("keyless"). Whatever is made is verified as a verifier
//! would, before it leaves.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealgate_verifier::sigstore::{self, Annotations, Artifact, VerifyError};
use sealgate_verifier::{Digest, Principal, PublicKey, Timestamp, media_type, simple_signing};
use serde_json::{Value, json};

use crate::key::SigningKey;
use crate::legacy::{Layer, PREDICATE_TYPE};
use crate::sign::SignError;
use crate::sigstore::fulcio::{Certified, certify};
use crate::sigstore::rekor::{self, Logged, Verifier};
use crate::sigstore::{IdentityToken, Instance, Vouched};
use crate::statement::Statement;

/// API versions of logs that a bundle's entry may come from.
const ANY_LOG: [u32; 2] = [1, 2];
/// cosign's older layout needs a promise, which only Rekor v1 gives.
const PROMISING_LOG: [u32; 1] = [1];

/// Who signs.
#[derive(Debug)]
pub struct Signer {
    key: SigningKey,
    public: PublicKey,
    certified: Option<Certified>,
    instance: Option<Arc<Instance>>,
    verifier: Verifier,
}

impl Signer {
    /// The holder of `key`. With an `instance` its signatures are logged and timestamped there.
    ///
    /// # Errors
    /// When verifiers would not know the kind of key.
    pub fn with_key(key: SigningKey, instance: Option<Arc<Instance>>) -> Result<Self, SignError> {
        let public = PublicKey::from_der(key.spki()).map_err(|_| SignError::Key)?;
        let verifier = Verifier::new(&key, None);
        Ok(Self { key, public, certified: None, instance, verifier })
    }

    /// The holder of `token`, by a certificate of `instance` for a fresh key that this process alone knows and forgets.
    ///
    /// # Errors
    /// See [`SignError`].
    pub async fn keyless(instance: Arc<Instance>, token: &IdentityToken, now: Timestamp) -> Result<Self, SignError> {
        let (key, _) = SigningKey::generate().map_err(|_| SignError::Key)?;
        let public = PublicKey::from_der(key.spki()).map_err(|_| SignError::Key)?;
        let certified = certify(&instance, token, &key, now).await?;
        let verifier = Verifier::new(&key, Some(&certified.der));
        Ok(Self { key, public, certified: Some(certified), instance: Some(instance), verifier })
    }

    /// Who that is, as verifiers call it.
    #[must_use]
    pub fn principal(&self) -> Principal {
        match &self.certified {
            Some(Certified { identity, .. }) => Principal::Keyless { issuer: identity.issuer.clone(), identity: identity.subject.clone() },
            None => Principal::Key { key: self.public.id() },
        }
    }

    /// The public key.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The instance that vouches for its signatures, where one does.
    #[must_use]
    pub fn instance(&self) -> Option<&Instance> {
        self.instance.as_deref()
    }

    /// A Sigstore bundle v0.3 with `statement` about `digest`.
    ///
    /// # Errors
    /// See [`SignError`].
    pub async fn bundle(&self, statement: &Statement, digest: Digest, now: Timestamp) -> Result<Vec<u8>, SignError> {
        let encoded = statement.pre_authentication_encoding();
        let signature = self.key.sign(&encoded)?;
        let envelope = statement.envelope(&signature);
        let text = envelope.to_string();
        let vouched = self.vouch(Logged::Envelope { text: &text, encoded: &encoded }, &signature, &signature, &ANY_LOG, now).await?;
        let bundle = json!({
            "mediaType": media_type::BUNDLE_V03,
            "verificationMaterial": self.material(&vouched),
            "dsseEnvelope": envelope,
        });
        let bundle = bundle.to_string().into_bytes();
        match (&self.certified, &self.instance) {
            (Some(certified), Some(instance)) => {
                let found = sigstore::verify_certificate(&bundle, Artifact::Digest(digest), &instance.root);
                certified.is(&found.map_err(SignError::Unverified)?.identity)?;
            }
            (None, Some(instance)) if !vouched.entries.is_empty() => {
                let _ = sigstore::verify_key_logged(&bundle, Artifact::Digest(digest), &self.public, &instance.root)
                    .map_err(SignError::Unverified)?;
            }
            (Some(_), None) | (None, _) => self.holds(&encoded, &signature)?,
        }
        Ok(bundle)
    }

    /// A simple signing payload and its signature, as a layer of a `.sig` tag.
    ///
    /// # Errors
    /// See [`SignError`].
    pub async fn simple_signing(&self, docker_reference: &str, digest: Digest, now: Timestamp) -> Result<Layer, SignError> {
        let payload = crate::legacy::payload(docker_reference, &digest);
        let signature = self.key.sign(payload.as_bytes())?;
        let vouched = self.vouch(Logged::Message(payload.as_bytes()), &signature, &signature, &PROMISING_LOG, now).await?;
        let mut annotations = self.annotations(&vouched)?;
        annotations.insert(simple_signing::SIGNATURE.to_owned(), STANDARD.encode(&signature));
        let layer = Layer { media_type: media_type::SIMPLE_SIGNING, bytes: payload.into_bytes().into(), annotations };
        let found = Annotations::of(&layer.annotations);
        match (&self.certified, &self.instance) {
            (Some(certified), Some(instance)) => {
                let found = sigstore::verify_legacy_certificate(&layer.bytes, found, &instance.root);
                certified.is(&found.map_err(SignError::Unverified)?.identity)?;
            }
            (None, Some(instance)) if !vouched.entries.is_empty() => {
                let _ =
                    sigstore::verify_legacy_key_logged(&layer.bytes, found, &self.public, &instance.root).map_err(SignError::Unverified)?;
            }
            (Some(_), None) | (None, _) => self.holds(&layer.bytes, &signature)?,
        }
        Ok(layer)
    }

    /// A DSSE envelope with `statement` about `digest`, as a layer of a `.att` tag.
    ///
    /// # Errors
    /// See [`SignError`].
    pub async fn dsse(&self, statement: &Statement, digest: Digest, now: Timestamp) -> Result<Layer, SignError> {
        let encoded = statement.pre_authentication_encoding();
        let signature = self.key.sign(&encoded)?;
        // The very text that is logged.
        let text = statement.envelope(&signature).to_string();
        let logged = Logged::Envelope { text: &text, encoded: &encoded };
        // cosign verifies a timestamp of the envelope here, not of the signature in it (pkg/cosign, VerifyRFC3161Timestamp).
        let vouched = self.vouch(logged, text.as_bytes(), &signature, &PROMISING_LOG, now).await?;
        let mut annotations = self.annotations(&vouched)?;
        annotations.insert(simple_signing::SIGNATURE.to_owned(), String::new());
        annotations.insert(PREDICATE_TYPE.to_owned(), statement.predicate_type().to_owned());
        let layer = Layer { media_type: media_type::DSSE, bytes: text.into_bytes().into(), annotations };
        let (found, artifact) = (Annotations::of(&layer.annotations), Artifact::Digest(digest));
        match (&self.certified, &self.instance) {
            (Some(certified), Some(instance)) => {
                let found = sigstore::verify_legacy_attestation_certificate(&layer.bytes, found, artifact, &instance.root);
                certified.is(&found.map_err(SignError::Unverified)?.identity)?;
            }
            (None, Some(instance)) if !vouched.entries.is_empty() => {
                let _ = sigstore::verify_legacy_attestation_key_logged(&layer.bytes, found, artifact, &self.public, &instance.root)
                    .map_err(SignError::Unverified)?;
            }
            (Some(_), None) | (None, _) => self.holds(&encoded, &signature)?,
        }
        Ok(layer)
    }

    async fn vouch(
        &self,
        logged: Logged<'_>,
        stamped: &[u8],
        signature: &[u8],
        versions: &[u32],
        now: Timestamp,
    ) -> Result<Vouched, SignError> {
        match &self.instance {
            Some(instance) => instance.vouch(logged, stamped, signature, &self.verifier, versions, now).await,
            None => Ok(Vouched::default()),
        }
    }

    fn holds(&self, message: &[u8], signature: &[u8]) -> Result<(), SignError> {
        if self.public.verify(message, signature) { Ok(()) } else { Err(SignError::Wrong) }
    }

    /// `VerificationMaterial` (protobuf-specs, sigstore_bundle.proto).
    fn material(&self, vouched: &Vouched) -> Value {
        let mut material = match &self.certified {
            Some(certified) => json!({ "certificate": { "rawBytes": STANDARD.encode(&certified.der) } }),
            None => json!({ "publicKey": { "hint": self.key.hint() } }),
        };
        if !vouched.entries.is_empty() {
            material["tlogEntries"] = Value::from(vouched.entries.clone());
        }
        if !vouched.timestamps.is_empty() {
            let tokens: Vec<_> = vouched.timestamps.iter().map(|der| json!({ "signedTimestamp": STANDARD.encode(der) })).collect();
            material["timestampVerificationData"] = json!({ "rfc3161Timestamps": tokens });
        }
        material
    }

    /// The annotations of cosign's older layout, but for the signature. They have room for one entry and one timestamp.
    fn annotations(&self, vouched: &Vouched) -> Result<BTreeMap<String, String>, SignError> {
        let mut annotations = BTreeMap::new();
        if let Some(certified) = &self.certified {
            let chain = certified.chain.iter().map(|der| crate::key::pem("CERTIFICATE", der)).collect();
            annotations.insert(simple_signing::CERTIFICATE.to_owned(), crate::key::pem("CERTIFICATE", &certified.der));
            annotations.insert(sigstore::CHAIN.to_owned(), chain);
        }
        if let Some(entry) = vouched.entries.first() {
            annotations.insert(sigstore::BUNDLE.to_owned(), rekor::annotation(entry).ok_or(SignError::NoPromise)?);
        }
        if let Some(token) = vouched.timestamps.first() {
            let text = json!({ "SignedRFC3161Timestamp": STANDARD.encode(token) }).to_string();
            annotations.insert(sigstore::TIMESTAMP.to_owned(), text);
        }
        Ok(annotations)
    }
}

impl Certified {
    /// Whether what a verifier found is this certificate's holder.
    fn is(&self, found: &sigstore::CertificateIdentity) -> Result<(), SignError> {
        let same = (&found.issuer, &found.subject, found.key) == (&self.identity.issuer, &self.identity.subject, self.identity.key);
        if same { Ok(()) } else { Err(SignError::Unverified(VerifyError::Signature)) }
    }
}
