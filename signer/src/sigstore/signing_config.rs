//! `signing_config.json` v0.2 (sigstore/protobuf-specs, `sigstore_trustroot.proto`, `SigningConfig`): where an instance of Sigstore
//! answers. `cosign signing-config create` writes such files.

use std::collections::BTreeMap;

use sealgate_verifier::{Timestamp, limits};
use serde::Deserialize;

/// The version that is read.
pub const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.signingconfig.v0.2+json";
/// API versions of certificate authorities: `/api/v2/signingCert` belongs to major version 1 (the file's own counting).
const FULCIO: [u32; 1] = [1];
/// API versions of timestamp authorities: RFC 3161.
const TSA: [u32; 1] = [1];

/// The public-good instance of Sigstore, as sigstore-trust-root 0.15.1 embeds it (Apache-2.0).
const PUBLIC: &[u8] = include_bytes!("public-good.signing_config.json");

/// Why a file is no signing config, or has no service that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SigningConfigError {
    /// Not the JSON of a signing config.
    #[error("not a signing config: {problem}")]
    Json {
        /// What is wrong.
        problem: String,
    },
    /// Another version.
    #[error("a signing config of type {found:?}: expected {MEDIA_TYPE}")]
    Version {
        /// What stands there.
        found: String,
    },
    /// No service, or too few, that counts now and speaks a version that is understood.
    #[error("the signing config names {found} {service} that can be used now: expected {expected}{hint}")]
    TooFew {
        /// Which services.
        service: &'static str,
        /// How many are needed.
        expected: usize,
        /// How many there are.
        found: usize,
        /// What to do.
        hint: &'static str,
    },
}

/// Where an instance answers.
#[derive(Debug, Clone)]
pub struct SigningConfig {
    authorities: Vec<Endpoint>,
    logs: Vec<Endpoint>,
    log_selector: Selector,
    timestamp_authorities: Vec<Endpoint>,
    timestamp_selector: Selector,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its URL.
    pub url: String,
    /// Major version of its API.
    pub version: u32,
    operator: String,
    start: Timestamp,
    end: Option<Timestamp>,
}

/// How many services of a kind are used; never two of one operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Selector {
    Any,
    All,
    Exact(usize),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    media_type: String,
    #[serde(default)]
    ca_urls: Vec<WireService>,
    #[serde(default)]
    rekor_tlog_urls: Vec<WireService>,
    #[serde(default)]
    rekor_tlog_config: WireSelector,
    #[serde(default)]
    tsa_urls: Vec<WireService>,
    #[serde(default)]
    tsa_config: WireSelector,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireService {
    url: String,
    #[serde(default)]
    major_api_version: u32,
    valid_for: WireWindow,
    #[serde(default)]
    operator: String,
}

#[derive(Deserialize)]
struct WireWindow {
    start: String,
    end: Option<String>,
}

#[derive(Deserialize, Default)]
struct WireSelector {
    #[serde(default)]
    selector: String,
    #[serde(default)]
    count: usize,
}

fn json(problem: impl ToString) -> SigningConfigError {
    SigningConfigError::Json { problem: problem.to_string() }
}

impl SigningConfig {
    /// Reads a signing config.
    ///
    /// # Errors
    /// When it is none, or part of it is malformed.
    pub fn from_json(bytes: &[u8]) -> Result<Self, SigningConfigError> {
        let wire: Wire = serde_json::from_slice(bytes).map_err(json)?;
        if wire.media_type != MEDIA_TYPE {
            return Err(SigningConfigError::Version { found: wire.media_type.chars().take(limits::QUOTED).collect() });
        }
        let endpoints = |list: Vec<WireService>| list.into_iter().map(WireService::check).collect::<Result<Vec<_>, _>>();
        Ok(Self {
            authorities: endpoints(wire.ca_urls)?,
            logs: endpoints(wire.rekor_tlog_urls)?,
            log_selector: wire.rekor_tlog_config.check()?,
            timestamp_authorities: endpoints(wire.tsa_urls)?,
            timestamp_selector: wire.tsa_config.check()?,
        })
    }

    /// The public-good instance, embedded.
    ///
    /// # Errors
    /// Never: a test reads it.
    pub fn public() -> Result<Self, SigningConfigError> {
        Self::from_json(PUBLIC)
    }

