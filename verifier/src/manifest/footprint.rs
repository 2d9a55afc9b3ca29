//! What a parsed manifest takes in memory: many times its bytes where a stranger wants it so.

use std::collections::BTreeMap;

use super::{Descriptor, ImageManifest, Index, Manifest, Platform};

/// Bytes of a map's entry beside its texts: two `String`s in a node of a B-tree that is two thirds full, and the allocator's rounding.
const ENTRY: usize = 160;
/// Bytes of a `String` in a vector, with the allocator's rounding.
const TEXT: usize = 64;

impl Manifest {
    /// Bytes in memory, about: for caches, whose bounds would mean nothing if they counted bytes on the wire.
    #[must_use]
    pub fn footprint(&self) -> usize {
        let (parts, annotations, subject, artifact_type) = match self {
            Self::Image(ImageManifest { layers, annotations, subject, artifact_type, config, media_type: _ }) => {
                (descriptors(layers) + descriptor(config), annotations, subject, artifact_type)
            }
            Self::Index(Index { manifests, annotations, subject, artifact_type, media_type: _ }) => {
                (descriptors(manifests), annotations, subject, artifact_type)
            }
        };
        size_of::<Self>() + parts + map(annotations) + subject.as_ref().map_or(0, descriptor) + text(artifact_type.as_ref())
    }
}

fn descriptors(list: &[Descriptor]) -> usize {
    list.iter().map(descriptor).sum()
}

fn descriptor(found: &Descriptor) -> usize {
    let Descriptor { media_type, digest: _, size: _, artifact_type, platform, annotations, urls } = found;
    let platform =
        platform.as_ref().map_or(0, |Platform { architecture, os, variant }| architecture.len() + os.len() + text(variant.as_ref()));
    let urls: usize = urls.iter().map(|url| TEXT + url.len()).sum();
    size_of::<Descriptor>() + media_type.len() + text(artifact_type.as_ref()) + platform + map(annotations) + urls
}

fn map(map: &BTreeMap<String, String>) -> usize {
    map.iter().map(|(key, value)| ENTRY + key.len() + value.len()).sum()
}

fn text(text: Option<&String>) -> usize {
    text.map_or(0, |text| TEXT + text.len())
}
