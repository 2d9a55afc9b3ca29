//! Releases of distributions: which advisories are about an image's release, and until when its distribution looks after it.

use sealgate_verifier::Timestamp;

use super::{Ecosystem, Uncovered};
use crate::release::Release;

/// Last days of support, end of day UTC, from each distribution's published calendar (October 2026): Debian's with LTS, Ubuntu's standard
/// support without Pro, Red Hat's maintenance support. A release that is not listed is judged by its feed alone.
const SUPPORT_ENDS: &[(Ecosystem, &str, &str)] = &[
    (Ecosystem::Debian, "8", "2020-06-30"),
    (Ecosystem::Debian, "9", "2022-06-30"),
    (Ecosystem::Debian, "10", "2024-06-30"),
    (Ecosystem::Debian, "11", "2026-08-31"),
    (Ecosystem::Debian, "12", "2028-06-30"),
    (Ecosystem::Debian, "13", "2030-06-30"),
    (Ecosystem::Ubuntu, "14.04", "2019-04-25"),
    (Ecosystem::Ubuntu, "16.04", "2021-04-30"),
    (Ecosystem::Ubuntu, "18.04", "2023-05-31"),
    (Ecosystem::Ubuntu, "20.04", "2025-05-31"),
    (Ecosystem::Ubuntu, "22.04", "2027-06-01"),
    (Ecosystem::Ubuntu, "23.10", "2024-07-11"),
    (Ecosystem::Ubuntu, "24.04", "2029-05-31"),
    (Ecosystem::Ubuntu, "24.10", "2025-07-10"),
    (Ecosystem::Ubuntu, "25.04", "2026-01-15"),
    (Ecosystem::Alpine, "v3.12", "2022-05-01"),
    (Ecosystem::Alpine, "v3.13", "2022-11-01"),
    (Ecosystem::Alpine, "v3.14", "2023-05-01"),
    (Ecosystem::Alpine, "v3.15", "2023-11-01"),
    (Ecosystem::Alpine, "v3.16", "2024-05-23"),
    (Ecosystem::Alpine, "v3.17", "2024-11-22"),
    (Ecosystem::Alpine, "v3.18", "2025-05-09"),
    (Ecosystem::Alpine, "v3.19", "2025-11-01"),
    (Ecosystem::Alpine, "v3.20", "2026-04-01"),
    (Ecosystem::Alpine, "v3.21", "2026-11-01"),
    (Ecosystem::Alpine, "v3.22", "2027-05-01"),
    (Ecosystem::RedHat, "6", "2020-11-30"),
    (Ecosystem::RedHat, "7", "2024-06-30"),
    (Ecosystem::RedHat, "8", "2029-05-31"),
    (Ecosystem::RedHat, "9", "2032-05-31"),
    (Ecosystem::RockyLinux, "8", "2029-05-31"),
    (Ecosystem::RockyLinux, "9", "2032-05-31"),
    (Ecosystem::AlmaLinux, "8", "2029-03-01"),
    (Ecosystem::AlmaLinux, "9", "2032-05-31"),
    (Ecosystem::OpenSuse, "Leap 15.4", "2023-12-07"),
    (Ecosystem::OpenSuse, "Leap 15.5", "2024-12-31"),
    (Ecosystem::OpenSuse, "Leap 15.6", "2026-04-30"),
];

