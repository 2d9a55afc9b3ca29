//! dpkg's database (deb-control(5), dpkg(1) "PACKAGE STATES") and the `status.d` of distroless images.

use super::stanza::{field, paragraphs, text};
use super::{Contribution, file_key, may_hold_others};
use crate::package::{Package, PackageType, SourcePackage};
use crate::problem::Problem;

/// Reads `status`, or one file of `status.d`.
pub fn status(path: &str, bytes: &[u8]) -> Result<Contribution, Problem> {
    let packages = paragraphs(bytes).filter_map(|lines| package(path, &lines).transpose()).collect::<Result<_, _>>()?;
    Ok(Contribution { packages, ..Contribution::default() })
}

fn package(path: &str, lines: &[&[u8]]) -> Result<Option<Package>, Problem> {
    let (mut name, mut version, mut architecture, mut source, mut state) = (None, None, None, None, None);
    for (key, value) in lines.iter().filter_map(|line| field(line)) {
        let slot = match key.to_ascii_lowercase().as_slice() {
            b"package" => &mut name,
            b"version" => &mut version,
            b"architecture" => &mut architecture,
            b"source" => &mut source,
            b"status" => &mut state,
            _ => continue,
        };
        if slot.replace(text(value)).is_some() {
            return Err(Problem::malformed(path, "dpkg status", format!("{} stands twice in one paragraph", text(key))));
        }
    }
    let Some(name) = name else {
        return Err(Problem::malformed(path, "dpkg status", "a paragraph without Package"));
    };
    // dpkg(1): in these two states none of the package's files are there but its configuration.
    if state.as_deref().and_then(|state| state.split_ascii_whitespace().nth(2)).is_some_and(|s| s == "not-installed" || s == "config-files")
    {
        return Ok(None);
    }
    let Some(version) = version else {
        return Err(Problem::malformed(path, "dpkg status", format!("package {name:?} without Version")));
    };
    let mut package = Package::new(PackageType::Deb, "", name, version);
    package.source = Some(source_of(&package, source.as_deref()));
    if let Some(architecture) = architecture {
        package.qualifiers.insert("arch".to_owned(), architecture);
    }
    Ok(Some(package))
}

/// `Source: NAME` or `Source: NAME (VERSION)`; without it, both are the package's own (deb-control(5)).
fn source_of(package: &Package, field: Option<&str>) -> SourcePackage {
    let field = field.unwrap_or(&package.name);
    let (name, version) = field.split_once('(').map_or((field, None), |(name, version)| (name, version.strip_suffix(')')));
    let version = version.map_or_else(|| package.version.clone(), |version| version.trim().to_owned());
    SourcePackage { name: name.trim().to_owned(), version }
}

/// Reads `info/NAME.list` or `info/NAME:ARCH.list`, and `status.d/NAME.md5sums` of distroless images: `SUM  PATH`.
pub fn files(path: &str, bytes: &[u8]) -> Contribution {
    let name = crate::path::split(path).1;
    let name = name.rsplit_once('.').map_or(name, |(name, _)| name);
    let name = name.split_once(':').map_or(name, |(name, _)| name);
    let sums = path.ends_with(".md5sums");
    let lines = bytes.split(|byte| *byte == b'\n');
    let paths = lines.filter_map(|line| if sums { line.get(34..) } else { line.strip_prefix(b"/") }).map(text);
    let mut contribution = Contribution::default();
    for path in paths {
        contribution.files.push(file_key(&path));
        if may_hold_others(&path) {
            contribution.owned.push((path, name.to_owned()));
        }
    }
    contribution
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &[u8] = b"Package: libc6
Status: install ok installed
Architecture: amd64
Source: glibc
Version: 2.36-9+deb12u4
Description: GNU C Library
 Version: 99
Conffiles:
 /etc/ld.so.conf.d/x 123

Package: perl-base
Essential: yes
Status: install ok installed
Architecture: amd64
Source: perl (5.36.0-7)
Version: 5.36.0-7+deb12u1

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1

Package: broken
Status: install ok half-configured
Architecture: all
Version: 1:2
";

    #[test]
    fn packages_come_with_their_source() {
        let packages = status("var/lib/dpkg/status", STATUS).expect("well-formed").packages;
        let told: Vec<_> = packages
            .iter()
            .map(|p| {
                let source = p.source.as_ref().expect("a source");
                (p.name.as_str(), p.version.as_str(), source.name.as_str(), source.version.as_str())
            })
            .collect();
        assert_eq!(
            told,
            [
                ("libc6", "2.36-9+deb12u4", "glibc", "2.36-9+deb12u4"),
                ("perl-base", "5.36.0-7+deb12u1", "perl", "5.36.0-7"),
                ("broken", "1:2", "broken", "1:2"),
            ]
        );
    }

    #[test]
    fn paragraphs_that_name_no_package_are_refused() {
        for bad in [&b"Version: 1\n"[..], b"Package: x\nStatus: install ok installed\n", b"Package: x\nPackage: y\nVersion: 1\n"] {
            assert!(matches!(status("s", bad), Err(Problem::Malformed { .. })), "{}", String::from_utf8_lossy(bad));
        }
        assert_eq!(status("s", b"\n\n"), Ok(Contribution::default()));
    }

    #[test]
    fn a_file_list_tells_whose_programs_are() {
        let owned = files("var/lib/dpkg/info/docker.io:amd64.list", b"/.\n/usr\n/usr/bin/docker\n/usr/share/doc/x\n").owned;
        assert_eq!(owned, [("usr/bin/docker".to_owned(), "docker.io".to_owned())]);
    }
}
