//! One image, three signers of each kind, and what each of them signed in every form: for tests and measurements of the decision.

use std::collections::BTreeMap;

use sealgate_verifier::notation::{NotationSigner, StoreKind, TrustStore};
use sealgate_verifier::policy::TrustRootSource;
use sealgate_verifier::sigstore::TrustRoot;
use sealgate_verifier::{
    Attachment, AttestationType, Attested, Claim, Evidence, IdentityMatcher, KeylessIdentity, Location, Policy, PolicyParts, PublicKey,
    Quorum, Requirement, Revision, Rule, SignedBy, Signer, SignerIdentity, TextMatcher, Timestamp, TrustedKey, media_type,
};
use serde_json::{Value, json};

use crate::evidence::{attachment, evidence};
use crate::image::{Content, Image};
use crate::notation::{Format, Notation, envelopes};
use crate::pki::{Ca, KeyType, ca_params, name, signing_params};
use crate::registry::Registry;
use crate::sigstore::fulcio::years;
use crate::sigstore::{Identity, Key, Making, Record, Sigstore};

/// The image's repository.
pub const REPOSITORY: &str = "docker.io/library/nginx";
/// When decisions are made: after every signature, and while every certificate that must be is valid.
pub const NOW: Timestamp = Timestamp(1_800_000_000);
/// The predicate of every attestation.
pub const PREDICATE: &str = "https://slsa.dev/provenance/v1";
const ROOT: &str = "tests";

/// How signers are recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// By keys.
    Keyed,
    /// By keys, with a log entry.
    Logged,
    /// By short-lived certificates.
    Keyless,
    /// By Notation's certificates.
    Notation,
    /// The first by a key, the others by short-lived certificates; they attest.
    Attested,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Keyed, Self::Logged, Self::Keyless, Self::Notation, Self::Attested];
}

/// A good signature or attestation of the image.
#[derive(Debug, Clone)]
pub struct Signed {
    /// Which of the three signers made it.
    pub by: usize,
    /// How it is stored.
    pub form: &'static str,
    /// It.
    pub attachment: Attachment,
}

/// The image and its signers.
#[derive(Debug)]
pub struct World {
    /// The image.
    pub image: Image,
    /// Who vouches for keyless signatures.
    pub instance: Sigstore,
    keys: Vec<Key>,
    /// Keys that signed nothing.
    idle: Vec<Key>,
    notation_root: String,
    notation: Vec<Signed>,
}

/// Whose certificates a signer gets.
#[must_use]
pub fn identity(who: usize) -> Identity {
    match who {
        0 => Identity::github("acme/builders/.github/workflows/release.yml@refs/tags/v1", "acme/app"),
        1 => Identity::github("acme/builders/.github/workflows/nightly.yml@refs/heads/main", "acme/app"),
        _ => Identity::person("release@acme.example"),
    }
}

fn public(key: &Key) -> PublicKey {
    PublicKey::from_pem(&key.public_pem()).expect("a key")
}

/// `C=US, ST=WA, O=Acme N`.
fn organisation(who: usize) -> String {
    format!("Acme {who}")
}

impl World {
    /// A new one.
    #[must_use]
    pub fn new() -> Self {
        let image = Image::small();
        let (notation_root, notation) = notation(&image);
        let keys = || (0..3).map(|_| Key::generate()).collect();
        Self { image, instance: Sigstore::new(), keys: keys(), idle: keys(), notation_root, notation }
    }

    /// The public key of a signer, in PEM; that of somebody who signed nothing where `who` is 3.
    #[must_use]
    pub fn public_pem(&self, who: usize) -> String {
        self.keys.get(who).unwrap_or(&self.idle[0]).public_pem()
    }

    /// The root of Notation's three signers, in PEM.
    #[must_use]
    pub fn notation_root(&self) -> &str {
        &self.notation_root
    }

    /// What the three signers of this kind signed, in every form.
    #[must_use]
    pub fn signed(&self, kind: Kind) -> Vec<Signed> {
        match kind {
            Kind::Notation => self.notation.clone(),
            Kind::Keyed | Kind::Logged | Kind::Keyless | Kind::Attested => (0..3).flat_map(|by| self.forms(kind, by)).collect(),
        }
    }

    /// What is good for nothing here: signatures of another image that claim to be about this one, and strangers' of this one, under the
    /// signers' names where they bear names.
    #[must_use]
    pub fn worthless(&self, kind: Kind) -> Vec<Attachment> {
        let only = |signed: Vec<Signed>| signed.into_iter().map(|signed| signed.attachment).collect::<Vec<_>>();
        if kind == Kind::Notation {
            return only(notation(&self.image).1);
        }
        [only(self.forms_of(kind, 0, &Image::small())), only(self.elsewhere().forms(kind, 0))].concat()
    }

