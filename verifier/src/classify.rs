//! Tells evidence from images by bytes, never by label.
//!
//! Evidence is served to anybody who may pull its subject, without a signature of its own. So nothing may pass as evidence
//! that a runtime could unpack or run. Runtimes do not go by media types: dockerd takes layers of type `application/json` or
//! of none, and sniffs the compression. Hence, for every blob that the manifest names, its config included:
//!
//! 1. its type is on a list of exact types, its size under a cap, and its bytes are those of its digest;
//! 2. its bytes are one strict JSON object, or one COSE_Sign1 structure: neither can begin with the magic number of gzip,
//!    bzip2, xz, lz4 or zstd (skippable frames included), because both fix the first byte;
//! 3. its first 512 bytes are no tar header. Strict JSON alone does not rule that out: a tar header may be printable
//!    throughout (a file name of 100 characters, numbers ended by spaces, an old-style header without a magic number), so JSON
//!    that begins `{"…` can name a file whose content is the rest of the document. No tar reader accepts a header without its
//!    checksum, and every tar archive begins with a header, so the checksum is what is tested.
//!
//! An image config among the blobs is harmless: without layers that unpack there is nothing to start.

use std::collections::HashMap;

use bytes::Bytes;

use crate::json::{self, Keys};
use crate::manifest::{Descriptor, ImageManifest, Index, Manifest};
use crate::{limits, media_type};

mod cose;
mod tar;

/// What a manifest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Every blob is a small JSON, JWS or COSE document of an allow-listed type.
    Evidence,
    /// Anything else; judged as an image.
    Image,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Cose,
}

/// Classifies `manifest` by its descriptors and its blobs' bytes. `blobs` must hold every layer and the config (matched by
/// digest; a config that is the empty JSON object `{}` need not be given); a blob that is missing makes it an image.
#[must_use]
pub fn classify(manifest: &Manifest, blobs: &[Bytes]) -> Class {
    let Some((config, layers)) = shape(manifest) else {
        return Class::Image;
    };
    let by_size: HashMap<usize, Vec<&Bytes>> = blobs.iter().fold(HashMap::new(), |mut map, bytes| {
        map.entry(bytes.len()).or_default().push(bytes);
        map
    });
    let bytes_of = |descriptor: &Descriptor| {
        let size = usize::try_from(descriptor.size).ok()?;
        by_size.get(&size)?.iter().find(|bytes| descriptor.digest.matches(bytes)).copied()
    };
    let empty = Bytes::from_static(b"{}");
    let config_is_json = if config.digest.matches(&empty) {
        config.size == empty.len() as u64
    } else {
        bytes_of(config).is_some_and(|bytes| is_document(bytes, Form::Json))
    };
    let is_evidence = config_is_json
        && layers
            .iter()
            .all(|layer| layer_form(&layer.media_type).is_some_and(|form| bytes_of(layer).is_some_and(|bytes| is_document(bytes, form))));
    if is_evidence { Class::Evidence } else { Class::Image }
}

/// Whether `manifest` could be evidence as far as its descriptors say (types and sizes): only then is it worth fetching its
/// blobs. An index never is.
#[must_use]
pub fn may_be_evidence(manifest: &Manifest) -> bool {
    shape(manifest).is_some()
}

/// Whether `index` may be a listing of evidence, as stands under the fallback tag `sha256-<hex>` (distribution-spec 1.1,
/// "Referrers Tag Schema"): it lists only image manifests without a platform, no more than [`limits::ATTACHMENTS`] of them.
/// A listing is neither evidence nor image: whoever serves it must [`classify`] each child by its bytes.
#[must_use]
pub fn may_be_evidence_listing(index: &Index) -> bool {
    let plausible = |child: &Descriptor| {
        matches!(&*child.media_type, media_type::OCI_MANIFEST | media_type::DOCKER_MANIFEST)
            && child.platform.is_none()
            && child.urls.is_empty()
            && child.size <= limits::MANIFEST_BYTES as u64
    };
    index.manifests.len() <= limits::ATTACHMENTS && index.manifests.iter().all(plausible)
}

/// The config and layers of what may be evidence.
fn shape(manifest: &Manifest) -> Option<(&Descriptor, &[Descriptor])> {
    let ImageManifest { config, layers, .. } = match manifest {
        Manifest::Image(image) => image,
        Manifest::Index(_) => return None,
    };
    let small = |blob: &Descriptor| blob.size <= limits::EVIDENCE_LAYER_BYTES as u64 && blob.urls.is_empty();
    let total: u64 = layers.iter().map(|layer| layer.size).fold(config.size, u64::saturating_add);
    let plausible = (1..=limits::SIGNATURES).contains(&layers.len())
        && total <= limits::EVIDENCE_TOTAL_BYTES as u64
        && is_config_type(&config.media_type)
        && small(config)
        && layers.iter().all(|layer| small(layer) && layer_form(&layer.media_type).is_some());
    plausible.then_some((config, layers))
}

/// Config types that evidence is stored with: the empty object, cosign's placeholder image config, Notation's own.
fn is_config_type(media_type: &str) -> bool {
    matches!(media_type, media_type::OCI_EMPTY | media_type::OCI_CONFIG | media_type::DOCKER_CONFIG | media_type::NOTATION)
        || layer_form(media_type).is_some()
}

/// The allow-list of layer types.
fn layer_form(media_type: &str) -> Option<Form> {
    match media_type {
        media_type::SIMPLE_SIGNING
        | media_type::DSSE
        | media_type::IN_TOTO
        | media_type::JOSE
        | media_type::SPDX
        | media_type::SPDX_TEXT
        | media_type::CYCLONE_DX
        | media_type::OPEN_VEX => Some(Form::Json),
        media_type::COSE => Some(Form::Cose),
        other => media_type::is_bundle(other).then_some(Form::Json),
    }
}

fn is_document(bytes: &[u8], form: Form) -> bool {
    let first = bytes.iter().find(|b| !matches!(b, b' ' | b'\t' | b'\r' | b'\n'));
    let well_formed = match form {
        Form::Json => first == Some(&b'{') && json::check(bytes, &Keys::GRAMMAR).is_ok(),
        Form::Cose => cose::is_sign1(bytes),
    };
    well_formed && !tar::begins_archive(bytes)
}

#[cfg(test)]
mod tests;
