//! Dates as the formats write them: RFC 3339 in JWS, `UTCTime` and `GeneralizedTime` in certificates and timestamps.

use crate::time::Timestamp;

/// A point in time; `None` when a field is out of its range. Leap seconds (60) are none: X.509 and RFC 3339's readers in use
/// refuse them.
fn point(year: i64, month: i64, day: i64, second_of_day: i64) -> Option<Timestamp> {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=days).contains(&day) {
        return None;
    }
    // Howard Hinnant, "chrono-compatible low-level date algorithms", days_from_civil.
    let shifted_year = year - i64::from(month <= 2);
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(Timestamp((era * 146_097 + day_of_era - 719_468) * 86_400 + second_of_day))
}

/// Exactly `N` decimal digits at the start of `text`, and what follows.
fn digits<const N: usize>(text: &[u8]) -> Option<(i64, &[u8])> {
    let (head, rest) = text.split_at_checked(N)?;
    let sum = |sum: i64, byte: &u8| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0'));
    Some((head.iter().try_fold(0, sum)?, rest))
}

/// `HHMMSS`, with `separator` between where there is one.
fn second_of_day<'a>(text: &'a [u8], separator: &[u8]) -> Option<(i64, &'a [u8])> {
    let (hour, rest) = digits::<2>(text)?;
    let (minute, rest) = digits::<2>(rest.strip_prefix(separator)?)?;
    let (second, rest) = digits::<2>(rest.strip_prefix(separator)?)?;
    let valid = hour < 24 && minute < 60 && second < 60;
    valid.then_some((hour * 3600 + minute * 60 + second, rest))
}

/// A fraction of a second without its dot, and what follows it.
fn fraction(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if (1..=9).contains(&length) { text.split_at_checked(length) } else { None }
}

/// RFC 3339, `date-time`. A fraction is cut off.
pub(super) fn rfc3339(text: &str) -> Option<Timestamp> {
    let (year, rest) = digits::<4>(text.as_bytes())?;
    let (month, rest) = digits::<2>(rest.strip_prefix(b"-")?)?;
    let (day, rest) = digits::<2>(rest.strip_prefix(b"-")?)?;
    let (second, mut rest) = second_of_day(rest.strip_prefix(b"T")?, b":")?;
    if let Some(after) = rest.strip_prefix(b".") {
        rest = fraction(after)?.1;
    }
    let local = point(year, month, day, second)?;
    let (sign, rest) = match rest {
        [b'Z'] => return Some(local),
        [b'+', rest @ ..] => (-1, rest),
        [b'-', rest @ ..] => (1, rest),
        _ => return None,
    };
    let (hours, rest) = digits::<2>(rest)?;
    let (minutes, rest) = digits::<2>(rest.strip_prefix(b":")?)?;
    let valid = rest.is_empty() && hours < 24 && minutes < 60;
    valid.then(|| local.plus(sign * (hours * 3600 + minutes * 60)))
}

/// `YYMMDDHHMMSSZ` (RFC 5280, section 4.1.2.5.1).
pub(super) fn utc_time(text: &[u8]) -> Option<Timestamp> {
    let (year, rest) = digits::<2>(text)?;
    day_and_time(if year >= 50 { 1900 + year } else { 2000 + year }, rest)
}

/// `YYYYMMDDHHMMSSZ` (RFC 5280, section 4.1.2.5.2).
pub(super) fn generalized_time(text: &[u8]) -> Option<Timestamp> {
    let (year, rest) = digits::<4>(text)?;
    day_and_time(year, rest)
}

fn day_and_time(year: i64, text: &[u8]) -> Option<Timestamp> {
    let (month, rest) = digits::<2>(text)?;
    let (day, rest) = digits::<2>(rest)?;
    let (second, rest) = second_of_day(rest, b"")?;
    if rest == b"Z" { point(year, month, day, second) } else { None }
}

/// `YYYYMMDDHHMMSS[.f]Z` (RFC 3161, section 2.4.2, `genTime`): the second, and whether a fraction follows it.
pub(super) fn generated_time(text: &[u8]) -> Option<(Timestamp, bool)> {
    let dot = text.iter().position(|byte| *byte == b'.');
    let Some(dot) = dot else { return Some((generalized_time(text)?, false)) };
    let (whole, rest) = text.split_at_checked(dot)?;
    let (fraction, rest) = fraction(rest.strip_prefix(b".")?)?;
    // "The GeneralizedTime syntax … trailing 0's MUST be omitted."
    if rest != b"Z" || fraction.last() == Some(&b'0') {
        return None;
    }
    Some((generalized_time(&[whole, b"Z"].concat())?, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_back_as_they_are_printed() {
        for seconds in [0, 951_782_400, 1_795_478_399, 4_102_444_800, -1, 68_169_600] {
            let time = Timestamp(seconds);
            assert_eq!(rfc3339(&time.to_string()), Some(time));
            let compact: String = time.to_string().chars().filter(|c| !"-:T".contains(*c)).collect();
            assert_eq!(generalized_time(compact.as_bytes()), Some(time));
        }
        assert_eq!(rfc3339("1985-04-12T23:20:50.52Z"), rfc3339("1985-04-12T23:20:50Z"));
        assert_eq!(rfc3339("1996-12-19T16:39:57-08:00"), rfc3339("1996-12-20T00:39:57Z"));
        assert_eq!(utc_time(b"500101000000Z").map(|t| t.to_string()).as_deref(), Some("1950-01-01T00:00:00Z"));
        assert_eq!(utc_time(b"491231235959Z").map(|t| t.to_string()).as_deref(), Some("2049-12-31T23:59:59Z"));
        assert_eq!(generated_time(b"20260101000000.5Z"), Some((Timestamp(1_767_225_600), true)));
        assert_eq!(generated_time(b"20260101000000Z"), Some((Timestamp(1_767_225_600), false)));
    }

    #[test]
    fn malformed_dates_are_refused() {
        for bad in [
            "",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:60Z",
            "2026-01-01t00:00:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+1:00",
            "2026-01-01T00:00:00Z ",
            "+026-01-01T00:00:00Z",
            "２026-01-01T00:00:00Z",
        ] {
            assert_eq!(rfc3339(bad), None, "{bad}");
        }
        for bad in [&b"20260101000000.Z"[..], b"20260101000000.50Z", b"20260101000000.5", b".5Z", b"", b"202601010000Z"] {
            assert_eq!(generated_time(bad), None);
        }
    }
}
