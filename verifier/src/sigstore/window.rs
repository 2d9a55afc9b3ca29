//! Spans of time in which a key or an authority counts (sigstore/protobuf-specs, `TimeRange`).

use crate::time::Timestamp;

/// A closed span: both ends belong to it. An end that is absent does not bound it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Window {
    start: Option<Timestamp>,
    end: Option<Timestamp>,
}

impl Window {
    /// Always.
    pub(crate) const ALWAYS: Self = Self { start: None, end: None };

    /// From `start` to `end`.
    pub(crate) const fn between(start: Timestamp, end: Timestamp) -> Self {
        Self { start: Some(start), end: Some(end) }
    }

    /// From `start` on, to `end` where there is one. `None` where it would end before it starts.
    pub(crate) fn from(start: Timestamp, end: Option<Timestamp>) -> Option<Self> {
        end.is_none_or(|end| start <= end).then_some(Self { start: Some(start), end })
    }

    /// Whether `time` lies inside.
    pub(crate) fn contains(self, time: Timestamp) -> bool {
        self.start.is_none_or(|start| start <= time) && self.end.is_none_or(|end| time <= end)
    }
}

/// Reads an RFC 3339 date and time in UTC (protobuf's JSON mapping of `Timestamp`). Fractions of a second are cut off.
pub(crate) fn parse_time(text: &str) -> Option<Timestamp> {
    let text = text.strip_suffix('Z')?;
    let text = match text.split_once('.') {
        Some((whole, fraction)) if (1..=9).contains(&fraction.len()) && fraction.bytes().all(|b| b.is_ascii_digit()) => whole,
        Some(_) => return None,
        None => text,
    };
    let (date, time) = text.split_once('T')?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    civil(year, month, day, hour, minute, second)
}

/// Seconds since the epoch of a date and time in UTC; `None` where there is no such time.
pub(crate) fn civil(year: i64, month: i64, day: i64, hour: i64, minute: i64, second: i64) -> Option<Timestamp> {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let last = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        1..=12 => 31,
        _ => return None,
    };
    let fits = (1..=last).contains(&day) && (0..24).contains(&hour) && (0..60).contains(&minute) && (0..60).contains(&second);
    if !fits || !(1..=9999).contains(&year) {
        return None;
    }
    // Civil date to days: Howard Hinnant, "chrono-compatible low-level date algorithms", days_from_civil.
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    Some(Timestamp(days * 86_400 + hour * 3_600 + minute * 60 + second))
}

/// Numbers of exactly these widths between separators.
pub(crate) fn numbers<const N: usize>(text: &str, separator: char, widths: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut found = [0; N];
    for (number, width) in found.iter_mut().zip(widths) {
        let part = parts.next().filter(|part| part.len() == width && part.bytes().all(|b| b.is_ascii_digit()))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_printed() {
        for seconds in [0, 951_782_400, 1_795_478_399, -86_400, 253_402_300_799] {
            assert_eq!(parse_time(&Timestamp(seconds).to_string()), Some(Timestamp(seconds)));
        }
        assert_eq!(parse_time("2022-04-13T20:06:15.123Z"), parse_time("2022-04-13T20:06:15Z"));
        for bad in [
            "",
            "2022-02-29T00:00:00Z",
            "2022-13-01T00:00:00Z",
            "2022-01-01T24:00:00Z",
            "2022-01-01T00:00:00",
            "2022-01-01 00:00:00Z",
            "2022-01-01T00:00:00.Z",
            "22-01-01T00:00:00Z",
            "2022-01-01T00:00:00+01:00Z",
        ] {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
    }

    #[test]
    fn both_ends_belong_to_a_window() {
        let window = Window::between(Timestamp(10), Timestamp(20));
        assert!([10, 20].iter().all(|at| window.contains(Timestamp(*at))));
        assert!([9, 21].iter().all(|at| !window.contains(Timestamp(*at))));
        assert_eq!(Window::from(Timestamp(2), Some(Timestamp(1))), None);
        assert!(Window::ALWAYS.contains(Timestamp(i64::MIN)));
    }
}
