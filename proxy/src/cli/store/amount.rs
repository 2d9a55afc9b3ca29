//! Bytes for people.

/// With three digits and a binary unit (IEC 80000-13).
pub(in crate::cli) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1_024 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1_024.0;
    let mut unit = 0;
    while value >= 1_024.0 && unit + 1 < UNITS.len() {
        value /= 1_024.0;
        unit += 1;
    }
    let decimals = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.decimals$} {}", UNITS.get(unit).unwrap_or(&"PiB"))
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_have_three_digits() {
        for (count, text) in
            [(0, "0 B"), (1_023, "1023 B"), (1_024, "1.00 KiB"), (15_360, "15.0 KiB"), (200 << 30, "200 GiB"), (u64::MAX, "16384 PiB")]
        {
            assert_eq!(bytes(count), text);
        }
    }
}
