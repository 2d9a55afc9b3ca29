//! Node.js: what is installed under `node_modules`, and `package-lock.json` of lock file versions 1 to 3.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Contribution, json};
use crate::package::{Package, PackageType};
use crate::problem::Problem;

/// Names of more levels of `dependencies` than npm has ever nested end the reading.
const DEPTH: usize = 64;

#[derive(Deserialize)]
struct Manifest {
    name: Option<serde_json::Value>,
    version: Option<serde_json::Value>,
}

/// Reads `node_modules/NAME/package.json`. Without a version it is no package, only a folder of one.
pub fn manifest(path: &str, bytes: &[u8]) -> Result<Contribution, Problem> {
    let manifest: Manifest = json(path, "package.json", bytes)?;
    let text = |value: Option<serde_json::Value>| value.and_then(|value| value.as_str().map(str::to_owned)).filter(|text| !text.is_empty());
    let name = text(manifest.name).or_else(|| folder_name(path.strip_suffix("/package.json")?));
    let packages = name.zip(text(manifest.version)).map(|(name, version)| package(&name, version)).into_iter().collect();
    Ok(Contribution { packages, ..Contribution::default() })
}

#[derive(Deserialize)]
struct Lock {
    packages: Option<BTreeMap<String, Locked>>,
    #[serde(default)]
    dependencies: BTreeMap<String, Nested>,
}

#[derive(Deserialize)]
struct Locked {
    name: Option<String>,
    version: Option<String>,
    #[serde(default)]
    link: bool,
}

#[derive(Deserialize)]
struct Nested {
    version: Option<String>,
    #[serde(default)]
    dependencies: BTreeMap<String, Nested>,
}

/// Reads `package-lock.json` (npm's documentation, "package-lock.json"): `packages` since version 2, `dependencies` before.
pub fn lock(path: &str, bytes: &[u8]) -> Result<Contribution, Problem> {
    let lock: Lock = json(path, "package-lock.json", bytes)?;
    let mut packages = vec![];
    if let Some(locked) = lock.packages {
        for (folder, entry) in locked {
            // The root and workspaces lie outside of node_modules; a link only points to one.
            let Some(name) = entry.name.or_else(|| folder_name(&folder)).filter(|_| folder.contains("node_modules/") && !entry.link) else {
                continue;
            };
            packages.extend(entry.version.map(|version| package(&name, version)));
        }
    } else {
        nested(path, lock.dependencies, 0, &mut packages)?;
    }
    packages.sort();
    packages.dedup();
    Ok(Contribution { packages, ..Contribution::default() })
}

fn nested(path: &str, level: BTreeMap<String, Nested>, depth: usize, into: &mut Vec<Package>) -> Result<(), Problem> {
    if depth > DEPTH {
        return Err(Problem::limit(format!("levels of dependencies in {path:?}"), depth, DEPTH));
    }
    for (name, entry) in level {
        into.extend(entry.version.map(|version| package(&name, version)));
        nested(path, entry.dependencies, depth + 1, into)?;
    }
    Ok(())
}

/// `NAME` or `@SCOPE/NAME` after the last `node_modules/`.
fn folder_name(folder: &str) -> Option<String> {
    let name = folder.rsplit_once("node_modules/").map_or(folder, |(_, name)| name);
    (!name.is_empty()).then(|| name.to_owned())
}

fn package(name: &str, version: String) -> Package {
    let (scope, name) = name.split_once('/').filter(|_| name.starts_with('@')).unwrap_or(("", name));
    Package::new(PackageType::Npm, scope, name, version)
}

/// Whether `path` is `…/node_modules/NAME/package.json` or `…/node_modules/@SCOPE/NAME/package.json`.
pub fn is_installed(path: &str) -> bool {
    let Some((_, rest)) = path.strip_suffix("/package.json").and_then(|folder| folder.rsplit_once("node_modules/")) else {
        return false;
    };
    match rest.split_once('/') {
        None => !rest.is_empty() && !rest.starts_with('.'),
        Some((scope, name)) => scope.starts_with('@') && !name.contains('/'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(contribution: Result<Contribution, Problem>) -> Vec<String> {
        contribution.expect("well-formed").packages.iter().map(Package::purl).collect()
    }

    #[test]
    fn only_what_lies_directly_in_node_modules_is_installed() {
        for path in ["app/node_modules/x/package.json", "node_modules/@s/x/package.json", "a/node_modules/b/node_modules/c/package.json"] {
            assert!(is_installed(path), "{path}");
        }
        for path in
            ["package.json", "node_modules/x/test/package.json", "node_modules/.cache/package.json", "node_modules/@s/x/y/package.json"]
        {
            assert!(!is_installed(path), "{path}");
        }
    }

    #[test]
    fn an_installed_package_names_itself_or_is_named_by_its_folder() {
        let read = |bytes: &[u8]| manifest("a/node_modules/@babel/core/package.json", bytes);
        assert_eq!(told(read(b"\xef\xbb\xbf{\"name\":\"alias\",\"version\":\"1.0.0\"}")), ["pkg:npm/alias@1.0.0"]);
        assert_eq!(told(read(b"{\"version\":\"7.1.0\",\"dependencies\":{}}")), ["pkg:npm/%40babel/core@7.1.0"]);
        assert_eq!(told(read(b"{\"type\":\"module\"}")), [""; 0]);
        assert!(matches!(read(b"{"), Err(Problem::Malformed { .. })));
    }

    #[test]
    fn lock_files_of_all_versions_are_read() {
        let v1 = br#"{"lockfileVersion":1,"dependencies":{"a":{"version":"1.0.0","dependencies":{"@s/b":{"version":"2.0.0"}}}}}"#;
        let v3 = br#"{"lockfileVersion":3,"packages":{"":{"name":"root","version":"9"},"node_modules/a":{"version":"1.0.0"},
            "node_modules/a/node_modules/@s/b":{"version":"2.0.0"},"packages/w":{"version":"5"},"node_modules/w":{"link":true}}}"#;
        for bytes in [&v1[..], &v3[..]] {
            assert_eq!(told(lock("package-lock.json", bytes)), ["pkg:npm/a@1.0.0", "pkg:npm/%40s/b@2.0.0"]);
        }
        let bomb = (0..200).fold("{}".to_owned(), |inner, _| format!("{{\"dependencies\":{{\"a\":{inner}}}}}"));
        assert!(lock("package-lock.json", bomb.as_bytes()).is_err());
    }
}
