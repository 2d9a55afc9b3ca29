//! Byte ranges of complete blobs (RFC 9110 §14). Pure: the caller decides where they apply (GET of a blob, whole and verified).

use std::ops::Range;

use http::header::{HeaderMap, HeaderValue, IF_RANGE, RANGE};

/// Which bytes a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All of them: 200.
    Whole,
    /// Never empty, and within the size: 206 with [`content_range`].
    Partial(Range<u64>),
    /// Nothing of it exists: 416 with [`unsatisfied`].
    Unsatisfiable,
}

/// Reads `Range` and `If-Range`. `etag` is the current strong entity tag with its quotes, see [`etag`].
///
/// One range of bytes is honoured. Several, another unit or a malformed one are ignored, one that ends before it begins is rejected, as RFC
/// 9110 §14.2 allows. `If-Range` counts
/// only if it is exactly `etag`: weak tags and dates never match (§13.1.5).
#[must_use]
pub fn select(headers: &HeaderMap, etag: &str, size: u64) -> Selection {
    let mut conditions = headers.get_all(IF_RANGE).iter();
    if let Some(condition) = conditions.next()
        && (condition.as_bytes() != etag.as_bytes() || conditions.next().is_some())
    {
        return Selection::Whole;
    }
    let mut ranges = headers.get_all(RANGE).iter();
    match (ranges.next(), ranges.next()) {
        (Some(range), None) => range.to_str().map_or(Selection::Whole, |range| parse(range, size)),
        (None | Some(_), _) => Selection::Whole,
    }
}

/// The strong entity tag of content that is named by `digest` (RFC 9110 §8.8.3).
#[must_use]
pub fn etag(digest: &str) -> String {
    format!("\"{digest}\"")
}

/// `Content-Range` of a 206.
#[must_use]
pub fn content_range(range: &Range<u64>, size: u64) -> HeaderValue {
    let last = range.end.saturating_sub(1);
    header(format!("bytes {}-{last}/{size}", range.start))
}

/// `Content-Range` of a 416.
#[must_use]
pub fn unsatisfied(size: u64) -> HeaderValue {
    header(format!("bytes */{size}"))
}

fn header(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("bytes */*"))
}

/// RFC 9110 §14.1.1: `range-unit "=" range-set`; §14.1: unit names are case-insensitive.
fn parse(range: &str, size: u64) -> Selection {
    let Some((unit, set)) = range.split_once('=') else { return Selection::Whole };
    if !unit.eq_ignore_ascii_case("bytes") {
        return Selection::Whole;
    }
    let Some((first, last)) = set.trim_matches([' ', '\t']).split_once('-') else { return Selection::Whole };
    match (first.is_empty(), last.is_empty()) {
        (true, true) => Selection::Whole,
        (true, false) => suffix(last, size),
        (false, _) => from_first(first, last, size),
    }
}

/// `-n`: the last `n` bytes, or all if there are fewer (§14.1.2).
fn suffix(length: &str, size: u64) -> Selection {
    match number(length) {
        None => Selection::Whole,
        Some(0) => Selection::Unsatisfiable,
        // Satisfiable, but no Content-Range can say "nothing".
        Some(_) if size == 0 => Selection::Whole,
        Some(length) => Selection::Partial(size.saturating_sub(length)..size),
    }
}

/// `a-b` or `a-`: the last position is cut at the end of the blob (§14.1.2).
fn from_first(first: &str, last: &str, size: u64) -> Selection {
    let Some(first) = number(first) else { return Selection::Whole };
    let last = if last.is_empty() { Some(u64::MAX) } else { number(last) };
    match last {
        None => Selection::Whole,
        // Invalid (§14.1.2), which may be ignored or rejected (§14.2): whoever asks so did not mean all of it.
        Some(last) if last < first => Selection::Unsatisfiable,
        Some(_) if first >= size => Selection::Unsatisfiable,
        Some(last) => Selection::Partial(first..last.saturating_add(1).min(size)),
    }
}