    /// The same image in another world: signers of the same names with other keys, and another instance.
    #[must_use]
    pub fn elsewhere(&self) -> Self {
        Self { image: self.image.clone(), ..Self::strangers() }
    }

    fn strangers() -> Self {
        let keys = || (0..3).map(|_| Key::generate()).collect();
        let (image, instance) = (Image::small(), Sigstore::new());
        Self { image, instance, keys: keys(), idle: keys(), notation_root: String::new(), notation: Vec::new() }
    }

    fn forms(&self, kind: Kind, by: usize) -> Vec<Signed> {
        self.forms_of(kind, by, &self.image)
    }

    fn forms_of(&self, kind: Kind, by: usize, image: &Image) -> Vec<Signed> {
        match kind {
            Kind::Keyed | Kind::Logged | Kind::Keyless => self.approvals(kind, by, image),
            Kind::Attested => self.attestations(by, image),
            Kind::Notation => Vec::new(),
        }
    }

    fn approvals(&self, kind: Kind, by: usize, image: &Image) -> Vec<Signed> {
        let manifest = &image.manifest;
        let (one, two) = (self.instance.making(), self.instance.making_tiled());
        let sign = |message: &[u8], making: Making<'_>| match kind {
            Kind::Keyless => self.instance.sign(&identity(by), message, making),
            Kind::Keyed | Kind::Logged | Kind::Notation | Kind::Attested => self.instance.sign_with(&self.keys[by], message, making),
        };
        let attest = |making: Making<'_>| {
            let statement = statement(manifest, media_type::COSIGN_SIGN_PREDICATE, &json!({}));
            let (made, envelope) = match kind {
                Kind::Keyless => self.instance.attest(&identity(by), &statement, making),
                Kind::Keyed | Kind::Logged | Kind::Notation | Kind::Attested => {
                    self.instance.attest_with(&self.keys[by], &statement, making)
                }
            };
            made.bundle_with(&envelope)
        };
        let mut signed = vec![
            self.bundle("message, Rekor v1", by, sign(&manifest.bytes, one).bundle(&manifest.bytes)),
            self.bundle("message, Rekor v2", by, sign(&manifest.bytes, two).bundle(&manifest.bytes)),
            self.bundle("envelope, dsse 0.0.1", by, attest(one)),
            self.bundle("envelope, intoto 0.0.2", by, attest(Making { record: Record::Intoto, ..one })),
            self.bundle("envelope, hashedrekord 0.0.2", by, attest(two)),
        ];
        let payload = json!({ "critical": {
            "identity": { "docker-reference": "" }, "image": { "docker-manifest-digest": manifest.digest }, "type": "cosign container image signature",
        }, "optional": null });
        let payload = Content::new(media_type::SIMPLE_SIGNING, payload.to_string());
        let annotations = sign(&payload.bytes, one).annotations(&self.instance.fulcio.chain);
        let attachment = attachment(Location::SignatureTag, &payload, &annotations, None);
        signed.push(Signed { by, form: "simple signing", attachment });
        signed
    }

    fn attestations(&self, by: usize, image: &Image) -> Vec<Signed> {
        let statement = statement(&image.manifest, PREDICATE, &json!({ "buildDefinition": { "buildType": "https://acme.example/build" } }));
        let attest = |making: Making<'_>| match by {
            0 => self.instance.attest_with(&self.keys[by], &statement, making),
            _ => self.instance.attest(&identity(by), &statement, making),
        };
        let (one, two) = (self.instance.making(), self.instance.making_tiled());
        let (first, second) = (attest(one), attest(two));
        let mut signed = vec![
            self.bundle("attestation, dsse 0.0.1", by, first.0.bundle_with(&first.1)),
            self.bundle("attestation, hashedrekord 0.0.2", by, second.0.bundle_with(&second.1)),
        ];
        let (made, envelope) = attest(one);
        let layer = Content::new(media_type::DSSE, envelope);
        let annotations = made.annotations(&self.instance.fulcio.chain);
        let attachment = attachment(Location::AttestationTag, &layer, &annotations, None);
        signed.push(Signed { by, form: "attestation, .att", attachment });
        signed
    }

    fn bundle(&self, form: &'static str, by: usize, bundle: Value) -> Signed {
        let layer = Content::new(media_type::BUNDLE_V03, bundle.to_string());
        Signed { by, form, attachment: attachment(Location::Referrers, &layer, &BTreeMap::new(), Some(&self.image.manifest)) }
    }

    /// A policy whose signers `a`, `b` and `c` are the three of this kind, or, where one is not `trusted`, somebody who signed nothing.
    #[must_use]
    pub fn policy(&self, kind: Kind, quorum: Quorum, trusted: [bool; 3]) -> Policy {
        let signers: Vec<String> = ["a", "b", "c"].map(str::to_owned).into();
        let identity = |(who, name): (usize, &String)| {
            let signer = Signer { identity: self.signer(kind, who, trusted[who]), images: Vec::new() };
            (name.clone(), signer)
        };
        let by = SignedBy { quorum, signers: signers.clone() };
        let requirement = match kind {
            Kind::Keyed | Kind::Logged | Kind::Keyless | Kind::Notation => Requirement::SignedBy(by),
            Kind::Attested => {
                let kind = AttestationType::parse("slsaprovenance1").expect("a type");
                Requirement::Attested(Attested { kind, by, conditions: Vec::new(), max_age: None })
            }
        };
        Policy::new(PolicyParts {
            signers: signers.iter().enumerate().map(identity).collect(),
            trust_roots: BTreeMap::from([(ROOT.to_owned(), TrustRootSource::File(Box::new(self.trust_root())))]),
            rules: vec![Rule::of("docker.io/library/*".parse().expect("a pattern"), vec![requirement])],
            ..PolicyParts::empty(Revision(sealgate_verifier::Digest::sha256(b"tests")))
        })
        .expect("a policy")
    }

    fn trust_root(&self) -> TrustRoot {
        TrustRoot::from_json(self.instance.trusted_root().to_string().as_bytes()).expect("a trust root")
    }

    fn signer(&self, kind: Kind, who: usize, trusted: bool) -> SignerIdentity {
        let keys = if trusted { &self.keys } else { &self.idle };
        let keys = || vec![TrustedKey { key: public(&keys[who]), until: None }];
        match kind {
            Kind::Keyed => SignerIdentity::Keys(keys()),
            Kind::Attested if who == 0 => SignerIdentity::Keys(keys()),
            Kind::Logged => SignerIdentity::LoggedKeys { keys: keys(), trust_root: ROOT.to_owned() },
            Kind::Keyless | Kind::Attested => SignerIdentity::Keyless(keyless(who, trusted)),
            Kind::Notation => {
                let mut store = TrustStore::new();
                store.add(StoreKind::Ca, self.notation_root.as_bytes()).expect("a root");
                let organisation = if trusted { organisation(who) } else { format!("Nobody {who}") };
                let identity = format!("x509.subject: C=US, ST=WA, O={organisation}").parse().expect("an identity");
                SignerIdentity::Notation(Box::new(NotationSigner::new(store, vec![identity]).expect("a signer")))
            }
        }
    }

    /// Everything about the image.
    #[must_use]
    pub fn evidence(&self, items: Vec<Attachment>) -> Evidence {
        evidence(REPOSITORY, &self.image, items, NOW)
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

fn keyless(who: usize, trusted: bool) -> KeylessIdentity {
    let Identity { issuer, subject, .. } = identity(who);
    let subject = if trusted { subject } else { format!("https://nobody.example/{who}") };
    let claims = if issuer.contains("github") {
        BTreeMap::from([(Claim::SourceRepository, TextMatcher::parse("https://github.com/acme/app"))])
    } else {
        BTreeMap::new()
    };
    KeylessIdentity {
        issuer: IdentityMatcher::Exact(issuer),
        subject: IdentityMatcher::Exact(subject),
        claims,
        trust_root: ROOT.to_owned(),
    }
}

fn statement(manifest: &Content, predicate_type: &str, predicate: &Value) -> String {
    let subject = json!([{ "name": "", "digest": { "sha256": manifest.digest.trim_start_matches("sha256:") } }]);
    json!({ "_type": "https://in-toto.io/Statement/v1", "subject": subject, "predicateType": predicate_type, "predicate": predicate })
        .to_string()
}

/// Three identities under one root sign the image with `notation`, each in both formats.
fn notation(image: &Image) -> (String, Vec<Signed>) {
    let (registry, notation) = (Registry::start(), Notation::new());
    let mut root = ca_params(name("Acme", "root"));
    years(&mut root);
    let ca = Ca::root(root, KeyType::P256);
    let mut signed = Vec::new();
    for by in 0..3 {
        let mut params = signing_params(name(&organisation(by), "release"));
        years(&mut params);
        let identity = ca.issue(&params, KeyType::P256);
        let repository = format!("team/app{by}");
        registry.push(&repository, "1", image);
        let reference = registry.reference(&format!("{repository}@{}", image.digest()));
        for format in Format::ALL {
            let _ = notation.sign(&identity, format, &reference, &[]).expect_success();
        }
        for envelope in envelopes(&registry, &repository, image.digest()) {
            let form = if envelope.media_type == media_type::COSE { "Notation, COSE" } else { "Notation, JWS" };
            let layer = Content::new(&envelope.media_type, envelope.bytes);
            let attachment = attachment(Location::FallbackTag, &layer, &BTreeMap::new(), Some(&image.manifest));
            signed.push(Signed { by, form, attachment });
        }
    }
    (ca.root_pem().to_owned(), signed)
}
