//! os-release(5): shell-like assignments, quoted or not.

use crate::limits::FIELD_BYTES;
use crate::release::Release;

/// Reads the file; `None` without an `ID`, for which os-release(5) has the default `linux`: no distribution.
pub fn read(bytes: &[u8]) -> Option<Release> {
    let mut release = Release::default();
    for line in String::from_utf8_lossy(bytes).lines() {
        let Some((key, value)) = line.trim().split_once('=') else { continue };
        let value = unquote(value);
        if value.len() > FIELD_BYTES {
            continue;
        }
        match key {
            "ID" => release.id = value.to_ascii_lowercase(),
            "VERSION_ID" => release.version_id = value,
            "ID_LIKE" => release.id_like = value.split_ascii_whitespace().map(str::to_owned).collect(),
            "VERSION_CODENAME" => release.codename = Some(value),
            "PRETTY_NAME" => release.pretty_name = Some(value),
            _ => {}
        }
    }
    (!release.id.is_empty()).then_some(release)
}

/// Shell quoting as far as os-release(5) allows it: single or double quotes, backslash escapes.
fn unquote(value: &str) -> String {
    let value = value.trim();
    let inner = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    let mut text = String::with_capacity(value.len());
    let mut characters = inner.unwrap_or(value).chars();
    while let Some(character) = characters.next() {
        text.push(if character == '\\' { characters.next().unwrap_or('\\') } else { character });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_and_bare_values_are_read() {
        let release = read(b"# x\nPRETTY_NAME=\"Debian \\\"12\\\"\"\nID=debian\nVERSION_ID='12'\nID_LIKE=\"a b\"\n").expect("an ID");
        assert_eq!((release.id.as_str(), release.version_id.as_str()), ("debian", "12"));
        assert_eq!(release.pretty_name.as_deref(), Some("Debian \"12\""));
        assert_eq!(release.id_like, ["a", "b"]);
        assert_eq!(release.distro(), "debian-12");
        assert_eq!(read(b"NAME=x\n"), None);
    }
}
