//! From an attachment's raw bytes to the signatures in it.
//!
//! What comes out is a claim: this signature, over these bytes, vouches for the digest in question. Everything that can be
//! checked without a key has been checked; the key has not. Where an attachment was found changes nothing here.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeMap;

use bytes::Bytes;

use crate::bundle::{Bundle, Content, Material};
use crate::digest::{Algorithm, Digest};
use crate::dsse::Envelope;
use crate::encoding;
use crate::manifest::{Descriptor, ImageManifest, Manifest};
use crate::message::{problem, quote};
use crate::simple_signing::{self, Payload};
use crate::statement::Statement;
use crate::verdict::SignatureForm;
use crate::{limits, media_type};

/// What is being vouched for: the subject, or an index above it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vouched<'a> {
    pub(crate) digest: Digest,
    pub(crate) manifest: &'a Bytes,
}

/// A signature that vouches for the right digest, if a key can be found that made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim<'a> {
    /// The bytes that are signed.
    pub(crate) message: Cow<'a, [u8]>,
    /// The signature.
    pub(crate) signature: Vec<u8>,
    /// The repository name that the signed bytes carry, where the form has a place for one.
    pub(crate) docker_reference: Option<String>,
    /// Why the signature may be nobody's whom the policy could know; for messages only.
    pub(crate) origin: Origin,
}

/// What an unauthenticated hint says of the signer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nothing.
    Unknown,
    /// A key with this id.
    Key(Digest),
    /// A certificate stands beside the signature.
    Certificate,
}

/// One layer of an attachment, opened.
#[derive(Debug)]
pub(crate) struct Opened<'a> {
    pub(crate) form: SignatureForm,
    /// The claim, or the first step that failed.
    pub(crate) claim: Result<Claim<'a>, String>,
}

/// An attachment, opened.
#[derive(Debug, Default)]
pub(crate) struct Contents<'a> {
    pub(crate) opened: Vec<Opened<'a>>,
    /// Signature layers whose bytes are not at hand.
    pub(crate) missing: Vec<Digest>,
    /// Whether layers were left out because `room` was used up.
    pub(crate) over: bool,
}

/// The layers at hand, by their digests.
#[derive(Debug, Default)]
pub(crate) struct Layers<'a> {
    sha256: BTreeMap<Digest, &'a Bytes>,
    /// Filled when a descriptor asks for it; nearly none does.
    sha512: OnceCell<BTreeMap<Digest, &'a Bytes>>,
    /// Whether layers were left out for a limit.
    pub(crate) over: bool,
}

impl<'a> Layers<'a> {
    /// Takes in layers. Those over a limit are left out: the total goes to the lowest digests, so that the order of the layers
    /// decides nothing.
    pub(crate) fn gather(layers: impl Iterator<Item = &'a Bytes>) -> Self {
        let (small, large): (Vec<_>, Vec<_>) = layers.partition(|bytes| bytes.len() <= limits::EVIDENCE_LAYER_BYTES);
        let mut sha256: BTreeMap<Digest, &Bytes> = small.into_iter().map(|bytes| (Digest::sha256(bytes), bytes)).collect();
        let all = sha256.len();
        let mut total = 0;
        sha256.retain(|_, bytes| {
            total += bytes.len();
            total <= limits::EVIDENCE_TOTAL_BYTES
        });
        Self { over: !large.is_empty() || sha256.len() < all, sha256, sha512: OnceCell::new() }
    }

    fn get(&self, descriptor: &Descriptor) -> Option<&'a Bytes> {
        let map = match descriptor.digest {
            Digest::Sha256(_) => &self.sha256,
            Digest::Sha512(_) => {
                self.sha512.get_or_init(|| self.sha256.values().map(|bytes| (Digest::of(Algorithm::Sha512, bytes), *bytes)).collect())
            }
        };
        map.get(&descriptor.digest).copied().filter(|bytes| bytes.len() as u64 == descriptor.size)
    }
}

