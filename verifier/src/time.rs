//! Points in time, always passed in by the caller: this crate never reads a clock.

use serde::{Deserialize, Serialize};

/// Seconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This point plus `seconds`, held at the ends of the range.
    #[must_use]
    pub const fn plus(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Seconds from `earlier` to this point; negative when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Reads an RFC 3339 date and time with any offset; fractions of a second are left out.
    #[must_use]
    pub fn from_rfc_3339(text: &str) -> Option<Self> {
        let (date, time) = text.split_once(['T', 't', ' '])?;
        let [year, month, day] = fields(date, '-', [4, 2, 2])?;
        let zone = time.find(['Z', 'z', '+', '-'])?;
        let (clock, zone) = time.split_at(zone);
        let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
        let [hour, minute, second] = fields(clock, ':', [2, 2, 2])?;
        let offset = match zone.split_at_checked(1)? {
            ("Z" | "z", "") => 0,
            ("+", offset) => seconds_of(offset)?,
            (_, offset) => -seconds_of(offset)?,
        };
        let plain = !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit());
        // RFC 3339 §5.7: second 60 is a leap second.
        if !plain || !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        // Civil date to days: Howard Hinnant, "chrono-compatible low-level date algorithms", days_from_civil.
        let shifted = if month <= 2 { year - 1 } else { year };
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let year_of_era = shifted.rem_euclid(400);
        let days = shifted.div_euclid(400) * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
        Some(Self(days * 86_400 + hour * 3_600 + minute * 60 + second - offset))
    }
}

/// Three numbers of exactly these widths.
fn fields(text: &str, separator: char, widths: [usize; 3]) -> Option<[i64; 3]> {
    let parts: Vec<&str> = text.split(separator).collect();
    let parts: [&str; 3] = parts.try_into().ok()?;
    let number = |index: usize| {
        let part = parts.get(index)?;
        (Some(&part.len()) == widths.get(index) && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse().ok())?
    };
    Some([number(0)?, number(1)?, number(2)?])
}

/// `hh:mm` in seconds.
fn seconds_of(offset: &str) -> Option<i64> {
    let [hours, minutes, _] = fields(&format!("{offset}:00"), ':', [2, 2, 2])?;
    (hours <= 23 && minutes <= 59).then_some(hours * 3_600 + minutes * 60)
}

impl std::fmt::Display for Timestamp {
    /// RFC 3339, UTC, whole seconds.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let days = self.0.div_euclid(86_400);
        let second = self.0.rem_euclid(86_400);
        // Days to civil date: Howard Hinnant, "chrono-compatible low-level date algorithms", civil_from_days.
        let shifted = days.saturating_add(719_468);
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        write!(f, "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    #[test]
    fn prints_rfc_3339() {
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(Timestamp(951_782_400).to_string(), "2000-02-29T00:00:00Z");
        assert_eq!(Timestamp(1_795_478_399).to_string(), "2026-11-23T23:59:59Z");
        let _ = Timestamp(i64::MAX).to_string();
        let _ = Timestamp(i64::MIN).to_string();
    }

    #[test]
    fn reads_rfc_3339() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T00:00:00.999999999Z", 951_782_400),
            ("2026-11-24T01:59:59+02:00", 1_795_478_399),
            ("2026-11-23 21:29:59.1-02:30", 1_795_478_399),
        ] {
            assert_eq!(Timestamp::from_rfc_3339(text), Some(Timestamp(seconds)), "{text}");
        }
        for bad in [
            "",
            "2026-11-23",
            "2026-11-23T23:59:59",
            "2026-13-01T00:00:00Z",
            "2026-11-23T24:00:00Z",
            "2026-11-23T23:59:59.Z",
            "2026-11-23T23:59:59+2:00",
            "2026-11-23T23:59:59Zx",
            "+026-11-23T23:59:59Z",
        ] {
            assert_eq!(Timestamp::from_rfc_3339(bad), None, "{bad}");
        }
    }
}
