//! Deletions of what was pushed. Off unless the registry's configuration allows them; an immutable tag and what it points to stay.

use std::sync::Arc;

use sealgate_verifier::{Digest, Manifest, ManifestReference, Repository, Tag, limits};

use super::PushError;
use crate::auth::{Access, Action, AuthError, Principal};
use crate::gate::{Gate, GateError};
use crate::store::Deleted;

/// Somebody who may delete from a repository. Only [`Gate::deleter`] makes one.
#[derive(Debug, Clone)]
pub struct Deleter {
    repository: Repository,
    principal: Principal,
}

impl Deleter {
    fn name(&self) -> Option<String> {
        self.principal.recorded()
    }
}

impl Gate {
    /// Who may delete from `repository`.
    ///
    /// # Errors
    /// The right is missing.
    pub fn deleter(&self, access: &Access, repository: &Repository) -> Result<Deleter, AuthError> {
        if !self.takes_anonymous_pushes(repository) {
            access.require(Action::Delete, repository)?;
        }
        Ok(Deleter { repository: repository.clone(), principal: access.principal().clone() })
    }

    fn require_deletes(&self, deleter: &Deleter) -> Result<(), PushError> {
        let registry = self.registry(&deleter.repository);
        if registry.is_some_and(|registry| registry.deletes) {
            return Ok(());
        }
        Err(PushError::DeletesRefused { registry: deleter.repository.registry().to_owned() })
    }

    /// Deletes a tag, or a manifest with every tag that points to it. Durable when it returns, and it counts at the next request.
    ///
    /// # Errors
    /// [`PushError::DeletesRefused`], [`PushError::Immutable`], [`PushError::ManifestUnknown`], or the store's.
    pub async fn delete_manifest(self: &Arc<Self>, deleter: &Deleter, reference: &ManifestReference) -> Result<(), PushError> {
        self.require_deletes(deleter)?;
        let repository = &deleter.repository;
        let immutable = |tag: &Tag| self.is_immutable(&deleter.repository, tag);
        let name = deleter.name();
        let deleted = match reference {
            ManifestReference::Tag(tag) => self.store.delete_tag(repository, tag, name.as_deref(), self.now(), immutable).await?,
            ManifestReference::Digest(digest) => {
                let record = self.store.pushed_manifest(repository, digest)?;
                let bytes = self.store.blobs().read(digest, limits::MANIFEST_BYTES).map_err(GateError::store)?;
                // Where the bytes are lost, what they listed stays in the index and grants nothing: the manifest is gone.
                let manifest = bytes.zip(record).and_then(|(bytes, record)| Manifest::parse(&bytes, Some(&record.media_type)).ok());
                self.store.delete_manifest(repository, digest, manifest.as_ref(), name.as_deref(), self.now(), immutable).await?
            }
        };
        if deleted == Deleted::Nothing {
            return Err(PushError::ManifestUnknown);
        }
        self.new_edition(repository);
        if let ManifestReference::Digest(digest) = reference {
            self.manifests.remove(&(repository.clone(), *digest));
        }
        tracing::info!(%repository, %reference, by = name.as_deref(), "deleted");
        Ok(())
    }

    /// Takes a blob from the repository. Others that have it keep it.
    ///
    /// # Errors
    /// [`PushError::DeletesRefused`], [`PushError::BlobUnknown`], or the store's.
    pub async fn delete_blob(&self, deleter: &Deleter, digest: &Digest) -> Result<(), PushError> {
        self.require_deletes(deleter)?;
        let repository = &deleter.repository;
        // An upstream's blobs are not ours to take away: only what clients pushed, and nobody pushes what upstreams list.
        if self.upstreams.hosted(repository).is_none() {
            return Err(PushError::BlobUnknown);
        }
        if !self.store.delete_blob(repository, digest, deleter.name().as_deref(), self.now()).await? {
            return Err(PushError::BlobUnknown);
        }
        self.open_blobs.remove(&(repository.clone(), *digest));
        self.new_edition(repository);
        tracing::info!(%repository, %digest, by = deleter.name(), "a blob was deleted");
        Ok(())
    }
}
