//! Private keys in text (RFC 7468; OpenSSH; RFC 9580, section 6.2; PuTTY).

use super::Hit;

/// What every PEM block begins with.
pub const BEGIN: &str = "-----BEGIN ";
/// What a PuTTY key file begins with.
pub const PUTTY: &str = "PuTTY-User-Key-File-";
/// Characters of a label. The longest in use, `ENCRYPTED SIGSTORE PRIVATE KEY`, has 30.
const LABEL: usize = 48;
/// Bytes of header lines (`Proc-Type`, `DEK-Info`, `Version`) before the body.
const HEADERS: usize = 512;
/// Characters of base64 without which it is no key: an Ed25519 key has 64.
const BODY: usize = 56;

/// The key whose beginning stands at `start`.
pub fn at(text: &[u8], start: usize) -> Option<Hit> {
    if text[start..].starts_with(PUTTY.as_bytes()) {
        let window = &text[start..text.len().min(start + 4 * HEADERS)];
        memchr::memmem::find(window, b"Private-Lines:")?;
        return Some(Hit::new("private-key", start, start + window.len(), PUTTY));
    }
    let label = &text[start + BEGIN.len()..text.len().min(start + BEGIN.len() + LABEL)];
    let end = memchr::memmem::find(label, b"-----")?;
    let label = std::str::from_utf8(&label[..end]).ok()?;
    if !label.ends_with("PRIVATE KEY") && label != "PGP PRIVATE KEY BLOCK" {
        return None;
    }
    let begin = format!("{BEGIN}{label}-----");
    let body = start + begin.len();
    let length = body_length(text.get(body..)?)?;
    Some(Hit::new("private-key", start, body + length, &begin))
}

/// Bytes of the body, where enough base64 stands there: in lines, or with `\n` as JSON and environment files write it.
fn body_length(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    // Header lines have a colon; the body has none.
    loop {
        let line_end = at + memchr::memchr(b'\n', &text[at..]).unwrap_or(text.len() - at);
        let line = &text[at..line_end];
        let is_header = line.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ' || *byte == b'\r') && line.contains(&b':');
        if line_end >= text.len() || line_end > HEADERS || !(is_header || line.trim_ascii().is_empty()) {
            break;
        }
        at = line_end + 1;
    }
    let mut found = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' | b'=' => found += 1,
            b'\n' | b'\r' | b' ' | b'\t' => {}
            b'\\' if matches!(text.get(at + 1), Some(b'n' | b'r')) => at += 1,
            // Quotes and plus signs between concatenated lines of source code.
            b'"' | b'\'' | b',' => {}
            _ => break,
        }
        at += 1;
    }
    (found >= BODY && super::encoding::entropy(&text[..at]) > 4.0).then_some(at)
}
