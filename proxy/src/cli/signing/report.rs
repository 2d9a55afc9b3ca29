//! What came of it. The JSON form is stable: members are added, never renamed or taken away.

use sealgate_verifier::{Digest, Principal, Repository, Tag};
use serde::Serialize;

use super::target::Target;
use crate::cli::exit::Failure;
use crate::cli::image::Image;
use crate::cli::output::{self, Format};

/// One image.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct ImageReport {
    /// As it was named.
    image: String,
    repository: Option<Repository>,
    /// The tag that was named.
    tag: Option<Tag>,
    /// What it is.
    digest: Option<Digest>,
    /// It, and what is in it.
    pub(super) manifests: Vec<ManifestReport>,
    /// Why nothing was signed.
    #[serde(serialize_with = "message", rename = "error")]
    failure: Option<Failure>,
}

/// One manifest.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct ManifestReport {
    digest: Digest,
    media_type: Option<String>,
    platform: Option<String>,
    signatures: Vec<SignatureReport>,
    /// Why not every signature is there.
    #[serde(serialize_with = "message", rename = "error")]
    pub(super) failure: Option<Failure>,
}

/// One signature.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct SignatureReport {
    pub(super) status: Status,
    /// Who signed.
    pub(super) by: Principal,
    /// `bundle` or `legacy`.
    pub(super) format: &'static str,
    /// Of an attestation.
    pub(super) predicate_type: Option<String>,
    /// Digest of the manifest that carries it.
    pub(super) manifest: Digest,
    /// The tag that was written.
    pub(super) tag: Option<String>,
}

/// Whether something was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Status {
    /// Now.
    Signed,
    /// Before, by the same signer.
    AlreadySigned,
}

fn message<S: serde::Serializer>(failure: &Option<Failure>, serializer: S) -> Result<S::Ok, S::Error> {
    failure.as_ref().map(|failure| &failure.message).serialize(serializer)
}

impl ImageReport {
    /// An image that could not be read.
    pub(super) fn unread(image: &str, failure: Failure) -> Self {
        let image = image.to_owned();
        Self { image, repository: None, tag: None, digest: None, manifests: Vec::new(), failure: Some(failure) }
    }

    /// An image of which nothing is known yet.
    pub(super) fn of(text: &str, image: &Image) -> Self {
        Self {
            image: text.to_owned(),
            repository: Some(image.repository().clone()),
            tag: image.reference.tag.clone(),
            digest: Some(image.manifest.digest),
            manifests: Vec::new(),
            failure: None,
        }
    }

    /// Itself, failed as a whole.
    pub(super) fn failed(self, failure: Failure) -> Self {
        Self { failure: Some(failure), ..self }
    }

    /// Everything that failed.
    pub(super) fn failures(&self) -> impl Iterator<Item = &Failure> {
        self.failure.iter().chain(self.manifests.iter().filter_map(|manifest| manifest.failure.as_ref()))
    }

    /// Writes it to stdout: `repository@digest` when all of it is signed, or the whole as JSON.
    pub(super) fn write(&self, format: Format) -> Result<(), Failure> {
        match (format, &self.repository, &self.digest) {
            (Format::Json, ..) => output::json(self),
            (Format::Text, Some(repository), Some(digest)) if self.failures().next().is_none() => {
                let mut said = self.manifests.iter().flat_map(|manifest| &manifest.signatures);
                if said.all(|signature| signature.status == Status::AlreadySigned) {
                    output::note(&format!("{repository}@{digest} was signed already; --force signs again"));
                }
                output::result(&format!("{repository}@{digest}"))
            }
            (Format::Text, ..) => Ok(()),
        }
    }
}

impl ManifestReport {
    /// One with all of its signatures.
    pub(super) fn signed(target: &Target, signatures: Vec<SignatureReport>) -> Self {
        let (media_type, platform) = (Some(target.subject.media_type.clone()), target.platform.clone());
        Self { digest: target.subject.digest, media_type, platform, signatures, failure: None }
    }

    /// One without some of them.
    pub(super) fn failed(target: &Target, signatures: Vec<SignatureReport>, failure: Failure) -> Self {
        Self { failure: Some(failure), ..Self::signed(target, signatures) }
    }

    /// One that could not be read.
    pub(super) fn unread(digest: Digest, failure: Failure) -> Self {
        Self { digest, media_type: None, platform: None, signatures: Vec::new(), failure: Some(failure) }
    }
}
