//! What is inside an image: from a registry, or from disk.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use bytes::{Buf, Bytes};
use clap::Args;
use futures_util::StreamExt;
use sealgate_registry::{Client, FetchError};
use sealgate_scanner::sbom::Subject;
use sealgate_scanner::{Problem, Report, Walk};
use sealgate_verifier::{Descriptor, Digest, ImageManifest, Manifest, ManifestReference, limits};
use tokio::sync::mpsc;

use super::exit::Failure;
use super::image::{Image, RegistryArgs};
use super::local_image::LocalImage;
use super::output;
use super::platform::PlatformArgs;

/// Pieces of a layer that wait to be walked.
const WAITING: usize = 16;

/// Which image.
#[derive(Debug, Args)]
pub struct WalkArgs {
    /// The image: a reference, the folder of an OCI layout, or a tarball (docker save, podman save)
    #[arg(value_name = "IMAGE|LAYOUT|TARBALL")]
    pub image: String,
    /// Which platform.
    #[command(flatten)]
    pub platform: PlatformArgs,
    /// How registries are reached.
    #[command(flatten)]
    pub registry: RegistryArgs,
}

/// An image and what is inside.
pub struct Walked {
    /// Which image.
    pub subject: Subject,
    /// What is inside.
    pub report: Report,
}

impl WalkArgs {
    /// Walks the image. A file or folder of that name goes before a reference, where the name begins with `.` or `/` or is there.
    ///
    /// # Errors
    /// When it cannot be had, or is no image. What cannot be read of it is a gap in the report.
    pub fn walk(&self) -> Result<Walked, Failure> {
        let path = Path::new(&self.image);
        let walked = if path.exists() || self.image.starts_with(['.', '/']) {
            local(&LocalImage::open(path, &self.platform)?)?
        } else {
            super::block_on(remote(&self.image, &self.registry, &self.platform))?
        };
        let (digest, report) = walked;
        let subject = Subject { name: self.image.clone(), digest, version: env!("CARGO_PKG_VERSION").to_owned() };
        Ok(Walked { subject, report })
    }
}

impl Walked {
    /// Says on stderr what was not read.
    pub fn note_gaps(&self) {
        self.report.gaps.iter().for_each(|gap| output::note(&format!("not read: {gap}")));
        if self.report.gaps_omitted > 0 {
            output::note(&format!("not read: {} more", self.report.gaps_omitted));
        }
    }

    /// The failure of a result that does not speak of the whole image.
    #[must_use]
    pub fn incomplete(&self) -> Failure {
        let count = self.report.gaps.len() + self.report.gaps_omitted;
        Failure::error(format!("{count} of the things in {} could not be read, so the result is incomplete", self.subject.name))
    }
}

fn local(image: &LocalImage) -> Result<(Digest, Report), Failure> {
    let mut walk = Walk::new();
    walk.configuration(&image.configuration, &image.annotations);
    for (index, layer) in image.layers.iter().enumerate() {
        walk.layer(layer, image.layer(index)?);
    }
    Ok((image.digest, walk.finish()))
}

async fn remote(text: &str, registry: &RegistryArgs, platform: &PlatformArgs) -> Result<(Digest, Report), Failure> {
    let image = Image::fetch(text, registry).await?;
    let path = image.repository().path().to_owned();
    let parse = |bytes: &[u8], media_type: Option<&str>| {
        Manifest::parse(bytes, media_type).map_err(|error| Failure::error(format!("{text} is no image: {error}")))
    };
    let mut manifest = parse(&image.manifest.bytes, image.manifest.media_type.as_deref())?;
    let mut digest = image.manifest.digest;
    for _ in 0..=limits::INDEX_DEPTH {
        match manifest {
            Manifest::Image(found) => return layers(image.client, &path, &found).await.map(|report| (digest, report)),
            Manifest::Index(index) => {
                let child = platform.choose(&index.manifests)?;
                digest = child.digest;
                let fetched = image.client.get_manifest(&path, &ManifestReference::Digest(digest)).await;
                let fetched = fetched.map_err(|error| Failure::fetch(&format!("cannot read {digest}"), &error))?;
                manifest = parse(&fetched.bytes, fetched.media_type.as_deref())?;
            }
        }
    }
    Err(Failure::error(format!("indexes inside each other over the limit of {} levels", limits::INDEX_DEPTH)))
}

/// Walks each layer on a thread of its own while it arrives.
async fn layers(client: Client, path: &str, manifest: &ImageManifest) -> Result<Report, Failure> {
    let configuration = client.get_small_blob(path, &manifest.config.digest, limits::MANIFEST_BYTES).await;
    let configuration = configuration.map_err(|error| Failure::fetch("cannot read the image's configuration", &error))?;
    let mut walk = Walk::new();
    walk.configuration(&configuration, &BTreeMap::clone(&manifest.annotations));
    for layer in &manifest.layers {
        walk = fetch(&client, path, layer, walk).await?;
    }
    Ok(walk.finish())
}

async fn fetch(client: &Client, path: &str, layer: &Descriptor, mut walk: Walk) -> Result<Walk, Failure> {
    if !layer.urls.is_empty() {
        // CVE-2020-15157: a foreign layer is never fetched.
        walk.missing_layer(layer, Problem::MediaType { found: "a layer with foreign urls".to_owned() });
        return Ok(walk);
    }
    let mut blob = match client.get_blob(path, &layer.digest, 0).await {
        Ok(blob) => blob,
        Err(error) => {
            walk.missing_layer(layer, Problem::Read { detail: error.to_string() });
            return Ok(walk);
        }
    };
    let (sender, receiver) = mpsc::channel(WAITING);
    let descriptor = layer.clone();
    let walking = tokio::task::spawn_blocking(move || {
        walk.layer(&descriptor, Arriving { receiver, piece: Bytes::new() });
        walk
    });
    while let Some(piece) = blob.body.next().await {
        let ended = piece.is_err();
        // A walk that ended early has no use for the rest.
        if sender.send(piece).await.is_err() || ended {
            break;
        }
    }
    drop(sender);
    walking.await.map_err(|error| Failure::error(format!("the walk ended: {error}")))
}

/// A layer's bytes as they arrive.
struct Arriving {
    receiver: mpsc::Receiver<Result<Bytes, FetchError>>,
    piece: Bytes,
}

impl Read for Arriving {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                Some(Ok(piece)) => self.piece = piece,
                Some(Err(error)) => return Err(std::io::Error::other(error.to_string())),
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
