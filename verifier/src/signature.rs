//! From an attachment's raw bytes to the signatures in it.
//!
//! What comes out is a [`Claim`]: this signature, over these bytes, speaks of the digest in question. Everything that can be
//! checked without a key has been checked; the key has not. Where an attachment was found changes nothing here.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeMap;

use bytes::Bytes;

use crate::bundle::{Bundle, Content, Material};
use crate::claim::{Attestation, Carrier, Claim, Origin, Proof, Says, Sigstore};
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

/// One layer of an attachment, opened.
#[derive(Debug)]
pub(crate) struct Opened<'a> {
    /// Digest of the layer; none where the manifest itself is at fault.
    pub(crate) layer: Option<Digest>,
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
    Dsse,
    Bundle,
    Notation(&'static str),
}

fn kind(media_type: &str) -> Option<Kind> {
    match media_type {
        media_type::SIMPLE_SIGNING => Some(Kind::SimpleSigning),
        media_type::DSSE => Some(Kind::Dsse),
        media_type::JOSE => Some(Kind::Notation(media_type::JOSE)),
        media_type::COSE => Some(Kind::Notation(media_type::COSE)),
        other => media_type::is_bundle(other).then_some(Kind::Bundle),
    }
}

/// Opens an attachment whose bytes are those of its digest; at most `room` signatures.
pub(crate) fn open<'a>(manifest: &[u8], layers: &Layers<'a>, vouched: Vouched<'a>, room: usize) -> Contents<'a> {
    let failed =
        |why: String| Contents { opened: vec![Opened { layer: None, form: SignatureForm::Other, claim: Err(why) }], ..Contents::default() };
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
        let form = match kind {
            Kind::SimpleSigning => SignatureForm::SimpleSigning,
            Kind::Dsse => SignatureForm::Dsse,
            Kind::Notation(media_type) => notation_form(media_type),
            Kind::Bundle => SignatureForm::Other,
        };
        return Opened {
            layer: Some(layer.digest),
            form,
            claim: Err(format!("its manifest refers to {}, expected {}", subject.digest, vouched.digest)),
        };
    }
    let (form, claim) = match kind {
        Kind::SimpleSigning => (SignatureForm::SimpleSigning, simple_signing(layer, bytes, vouched)),
        Kind::Dsse => (SignatureForm::Dsse, dsse(layer, bytes, vouched)),
        Kind::Bundle => bundle(bytes, vouched),
        Kind::Notation(media_type) => {
            let proof = Proof::Notation { envelope: bytes, media_type };
            (notation_form(media_type), Ok(Claim { says: Says::Approval { docker_reference: None }, proof }))
        }
    };
    Opened { layer: Some(layer.digest), form, claim }
}

fn notation_form(media_type: &str) -> SignatureForm {
    if media_type == media_type::COSE { SignatureForm::NotationCose } else { SignatureForm::NotationJws }
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
    let carrier = Carrier::SimpleSigning(bytes, layer.annotations.clone());
    let proof = Proof::Sigstore(Sigstore { message: Cow::Borrowed(bytes), signature, origin: origin(layer), carrier });
    Ok(Claim { says: Says::Approval { docker_reference: Some(payload.docker_reference) }, proof })
}

/// cosign's `.att`: the layer is the envelope, its annotations say what else there is to know of the signer.
fn dsse<'a>(layer: &Descriptor, bytes: &'a Bytes, vouched: Vouched<'a>) -> Result<Claim<'a>, String> {
    let envelope = Envelope::parse(bytes).map_err(|error| problem(&error))?;
    // As in a bundle: a second signature would be one that nothing speaks for (V36).
    if envelope.signatures.len() != 1 {
        return Err(format!("{} signatures in one envelope, expected exactly one", envelope.signatures.len()));
    }
    of_envelope(envelope, origin(layer), Carrier::Envelope(bytes, layer.annotations.clone()), vouched)
}

fn origin(layer: &Descriptor) -> Origin {
    let certificate = layer.annotations.get(simple_signing::CERTIFICATE).is_some_and(|text| !text.is_empty());
    if certificate { Origin::Certificate } else { Origin::Unknown }
}

fn bundle<'a>(bytes: &'a [u8], vouched: Vouched<'a>) -> (SignatureForm, Result<Claim<'a>, String>) {
    let bundle = match Bundle::parse(bytes) {
        Ok(bundle) => bundle,
        Err(error) => return (SignatureForm::Other, Err(problem(&error))),
    };
    let form = match bundle.content {
        Content::Message { .. } => SignatureForm::BundleMessage,
        Content::Dsse(_) => SignatureForm::BundleDsse,
    };
    (form, bundle_claim(bundle, bytes, vouched))
}

fn bundle_claim<'a>(bundle: Bundle, bytes: &'a [u8], vouched: Vouched<'a>) -> Result<Claim<'a>, String> {
    let origin = match bundle.material {
        Material::PublicKey { hint } => hint.map_or(Origin::Unknown, Origin::Key),
        Material::Certificate => Origin::Certificate,
    };
    let carrier = Carrier::Bundle(bytes);
    match bundle.content {
        Content::Message { digest, signature } => {
            if digest.is_some_and(|digest| !digest.matches(vouched.manifest)) {
                return Err(format!("its messageDigest is not that of {}", vouched.digest));
            }
            let proof = Proof::Sigstore(Sigstore { message: Cow::Borrowed(vouched.manifest), signature, origin, carrier });
            Ok(Claim { says: Says::Approval { docker_reference: None }, proof })
        }
        Content::Dsse(envelope) => of_envelope(envelope, origin, carrier, vouched),
    }
}

fn of_envelope<'a>(envelope: Envelope, origin: Origin, carrier: Carrier<'a>, vouched: Vouched<'_>) -> Result<Claim<'a>, String> {
    let says = stated(&envelope, vouched)?;
    let message = Cow::Owned(envelope.pre_authentication_encoding());
    // Exactly one: the callers have seen to it.
    let signature = envelope.signatures.into_iter().next().unwrap_or_default();
    Ok(Claim { says, proof: Proof::Sigstore(Sigstore { message, signature, origin, carrier }) })
}

/// DESIGN "What counts": a DSSE envelope approves only with cosign's own predicate type; attesting is not approving.
fn stated(envelope: &Envelope, vouched: Vouched<'_>) -> Result<Says, String> {
    if envelope.payload_type != media_type::IN_TOTO {
        return Err(format!("payload of type {}, expected {}", quote(&envelope.payload_type), media_type::IN_TOTO));
    }
    let statement = Statement::parse(&envelope.payload).map_err(|error| problem(&error))?;
    if !statement.names(&vouched.digest) {
        return Err(format!("its statement does not name {}", vouched.digest));
    }
    let Statement { predicate_type, predicate, .. } = statement;
    if predicate_type == media_type::COSIGN_SIGN_PREDICATE {
        return Ok(Says::Approval { docker_reference: None });
    }
    Ok(Says::Attestation(Attestation { predicate_type, predicate }))
}
