//! Python: the metadata of installed distributions (PyPA, "Core metadata specifications"; dist-info and egg-info).

use super::Contribution;
use super::stanza::{field, text};
use crate::package::{Package, PackageType};
use crate::problem::Problem;

/// Reads `METADATA` or `PKG-INFO`: headers, then an empty line and the description.
pub fn metadata(path: &str, bytes: &[u8]) -> Result<Contribution, Problem> {
    let (mut name, mut version) = (None, None);
    let lines = bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    for (key, value) in lines.take_while(|line| !line.is_empty()).filter_map(field) {
        match key.to_ascii_lowercase().as_slice() {
            b"name" if name.is_none() => name = Some(text(value)),
            b"version" if version.is_none() => version = Some(text(value)),
            _ => {}
        }
    }
    let (Some(name), Some(version)) = (name, version) else {
        return Err(Problem::malformed(path, "Python metadata", "no Name and Version before the first empty line"));
    };
    Ok(Contribution { packages: vec![Package::new(PackageType::Pypi, "", name, version)], ..Contribution::default() })
}

/// Whether `path` is the metadata of an installed distribution.
pub fn is_metadata(above: &str, folder: &str, name: &str) -> bool {
    match name {
        "METADATA" => folder.ends_with(".dist-info"),
        "PKG-INFO" => folder.ends_with(".egg-info") || folder == "EGG-INFO" && above.ends_with(".egg"),
        name => name.ends_with(".egg-info"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_and_descriptions_are_not() {
        let bytes = b"Metadata-Version: 2.1\r\nName: Flask_SQLAlchemy\r\nVersion: 3.1.1\r\nClassifier: x\r\n\r\nVersion: 0\r\n";
        let read = metadata("x.dist-info/METADATA", bytes).expect("well-formed");
        assert_eq!(read.packages[0].purl(), "pkg:pypi/flask-sqlalchemy@3.1.1");
        assert!(metadata("x", b"Metadata-Version: 2.1\n\nName: x\nVersion: 1\n").is_err());
    }
}
