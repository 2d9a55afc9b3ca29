//! Paths inside an image: relative to its root, without `.`, `..` or empty parts, and never outside.

use crate::limits::{PATH_BYTES, PATH_DEPTH};
use crate::problem::Problem;

/// The path of a tar entry or hard link's target, cleaned as container engines clean it. The root is the empty path.
///
/// # Errors
/// [`Problem::Escape`] for what would leave the root, [`Problem::Limit`], and a NUL is refused.
pub fn clean(bytes: &[u8]) -> Result<String, Problem> {
    if bytes.len() > PATH_BYTES {
        return Err(Problem::limit("bytes of a path", bytes.len(), PATH_BYTES));
    }
    let text = printable(bytes);
    let mut parts: Vec<&str> = vec![];
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                if parts.pop().is_none() {
                    return Err(Problem::Escape { path: text.clone() });
                }
            }
            part => parts.push(part),
        }
    }
    if parts.len() > PATH_DEPTH {
        return Err(Problem::limit("folders of a path", parts.len(), PATH_DEPTH));
    }
    Ok(parts.join("/"))
}

/// Bytes that are no UTF-8, and NULs, become `\xNN`: different paths stay different.
pub fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(&chunk.valid().replace('\0', "\\x00"));
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// Folder and name.
pub fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// `folder/name`, where the folder may be the root.
pub fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_engines_clean_them() {
        for (given, expected) in [
            (&b"./etc/passwd"[..], "etc/passwd"),
            (b"/etc//passwd/", "etc/passwd"),
            (b"./", ""),
            (b"a/./b/../c", "a/c"),
            (b"caf\xe9", "caf\\xe9"),
            (b"..a/b..", "..a/b.."),
        ] {
            assert_eq!(clean(given).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn what_leaves_the_root_is_refused() {
        // A12
        for given in [&b"../etc/passwd"[..], b"a/../../b", b"/..", b"a/b/../../../c"] {
            assert!(matches!(clean(given), Err(Problem::Escape { .. })), "{given:?}");
        }
        assert!(matches!(clean(&vec![b'a'; PATH_BYTES + 1]), Err(Problem::Limit { .. })));
        assert!(matches!(clean("a/".repeat(PATH_DEPTH + 1).as_bytes()), Err(Problem::Limit { .. })));
    }
}
