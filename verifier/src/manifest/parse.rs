//! From bytes to a [`Manifest`].

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Number;

use super::{Descriptor, ImageManifest, Index, Manifest, ManifestError, Platform};
use crate::digest::Digest;
use crate::json::{self, Keys, Object};
use crate::message::quote;
use crate::{limits, media_type};

/// Keys of image-spec's manifest, index and descriptor, and of schema 1, that some client reads.
const KEYS: Keys = Keys {
    known: &[
        "schemaVersion",
        "mediaType",
        "artifactType",
        "config",
        "layers",
        "manifests",
        "subject",
        "annotations",
        "digest",
        "size",
        "urls",
        "data",
        "platform",
        "architecture",
        "os",
        "variant",
        "fsLayers",
        "history",
        "signatures",
        "blobs",
    ],
    maps: &["annotations"],
    compared: usize::MAX,
};

/// The document as it stands: each key absent, null or a value.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireManifest {
    schema_version: Option<Number>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    #[serde(default, deserialize_with = "present")]
    config: Key<Object<WireDescriptor>>,
    #[serde(default, deserialize_with = "present")]
    layers: Key<Vec<Object<WireDescriptor>>>,
    #[serde(default, deserialize_with = "present")]
    manifests: Key<Vec<Object<WireDescriptor>>>,
    subject: Option<Object<WireDescriptor>>,
    annotations: Option<BTreeMap<String, String>>,
    #[serde(default, deserialize_with = "present")]
    fs_layers: Key<serde::de::IgnoredAny>,
    #[serde(default, deserialize_with = "present")]
    history: Key<serde::de::IgnoredAny>,
    #[serde(default, deserialize_with = "present")]
    signatures: Key<serde::de::IgnoredAny>,
    #[serde(default, deserialize_with = "present")]
    blobs: Key<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireDescriptor {
    media_type: Option<String>,
    digest: String,
    size: Number,
    artifact_type: Option<String>,
    platform: Option<Object<Platform>>,
    annotations: Option<BTreeMap<String, String>>,
    #[serde(default, deserialize_with = "urls")]
    urls: Urls,
    data: Option<String>,
}

/// As many as the limit allows, and how many there are: an empty string takes three bytes on the wire and 24 in memory.
#[derive(Default)]
struct Urls {
    kept: Vec<String>,
    found: usize,
}

fn urls<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Urls, D::Error> {
    struct Texts;

    impl<'de> Visitor<'de> for Texts {
        type Value = Urls;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array of strings")
        }

        fn visit_unit<E>(self) -> Result<Urls, E> {
            Ok(Urls::default())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Urls, A::Error> {
            let mut urls = Urls::default();
            while let Some(url) = items.next_element::<String>()? {
                urls.found += 1;
                if urls.found <= limits::URLS {
                    urls.kept.push(url);
                }
            }
            Ok(urls)
        }
    }
    deserializer.deserialize_any(Texts)
}

/// A key: not there, or there with a value or null (which Go clients read as empty).
#[derive(Default)]
enum Key<T> {
    #[default]
    Absent,
    Present(Option<T>),
}

impl<T> Key<T> {
    const fn is_present(&self) -> bool {
        matches!(self, Self::Present(_))
    }

    fn value(self) -> Option<T> {
        match self {
            Self::Absent => None,
            Self::Present(value) => value,
        }
    }
}

fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Key<T>, D::Error> {
    Option::deserialize(deserializer).map(Key::Present)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Image,
    Index,
}

impl Shape {
    fn of(media_type: &str) -> Option<Self> {
        match media_type {
            media_type::OCI_MANIFEST | media_type::DOCKER_MANIFEST => Some(Self::Image),
            media_type::OCI_INDEX | media_type::DOCKER_LIST => Some(Self::Index),
            _ => None,
        }
    }

    const fn oci(self) -> &'static str {
        match self {
            Self::Image => media_type::OCI_MANIFEST,
            Self::Index => media_type::OCI_INDEX,
        }
    }
}

/// See [`Manifest::parse`].
pub(super) fn parse(bytes: &[u8], content_type: Option<&str>) -> Result<Manifest, ManifestError> {
    if bytes.len() > limits::MANIFEST_BYTES {
        return Err(ManifestError::TooLarge { found: bytes.len(), limit: limits::MANIFEST_BYTES });
    }
    let wire: WireManifest = json::read(bytes, &KEYS)?;
    check_version(wire.schema_version.as_ref())?;
    let shape = shape(&wire)?;
    let media_type = media_type(shape, wire.media_type.as_deref(), content_type)?;
    let annotations = wire.annotations.unwrap_or_default();
    let subject = wire.subject.map(|Object(d)| descriptor(d, || "subject".to_owned())).transpose()?;
    let artifact_type = wire.artifact_type;
    match shape {
        Shape::Image => {
            let Object(config) = wire.config.value().ok_or(ManifestError::Missing { expected: "config" })?;
            let config = descriptor(config, || "config".to_owned())?;
            let layers = descriptors(wire.layers, "layers", limits::LAYERS)?;
            Ok(Manifest::Image(ImageManifest { media_type, artifact_type, config, layers, subject, annotations }))
        }
        Shape::Index => {
            let manifests = descriptors(wire.manifests, "manifests", limits::INDEX_CHILDREN)?;
            Ok(Manifest::Index(Index { media_type, artifact_type, manifests, subject, annotations }))
        }
    }
}

