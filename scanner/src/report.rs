//! What a walk found out.

use std::collections::{BTreeMap, HashSet};

use sealgate_verifier::{Descriptor, Digest};
use serde::{Deserialize, Serialize};

use crate::configuration::Configuration;
use crate::limits::PACKAGES;
use crate::package::Package;
use crate::packages::{Source, file_key};
use crate::problem::Problem;
use crate::release::Release;
use crate::secrets::{Place, Secret};
use crate::tool::{Tool, tool_of};
use crate::tree::{Node, Tree};
use crate::walk::{Learned, Walk};

/// What an image holds. It says what was seen, and in [`Report::gaps`] what could not be: only a report without gaps is
/// complete, and one without [`Report::sources`] knows nothing of packages, which is not the same as none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The distribution's release; `None` where no os-release file names one.
    pub release: Option<Release>,
    /// The packages, sorted.
    pub packages: Vec<Package>,
    /// The files that list packages.
    pub sources: Vec<SourceReport>,
    /// Files that list packages of ecosystems that are not read.
    pub unsupported: Vec<UnsupportedFile>,
    /// Files that run with more rights than whoever starts them.
    pub privileged: Vec<PrivilegedFile>,
    /// Shells, package managers and compilers, links to them included.
    pub tools: Vec<ToolReport>,
    /// How it is started and was built.
    pub configuration: Configuration,
    /// The number of the configured user: the text's own, or that of its entry in `/etc/passwd`.
    pub uid: Option<u32>,
    /// The image that it was built from, where annotations tell.
    pub base: Option<String>,
    /// Credentials, in any layer and in the configuration.
    pub secrets: Vec<Secret>,
    /// Credentials in programs and data that packages of the distribution brought: keys for self-tests, examples. Everybody has
    /// them, so they are nobody's secret.
    pub published: Vec<Secret>,
    /// The layers, the lowest first.
    pub layers: Vec<LayerReport>,
    /// What could not be read.
    pub gaps: Vec<Gap>,
    /// Gaps beyond [`crate::limits::GAPS`].
    pub gaps_omitted: usize,
}

/// A file that lists packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceReport {
    /// Kind, for example `dpkg status`.
    pub kind: String,
    /// Path in the image.
    pub path: String,
    /// The layer that brought it in its last form.
    pub layer: usize,
    /// Packages that it lists.
    pub packages: usize,
}

/// A file that lists packages in a form that is not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnsupportedFile {
    /// What it is.
    pub kind: String,
    /// Path in the image.
    pub path: String,
    /// The layer that brought it.
    pub layer: usize,
}

/// A program of note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolReport {
    /// What it is for.
    pub kind: Tool,
    /// Path in the image.
    pub path: String,
    /// The layer that brought it.
    pub layer: usize,
}

/// A file with setuid, setgid or capabilities.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PrivilegedFile {
    /// Path in the image.
    pub path: String,
    /// The layer that brought it.
    pub layer: usize,
    /// Bytes.
    pub size: u64,
    /// Permission bits: setuid is 0o4000, setgid 0o2000.
    pub mode: u32,
    /// Owner: 0 is root.
    pub uid: u64,
    /// `security.capability` in hex (capabilities(7), `struct vfs_cap_data`), where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capability: Option<String>,
}

/// A layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LayerReport {
    /// Digest of its bytes as they are stored.
    pub digest: Digest,
    /// Media type.
    pub media_type: String,
    /// Bytes as they are stored.
    pub bytes: u64,
    /// Bytes of the plain archive, as far as it was read.
    pub plain_bytes: u64,
    /// Entries of the archive, extended headers included.
    pub entries: u64,
    /// Files in it.
    pub files: u64,
    /// Bytes of these files.
    pub file_bytes: u64,
}

/// Something that could not be read as one thing with one meaning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The layer, where it is one layer's fault.
    pub layer: Option<usize>,
    /// What is wrong.
    #[serde(flatten)]
    pub problem: Problem,
}

impl std::fmt::Display for Gap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.layer {
            Some(layer) => write!(f, "layer {layer}: {}", self.problem),
            None => write!(f, "{}", self.problem),
        }
    }
}

impl LayerReport {
    pub(crate) fn of(descriptor: &Descriptor) -> Self {
        Self {
            digest: descriptor.digest,
            media_type: descriptor.media_type.clone(),
            bytes: descriptor.size,
            plain_bytes: 0,
            entries: 0,
            files: 0,
            file_bytes: 0,
        }
    }
}

/// Where packages bring what nobody changes; configuration and data lie elsewhere.
const PUBLISHED: [&str; 4] = ["usr/", "lib", "bin/", "sbin/"];
/// Where distributions keep their package database. A link in its place must lead to one that was read.
const DATABASES: [&str; 5] = [
    "var/lib/dpkg/status",
    "lib/apk/db/installed",
    "usr/lib/apk/db/installed",
    "var/lib/rpm/rpmdb.sqlite",
    "usr/lib/sysimage/rpm/rpmdb.sqlite",
];

