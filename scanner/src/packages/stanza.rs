//! Paragraphs of `Name: value` lines, apart by empty lines (deb-src-control(5), apk's installed database).

/// The paragraphs of a text, each as its lines without the empty one.
pub fn paragraphs(bytes: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
    let mut lines = bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)).peekable();
    std::iter::from_fn(move || {
        while lines.next_if(|line| line.trim_ascii().is_empty()).is_some() {}
        let mut paragraph = vec![];
        while let Some(line) = lines.next_if(|line| !line.trim_ascii().is_empty()) {
            paragraph.push(line);
        }
        (!paragraph.is_empty()).then_some(paragraph)
    })
}

/// A line's field and value; `None` for one that continues the field before.
pub fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    if line.first().is_some_and(u8::is_ascii_whitespace) {
        return None;
    }
    let colon = line.iter().position(|byte| *byte == b':')?;
    Some((&line[..colon], line[colon + 1..].trim_ascii()))
}

/// A value as text; names and versions are ASCII, and what is not stays visible.
pub fn text(value: &[u8]) -> String {
    crate::path::printable(value)
}