fn check_version(found: Option<&Number>) -> Result<(), ManifestError> {
    match found {
        Some(number) if number.as_u64() == Some(2) => Ok(()),
        Some(number) => Err(ManifestError::SchemaVersion { found: number.to_string() }),
        None => Err(ManifestError::SchemaVersion { found: "none".to_owned() }),
    }
}

/// image-spec 1.1, manifest.md and image-index.md: one of the two. CVE-2021-41190: never both, not even with null in one.
fn shape(wire: &WireManifest) -> Result<Shape, ManifestError> {
    let of_image = [("config", wire.config.is_present()), ("layers", wire.layers.is_present())];
    let of_index = [("manifests", wire.manifests.is_present())];
    let of_others = [
        ("fsLayers", wire.fs_layers.is_present()),
        ("history", wire.history.is_present()),
        ("signatures", wire.signatures.is_present()),
        ("blobs", wire.blobs.is_present()),
    ];
    let first = |keys: &[(&'static str, bool)]| keys.iter().find(|(_, present)| *present).map(|(key, _)| *key);
    let foreign = first(&of_others);
    match (first(&of_index), first(&of_image)) {
        (Some(beside), Some(found)) => Err(ManifestError::Ambiguous { found, beside }),
        (Some(beside), None) => foreign.map_or(Ok(Shape::Index), |found| Err(ManifestError::Ambiguous { found, beside })),
        (None, Some(beside)) => foreign.map_or(Ok(Shape::Image), |found| Err(ManifestError::Ambiguous { found, beside })),
        (None, None) => Err(ManifestError::Missing { expected: "`manifests`, or `config` and `layers`" }),
    }
}

/// The one media type that the document, its shape and the header agree on.
fn media_type(shape: Shape, body: Option<&str>, header: Option<&str>) -> Result<String, ManifestError> {
    // RFC 9110, section 8.3.1: parameters follow a semicolon; type names have no case.
    let header = header.map(|h| h.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    let stated = body.filter(|b| !b.is_empty());
    let found = match (stated, header.as_deref()) {
        (Some(body), Some(header)) if header != body => {
            return Err(ManifestError::MediaType { expected: quote(header), found: quote(body) });
        }
        (Some(body), _) => body,
        // Docker's schema 2 always states its type; only OCI types may be left out.
        (None, Some(header)) if header != shape.oci() => {
            return Err(ManifestError::MediaType { expected: quote(header), found: shape.oci().to_owned() });
        }
        (None, _) => shape.oci(),
    };
    if Shape::of(found) == Some(shape) {
        Ok(found.to_owned())
    } else {
        Err(ManifestError::MediaType { expected: shape.oci().to_owned(), found: quote(found) })
    }
}

fn descriptors(key: Key<Vec<Object<WireDescriptor>>>, what: &'static str, limit: usize) -> Result<Vec<Descriptor>, ManifestError> {
    if !key.is_present() {
        return Err(ManifestError::Missing { expected: what });
    }
    let wire = key.value().unwrap_or_default();
    if wire.len() > limit {
        return Err(ManifestError::TooMany { what, found: wire.len(), limit });
    }
    wire.into_iter().enumerate().map(|(i, Object(d))| descriptor(d, || format!("{what}[{i}]"))).collect()
}

fn descriptor(wire: WireDescriptor, place: impl Fn() -> String) -> Result<Descriptor, ManifestError> {
    let digest: Digest = wire.digest.parse().map_err(|problem| ManifestError::Digest { place: place(), problem })?;
    if wire.urls.found > limits::URLS {
        return Err(ManifestError::TooMany { what: "urls", found: wire.urls.found, limit: limits::URLS });
    }
    let size = wire.size.as_u64().filter(|size| *size <= limits::BLOB_BYTES).ok_or_else(|| ManifestError::Size {
        place: place(),
        found: wire.size.to_string(),
        limit: limits::BLOB_BYTES,
    })?;
    if let Some(data) = wire.data.filter(|data| !data.is_empty()) {
        // image-spec 1.1, descriptor.md, "data": MUST be base64 of exactly the referenced content.
        let matches = STANDARD.decode(data).is_ok_and(|data| data.len() as u64 == size && digest.matches(&data));
        if !matches {
            return Err(ManifestError::Data { place: place() });
        }
    }
    Ok(Descriptor {
        media_type: wire.media_type.unwrap_or_default(),
        digest,
        size,
        artifact_type: wire.artifact_type,
        platform: wire.platform.map(|Object(platform)| platform),
        annotations: wire.annotations.unwrap_or_default(),
        urls: wire.urls.kept,
    })
}