/// The ecosystem that an image's release belongs to, and the release as [`release_of_suffix`] writes it (empty for rolling ones).
///
/// # Errors
/// No ecosystem is known for the distribution, or its file names no release that advisories know.
pub fn ecosystem_of(release: &Release) -> Result<(Ecosystem, String), Uncovered> {
    let unknown = || Uncovered::UnknownDistribution { distribution: release.distro() };
    let version = release.version_id.as_str();
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let major = version.split('.').next().filter(|major| digits(major)).map(str::to_owned);
    let (ecosystem, key) = match release.id.as_str() {
        "debian" => (Ecosystem::Debian, major),
        "ubuntu" => (Ecosystem::Ubuntu, Some(version.to_owned()).filter(|version| version.split('.').all(digits))),
        // Edge is numbered like `3.23_alpha20250612` and has no advisories.
        "alpine" => {
            let mut parts = version.split('.').take_while(|part| digits(part));
            (Ecosystem::Alpine, parts.next().zip(parts.next()).map(|(major, minor)| format!("v{major}.{minor}")))
        }
        "wolfi" => (Ecosystem::Wolfi, Some(String::new())),
        "chainguard" => (Ecosystem::Chainguard, Some(String::new())),
        "rhel" => (Ecosystem::RedHat, major),
        "rocky" => (Ecosystem::RockyLinux, major),
        "almalinux" => (Ecosystem::AlmaLinux, major),
        "sles" => (Ecosystem::Suse, Some(version.to_owned()).filter(|version| version.split('.').all(digits))),
        "opensuse-leap" => (Ecosystem::OpenSuse, Some(format!("Leap {version}")).filter(|_| !version.is_empty())),
        "opensuse-tumbleweed" => (Ecosystem::OpenSuse, Some("Tumbleweed".to_owned())),
        _ => return Err(unknown()),
    };
    key.map(|key| (ecosystem, key)).ok_or_else(unknown)
}

/// The release in an OSV ecosystem name, what follows the first colon, in the form that [`ecosystem_of`] gives. `Ok(None)` is every
/// release; an error is another product of the same vendor, whose packages no image of a plain release holds.
///
/// # Errors
/// The suffix itself.
pub fn release_of_suffix(ecosystem: Ecosystem, suffix: Option<&str>) -> Result<Option<String>, String> {
    let Some(suffix) = suffix.filter(|suffix| !suffix.is_empty()) else { return Ok(None) };
    let parts: Vec<&str> = suffix.split(':').collect();
    let release = match (ecosystem, parts.as_slice()) {
        // Ubuntu:22.04:LTS, Ubuntu:24.10, Ubuntu:Pro:18.04:LTS. FIPS and real-time builds number their packages otherwise.
        (Ecosystem::Ubuntu, [version] | [version, "LTS"] | ["Pro", version, "LTS"]) => Some((*version).to_owned()),
        // The CPE's product, version, update and edition. Other products (EUS, OpenShift, …) have streams of their own.
        (Ecosystem::RedHat, ["enterprise_linux", version, ..]) => version.split('.').next().map(str::to_owned),
        (Ecosystem::Debian | Ecosystem::Alpine | Ecosystem::RockyLinux | Ecosystem::AlmaLinux | Ecosystem::OpenSuse, [release]) => {
            Some((*release).to_owned())
        }
        (Ecosystem::Suse, [product]) => suse(product),
        (Ecosystem::Npm | Ecosystem::PyPI | Ecosystem::CratesIo | Ecosystem::Go | Ecosystem::RubyGems, _) => return Ok(None),
        // `Maven:https://repo1.maven.org/maven2`: the repository that has the package.
        (Ecosystem::Maven, _) => return Ok(None),
        (
            Ecosystem::Debian
            | Ecosystem::Ubuntu
            | Ecosystem::Alpine
            | Ecosystem::Wolfi
            | Ecosystem::Chainguard
            | Ecosystem::RedHat
            | Ecosystem::RockyLinux
            | Ecosystem::AlmaLinux
            | Ecosystem::Suse
            | Ecosystem::OpenSuse,
            _,
        ) => None,
    };
    release.filter(|release| !release.is_empty()).map(Some).ok_or_else(|| suffix.to_owned())
}

/// `Linux Enterprise Server 15 SP5` and the modules of the same service pack are `15.5`.
fn suse(product: &str) -> Option<String> {
    let words: Vec<&str> = product.strip_prefix("Linux Enterprise ")?.split(' ').collect();
    let number = |word: &&str| word.bytes().all(|byte| byte.is_ascii_digit()) && !word.is_empty();
    let at = words.iter().position(number)?;
    let major = words.get(at)?;
    let pack = words.get(at + 1).and_then(|word| word.strip_prefix("SP")).filter(number_str);
    Some(pack.map_or_else(|| (*major).to_owned(), |pack| format!("{major}.{pack}")))
}

