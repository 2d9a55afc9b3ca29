//! Real images with real provenance by SLSA's generator, read in place.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sealgate_tests::evidence::with_manifest;
use sealgate_tests::world::NOW;
use sealgate_verifier::{
    Attachment, AttestationType, Attested, Claim, Collected, Digest, Evidence, IdentityMatcher, ImageFacts, KeylessIdentity, Location,
    Manifest, Policy, PolicyParts, Quorum, Requirement, Revision, Rule, SignedBy, Signer, SignerIdentity, Subject, TextMatcher, media_type,
};

/// One image and what is attached to it.
#[derive(Debug, Clone)]
pub struct RealImage {
    folder: PathBuf,
    digest: Digest,
}

/// All of them; none where the folder is absent, which CI does not allow.
pub fn images() -> Vec<RealImage> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures/real-images");
    if !folder.is_dir() {
        assert!(std::env::var_os("CI").is_none(), "{} is required in CI", folder.display());
        eprintln!("skipped: {} is absent", folder.display());
        return Vec::new();
    }
    let versions = fs::read_dir(folder).expect("the real images").map(|version| version.expect("a version").path());
    let mut images: Vec<RealImage> = versions
        .map(|version| version.join("container_workflow_dispatch"))
        .map(|folder| {
            let digest = fs::read_to_string(folder.with_extension("digest")).expect("a digest");
            RealImage { digest: digest.trim().rsplit('@').next().expect("a digest").parse().expect("a digest"), folder }
        })
        .collect();
    images.sort_by_key(|image| image.digest);
    assert!(!images.is_empty());
    images
}

impl RealImage {
    fn blob(&self, digest: &Digest) -> Bytes {
        fs::read(self.folder.join("blobs/sha256").join(digest.hex())).expect("a blob").into()
    }

    /// Its attestations, each with the layer that is one.
    pub fn attachments(&self) -> Vec<Attachment> {
        let mut found = Vec::new();
        for file in fs::read_dir(self.folder.join("blobs/sha256")).expect("blobs") {
            let bytes = fs::read(file.expect("a blob").path()).expect("a blob");
            let Ok(Manifest::Image(image)) = Manifest::parse(&bytes, None) else {
                continue;
            };
            let envelopes = image.layers.iter().filter(|layer| layer.media_type == media_type::DSSE);
            found.extend(envelopes.map(|layer| with_manifest(Location::AttestationTag, bytes.clone(), self.blob(&layer.digest))));
        }
        assert!(!found.is_empty());
        found
    }

    pub fn evidence(&self, items: Vec<Attachment>) -> Evidence {
        let repository = "docker.io/library/nginx".parse().expect("a repository");
        let subject = Subject { repository, tag: None, digest: self.digest, manifest: self.blob(&self.digest) };
        let attachments = Collected { items, gaps: Vec::new(), collected_at: NOW, stale_at: NOW.plus(600) };
        Evidence { subject, attachments, parents: Vec::new(), image: ImageFacts::not_collected(NOW), children: Vec::new() }
    }

    /// Its builder, called from its source, attests its provenance.
    pub fn policy(&self) -> Policy {
        let identity = r"https://github\.com/slsa-framework/slsa-github-generator/\.github/workflows/generator_container_slsa3\.yml@refs/tags/v[0-9.]+";
        let source = TextMatcher::parse("https://github.com/slsa-framework/example-package");
        let keyless = KeylessIdentity {
            issuer: IdentityMatcher::Exact("https://token.actions.githubusercontent.com".to_owned()),
            subject: IdentityMatcher::regexp(identity).expect("a regular expression"),
            claims: [(Claim::SourceRepository, source)].into(),
            trust_root: "public".to_owned(),
        };
        let by = SignedBy { quorum: Quorum::Any, signers: vec!["builder".to_owned()] };
        let kind = AttestationType::parse("slsaprovenance").expect("a type");
        let requirement = Requirement::Attested(Attested { kind, by, conditions: Vec::new(), max_age: None });
        Policy::new(PolicyParts {
            signers: [("builder".to_owned(), Signer { identity: SignerIdentity::Keyless(keyless), images: Vec::new() })].into(),
            rules: vec![Rule::of("**".parse().expect("a pattern"), vec![requirement])],
            ..PolicyParts::empty(Revision(Digest::sha256(b"real")))
        })
        .expect("a policy")
    }
}
