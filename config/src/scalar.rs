//! Typed readers of single values.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use sealgate_verifier::Timestamp;

use crate::node::{Node, Value};
use crate::problems::Problems;

/// The longest duration that a file may name: ten years.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 86_400);

impl Problems<'_> {
    /// The text of a scalar, not empty and on one line.
    pub fn text<'n>(&mut self, node: &'n Node) -> Option<&'n str> {
        let Value::Text(text) = &node.value else {
            self.node(node, format!("expected text, found {}", node.kind()), "write a single value");
            return None;
        };
        if text.trim().is_empty() || text.chars().any(char::is_control) {
            self.node(node, "expected text on one line, found blank or control characters", "write a value without them");
            return None;
        }
        Some(text)
    }

    /// The text as `parse` reads it; `expected` says what that is, with an example.
    pub fn parsed<T>(&mut self, node: &Node, expected: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let text = self.text(node)?;
        let value = parse(text);
        if value.is_none() {
            self.node(node, format!("found {}", self.quote(text)), format!("expected {expected}"));
        }
        value
    }

    /// A path, relative to the document's folder.
    pub fn path(&mut self, node: &Node) -> Option<PathBuf> {
        self.text(node).map(|text| self.document().relative(text))
    }

    /// A duration.
    pub fn duration(&mut self, node: &Node) -> Option<Duration> {
        self.parsed(node, "a duration such as 30s, 5m, 24h or 14d, at most ten years", duration)
    }

    /// A number of bytes.
    pub fn size(&mut self, node: &Node) -> Option<u64> {
        self.parsed(node, "a size such as 512MiB, 200GiB or 2TB, at most 8EiB", size)
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, node: &Node) -> Option<bool> {
        self.parsed(node, "true or false", |text| match text {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        })
    }

    /// A whole number within bounds.
    pub fn count(&mut self, node: &Node, least: u64, most: u64) -> Option<u64> {
        let expected = format!("a whole number from {least} to {most}");
        self.parsed(node, &expected, |text| decimal(text).filter(|n| (least..=most).contains(n)))
    }

    /// An address to listen on.
    pub fn listen(&mut self, node: &Node) -> Option<SocketAddr> {
        self.parsed(node, LISTEN, listen)
    }

    /// A day, by its first second.
    pub fn date(&mut self, node: &Node) -> Option<Timestamp> {
        self.parsed(node, "a date such as 2026-12-31; it counts to the end of that day, UTC", date)
    }

    /// A list of texts, at most `most` of them.
    pub fn texts<'n>(&mut self, node: &'n Node, most: usize, what: &str) -> Option<Vec<&'n str>> {
        let items = self.list(node)?;
        if items.len() > most {
            self.node(node, format!("more than {most} {what} in one list"), "name fewer");
            return None;
        }
        let texts: Vec<&str> = items.iter().filter_map(|item| self.text(item)).collect();
        (texts.len() == items.len()).then_some(texts)
    }

    /// The members of a list.
    pub fn list<'n>(&mut self, node: &'n Node) -> Option<&'n [Node]> {
        if let Value::List(items) = &node.value {
            return Some(items);
        }
        self.node(node, format!("expected a list, found {}", node.kind()), "write [a, b], or one `- ` per line");
        None
    }
}

/// What [`listen`] reads.
pub(crate) const LISTEN: &str = "an address such as 127.0.0.1:5000, [::1]:5000, localhost:5000, or 0.0.0.0:5000 for every interface";