    /// The certificate authority to ask at `now`.
    ///
    /// # Errors
    /// [`SigningConfigError::TooFew`].
    pub fn authority(&self, now: Timestamp) -> Result<&Endpoint, SigningConfigError> {
        let found = select(&self.authorities, &FULCIO, now).into_iter().next();
        found.ok_or(SigningConfigError::TooFew { service: "certificate authorities", expected: 1, found: 0, hint: "" })
    }

    /// The transparency logs to enter a signature in at `now`; none where the config names none at all.
    ///
    /// # Errors
    /// [`SigningConfigError::TooFew`].
    pub fn logs(&self, versions: &[u32], now: Timestamp) -> Result<Vec<&Endpoint>, SigningConfigError> {
        let hint =
            if versions.contains(&2) { "" } else { "; the older signature format needs a Rekor v1 log: use --signature-format bundle" };
        choose(&self.logs, versions, self.log_selector, now, ("transparency logs", hint))
    }

    /// The timestamp authorities to ask at `now`; none where the config names none at all.
    ///
    /// # Errors
    /// [`SigningConfigError::TooFew`].
    pub fn timestamp_authorities(&self, now: Timestamp) -> Result<Vec<&Endpoint>, SigningConfigError> {
        choose(&self.timestamp_authorities, &TSA, self.timestamp_selector, now, ("timestamp authorities", ""))
    }
}

/// Of each operator the service with the highest version, and of those the latest, that counts at `now` (protobuf-specs, `SigningConfig`).
fn select<'a>(all: &'a [Endpoint], versions: &[u32], now: Timestamp) -> Vec<&'a Endpoint> {
    let usable = all.iter().filter(|one| versions.contains(&one.version) && one.start <= now && one.end.is_none_or(|end| now <= end));
    let mut best: BTreeMap<&str, &Endpoint> = BTreeMap::new();
    for one in usable {
        let known = best.entry(&one.operator).or_insert(one);
        if (one.version, one.start) > (known.version, known.start) {
            *known = one;
        }
    }
    let mut chosen: Vec<_> = best.into_values().collect();
    chosen.sort_by_key(|one| std::cmp::Reverse((one.version, one.start)));
    chosen
}

fn choose<'a>(
    all: &'a [Endpoint],
    versions: &[u32],
    selector: Selector,
    now: Timestamp,
    (service, hint): (&'static str, &'static str),
) -> Result<Vec<&'a Endpoint>, SigningConfigError> {
    if all.is_empty() {
        return Ok(Vec::new());
    }
    let mut chosen = select(all, versions, now);
    let expected = match selector {
        Selector::Any => 1,
        Selector::All => chosen.len().max(1),
        Selector::Exact(count) => count,
    };
    if chosen.len() < expected {
        return Err(SigningConfigError::TooFew { service, expected, found: chosen.len(), hint });
    }
    chosen.truncate(expected);
    Ok(chosen)
}

impl WireService {
    fn check(self) -> Result<Endpoint, SigningConfigError> {
        let time = |text: &str| Timestamp::from_rfc_3339(text).ok_or_else(|| json(format!("expected an RFC 3339 time, found {text:.40?}")));
        if !(self.url.starts_with("https://") || self.url.starts_with("http://")) {
            return Err(json(format!("expected a URL with https:// or http://, found {:.80?}", self.url)));
        }
        Ok(Endpoint {
            start: time(&self.valid_for.start)?,
            end: self.valid_for.end.as_deref().map(time).transpose()?,
            url: self.url,
            version: self.major_api_version,
            operator: self.operator,
        })
    }
}

