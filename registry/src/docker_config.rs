//! Registry credentials from `~/.docker/config.json`, its helpers, and `REGISTRY_AUTH_FILE`.
//!
//! Own code rather than a crate: entries for a namespace (`host/team`, containers-auth.json(5)) must match by repository path, and a
//! helper's output must never reach an error.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

use crate::auth::{CredentialSource, Credentials, IDENTITY_TOKEN_USER};

/// Docker Hub's key in docker's files, from the days of its first API.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// Why the user's credentials cannot be read. No text holds a credential or a helper's output.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// A file is there and cannot be read or parsed.
    #[error("credential file {}: expected {expected}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What should stand there.
        expected: &'static str,
    },
    /// A helper that the file names did not give what the protocol says.
    #[error("credential helper {helper}: {problem}")]
    Helper {
        /// Program name.
        helper: String,
        /// What went wrong.
        problem: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    #[serde(default)]
    auths: HashMap<String, Entry>,
    #[serde(default)]
    cred_helpers: HashMap<String, String>,
    #[serde(default)]
    creds_store: String,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    identitytoken: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperAnswer {
    username: String,
    secret: String,
}

/// Credentials by `registry` or `registry/namespace`.
type Found = Vec<(String, Credentials)>;

/// The user's credentials for one registry. Reads, in this order: `REGISTRY_AUTH_FILE`; `config.json` in `DOCKER_CONFIG` or `~/.docker`;
/// `containers/auth.json` in `XDG_RUNTIME_DIR`. The first file with any for the registry decides. Blocks while a helper runs.
///
/// # Errors
/// When a file is malformed or a helper fails. A missing file is none, except the one that `REGISTRY_AUTH_FILE` names.
pub fn credential_source(registry: &str) -> Result<CredentialSource, CredentialError> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let named = variable("REGISTRY_AUTH_FILE");
    if let Some(path) = named.as_ref().filter(|path| !path.exists()) {
        return Err(CredentialError::File { path: path.clone(), expected: "the file that REGISTRY_AUTH_FILE names" });
    }
    let docker = variable("DOCKER_CONFIG").or_else(|| variable("HOME").map(|home| home.join(".docker")));
    let files = [
        named,
        docker.map(|folder| folder.join("config.json")),
        variable("XDG_RUNTIME_DIR").map(|folder| folder.join("containers/auth.json")),
    ];
    credentials_from(registry, files.into_iter().flatten())
}

/// The credentials for `registry` from the first of `files` that has any.
///
/// # Errors
/// As [`credential_source`].
pub fn credentials_from(registry: &str, files: impl IntoIterator<Item = PathBuf>) -> Result<CredentialSource, CredentialError> {
    for path in files {
        if let Some(file) = read(&path)? {
            let found = file.credentials(registry, &path)?;
            if !found.is_empty() {
                let registry = canonical(registry);
                return Ok(Arc::new(move |repository| longest_match(&found, &registry, repository)));
            }
        }
    }
    Ok(crate::auth::anonymous())
}

fn read(path: &Path) -> Result<Option<File>, CredentialError> {
    let error = |expected| CredentialError::File { path: path.to_owned(), expected };
    match std::fs::read(path) {
        Ok(bytes) if bytes.trim_ascii().is_empty() => Ok(None),
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|_| error("docker's JSON format")),
        Err(problem) if problem.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(_) => Err(error("a readable file")),
    }
}

/// The most specific entry wins (containers-auth.json(5)): `host/team/app`, `host/team`, `host`.
fn longest_match(found: &Found, registry: &str, repository: &str) -> Option<Credentials> {
    let full = format!("{registry}/{repository}");
    let covers = |key: &str| full.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    found.iter().filter(|(key, _)| covers(key)).max_by_key(|(key, _)| key.len()).map(|(_, credentials)| credentials.clone())
}