/// Digits only. A number beyond 64 bits is as good as the largest.
fn number(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(digits.bytes().fold(0_u64, |value, digit| value.saturating_mul(10).saturating_add(u64::from(digit - b'0'))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETAG: &str = "\"sha256:abc\"";

    fn selected(range: &str, condition: Option<&str>, size: u64) -> Selection {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, HeaderValue::from_str(range).unwrap());
        if let Some(condition) = condition {
            headers.insert(IF_RANGE, HeaderValue::from_str(condition).unwrap());
        }
        select(&headers, ETAG, size)
    }

    // F27
    #[test]
    fn one_range_is_cut_to_what_exists() {
        for (range, expected) in [
            ("bytes=0-0", 0..1),
            ("bytes=0-99", 0..100),
            ("bytes=0-100", 0..100),
            ("bytes=99-", 99..100),
            ("bytes=50-", 50..100),
            ("bytes=-1", 99..100),
            ("bytes=-100", 0..100),
            ("bytes=-101", 0..100),
            ("BYTES=10-19", 10..20),
            ("bytes= 10-19\t", 10..20),
            ("bytes=10-99999999999999999999999999", 10..100),
            ("bytes=-99999999999999999999999999", 0..100),
        ] {
            assert_eq!(selected(range, None, 100), Selection::Partial(expected), "{range}");
        }
    }

    // F27
    #[test]
    fn a_range_beyond_the_end_is_unsatisfiable() {
        for (range, size) in [
            ("bytes=100-", 100),
            ("bytes=100-200", 100),
            ("bytes=99999999999999999999999999-", 100),
            ("bytes=-0", 100),
            ("bytes=0-", 0),
            ("bytes=0-0", 0),
            // Invalid, and rejected (§14.2).
            ("bytes=5-4", 100),
        ] {
            assert_eq!(selected(range, None, size), Selection::Unsatisfiable, "{range} of {size}");
        }
    }

    #[test]
    fn what_is_no_single_byte_range_is_ignored() {
        for range in [
            "bytes=0-1,5-6",
            "bytes=0-1,",
            "bytes=-",
            "bytes=",
            "bytes",
            "bytes=a-b",
            "bytes=0-b",
            "bytes=+1-2",
            "bytes=1--2",
            "bytes=--2",
            "bytes =0-1",
            "bytes=0 -1",
            "items=0-1",
            "=0-1",
            "",
        ] {
            assert_eq!(selected(range, None, 100), Selection::Whole, "{range}");
        }
        assert_eq!(selected("bytes=-5", None, 0), Selection::Whole);
    }

    #[test]
    fn two_range_headers_are_ignored() {
        let mut headers = HeaderMap::new();
        headers.append(RANGE, HeaderValue::from_static("bytes=0-1"));
        headers.append(RANGE, HeaderValue::from_static("bytes=0-1"));
        assert_eq!(select(&headers, ETAG, 100), Selection::Whole);
    }

    #[test]
    fn a_range_counts_only_for_the_same_content() {
        assert_eq!(selected("bytes=0-1", Some(ETAG), 100), Selection::Partial(0..2));
        for condition in ["\"sha256:abd\"", "W/\"sha256:abc\"", "sha256:abc", "Sat, 29 Oct 1994 19:43:31 GMT", "*", ""] {
            assert_eq!(selected("bytes=0-1", Some(condition), 100), Selection::Whole, "{condition}");
        }
        // A condition that fails also takes away the 416.
        assert_eq!(selected("bytes=200-", Some("\"other\""), 100), Selection::Whole);
    }

    #[test]
    fn no_range_is_the_whole() {
        assert_eq!(select(&HeaderMap::new(), ETAG, 100), Selection::Whole);
    }

    #[test]
    fn content_range_names_the_last_byte_not_the_end() {
        assert_eq!(content_range(&(10..20), 100), "bytes 10-19/100");
        assert_eq!(unsatisfied(100), "bytes */100");
    }
}