fn number_str(word: &&str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// When support ended, where it has by `now`.
#[must_use]
pub fn ended(ecosystem: Ecosystem, release: &str, now: Timestamp) -> Option<Timestamp> {
    let (_, _, day) = SUPPORT_ENDS.iter().find(|(of, known, _)| *of == ecosystem && *known == release)?;
    Timestamp::from_rfc_3339(&format!("{day}T23:59:59Z")).filter(|end| now > *end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(id: &str, version: &str) -> Release {
        Release { id: id.to_owned(), version_id: version.to_owned(), ..Release::default() }
    }

    #[test]
    fn releases_map_to_the_ecosystem_that_speaks_of_them() {
        for (id, version, expected) in [
            ("debian", "12", Some((Ecosystem::Debian, "12"))),
            ("debian", "", None),
            ("ubuntu", "22.04", Some((Ecosystem::Ubuntu, "22.04"))),
            ("alpine", "3.19.1", Some((Ecosystem::Alpine, "v3.19"))),
            ("alpine", "3.23_alpha20250612", None),
            ("rhel", "9.4", Some((Ecosystem::RedHat, "9"))),
            ("rocky", "9.3", Some((Ecosystem::RockyLinux, "9"))),
            ("almalinux", "8.10", Some((Ecosystem::AlmaLinux, "8"))),
            ("sles", "15.5", Some((Ecosystem::Suse, "15.5"))),
            ("opensuse-leap", "15.6", Some((Ecosystem::OpenSuse, "Leap 15.6"))),
            ("wolfi", "20230201", Some((Ecosystem::Wolfi, ""))),
            ("fedora", "40", None),
            ("linuxmint", "21", None),
        ] {
            let found = ecosystem_of(&release(id, version)).ok();
            assert_eq!(found, expected.map(|(ecosystem, key)| (ecosystem, key.to_owned())), "{id} {version}");
        }
    }

    #[test]
    fn suffixes_of_ecosystem_names_are_releases_or_other_products() {
        for (ecosystem, suffix, expected) in [
            (Ecosystem::Debian, Some("12"), Ok(Some("12"))),
            (Ecosystem::Debian, None, Ok(None)),
            (Ecosystem::Ubuntu, Some("22.04:LTS"), Ok(Some("22.04"))),
            (Ecosystem::Ubuntu, Some("Pro:18.04:LTS"), Ok(Some("18.04"))),
            (Ecosystem::Ubuntu, Some("Pro:FIPS:20.04:LTS"), Err(())),
            (Ecosystem::Alpine, Some("v3.19"), Ok(Some("v3.19"))),
            (Ecosystem::RedHat, Some("enterprise_linux:9::baseos"), Ok(Some("9"))),
            (Ecosystem::RedHat, Some("enterprise_linux:9.2"), Ok(Some("9"))),
            (Ecosystem::RedHat, Some("rhel_eus:9.2::appstream"), Err(())),
            (Ecosystem::Suse, Some("Linux Enterprise Server 15 SP5"), Ok(Some("15.5"))),
            (Ecosystem::Suse, Some("Linux Enterprise Module for Basesystem 15 SP5"), Ok(Some("15.5"))),
            (Ecosystem::Suse, Some("Manager Server 4.3"), Err(())),
            (Ecosystem::Maven, Some("https://repo1.maven.org/maven2"), Ok(None)),
        ] {
            let found = release_of_suffix(ecosystem, suffix).map_err(|_| ());
            assert_eq!(found, expected.map(|release| release.map(str::to_owned)), "{ecosystem} {suffix:?}");
        }
    }

    #[test]
    fn support_ends_at_the_end_of_its_last_day() {
        let at = |text| Timestamp::from_rfc_3339(text).expect("a time");
        assert_eq!(ended(Ecosystem::Debian, "10", at("2024-06-30T23:59:59Z")), None);
        assert!(ended(Ecosystem::Debian, "10", at("2024-07-01T00:00:00Z")).is_some());
        assert_eq!(ended(Ecosystem::Debian, "99", at("2090-01-01T00:00:00Z")), None);
        for (ecosystem, release, day) in SUPPORT_ENDS {
            assert!(Timestamp::from_rfc_3339(&format!("{day}T23:59:59Z")).is_some(), "{ecosystem} {release}");
        }
    }
}