impl WireSelector {
    /// `ServiceSelector`; undefined is read as ANY, as sigstore-go does for a file without it.
    fn check(&self) -> Result<Selector, SigningConfigError> {
        match (self.selector.as_str(), self.count) {
            ("" | "SERVICE_SELECTOR_UNDEFINED" | "ANY", _) => Ok(Selector::Any),
            ("ALL", _) => Ok(Selector::All),
            ("EXACT", count @ 1..) => Ok(Selector::Exact(count)),
            (found, count) => Err(json(format!("expected the selector ANY, ALL or EXACT with a count, found {found:.40?} with {count}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp(1_795_000_000);

    fn config(logs: serde_json::Value, selector: serde_json::Value) -> Result<SigningConfig, SigningConfigError> {
        SigningConfig::from_json(
            json!({ "mediaType": MEDIA_TYPE, "rekorTlogUrls": logs, "rekorTlogConfig": selector }).to_string().as_bytes(),
        )
    }

    fn log(url: &str, version: u32, start: &str, operator: &str) -> serde_json::Value {
        json!({ "url": url, "majorApiVersion": version, "validFor": { "start": start }, "operator": operator })
    }

    #[test]
    fn the_embedded_config_of_the_public_instance_is_usable() {
        let config = SigningConfig::public().expect("a config");
        assert_eq!(config.authority(NOW).expect("an authority").url, "https://fulcio.sigstore.dev");
        assert_eq!(config.logs(&[1, 2], NOW).expect("a log").len(), 1);
        assert_eq!(config.timestamp_authorities(NOW).expect("an authority")[0].url, "https://timestamp.sigstore.dev/api/v1/timestamp");
    }

    #[test]
    fn what_cosign_writes_is_read() {
        // `cosign signing-config create` 3.1, with --no-default-… and one service of each kind.
        let text = r#"{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","caUrls":[{"url":"http://127.0.0.1:1234","majorApiVersion":1,"validFor":{"start":"2024-01-01T00:00:00Z"},"operator":"tests"}],"rekorTlogUrls":[{"url":"http://127.0.0.1:1234","majorApiVersion":1,"validFor":{"start":"2024-01-01T00:00:00Z"},"operator":"tests"}],"rekorTlogConfig":{"selector":"ANY"},"tsaUrls":[{"url":"http://127.0.0.1:1234/api/v1/timestamp","majorApiVersion":1,"validFor":{"start":"2024-01-01T00:00:00Z"},"operator":"tests"}],"tsaConfig":{"selector":"EXACT","count":1}}"#;
        let config = SigningConfig::from_json(text.as_bytes()).expect("a config");
        assert_eq!(config.timestamp_authorities(NOW).expect("an authority")[0].url, "http://127.0.0.1:1234/api/v1/timestamp");
    }

    #[test]
    fn of_each_operator_the_newest_service_of_its_time_is_chosen() {
        let early = "2022-01-01T00:00:00Z";
        let mut ended = log("https://ended", 2, early, "a");
        ended["validFor"]["end"] = json!("2023-01-01T00:00:00Z");
        let logs = json!([
            log("https://v1", 1, early, "a"),
            log("https://v2", 2, early, "a"),
            log("https://v2b", 2, "2025-01-01T00:00:00Z", "a"),
            log("https://future", 2, "2036-01-01T00:00:00Z", "a"),
            ended,
            log("https://other", 1, early, "b"),
            log("https://v9", 9, early, "c"),
        ]);
        let chosen = |selector, versions: &[u32]| {
            let config = config(logs.clone(), selector).expect("a config");
            config.logs(versions, NOW).map(|found| found.iter().map(|one| one.url.clone()).collect::<Vec<_>>())
        };
        assert_eq!(chosen(json!({ "selector": "ANY" }), &[1, 2]).expect("one"), ["https://v2b"]);
        assert_eq!(chosen(json!({ "selector": "ANY" }), &[1]).expect("one").len(), 1);
        assert_eq!(chosen(json!({ "selector": "ALL" }), &[1, 2]).expect("all"), ["https://v2b", "https://other"]);
        assert_eq!(chosen(json!({ "selector": "EXACT", "count": 2 }), &[1, 2]).expect("two").len(), 2);
        let few = chosen(json!({ "selector": "EXACT", "count": 3 }), &[1, 2]).expect_err("two operators");
        assert!(few.to_string().contains("names 2 transparency logs that can be used now: expected 3"), "{few}");
        assert!(chosen(json!({ "selector": "ANY" }), &[3]).is_err());
    }

    #[test]
    fn malformed_configs_are_refused() {
        for (logs, selector) in [
            (json!([log("ftp://x", 1, "2022-01-01T00:00:00Z", "a")]), json!({})),
            (json!([log("https://x", 1, "yesterday", "a")]), json!({})),
            (json!([]), json!({ "selector": "EXACT" })),
            (json!([]), json!({ "selector": "SOME" })),
        ] {
            assert!(config(logs, selector).is_err());
        }
        assert!(matches!(SigningConfig::from_json(br#"{"mediaType":"x"}"#), Err(SigningConfigError::Version { .. })));
    }
}
