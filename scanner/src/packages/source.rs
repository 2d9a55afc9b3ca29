//! Which kind of package source a file is, by its path.

/// A kind of file that says what the image holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// os-release(5).
    OsRelease,
    /// passwd(5).
    Passwd,
    /// dpkg's `status`: every package.
    DpkgStatus,
    /// A file of `status.d`, as distroless images have one for each package.
    DpkgStatusFile,
    /// The files that a package installed, as dpkg keeps them.
    DpkgFiles,
    /// apk's `installed`.
    ApkInstalled,
    /// rpm's database in SQLite.
    RpmDatabase,
    /// A Java archive.
    JavaArchive,
    /// `node_modules/NAME/package.json`.
    NpmInstalled,
    /// `package-lock.json`; it counts where nothing is installed beside it.
    NpmLock,
    /// Metadata of an installed Python distribution.
    PythonMetadata,
    /// `Cargo.lock`.
    CargoLock,
    /// An ELF program with Go's build information or cargo-auditable's list.
    Program,
    /// A database of a distribution that is not read: what is installed is not known.
    UnsupportedDatabase(&'static str),
    /// A list of an ecosystem that is not read.
    UnsupportedList(&'static str),
}

impl Source {
    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OsRelease => "os-release",
            Self::Passwd => "passwd",
            Self::DpkgStatus => "dpkg status",
            Self::DpkgStatusFile => "dpkg status.d",
            Self::DpkgFiles => "dpkg file list",
            Self::ApkInstalled => "apk installed",
            Self::RpmDatabase => "rpm database",
            Self::JavaArchive => "Java archive",
            Self::NpmInstalled => "node_modules package.json",
            Self::NpmLock => "package-lock.json",
            Self::PythonMetadata => "Python metadata",
            Self::CargoLock => "Cargo.lock",
            Self::Program => "program",
            Self::UnsupportedDatabase(what) | Self::UnsupportedList(what) => what,
        }
    }

    /// Whether it lists packages that are read: an image without any such file has no recognised package source.
    pub const fn lists_packages(self) -> bool {
        match self {
            Self::OsRelease | Self::Passwd | Self::DpkgFiles | Self::UnsupportedDatabase(_) | Self::UnsupportedList(_) => false,
            Self::DpkgStatus
            | Self::DpkgStatusFile
            | Self::ApkInstalled
            | Self::RpmDatabase
            | Self::JavaArchive
            | Self::NpmInstalled
            | Self::NpmLock
            | Self::PythonMetadata
            | Self::CargoLock
            | Self::Program => true,
        }
    }
}

/// What a file at `path` is by its name. Databases are recognised under any folder: a link may lead to them.
pub fn source_of(path: &str) -> Option<Source> {
    let mut parts = path.rsplit('/');
    let (name, folder, above) = (parts.next()?, parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    match (above, folder, name) {
        (_, "etc", "passwd") => Some(Source::Passwd),
        (_, "etc" | "lib", "os-release") => Some(Source::OsRelease),
        (_, "dpkg", "status") => Some(Source::DpkgStatus),
        ("dpkg", "status.d", name) if name.ends_with(".md5sums") => Some(Source::DpkgFiles),
        ("dpkg", "status.d", _) => Some(Source::DpkgStatusFile),
        ("dpkg", "info", name) if name.ends_with(".list") => Some(Source::DpkgFiles),
        ("apk", "db", "installed") => Some(Source::ApkInstalled),
        (_, _, "rpmdb.sqlite") => Some(Source::RpmDatabase),
        (_, _, name) if super::maven::is_archive(name) => Some(Source::JavaArchive),
        (_, _, "package.json") if super::npm::is_installed(path) => Some(Source::NpmInstalled),
        (_, _, "package-lock.json" | "npm-shrinkwrap.json") if !path.contains("node_modules/") => Some(Source::NpmLock),
        (_, _, "Cargo.lock") => Some(Source::CargoLock),
        _ if super::python::is_metadata(above, folder, name) => Some(Source::PythonMetadata),
        _ => unsupported(above, folder, name),
    }
}

fn unsupported(above: &str, folder: &str, name: &str) -> Option<Source> {
    let database = match (above, folder, name) {
        (_, "rpm", "Packages") => "rpm database in BerkeleyDB",
        (_, "rpm", "Packages.db") => "rpm database in ndb",
        (_, "rpm", "rpmdb.sqlite-wal") => "rpm database with a write-ahead log",
        ("local", _, "desc") => "pacman database",
        (_, "opkg", "status") => "opkg database",
        ("db" | "pkg", _, "CONTENTS") => "Portage database",
        (_, "conda-meta", name) if name.ends_with(".json") => "conda package",
        _ => return unsupported_list(folder, name).map(Source::UnsupportedList),
    };
    Some(Source::UnsupportedDatabase(database))
}

fn unsupported_list(folder: &str, name: &str) -> Option<&'static str> {
    Some(match name {
        "yarn.lock" => "yarn.lock",
        "pnpm-lock.yaml" => "pnpm-lock.yaml",
        "bun.lock" | "bun.lockb" => "bun.lock",
        "poetry.lock" => "poetry.lock",
        "Pipfile.lock" => "Pipfile.lock",
        "uv.lock" => "uv.lock",
        "Gemfile.lock" => "Gemfile.lock",
        "composer.lock" => "composer.lock",
        "installed.json" if folder == "composer" => "composer's installed.json",
        "mix.lock" => "mix.lock",
        "pubspec.lock" => "pubspec.lock",
        "Package.resolved" => "Swift's Package.resolved",
        "packages.lock.json" => ".NET packages.lock.json",
        "gradle.lockfile" => "gradle.lockfile",
        name if name.ends_with(".gemspec") && folder == "specifications" => "Ruby gem",
        name if name.ends_with(".deps.json") => ".NET deps.json",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_recognised_by_their_path() {
        for (path, expected) in [
            ("var/lib/dpkg/status", Some(Source::DpkgStatus)),
            ("var/lib/dpkg/status-old", None),
            ("var/lib/dpkg/status.d/base", Some(Source::DpkgStatusFile)),
            ("var/lib/dpkg/status.d/base.md5sums", Some(Source::DpkgFiles)),
            ("usr/lib/python3/dist-packages/x.egg-info", Some(Source::PythonMetadata)),
            ("usr/lib/python3/dist-packages/x.egg-info/PKG-INFO", Some(Source::PythonMetadata)),
            ("usr/lib/python3/dist-packages/x.egg-info/top_level.txt", None),
            ("v/lib/python3.11/site-packages/x-1.dist-info/METADATA", Some(Source::PythonMetadata)),
            ("v/x-1.egg/EGG-INFO/PKG-INFO", Some(Source::PythonMetadata)),
            ("app/package-lock.json", Some(Source::NpmLock)),
            ("app/node_modules/x/package-lock.json", None),
            ("var/lib/rpm/Packages", Some(Source::UnsupportedDatabase("rpm database in BerkeleyDB"))),
            ("app/yarn.lock", Some(Source::UnsupportedList("yarn.lock"))),
            ("status", None),
        ] {
            assert_eq!(source_of(path), expected, "{path}");
        }
    }
}
