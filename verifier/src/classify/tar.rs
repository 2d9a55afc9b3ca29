//! Whether bytes would be taken for a tar archive.

/// Bytes of a header (POSIX.1-1988, `ustar`).
const HEADER: usize = 512;
/// Where the header's checksum stands.
const CHECKSUM: std::ops::Range<usize> = 148..156;

/// Whether a tar reader would accept the first header: its checksum, an octal number between spaces and NULs, is the sum of
/// the header's bytes with the checksum's own read as spaces. Both ways of summing count, as readers take both.
pub(super) fn begins_archive(bytes: &[u8]) -> bool {
    let Some(header) = bytes.get(..HEADER) else {
        return false;
    };
    let (mut unsigned, mut signed) = (0_i64, 0_i64);
    for (at, byte) in header.iter().enumerate() {
        let byte = if CHECKSUM.contains(&at) { b' ' } else { *byte };
        unsigned += i64::from(byte);
        signed += i64::from(byte.cast_signed());
    }
    stated_sums(&header[CHECKSUM]).any(|stated| stated == unsigned || stated == signed)
}

/// Every number that some reader takes from the field: readers differ in where they stop, so each run of octal digits and
/// each of its ends counts.
fn stated_sums(field: &[u8]) -> impl Iterator<Item = i64> {
    (0..field.len()).flat_map(move |start| {
        (start + 1..=field.len()).filter_map(move |end| {
            let digits = &field[start..end];
            digits
                .iter()
                .all(|digit| matches!(digit, b'0'..=b'7'))
                .then(|| digits.iter().fold(0, |sum, digit| sum * 8 + i64::from(digit - b'0')))
        })
    })
}