/// `host:port`; the host is an address or `localhost`.
pub(crate) fn listen(text: &str) -> Option<SocketAddr> {
    if let Some(port) = text.strip_prefix("localhost:") {
        let port = decimal(port).and_then(|port| u16::try_from(port).ok())?;
        return Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    text.parse().ok()
}

fn decimal(text: &str) -> Option<u64> {
    // `parse` alone would accept a leading plus.
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// A number and one of the units s, m, h, d.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let number = decimal(text.strip_suffix(unit)?)?;
    Some(Duration::from_secs(number.checked_mul(seconds)?)).filter(|duration| *duration <= LONGEST)
}

/// A number and a unit: B, the decimal kB to TB or the binary KiB to TiB (IEC 80000-13). Up to `i64::MAX` bytes.
pub(crate) fn size(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let bytes: u64 = match unit {
        "B" => 1,
        "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    decimal(number).filter(|_| digits > 0)?.checked_mul(bytes).filter(|bytes| i64::try_from(*bytes).is_ok())
}

/// `2027-01-31` (RFC 3339 §5.6, full-date), by its first second.
pub(crate) fn date(text: &str) -> Option<Timestamp> {
    timestamp(&format!("{text}T00:00:00Z"))
}

/// `2027-01-01T00:00:00Z` (RFC 3339 §5.6), UTC and whole seconds only.
pub(crate) fn timestamp(text: &str) -> Option<Timestamp> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let numbers = |text: &str, separator: char, widths: [usize; 3]| -> Option<[i64; 3]> {
        let parts: Vec<&str> = text.split(separator).collect();
        let [a, b, c]: [&str; 3] = parts.try_into().ok()?;
        let number = |part: &str, width: usize| (part.len() == width).then(|| decimal(part)).flatten().and_then(|n| i64::try_from(n).ok());
        Some([number(a, widths[0])?, number(b, widths[1])?, number(c, widths[2])?])
    };
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || day < 1 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Civil date to days: Howard Hinnant, "chrono-compatible low-level date algorithms", days_from_civil.
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    let found = Timestamp(days * 86_400 + hour * 3_600 + minute * 60 + second);
    // A day that its month does not have comes out as another date.
    (found.to_string() == text).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        for (text, seconds) in [("0s", 0), ("30s", 30), ("5m", 300), ("24h", 86_400), ("14d", 1_209_600)] {
            assert_eq!(duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for bad in ["", "5", "m", "-5m", "+5m", "5 m", "1.5h", "5m30s", "5M", "5ms", "99999999999999999999d", "9999d9", "999999d", "٥m"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes_need_a_unit_that_says_which_thousand() {
        for (text, bytes) in
            [("0B", 0), ("1kB", 1_000), ("1KiB", 1_024), ("512MiB", 536_870_912), ("200GiB", 214_748_364_800), ("2TB", 2_000_000_000_000)]
        {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for bad in [
            "",
            "5",
            "GiB",
            "-5GiB",
            "+5GiB",
            "5 GiB",
            "1.5GiB",
            "5G",
            "5gib",
            "5KB",
            "5PiB",
            "99999999999TiB",
            "9223372036854775808B",
            "\u{665}GiB",
        ] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }

    #[test]
    fn timestamps_round_trip_and_impossible_dates_are_refused() {
        for text in ["1970-01-01T00:00:00Z", "2000-02-29T00:00:00Z", "2027-01-01T00:00:00Z", "2028-12-31T23:59:59Z", "9999-12-31T23:59:59Z"]
        {
            assert_eq!(timestamp(text).expect(text).to_string(), text);
        }
        for bad in [
            "2027-02-29T00:00:00Z",
            "2027-13-01T00:00:00Z",
            "2027-00-01T00:00:00Z",
            "2027-01-01",
            "2027-01-01T00:00:00",
            "2027-01-01T00:00:00+00:00",
            "2027-01-01T24:00:00Z",
            "2027-1-1T00:00:00Z",
            "+027-01-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
        ] {
            assert_eq!(timestamp(bad), None, "{bad}");
        }
    }

    #[test]
    fn dates_have_one_spelling() {
        assert_eq!(date("2026-12-31").map(|day| day.to_string()).as_deref(), Some("2026-12-31T00:00:00Z"));
        for bad in ["", "2026-02-30", "2026-12-31T00:00:00Z", "31.12.2026", "2026-1-1"] {
            assert_eq!(date(bad), None, "{bad}");
        }
    }

    #[test]
    fn listen_addresses_are_literal() {
        assert_eq!(listen("localhost:5000").expect("localhost").to_string(), "127.0.0.1:5000");
        assert_eq!(listen("[::1]:80").expect("IPv6").to_string(), "[::1]:80");
        for bad in ["5000", ":5000", "127.0.0.1", "gate.example:5000", "127.0.0.1:99999", "localhost:+5", "127.1:5000"] {
            assert_eq!(listen(bad), None, "{bad}");
        }
    }
}