enum Kind {
    SimpleSigning,
    Bundle,
    /// Evidence that is not read as a signature in this version.
    Unread(&'static str),
}

fn kind(media_type: &str) -> Option<Kind> {
    match media_type {
        media_type::SIMPLE_SIGNING => Some(Kind::SimpleSigning),
        media_type::DSSE => Some(Kind::Unread("a DSSE envelope outside of a bundle is an attestation, which is not an approval")),
        media_type::JOSE | media_type::COSE => Some(Kind::Unread("Notation signature: not supported in this version")),
        other => media_type::is_bundle(other).then_some(Kind::Bundle),
    }
}

/// Opens an attachment whose bytes are those of its digest; at most `room` signatures.
pub(crate) fn open<'a>(manifest: &[u8], layers: &Layers<'a>, vouched: Vouched<'a>, room: usize) -> Contents<'a> {
    let failed = |why: String| Contents { opened: vec![Opened { form: SignatureForm::Other, claim: Err(why) }], ..Contents::default() };
    let image = match Manifest::parse(manifest, None) {
        Ok(Manifest::Image(image)) => image,
        Ok(Manifest::Index(_)) => return failed("an index: expected a manifest with signatures as its layers".to_owned()),
        Err(error) => return failed(problem(&error)),
    };
    let mut contents = Contents::default();
    for layer in &image.layers {
        let Some(kind) = kind(&layer.media_type) else {
            continue;
        };
        if contents.opened.len() + contents.missing.len() >= room {
            contents.over = true;
            break;
        }
        match layers.get(layer) {
            Some(bytes) => contents.opened.push(open_layer(&kind, &image, layer, bytes, vouched)),
            None => contents.missing.push(layer.digest),
        }
    }
    contents
}

fn open_layer<'a>(kind: &Kind, image: &ImageManifest, layer: &Descriptor, bytes: &'a Bytes, vouched: Vouched<'a>) -> Opened<'a> {
    // distribution-spec 1.1, "Listing Referrers": a referrer belongs to the subject that it names.
    if let Some(subject) = image.subject.as_ref().filter(|subject| subject.digest != vouched.digest) {
        let form = if matches!(kind, Kind::SimpleSigning) { SignatureForm::SimpleSigning } else { SignatureForm::Other };
        return Opened { form, claim: Err(format!("its manifest refers to {}, expected {}", subject.digest, vouched.digest)) };
    }
    match kind {
        Kind::SimpleSigning => Opened { form: SignatureForm::SimpleSigning, claim: simple_signing(layer, bytes, vouched) },
        Kind::Bundle => bundle(bytes, vouched),
        Kind::Unread(why) => Opened { form: SignatureForm::Other, claim: Err((*why).to_owned()) },
    }
}

/// cosign's SIGNATURE_SPEC.md: the layer is the payload, its annotation the signature over the payload's bytes.
fn simple_signing<'a>(layer: &Descriptor, bytes: &'a Bytes, vouched: Vouched<'a>) -> Result<Claim<'a>, String> {
    let annotation = |name| layer.annotations.get(name).filter(|text| !text.is_empty());
    let text = annotation(simple_signing::SIGNATURE).ok_or_else(|| format!("no annotation {}", simple_signing::SIGNATURE))?;
    let signature = encoding::decode(text).ok_or("the signature is not base64")?;
    let payload = Payload::parse(bytes).map_err(|error| problem(&error))?;
    if payload.digest != vouched.digest {
        return Err(format!("its payload names {}, expected {}", payload.digest, vouched.digest));
    }
    let origin = if annotation(simple_signing::CERTIFICATE).is_some() { Origin::Certificate } else { Origin::Unknown };
    Ok(Claim { message: Cow::Borrowed(bytes), signature, docker_reference: Some(payload.docker_reference), origin })
}

fn bundle<'a>(bytes: &[u8], vouched: Vouched<'a>) -> Opened<'a> {
    let bundle = match Bundle::parse(bytes) {
        Ok(bundle) => bundle,
        Err(error) => return Opened { form: SignatureForm::Other, claim: Err(problem(&error)) },
    };
    let form = match bundle.content {
        Content::Message { .. } => SignatureForm::BundleMessage,
        Content::Dsse(_) => SignatureForm::BundleDsse,
    };
    Opened { form, claim: bundle_claim(bundle, vouched) }
}

fn bundle_claim(bundle: Bundle, vouched: Vouched<'_>) -> Result<Claim<'_>, String> {
    let origin = match bundle.material {
        Material::PublicKey { hint } => hint.map_or(Origin::Unknown, Origin::Key),
        // Its key is whatever the certificate says: without a trust root it is nobody's, and no policy key is tried on it.
        Material::Certificate => return Err("keyless certificate: not supported in this version".to_owned()),
    };
    match bundle.content {
        Content::Message { digest, signature } => {
            if digest.is_some_and(|digest| !digest.matches(vouched.manifest)) {
                return Err(format!("its messageDigest is not that of {}", vouched.digest));
            }
            Ok(Claim { message: Cow::Borrowed(vouched.manifest), signature, docker_reference: None, origin })
        }
        Content::Dsse(envelope) => {
            check_statement(&envelope, vouched)?;
            let message = Cow::Owned(envelope.pre_authentication_encoding());
            // Exactly one: `Bundle::parse` has seen to it.
            let signature = envelope.signatures.into_iter().next().unwrap_or_default();
            Ok(Claim { message, signature, docker_reference: None, origin })
        }
    }
}

/// DESIGN "What counts": a DSSE envelope approves only with cosign's own predicate type; attesting is not approving.
fn check_statement(envelope: &Envelope, vouched: Vouched<'_>) -> Result<(), String> {
    if envelope.payload_type != media_type::IN_TOTO {
        return Err(format!("payload of type {}, expected {}", quote(&envelope.payload_type), media_type::IN_TOTO));
    }
    let statement = Statement::parse(&envelope.payload).map_err(|error| problem(&error))?;
    if statement.predicate_type != media_type::COSIGN_SIGN_PREDICATE {
        return Err(format!("an attestation of type {}, which is not an approval", quote(&statement.predicate_type)));
    }
    if !statement.names(&vouched.digest) {
        return Err(format!("its statement does not name {}", vouched.digest));
    }
    Ok(())
}
