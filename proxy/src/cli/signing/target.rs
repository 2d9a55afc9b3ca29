//! What is signed of an image: its manifest, and of an index each manifest in it.

use std::collections::BTreeSet;

use sealgate_registry::FetchedManifest;
use sealgate_signer::{Bundle, Existing, Format, PublishError, Published, Signer, Statement, Subject, Wanted, append, publish};
use sealgate_verifier::{Descriptor, Digest, Manifest, ManifestReference, limits};

use super::SigningArgs;
use super::report::{ManifestReport, SignatureReport, Status};
use super::signers::failure;
use crate::cli::exit::{Exit, Failure};
use crate::cli::image::{Image, RegistryArgs};
use crate::cli::now;

/// A manifest to sign.
pub(super) struct Target {
    pub(super) subject: Subject,
    pub(super) platform: Option<String>,
    manifest: FetchedManifest,
    parsed: Manifest,
}

/// A child that may be there.
pub(super) type Child = Result<Target, (Digest, Failure)>;

impl Target {
    /// The manifest that a reference leads to.
    pub(super) fn root(image: &Image) -> Result<Self, Failure> {
        Self::new(image.manifest.clone(), None).map_err(|problem| Failure::error(format!("{} is no image: {problem}", image.pinned())))
    }

    fn new(manifest: FetchedManifest, platform: Option<String>) -> Result<Self, String> {
        let parsed = Manifest::parse(&manifest.bytes, manifest.media_type.as_deref()).map_err(|error| error.to_string())?;
        let subject = Subject { media_type: parsed.media_type().to_owned(), digest: manifest.digest, size: manifest.bytes.len() as u64 };
        Ok(Self { subject, platform, manifest, parsed })
    }

    fn below(&self) -> &[Descriptor] {
        match &self.parsed {
            Manifest::Index(index) => &index.manifests,
            Manifest::Image(_) => &[],
        }
    }
}

/// Every manifest below `root`, each once, at most [`limits::INDEX_CHILDREN`].
pub(super) async fn children(image: &Image, root: &Target, registry: &RegistryArgs) -> Vec<Child> {
    let mut seen = BTreeSet::from([root.subject.digest]);
    let mut found: Vec<Child> = Vec::new();
    let mut level: Vec<Descriptor> = root.below().to_vec();
    for _ in 0..limits::INDEX_DEPTH {
        let mut next = Vec::new();
        for descriptor in level {
            if !seen.insert(descriptor.digest) {
                continue;
            }
            if found.len() >= limits::INDEX_CHILDREN {
                let problem = format!("{}: more than {} manifests", image.pinned(), limits::INDEX_CHILDREN);
                found.push(Err((descriptor.digest, Failure::error(problem))));
                return found;
            }
            let child = fetch(image, &descriptor, registry).await;
            next.extend(child.iter().flat_map(|child| child.below().iter().cloned()));
            found.push(child.map_err(|failure| (descriptor.digest, failure)));
        }
        level = next;
    }
    if !level.is_empty() {
        let problem = format!("{}: indexes inside of indexes over {} levels", image.pinned(), limits::INDEX_DEPTH);
        found.push(Err((root.subject.digest, Failure::error(problem))));
    }
    found
}

async fn fetch(image: &Image, descriptor: &Descriptor, registry: &RegistryArgs) -> Result<Target, Failure> {
    let (repository, digest) = (image.repository(), descriptor.digest);
    let what = format!("cannot read {repository}@{digest}, which {} lists", image.manifest.digest);
    let fetched = image.client.get_manifest(repository.path(), &ManifestReference::Digest(digest)).await;
    let mut fetched = fetched.map_err(|error| registry.failure(&what, repository.registry(), &error))?;
    if fetched.media_type.is_none() {
        fetched.media_type = Some(descriptor.media_type.clone()).filter(|media_type| !media_type.is_empty());
    }
    let platform = descriptor.platform.as_ref().map(|platform| {
        let variant = platform.variant.as_deref().map(|variant| format!("/{variant}")).unwrap_or_default();
        format!("{}/{}{variant}", platform.os, platform.architecture)
    });
    Target::new(fetched, platform).map_err(|problem| Failure::error(format!("{repository}@{digest} is no image: {problem}")))
}