/// `https://host/v1/` and the like as `host`; Docker Hub's names as `docker.io`.
fn canonical(key: &str) -> String {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    // Behind a scheme stands an old API path; without one, a namespace.
    let name = bare.map_or(key, |rest| rest.split('/').next().unwrap_or_default()).trim_end_matches('/');
    let (host, namespace) = name.split_once('/').map_or((name, None), |(host, namespace)| (host, Some(namespace)));
    let host = if matches!(host, "index.docker.io" | "registry-1.docker.io") { "docker.io" } else { host };
    namespace.map_or_else(|| host.to_owned(), |namespace| format!("{host}/{namespace}"))
}

impl File {
    fn credentials(&self, registry: &str, path: &Path) -> Result<Found, CredentialError> {
        let registry = &canonical(registry);
        // docker's order: the registry's own helper, the store of all, the file itself.
        let own = self.cred_helpers.iter().find(|(key, helper)| canonical(key) == *registry && !helper.is_empty());
        let helper = own.map(|(_, helper)| helper.as_str()).or((!self.creds_store.is_empty()).then_some(self.creds_store.as_str()));
        let mut found = Found::new();
        if let Some(helper) = helper {
            let server = if registry == "docker.io" { DOCKER_HUB_KEY } else { registry };
            found.extend(ask_helper(helper, server)?.map(|credentials| (registry.clone(), credentials)));
        }
        // Sorted, so that of two keys that mean the same the choice does not vary.
        let mut keys: Vec<&String> = self.auths.keys().collect();
        keys.sort();
        for key in keys {
            let name = canonical(key);
            let host = name.split('/').next().unwrap_or_default();
            if host != registry || found.iter().any(|(known, _)| *known == name) {
                continue;
            }
            if let Some(entry) = self.auths.get(key) {
                found.extend(entry.credentials(path)?.map(|credentials| (name, credentials)));
            }
        }
        Ok(found)
    }
}

impl Entry {
    /// `None` for the empty entries that docker writes beside a credential store.
    fn credentials(&self, path: &Path) -> Result<Option<Credentials>, CredentialError> {
        if !self.identitytoken.is_empty() {
            return Ok(Some(Credentials { username: IDENTITY_TOKEN_USER.to_owned(), password: self.identitytoken.clone() }));
        }
        if self.auth.is_empty() {
            let complete = !self.username.is_empty() && !self.password.is_empty();
            return Ok(complete.then(|| Credentials { username: self.username.clone(), password: self.password.clone() }));
        }
        let engine = GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));
        let decoded = engine.decode(self.auth.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = decoded.as_deref().and_then(|text| text.split_once(':'));
        let (username, password) =
            pair.ok_or_else(|| CredentialError::File { path: path.to_owned(), expected: "\"auth\" to be the base64 of user:password" })?;
        // docker pads old files with NUL.
        Ok(Some(Credentials { username: username.to_owned(), password: password.trim_end_matches('\0').to_owned() }))
    }
}

/// Runs `docker-credential-<name> get` (docker/docker-credential-helpers). `None`: it has no credentials for the server.
fn ask_helper(name: &str, server: &str) -> Result<Option<Credentials>, CredentialError> {
    let helper = format!("docker-credential-{name}");
    let error = |problem| CredentialError::Helper { helper: helper.clone(), problem };
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')) {
        return Err(error("expected a plain program name"));
    }
    let mut child = Command::new(&helper)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|_| error("cannot be run; is it installed?"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper may answer without reading.
        let _ = stdin.write_all(server.as_bytes());
    }
    let output = child.wait_with_output().map_err(|_| error("gave no answer"))?;
    if !output.status.success() {
        // "credentials not found in native keychain" is the protocol's only way to say so.
        let none = String::from_utf8_lossy(&output.stdout).contains("credentials not found");
        return if none { Ok(None) } else { Err(error("failed")) };
    }
    let answer: HelperAnswer = serde_json::from_slice(&output.stdout).map_err(|_| error("gave no JSON with Username and Secret"))?;
    Ok(Some(Credentials { username: answer.username, password: answer.secret }))
}
