//! The image's configuration (image-spec 1.1, config.md; Docker image specification 1.2), with the credentials in it left out.

use std::collections::BTreeMap;

use sealgate_verifier::json::{self, Keys};
use serde::{Deserialize, Serialize};

use crate::limits::CONFIG_BYTES;
use crate::problem::Problem;
use crate::secrets::{Place, Secret, in_text, redacted};

/// How an image is started and was built, as its configuration has it. Credentials in it are replaced by an excerpt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Configuration {
    /// As whom its processes start, as written; empty means root.
    pub user: String,
    /// `GOARCH` of its programs.
    pub architecture: String,
    /// `GOOS` of its programs.
    pub os: String,
    /// When it says that it was made (RFC 3339).
    pub created: Option<String>,
    /// Ports that it exposes, for example `80/tcp`.
    pub exposed_ports: Vec<String>,
    /// What it starts.
    pub entrypoint: Vec<String>,
    /// Arguments to the entrypoint, or what it starts.
    pub command: Vec<String>,
    /// Variables, `NAME=VALUE`.
    pub environment: Vec<String>,
    /// Folder in which it starts.
    pub working_dir: String,
    /// Folders for data.
    pub volumes: Vec<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// How it was built, the first step first.
    pub history: Vec<Step>,
}

/// A step of the build.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// When.
    pub created: Option<String>,
    /// The command.
    pub created_by: String,
    /// What the builder says of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// Whether it made no layer.
    pub empty_layer: bool,
}

/// As it stands in the file. Unknown keys are extensions.
#[derive(Deserialize, Default)]
struct Document {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
    created: Option<String>,
    config: Option<Execution>,
    history: Option<Vec<HistoryEntry>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct Execution {
    user: Option<String>,
    exposed_ports: Option<BTreeMap<String, serde::de::IgnoredAny>>,
    env: Option<Vec<String>>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    working_dir: Option<String>,
    volumes: Option<BTreeMap<String, serde::de::IgnoredAny>>,
    labels: Option<BTreeMap<String, String>>,
    healthcheck: Option<Healthcheck>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct Healthcheck {
    test: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct HistoryEntry {
    created: Option<String>,
    created_by: Option<String>,
    comment: Option<String>,
    #[serde(default)]
    empty_layer: bool,
}

const KEYS: Keys = Keys {
    known: &["architecture", "os", "created", "config", "history", "rootfs"],
    maps: &["ExposedPorts", "Labels", "Volumes", "labels", "container_config"],
    compared: 2,
};

/// Reads a configuration, and what it gives away.
///
/// # Errors
/// [`Problem::Malformed`] for what is not one JSON object with one meaning, [`Problem::Limit`].
pub fn read(bytes: &[u8]) -> Result<(Configuration, Vec<Secret>), Problem> {
    if bytes.len() > CONFIG_BYTES {
        return Err(Problem::limit("bytes of the configuration", bytes.len(), CONFIG_BYTES));
    }
    let document: Document =
        json::read(bytes, &KEYS).map_err(|error| Problem::malformed("configuration", "image configuration", error.to_string()))?;
    let execution = document.config.unwrap_or_default();
    let mut secrets = Secrets::default();
    let mut command_line =
        |parts: Option<Vec<String>>| parts.unwrap_or_default().iter().map(|part| secrets.hide(part, || Place::Command)).collect();
    let (entrypoint, command) = (command_line(execution.entrypoint), command_line(execution.cmd));
    // Nothing of the health check is told but what it gives away.
    let _: Vec<String> = command_line(execution.healthcheck.and_then(|check| check.test));
    let environment = execution.env.unwrap_or_default();
    let environment = environment.iter().map(|variable| {
        let name = variable.split_once('=').map_or(variable.as_str(), |(name, _)| name);
        secrets.hide(variable, || Place::Environment { name: redacted(name, &in_text(name)) })
    });
    let environment = environment.collect();
    let labels = execution.labels.unwrap_or_default();
    let labels = labels.iter().map(|(name, value)| {
        let name = redacted(name, &in_text(name));
        let value = secrets.hide(value, || Place::Label { name: name.clone() });
        (name, value)
    });
    let labels = labels.collect();
    let history = document.history.unwrap_or_default().into_iter().enumerate().map(|(step, entry)| Step {
        created: entry.created,
        created_by: secrets.hide(&entry.created_by.unwrap_or_default(), || Place::History { step }),
        comment: secrets.hide(&entry.comment.unwrap_or_default(), || Place::History { step }),
        empty_layer: entry.empty_layer,
    });
    let history = history.collect();
    let configuration = Configuration {
        user: execution.user.unwrap_or_default(),
        architecture: document.architecture,
        os: document.os,
        created: document.created,
        exposed_ports: execution.exposed_ports.unwrap_or_default().into_keys().collect(),
        entrypoint,
        command,
        environment,
        working_dir: execution.working_dir.unwrap_or_default(),
        volumes: execution.volumes.unwrap_or_default().into_keys().collect(),
        labels,
        history,
    };
    Ok((configuration, secrets.0))
}

/// What was found so far.
#[derive(Default)]
struct Secrets(Vec<Secret>);

impl Secrets {
    /// `text` without its credentials, which are noted.
    fn hide(&mut self, text: &str, place: impl Fn() -> Place) -> String {
        let hits = in_text(text);
        self.0.extend(hits.iter().map(|hit| Secret { place: place(), kind: hit.kind.to_owned(), excerpt: hit.excerpt.clone() }));
        redacted(text, &hits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "postgres://app:Tr0ub4dor-and-3@db.internal/app";

    #[test]
    fn what_the_configuration_gives_away_is_told_and_not_shown() {
        let bytes = serde_json::to_vec(&serde_json::json!({
            "architecture": "amd64", "os": "linux", "created": "2026-01-01T00:00:00Z",
            "config": {"User": "1000", "ExposedPorts": {"80/tcp": {}}, "Env": ["PATH=/bin", format!("DATABASE={TOKEN}")], "Cmd": ["run", TOKEN],
                "Entrypoint": null, "Labels": {"a": TOKEN}, "Healthcheck": {"Test": ["CMD", TOKEN]}},
            "history": [{"created_by": "RUN x"}, {"created_by": format!("ENV D={TOKEN}"), "empty_layer": true}],
            "rootfs": {"type": "layers", "diff_ids": []},
        }));
        let (configuration, secrets) = read(&bytes.expect("JSON")).expect("a configuration");
        let places: Vec<_> = secrets.iter().map(|secret| secret.place.clone()).collect();
        let environment = Place::Environment { name: "DATABASE".to_owned() };
        let label = Place::Label { name: "a".to_owned() };
        assert_eq!(places, [Place::Command, Place::Command, environment, label, Place::History { step: 1 }]);
        assert_eq!((configuration.user.as_str(), configuration.exposed_ports.as_slice()), ("1000", &["80/tcp".to_owned()][..]));
        let told = format!("{configuration:?}{secrets:?}");
        assert!(!told.contains("Tr0ub4dor") && told.contains("postgres://…"), "{told}");
    }

    #[test]
    fn a_configuration_with_two_meanings_is_refused() {
        for bad in [&b"[]"[..], b"{\"os\":\"linux\",\"OS\":\"x\"}", b"{}{}", b"{\"config\":{\"User\":1}}"] {
            assert!(matches!(read(bad), Err(Problem::Malformed { .. })), "{}", String::from_utf8_lossy(bad));
        }
        assert!(matches!(read(&vec![b' '; CONFIG_BYTES + 1]), Err(Problem::Limit { .. })));
    }
}
