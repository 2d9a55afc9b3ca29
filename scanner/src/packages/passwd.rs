//! passwd(5): which user has which number.

/// Names and numbers. Lines that are none are passed over, as getpwnam(3) does.
pub fn read(bytes: &[u8]) -> Vec<(String, u32)> {
    let lines = bytes.split(|byte| *byte == b'\n');
    lines
        .filter_map(|line| {
            let mut fields = line.split(|byte| *byte == b':');
            let name = std::str::from_utf8(fields.next()?).ok()?;
            let uid = std::str::from_utf8(fields.nth(1)?).ok()?.parse().ok()?;
            (!name.is_empty()).then(|| (name.to_owned(), uid))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn users_have_numbers() {
        let read = super::read(b"root:x:0:0:root:/root:/bin/sh\n# comment\napp:x:1000:1000::/:\nbad:x:y\n");
        assert_eq!(read, [("root".to_owned(), 0), ("app".to_owned(), 1000)]);
    }
}
