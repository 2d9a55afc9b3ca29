//! The files that say which packages an image holds, recognised by their path.

use crate::limits::{FIELD_BYTES, PACKAGES};
use crate::package::Package;
use crate::problem::Problem;
use crate::release::Release;

mod apk;
mod dpkg;
mod os_release;
mod stanza;

/// A kind of file that says what the image holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// os-release(5).
    OsRelease,
    /// dpkg's `status`: every package.
    DpkgStatus,
    /// A file of `status.d`, as distroless images have one for each package.
    DpkgStatusFile,
    /// The files that a package installed, as dpkg keeps them.
    DpkgFiles,
    /// apk's `installed`.
    ApkInstalled,
}

/// Every kind.
pub const ALL: [Source; 5] = [Source::OsRelease, Source::DpkgStatus, Source::DpkgStatusFile, Source::DpkgFiles, Source::ApkInstalled];

/// What a file said.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Contribution {
    pub packages: Vec<Package>,
    pub release: Option<Release>,
    /// Files of distribution packages that may hold packages of another kind: path and package.
    pub owned: Vec<(String, String)>,
}

impl Source {
    /// Whether it is text that people or tools write, and not a database or program.
    pub const fn is_document(self) -> bool {
        match self {
            Self::OsRelease | Self::DpkgStatus | Self::DpkgStatusFile | Self::DpkgFiles | Self::ApkInstalled => true,
        }
    }

    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OsRelease => "os-release",
            Self::DpkgStatus => "dpkg status",
            Self::DpkgStatusFile => "dpkg status.d",
            Self::DpkgFiles => "dpkg file list",
            Self::ApkInstalled => "apk installed",
        }
    }

    /// Whether it lists packages: an image without any such file has no recognised package source.
    pub const fn lists_packages(self) -> bool {
        match self {
            Self::OsRelease | Self::DpkgFiles => false,
            Self::DpkgStatus | Self::DpkgStatusFile | Self::ApkInstalled => true,
        }
    }
}

/// What a file at `path` is by its name. Databases are recognised under any folder: a link may lead to them.
pub fn source_of(path: &str) -> Option<Source> {
    let mut parts = path.rsplit('/');
    let (name, folder, above) = (parts.next()?, parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    match (above, folder, name) {
        (_, "etc" | "lib", "os-release") => Some(Source::OsRelease),
        (_, "dpkg", "status") => Some(Source::DpkgStatus),
        ("dpkg", "status.d", name) if !name.ends_with(".md5sums") => Some(Source::DpkgStatusFile),
        ("dpkg", "info", name) if name.ends_with(".list") => Some(Source::DpkgFiles),
        ("apk", "db", "installed") => Some(Source::ApkInstalled),
        _ => None,
    }
}

/// Reads a whole file of a kind.
///
/// # Errors
/// [`Problem::Malformed`], a limit.
pub fn read(source: Source, path: &str, bytes: &[u8]) -> Result<Contribution, Problem> {
    let mut contribution = match source {
        Source::OsRelease => Contribution { release: os_release::read(bytes), ..Contribution::default() },
        Source::DpkgStatus | Source::DpkgStatusFile => dpkg::status(path, bytes)?,
        Source::DpkgFiles => dpkg::files(path, bytes),
        Source::ApkInstalled => apk::installed(path, bytes)?,
    };
    if contribution.packages.len() > PACKAGES {
        return Err(Problem::limit(format!("packages of {path:?}"), contribution.packages.len(), PACKAGES));
    }
    for package in &mut contribution.packages {
        let source = package.source.iter().flat_map(|source| [&source.name, &source.version]);
        let longest = [&package.namespace, &package.name, &package.version].into_iter().chain(source).map(String::len).max();
        if longest > Some(FIELD_BYTES) {
            return Err(Problem::limit(format!("bytes of a field in {path:?}"), longest.unwrap_or(0), FIELD_BYTES));
        }
        if package.location.path.is_empty() {
            path.clone_into(&mut package.location.path);
        }
    }
    Ok(contribution)
}

/// Whether a file that a distribution's package brought may hold packages of another kind, so that its owner is worth knowing.
fn may_hold_others(path: &str) -> bool {
    let folder = path.rsplit('/').nth(1).unwrap_or("");
    matches!(folder, "bin" | "sbin" | "libexec") || source_of(path).is_some_and(Source::lists_packages)
}
