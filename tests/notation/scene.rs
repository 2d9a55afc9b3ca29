//! One image in a registry, and two judges of its signature.

use std::time::{SystemTime, UNIX_EPOCH};

use sealgate_tests::image::Image;
use sealgate_tests::notation::{Envelope, Format, Notation, envelopes, replace};
use sealgate_tests::pki::{Ca, Identity, KeyType, name, signing_params};
use sealgate_tests::registry::Registry;
use sealgate_verifier::Timestamp;
use sealgate_verifier::notation::{NotationError, NotationSigner, StoreKind, Target, TrustStore, VerifiedNotation, verify};

pub const ACME: &str = "x509.subject: C=US, ST=WA, O=Acme";
pub const REPOSITORY: &str = "team/app";

pub struct Scene {
    pub registry: Registry,
    pub image: Image,
    pub notation: Notation,
}

/// What both judges are told.
pub struct Policy<'a> {
    pub level: &'a str,
    /// Kind and certificate of each trust store.
    pub stores: Vec<(StoreKind, &'a str)>,
    pub identities: Vec<&'a str>,
}

impl<'a> Policy<'a> {
    pub fn strict(root: &'a str) -> Self {
        Self { level: "strict", stores: vec![(StoreKind::Ca, root)], identities: vec![ACME] }
    }

    pub fn and(mut self, kind: StoreKind, root: &'a str) -> Self {
        self.stores.push((kind, root));
        self
    }

    pub fn signer(&self) -> NotationSigner {
        let mut store = TrustStore::new();
        for (kind, pem) in &self.stores {
            store.add(*kind, pem.as_bytes()).expect("a root");
        }
        let identities = self.identities.iter().map(|text| text.parse().expect("an identity")).collect();
        let level = serde_json::from_str(&format!("{:?}", self.level)).expect("a level");
        NotationSigner::new(store, identities).expect("a signer").with_level(level)
    }
}

impl Scene {
    pub fn new() -> Self {
        let (registry, image) = (Registry::start(), Image::small());
        registry.push(REPOSITORY, "1", &image);
        Self { registry, image, notation: Notation::new() }
    }

    pub fn reference(&self) -> String {
        self.registry.reference(&format!("{REPOSITORY}@{}", self.image.digest()))
    }

    /// Signs the image as `identity` with `notation sign`, and fetches the envelope.
    pub fn sign(&self, identity: &Identity, format: Format, arguments: &[&str]) -> Envelope {
        let _ = self.notation.sign(identity, format, &self.reference(), arguments).expect_success();
        let mut found = envelopes(&self.registry, REPOSITORY, self.image.digest());
        assert_eq!(found.len(), 1);
        found.remove(0)
    }

    /// Our verdict on an envelope of the image at `now`.
    pub fn ours(&self, envelope: &Envelope, signer: &NotationSigner, now: Timestamp) -> Result<VerifiedNotation, NotationError> {
        verify(&envelope.bytes, &envelope.media_type, &target(&self.image), signer, now)
    }

    /// notation's verdict on what the registry holds.
    pub fn theirs(&self, policy: &Policy<'_>) -> bool {
        let names: Vec<String> = policy.stores.iter().enumerate().map(|(i, (kind, _))| format!("{}:s{i}", kind.name())).collect();
        for (index, (kind, pem)) in policy.stores.iter().enumerate() {
            self.notation.trust(kind.name(), &format!("s{index}"), pem);
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.notation.policy(policy.level, &names, &policy.identities);
        self.notation.verify(&self.reference()).succeeded()
    }

    /// Our verdict, after checking that notation's is the same.
    #[track_caller]
    pub fn agreed(&self, envelope: &Envelope, policy: &Policy<'_>) -> Result<VerifiedNotation, NotationError> {
        let ours = self.ours(envelope, &policy.signer(), now());
        assert_eq!(self.theirs(policy), ours.is_ok(), "notation disagrees with {ours:?}");
        ours
    }

    /// Our error for an envelope that takes the place of the one in the registry, and that notation accepts: a difference that is
    /// known, and on our side stricter.
    #[track_caller]
    pub fn stricter_on(&self, media_type: &str, bytes: Vec<u8>, policy: &Policy<'_>) -> NotationError {
        replace(&self.registry, REPOSITORY, &self.image, media_type, &bytes);
        assert!(self.theirs(policy), "notation refuses it as well");
        let envelope = Envelope { media_type: media_type.to_owned(), bytes };
        self.ours(&envelope, &policy.signer(), now()).expect_err("we refuse it")
    }

    /// Our verdict on such an envelope, after checking that notation's is the same.
    #[track_caller]
    pub fn agreed_on(&self, media_type: &str, bytes: Vec<u8>, policy: &Policy<'_>) -> Result<VerifiedNotation, NotationError> {
        replace(&self.registry, REPOSITORY, &self.image, media_type, &bytes);
        self.agreed(&Envelope { media_type: media_type.to_owned(), bytes }, policy)
    }
}

pub fn target(image: &Image) -> Target<'_> {
    Target {
        media_type: &image.manifest.media_type,
        digest: image.digest().parse().expect("a digest"),
        size: image.manifest.bytes.len() as u64,
    }
}

pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    Timestamp(i64::try_from(since.as_secs()).expect("a time"))
}

/// A root of Acme and a signer under it.
pub fn acme() -> (Ca, Identity) {
    let ca = Ca::of("Acme");
    let identity = ca.issue(&signing_params(name("Acme", "release")), KeyType::P256);
    (ca, identity)
}
