//! One walk over the layers of an image, the lowest first: a stream, bounded, never on disk.
//!
//! What cannot be read as one thing with one meaning is a [`Gap`]; the walk itself never fails. Where engines differ on what
//! a layer does, the walk keeps what any of them would show: it may report too much, never too little.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use sealgate_verifier::{Descriptor, Digest, Hasher};

use crate::compression::{Compression, Plain};
use crate::configuration::{self, Configuration};
use crate::limits::{FIELD_BYTES, GAPS, SECRETS};
use crate::packages::{self, Source};
use crate::path::{clean, printable, split};
use crate::problem::Problem;
use crate::report::{Gap, LayerReport, Report};
use crate::secrets::{Place, Secret};
use crate::tar::{Archive, Entry, EntryKind};
use crate::tree::{Node, Tree};

mod learned;
mod reading;

pub(crate) use learned::Learned;
use reading::Reading;

/// Bytes of content that are looked at together.
const PIECE: usize = 64 * 1024;
/// image-spec 1.1, layer.md: the prefix of a whiteout, and the name of an opaque one.
const WHITEOUT: &str = ".wh.";
const OPAQUE: &str = ".wh..wh..opq";
/// What aufs keeps for itself; engines pass over it.
const AUFS: &str = ".wh..wh.";

/// A walk under way.
#[derive(Default)]
pub struct Walk {
    pub(crate) tree: Tree<Learned>,
    pub(crate) layers: Vec<LayerReport>,
    pub(crate) gaps: Vec<Gap>,
    pub(crate) gaps_omitted: usize,
    pub(crate) configuration: Configuration,
    pub(crate) base: Option<String>,
    pub(crate) secrets: Vec<Secret>,
    /// Where content is read into.
    piece: Vec<u8>,
}

impl Walk {
    /// A walk over an image of which no layer was seen yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the image's configuration, and which image its manifest says that it was built from.
    pub fn configuration(&mut self, bytes: &[u8], annotations: &BTreeMap<String, String>) {
        match configuration::read(bytes) {
            Ok((configuration, secrets)) => {
                self.configuration = configuration;
                secrets.into_iter().for_each(|secret| self.secret(secret));
            }
            Err(problem) => self.gap(None, problem),
        }
        // image-spec 1.1, annotations.md.
        let base = |key: &str| annotations.get(&format!("org.opencontainers.image.base.{key}")).filter(|value| value.len() <= FIELD_BYTES);
        self.base = match (base("name"), base("digest")) {
            (Some(name), Some(digest)) => Some(format!("{name}@{digest}")),
            (name, digest) => name.or(digest).cloned(),
        };
    }

    /// Walks the next layer. Its bytes must be the descriptor's in number and digest; its compression what the media type says.
    pub fn layer(&mut self, descriptor: &Descriptor, bytes: impl Read) {
        let index = self.layers.len();
        self.layers.push(LayerReport::of(descriptor));
        if let Err(problem) = self.walk(index, descriptor, bytes) {
            self.gap(Some(index), problem);
        }
    }

    /// A layer that could not be had at all.
    pub fn missing_layer(&mut self, descriptor: &Descriptor, problem: Problem) {
        self.layers.push(LayerReport::of(descriptor));
        self.gap(Some(self.layers.len() - 1), problem);
    }

    /// What the image holds after its last layer.
    #[must_use]
    pub fn finish(self) -> Report {
        Report::of(self)
    }

    fn secret(&mut self, secret: Secret) {
        if self.secrets.len() < SECRETS {
            self.secrets.push(secret);
        } else if self.secrets.len() == SECRETS {
            let problem = Problem::limit("credentials in the image", self.secrets.len() + 1, SECRETS);
            if !self.gaps.iter().any(|gap| gap.problem == problem) {
                self.gap(None, problem);
            }
        }
    }

    fn gap(&mut self, layer: Option<usize>, problem: Problem) {
        if self.gaps.len() < GAPS {
            self.gaps.push(Gap { layer, problem });
        } else {
            self.gaps_omitted += 1;
        }
    }

    fn walk(&mut self, index: usize, descriptor: &Descriptor, bytes: impl Read) -> Result<(), Problem> {
        let expected = Compression::of_media_type(&descriptor.media_type)?;
        let mut checked = Checked::new(bytes, descriptor);
        let mut archive = Archive::new(Plain::open(&mut checked, Some(expected))?);
        let walked = self.entries(index, &mut archive);
        let report = &mut self.layers[index];
        report.plain_bytes = archive.position();
        report.entries = archive.entries();
        drop(archive);
        walked.and_then(|()| checked.finish(descriptor))
    }

    fn entries<R: Read>(&mut self, index: usize, archive: &mut Archive<R>) -> Result<(), Problem> {
        while let Some(entry) = archive.next_entry()? {
            match clean(&entry.path) {
                Ok(path) => self.entry(index, archive, &entry, &path)?,
                Err(problem) => self.gap(Some(index), problem),
            }
        }
        Ok(())
    }

