//! apk's installed database (apk-tools, `lib/apk/db/installed`): paragraphs of one-letter fields.

use super::stanza::{paragraphs, text};
use super::{Contribution, file_key, may_hold_others};
use crate::package::{Package, PackageType, SourcePackage};
use crate::path::join;
use crate::problem::Problem;

/// Reads the database.
pub fn installed(path: &str, bytes: &[u8]) -> Result<Contribution, Problem> {
    let mut contribution = Contribution::default();
    for lines in paragraphs(bytes) {
        let (mut name, mut version, mut architecture, mut origin) = (None, None, None, None);
        let mut folder = String::new();
        let mut files = vec![];
        for line in lines {
            let Some((key, value)) = line.split_first_chunk::<2>() else { continue };
            match key {
                b"P:" => name = Some(text(value)),
                b"V:" => version = Some(text(value)),
                b"A:" => architecture = Some(text(value)),
                b"o:" => origin = Some(text(value)),
                b"F:" => folder = text(value),
                b"R:" => files.push(join(&folder, &text(value))),
                _ => {}
            }
        }
        let (Some(name), Some(version)) = (name, version) else {
            return Err(Problem::malformed(path, "apk database", "a paragraph without P: or V:"));
        };
        contribution.files.extend(files.iter().map(|file| file_key(file)));
        contribution.owned.extend(files.into_iter().filter(|file| may_hold_others(file)).map(|file| (file, name.clone())));
        let mut package = Package::new(PackageType::Apk, "", name, version);
        let source = origin.unwrap_or_else(|| package.name.clone());
        package.source = Some(SourcePackage { name: source, version: package.version.clone() });
        package.qualifiers.extend(architecture.map(|architecture| ("arch".to_owned(), architecture)));
        contribution.packages.push(package);
    }
    Ok(contribution)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSTALLED: &[u8] = b"C:Q1abc=
P:musl
V:1.2.4_git20230717-r4
A:x86_64
S:1
o:musl
F:lib
R:ld-musl-x86_64.so.1
a:0:0:755

P:busybox-binsh
V:1.36.1-r15
A:x86_64
o:busybox
F:bin
R:sh
";

    #[test]
    fn packages_come_with_their_origin_and_files() {
        let read = installed("lib/apk/db/installed", INSTALLED).expect("well-formed");
        let told: Vec<_> = read.packages.iter().map(|p| (p.name.as_str(), p.source.as_ref().map(|s| s.name.as_str()))).collect();
        assert_eq!(told, [("musl", Some("musl")), ("busybox-binsh", Some("busybox"))]);
        assert_eq!(read.packages[0].version, "1.2.4_git20230717-r4");
        assert_eq!(read.owned, [("bin/sh".to_owned(), "busybox-binsh".to_owned())]);
    }

    #[test]
    fn a_paragraph_without_a_name_is_refused() {
        assert!(matches!(installed("i", b"V:1\n"), Err(Problem::Malformed { .. })));
    }
}
