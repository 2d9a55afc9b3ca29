//! An image on disk: an OCI layout, or a tarball as `docker save`, `podman save` or `skopeo copy` write it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use sealgate_scanner::tarball::{self, Member};
use sealgate_verifier::{Descriptor, Digest, ImageManifest, Manifest, limits, media_type};
use serde::Deserialize;

use super::exit::Failure;
use super::platform::PlatformArgs;

/// Media type of a layer in `docker save`'s tarball: a plain archive.
const LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";

/// Where the files are.
enum Root {
    Folder(PathBuf),
    Tarball(PathBuf, BTreeMap<String, Member>),
}

/// An image of which configuration and layers can be read.
pub struct LocalImage {
    root: Root,
    /// Digest of the manifest; of the configuration, where there is no manifest.
    pub digest: Digest,
    /// Bytes of the configuration.
    pub configuration: Vec<u8>,
    /// The manifest's annotations.
    pub annotations: BTreeMap<String, String>,
    /// The layers, the lowest first.
    pub layers: Vec<Descriptor>,
    /// Where each layer is.
    places: Vec<String>,
}

/// An entry of `manifest.json` (Docker image specification 1.2, "Combined Image JSON + Filesystem Changeset Format").
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

#[derive(Deserialize)]
struct SavedConfiguration {
    rootfs: RootFilesystem,
}

#[derive(Deserialize)]
struct RootFilesystem {
    diff_ids: Vec<Digest>,
}

impl LocalImage {
    /// Opens the image at `path`, of one platform where it has several.
    ///
    /// # Errors
    /// When it cannot be read, or is no image.
    pub fn open(path: &Path, platform: &PlatformArgs) -> Result<Self, Failure> {
        let root = if path.is_dir() {
            Root::Folder(path.to_owned())
        } else {
            let file = File::open(path).map_err(|error| Failure::error(format!("cannot read {}: {error}", path.display())))?;
            let members = tarball::members(std::io::BufReader::new(file));
            Root::Tarball(path.to_owned(), members.map_err(|problem| Failure::error(format!("{}: {problem}", path.display())))?)
        };
        if root.has("index.json") {
            Self::layout(root, platform)
        } else if root.has("manifest.json") {
            Self::saved(root)
        } else {
            Err(Failure::error(format!("{} is no image: expected index.json (OCI) or manifest.json (docker save)", path.display())))
        }
    }

    /// A layer's bytes.
    ///
    /// # Errors
    /// When they are not there.
    pub fn layer(&self, index: usize) -> Result<Box<dyn Read>, Failure> {
        let place = self.places.get(index).map(String::as_str).unwrap_or_default();
        Ok(Box::new(self.root.open(place)?.0))
    }

    /// image-spec 1.1, image-layout.md.
    fn layout(root: Root, platform: &PlatformArgs) -> Result<Self, Failure> {
        let index = root.read("index.json", limits::MANIFEST_BYTES)?;
        let mut manifest = parse("index.json", &index, media_type::OCI_INDEX)?;
        let mut digest = Digest::sha256(&index);
        for _ in 0..=limits::INDEX_DEPTH {
            match manifest {
                Manifest::Image(image) => return Self::image(root, digest, image),
                Manifest::Index(index) => {
                    let child = platform.choose(&index.manifests)?;
                    let bytes = root.blob(child, limits::MANIFEST_BYTES)?;
                    digest = child.digest;
                    manifest = parse(&child.digest.to_string(), &bytes, &child.media_type)?;
                }
            }
        }
        Err(Failure::error(format!("indexes inside each other over the limit of {} levels", limits::INDEX_DEPTH)))
    }

    fn image(root: Root, digest: Digest, manifest: ImageManifest) -> Result<Self, Failure> {
        let configuration = root.blob(&manifest.config, limits::MANIFEST_BYTES)?;
        let places = manifest.layers.iter().map(|layer| blob_path(&layer.digest)).collect();
        Ok(Self { root, digest, configuration, annotations: manifest.annotations, layers: manifest.layers, places })
    }