    /// Takes one entry in. An error ends the layer; what is wrong with this entry alone is a gap.
    fn entry<R: Read>(&mut self, index: usize, archive: &mut Archive<R>, entry: &Entry, path: &str) -> Result<(), Problem> {
        let resolved = match self.tree.resolve_folder(path) {
            Ok(resolved) => resolved,
            Err(problem) => {
                self.gap(Some(index), problem);
                return Ok(());
            }
        };
        // Through this layer's own link every engine goes on; at a lower layer's, overlayfs makes a folder in its place.
        let place = if resolved.oldest.is_some_and(|layer| layer < index) { path } else { resolved.path.as_str() };
        if path.split('/').any(|part| part.starts_with(WHITEOUT)) {
            if let Err(problem) = self.white_out(index, place) {
                self.gap(Some(index), problem);
            }
            return Ok(());
        }
        match entry.kind {
            EntryKind::Directory => self.tree.put_directory(place),
            EntryKind::Special => self.displace(index, place),
            EntryKind::Symlink => self.put(index, place, Node::Symlink(printable(&entry.target)))?,
            EntryKind::HardLink => self.hard_link(index, place, entry)?,
            EntryKind::File => {
                let source = packages::source_of(path).or_else(|| packages::source_of(&resolved.path));
                let learned = self.file(index, archive, entry, place, source)?;
                self.layers[index].files += 1;
                self.layers[index].file_bytes += entry.size;
                match learned {
                    Some(learned) => self.put(index, place, Node::File(learned))?,
                    None => self.displace(index, place),
                }
            }
        }
        Ok(())
    }

    /// image-spec 1.1, layer.md, "Whiteouts": it speaks of lower layers only.
    fn white_out(&mut self, index: usize, path: &str) -> Result<(), Problem> {
        let (folder, name) = split(path);
        let no_whiteout = || Problem::Whiteout { path: path.to_owned() };
        if folder.split('/').any(|part| part.starts_with(WHITEOUT) && !part.starts_with(AUFS)) {
            return Err(no_whiteout());
        }
        if name == OPAQUE {
            self.tree.white_out_children(folder, index);
            return Ok(());
        }
        if name.starts_with(AUFS) || folder.split('/').any(|part| part.starts_with(AUFS)) {
            return Ok(());
        }
        match name.strip_prefix(WHITEOUT) {
            Some("" | "." | "..") | None => Err(no_whiteout()),
            Some(name) => {
                self.tree.white_out(&crate::path::join(folder, name), index);
                Ok(())
            }
        }
    }

    /// Another name of a file: what was learned of it holds for both.
    fn hard_link(&mut self, index: usize, path: &str, entry: &Entry) -> Result<(), Problem> {
        let target = match clean(&entry.target).and_then(|target| self.tree.resolve_folder(&target)) {
            Ok(target) => target.path,
            Err(problem) => {
                self.gap(Some(index), problem);
                return Ok(());
            }
        };
        if let Some(node) = self.tree.get(&target).cloned() {
            if target != path {
                self.put(index, path, node)?;
            }
            return Ok(());
        }
        if packages::source_of(path).is_some() {
            self.gap(Some(index), Problem::Link { path: path.to_owned(), target });
        }
        self.displace(index, path);
        Ok(())
    }

    /// Reads a file's content to its end, and learns what it says.
    fn file<R: Read>(
        &mut self,
        index: usize,
        archive: &mut Archive<R>,
        entry: &Entry,
        path: &str,
        source: Option<Source>,
    ) -> Result<Option<Learned>, Problem> {
        let mut piece = std::mem::take(&mut self.piece);
        piece.resize(PIECE, 0);
        let mut count = archive.read(&mut piece)?;
        let mut reading = Reading::of(source, entry, path, &piece[..count]);
        while count > 0 {
            reading.feed(&piece[..count]);
            count = archive.read(&mut piece)?;
        }
        self.piece = piece;
        let (learned, hits) = reading.finish(entry, path);
        for (line, hit) in hits {
            let place = Place::File { layer: index, path: path.to_owned(), line, deleted: false };
            self.secret(Secret { place, kind: hit.kind.to_owned(), excerpt: hit.excerpt });
        }
        Ok(learned.is_noted().then_some(learned))
    }

    fn put(&mut self, index: usize, path: &str, mut node: Node<Learned>) -> Result<(), Problem> {
        if let Node::File(learned) = &mut node {
            Arc::make_mut(&mut learned.packages).iter_mut().for_each(|package| package.location.layer = index);
            if let Some(Node::File(before)) = self.tree.get(path) {
                learned.keep_layers(before);
            }
        }
        let before = self.tree.put(path, index, node)?;
        self.note_duplicate(index, path, before);
        Ok(())
    }

    fn displace(&mut self, index: usize, path: &str) {
        let before = self.tree.displace(path);
        self.note_duplicate(index, path, before);
    }

    fn note_duplicate(&mut self, index: usize, path: &str, before: Option<(usize, Node<Learned>)>) {
        if let Some((layer, Node::File(learned))) = before
            && layer == index
            && learned.source.is_some()
        {
            self.gap(Some(index), Problem::Duplicate { path: path.to_owned() });
        }
    }
}

/// A layer's bytes, hashed and counted while they are read.
struct Checked<R> {
    inner: R,
    hasher: Hasher,
    count: u64,
    size: u64,
}

impl<R: Read> Checked<R> {
    fn new(inner: R, descriptor: &Descriptor) -> Self {
        Self { inner, hasher: Hasher::new(descriptor.digest.algorithm()), count: 0, size: descriptor.size }
    }

    fn finish(self, descriptor: &Descriptor) -> Result<(), Problem> {
        if self.count != descriptor.size {
            return Err(Problem::Size { expected: descriptor.size, found: self.count });
        }
        let found: Digest = self.hasher.finish();
        if found != descriptor.digest {
            return Err(Problem::Digest { expected: descriptor.digest.to_string(), found: found.to_string() });
        }
        Ok(())
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.count > self.size {
            return Ok(0);
        }
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        self.count += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