/// What is to be said of the manifests of one image, and by whom.
pub(super) struct Work<'a> {
    pub(super) image: &'a Image,
    pub(super) signers: &'a [Signer],
    pub(super) wanted: &'a Wanted,
    pub(super) formats: &'a [Format],
    pub(super) args: &'a SigningArgs,
}

impl Work<'_> {
    pub(super) async fn sign_child(&self, child: Child) -> ManifestReport {
        match child {
            Ok(target) => self.sign(&target).await,
            Err((digest, failure)) => ManifestReport::unread(digest, failure),
        }
    }

    /// Has every signer say it in every format, unless they have.
    pub(super) async fn sign(&self, target: &Target) -> ManifestReport {
        let mut signatures = Vec::new();
        match self.sign_each(target, &mut signatures).await {
            Ok(()) => ManifestReport::signed(target, signatures),
            Err(failure) => ManifestReport::failed(target, signatures, failure),
        }
    }

    async fn sign_each(&self, target: &Target, signatures: &mut Vec<SignatureReport>) -> Result<(), Failure> {
        let (client, repository, digest) = (&self.image.client, self.image.repository(), target.subject.digest);
        let existing = if self.args.force {
            Existing::default()
        } else {
            let bytes = target.manifest.bytes.clone();
            let found = Existing::look(client, repository, digest, bytes, self.signers, self.wanted, now()).await;
            found.map_err(Failure::error)?
        };
        for (number, signer) in self.signers.iter().enumerate() {
            for format in self.formats {
                let (status, published) = match existing.find(number, *format, self.wanted) {
                    Some(manifest) => (Status::AlreadySigned, Published { manifest, tag: None }),
                    None => (Status::Signed, self.publish(target, signer, *format).await?),
                };
                let Published { manifest, tag } = published;
                let predicate_type = match self.wanted {
                    Wanted::Signature => None,
                    Wanted::Attestation(_, predicate) => Some(predicate.predicate_type().to_owned()),
                };
                signatures.push(SignatureReport { status, by: signer.principal(), format: format.name(), predicate_type, manifest, tag });
            }
        }
        Ok(())
    }

    async fn publish(&self, target: &Target, signer: &Signer, format: Format) -> Result<Published, Failure> {
        let (client, repository, subject) = (&self.image.client, self.image.repository(), &target.subject);
        let statement = match self.wanted {
            Wanted::Signature => Statement::signature(&subject.digest),
            Wanted::Attestation(_, predicate) => Statement::attestation(repository.as_str(), &subject.digest, predicate),
        };
        let failed = |error: &_| failure(error).about(&format!("{repository}@{}", subject.digest));
        let published = match (format, self.wanted) {
            (Format::Bundle, _) => {
                let bytes = signer.bundle(&statement, subject.digest, now()).await.map_err(|error| failed(&error))?;
                let bundle = Bundle { bytes, predicate_type: statement.predicate_type().to_owned() };
                publish(client, repository.path(), subject, bundle, now()).await
            }
            (Format::Legacy, Wanted::Signature) => {
                let layer = signer.simple_signing(repository.as_str(), subject.digest, now()).await.map_err(|error| failed(&error))?;
                append(client, repository.path(), &subject.digest, &layer).await
            }
            (Format::Legacy, Wanted::Attestation(..)) => {
                let layer = signer.dsse(&statement, subject.digest, now()).await.map_err(|error| failed(&error))?;
                append(client, repository.path(), &subject.digest, &layer).await
            }
        };
        published.map_err(|error| self.publish_failure(&subject.digest, &error))
    }

    fn publish_failure(&self, digest: &Digest, error: &PublishError) -> Failure {
        let pinned = format!("{}@{digest}", self.image.repository());
        match error {
            PublishError::Registry { action, error } => {
                let failure = self.args.registry.failure(&format!("{pinned}: cannot {action}"), self.image.repository().registry(), error);
                // A push that finds nothing is not a missing image.
                if failure.exit == Exit::TagNotFound { Failure { exit: Exit::Error, ..failure } } else { failure }
            }
            PublishError::Contended { .. } => Failure::new(Exit::TryAgain, format!("{pinned}: {error}")),
            PublishError::Occupied { .. } | PublishError::Reference(_) => Failure::error(format!("{pinned}: {error}")),
        }
    }
}