impl Report {
    /// Whether everything was read.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.gaps.is_empty() && self.gaps_omitted == 0
    }

    pub(crate) fn of(walk: Walk) -> Self {
        let Walk { tree, layers, gaps, gaps_omitted, configuration, base, secrets, .. } = walk;
        let uid = uid(&tree, &configuration.user);
        let mut report = Self { release: release(&tree), layers, gaps, gaps_omitted, configuration, base, secrets, uid, ..Self::default() };
        let owners = owners(&tree);
        for (path, layer, node) in tree.iter() {
            report.tools.extend(tool(path, node).map(|kind| ToolReport { kind, path: path.to_owned(), layer }));
            let Node::File(learned) = node else { continue };
            if let Some(problem) = &learned.problem {
                report.gaps.push(Gap { layer: Some(layer), problem: problem.clone() });
            }
            if learned.is_privileged() {
                let capability = learned.capability.as_deref().map(|bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect());
                let (size, mode, uid) = (learned.size, learned.mode, learned.uid);
                report.privileged.push(PrivilegedFile { path: path.to_owned(), layer, size, mode, uid, capability });
            }
            if let Some(source @ (Source::UnsupportedDatabase(_) | Source::UnsupportedList(_))) = learned.source {
                report.unsupported.push(UnsupportedFile { kind: source.name().to_owned(), path: path.to_owned(), layer });
            }
            let Some(source) = learned.source.filter(|source| source.lists_packages()) else { continue };
            if source == Source::NpmLock && has_installed(&tree, path) {
                continue;
            }
            let packages = learned.packages.len();
            report.sources.push(SourceReport { kind: source.name().to_owned(), path: path.to_owned(), layer, packages });
            let owner = owners.get(path);
            let placed: Vec<_> = learned.packages.iter().map(|package| report.placed(package, owner)).collect();
            report.packages.extend(placed);
        }
        report.check_databases(&tree);
        report.note_deleted(&tree);
        report.set_apart_published(&tree);
        if report.packages.len() > PACKAGES {
            let problem = Problem::limit("packages of the image", report.packages.len(), PACKAGES);
            report.gaps.push(Gap { layer: None, problem });
            report.packages.truncate(PACKAGES);
        }
        report.packages.sort();
        report.packages.dedup();
        report
    }

    /// A package with what only the whole image knows: the distribution and who owns the file.
    fn placed(&self, package: &Package, owner: Option<&String>) -> Package {
        let mut package = package.clone();
        if !package.kind.is_distribution() {
            package.owner = owner.cloned();
        } else if let Some(release) = &self.release {
            package.namespace.clone_from(&release.id);
            package.qualifiers.insert("distro".to_owned(), release.distro());
        }
        package
    }

    /// A file that is no longer there, or was replaced, is still in its layer.
    fn note_deleted(&mut self, tree: &Tree<Learned>) {
        for secret in &mut self.secrets {
            if let Place::File { layer, path, deleted, .. } = &mut secret.place {
                *deleted = !tree.has_file(path, *layer);
            }
        }
        self.secrets.sort();
        self.secrets.dedup();
    }

    fn set_apart_published(&mut self, tree: &Tree<Learned>) {
        let files: HashSet<u64> = tree.files().flat_map(|learned| learned.files.iter().copied()).collect();
        let is_published = |secret: &Secret| match &secret.place {
            Place::File { path, .. } => PUBLISHED.iter().any(|folder| path.starts_with(folder)) && files.contains(&file_key(path)),
            Place::Environment { .. } | Place::History { .. } | Place::Label { .. } | Place::Command => false,
        };
        (self.published, self.secrets) = std::mem::take(&mut self.secrets).into_iter().partition(is_published);
    }

    fn check_databases(&mut self, tree: &Tree<Learned>) {
        let mut problems = vec![];
        for path in DATABASES {
            let (folder, _) = crate::path::split(path);
            let is_link = [folder, path].into_iter().any(|path| matches!(tree.get(path), Some(Node::Symlink(_))));
            if !is_link {
                continue;
            }
            match tree.resolve(path) {
                Ok(resolved) if matches!(tree.get(&resolved.path), Some(Node::File(learned)) if learned.source.is_some()) => {}
                Ok(resolved) => problems.push(Problem::Link { path: path.to_owned(), target: resolved.path }),
                Err(problem) => problems.push(problem),
            }
        }
        self.gaps.extend(problems.into_iter().map(|problem| Gap { layer: None, problem }));
    }
}

fn tool(path: &str, node: &Node<Learned>) -> Option<Tool> {
    match node {
        Node::File(learned) => learned.tool,
        Node::Symlink(_) => tool_of(path),
    }
}

/// image-spec 1.1, config.md: `User` is `user`, `uid`, or either with a group after a colon. Without one it is root.
fn uid(tree: &Tree<Learned>, user: &str) -> Option<u32> {
    let name = user.split(':').next().unwrap_or("");
    if name.is_empty() {
        return Some(0);
    }
    let users = match tree.get(&tree.resolve("etc/passwd").ok()?.path) {
        Some(Node::File(learned)) => learned.users.as_slice(),
        Some(Node::Symlink(_)) | None => &[],
    };
    // As container engines do: the name of an entry first, then a number.
    users.iter().find(|(entry, _)| entry == name).map(|(_, uid)| *uid).or_else(|| name.parse().ok())
}

/// os-release(5): `/etc/os-release` takes precedence over `/usr/lib/os-release`.
fn release(tree: &Tree<Learned>) -> Option<Release> {
    ["etc/os-release", "usr/lib/os-release"].into_iter().find_map(|path| match tree.get(&tree.resolve(path).ok()?.path)? {
        Node::File(learned) => learned.release.clone(),
        Node::Symlink(_) => None,
    })
}

/// Which distribution package brought which file; paths as they are after the image's own links.
fn owners(tree: &Tree<Learned>) -> BTreeMap<String, String> {
    let owned = tree.files().flat_map(|learned| learned.owned.iter());
    owned.filter_map(|(path, owner)| Some((tree.resolve_folder(path).ok()?.path, owner.clone()))).collect()
}

/// Whether something is installed beside a lock file: then that is what the image holds, and the file also names what was
/// only needed to build it.
fn has_installed(tree: &Tree<Learned>, lock: &str) -> bool {
    let folder = crate::path::join(crate::path::split(lock).0, "node_modules");
    tree.below(&folder).any(|node| matches!(node, Node::File(learned) if learned.source == Some(Source::NpmInstalled)))
}