    fn saved(root: Root) -> Result<Self, Failure> {
        let bytes = root.read("manifest.json", limits::MANIFEST_BYTES)?;
        let images: Vec<Saved> = serde_json::from_slice(&bytes).map_err(|error| Failure::error(format!("manifest.json: {error}")))?;
        let count = images.len();
        let [image] = <[Saved; 1]>::try_from(images).map_err(|images| {
            let tags: Vec<_> = images.into_iter().flat_map(|image| image.repo_tags.unwrap_or_default()).collect();
            Failure::error(format!("expected one image in the tarball, found {count}: {}", tags.join(", ")))
        })?;
        let configuration = root.read(&image.config, limits::MANIFEST_BYTES)?;
        let read: Result<SavedConfiguration, _> = serde_json::from_slice(&configuration);
        let diff_ids = read.map_err(|error| Failure::error(format!("{}: {error}", image.config)))?.rootfs.diff_ids;
        if diff_ids.len() != image.layers.len() {
            return Err(Failure::error(format!(
                "expected {} layers, as the configuration says; found {}",
                diff_ids.len(),
                image.layers.len()
            )));
        }
        let layers = diff_ids.into_iter().zip(&image.layers).map(|(digest, place)| root.descriptor(digest, place));
        let layers = layers.collect::<Result<_, _>>()?;
        let digest = Digest::sha256(&configuration);
        Ok(Self { root, digest, configuration, annotations: BTreeMap::new(), layers, places: image.layers })
    }
}

impl Root {
    fn has(&self, name: &str) -> bool {
        match self {
            Self::Folder(folder) => folder.join(name).is_file(),
            Self::Tarball(_, members) => members.contains_key(name),
        }
    }

    /// A file and its size. Names in a folder are our own, or digests; those in a tarball can only be its members.
    fn open(&self, name: &str) -> Result<(std::io::Take<File>, u64), Failure> {
        let failure = |what: &Path, error: std::io::Error| Failure::error(format!("cannot read {}: {error}", what.display()));
        match self {
            Self::Folder(folder) => {
                let path = folder.join(name);
                let file = File::open(&path).map_err(|error| failure(&path, error))?;
                let size = file.metadata().map_err(|error| failure(&path, error))?.len();
                Ok((file.take(size), size))
            }
            Self::Tarball(path, members) => {
                let member = members.get(name).ok_or_else(|| Failure::error(format!("{} has no member {name:?}", path.display())))?;
                let mut file = File::open(path).map_err(|error| failure(path, error))?;
                file.seek(SeekFrom::Start(member.offset)).map_err(|error| failure(path, error))?;
                Ok((file.take(member.size), member.size))
            }
        }
    }

    fn read(&self, name: &str, limit: usize) -> Result<Vec<u8>, Failure> {
        let (mut file, size) = self.open(name)?;
        if size > limit as u64 {
            return Err(Failure::error(format!("{name}: {size} bytes are over the limit of {limit}")));
        }
        let mut bytes = vec![];
        file.read_to_end(&mut bytes).map_err(|error| Failure::error(format!("cannot read {name}: {error}")))?;
        Ok(bytes)
    }

    fn blob(&self, descriptor: &Descriptor, limit: usize) -> Result<Vec<u8>, Failure> {
        let bytes = self.read(&blob_path(&descriptor.digest), limit)?;
        if descriptor.digest.matches(&bytes) {
            return Ok(bytes);
        }
        Err(Failure::error(format!("the bytes of {} hash to another digest", descriptor.digest)))
    }

    /// `docker save` names layers by their plain digest and gives no size: it is the member's.
    fn descriptor(&self, digest: Digest, place: &str) -> Result<Descriptor, Failure> {
        let (_, size) = self.open(place)?;
        let (annotations, urls) = (BTreeMap::new(), vec![]);
        Ok(Descriptor { media_type: LAYER.to_owned(), digest, size, artifact_type: None, platform: None, annotations, urls })
    }
}

fn blob_path(digest: &Digest) -> String {
    format!("blobs/{}", digest.to_string().replace(':', "/"))
}

fn parse(what: &str, bytes: &[u8], media_type: &str) -> Result<Manifest, Failure> {
    Manifest::parse(bytes, Some(media_type)).map_err(|error| Failure::error(format!("{what}: {error}")))
}
