//! What is inside an image, beside its packages: the same for as long as its digest is. Stored by the digest of the platform
//! manifest.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::evidence::Gap;
use crate::limits;
use crate::scan::{Packages, ReportError, read};
use crate::time::Timestamp;

/// What is inside one platform's image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Contents {
    /// As whom its processes start.
    pub user: ConfiguredUser,
    /// Files that run as their owner or group, whoever starts them. Paths here and below are without a leading slash.
    #[serde(default)]
    pub setuid: Vec<SetId>,
    /// Files with capabilities of their own (`security.capability`).
    #[serde(default)]
    pub capabilities: Vec<FileCapabilities>,
    /// Paths of shells.
    #[serde(default)]
    pub shells: Vec<String>,
    /// Paths of package managers.
    #[serde(default)]
    pub package_managers: Vec<String>,
    /// Paths of compilers and linkers.
    #[serde(default)]
    pub compilers: Vec<String>,
    /// Ports that it exposes, as its configuration has them: `80/tcp`.
    #[serde(default)]
    pub exposed_ports: Vec<String>,
    /// Bytes of all layers as they are stored in a registry.
    pub size: u64,
    /// When it says that it was made. Not to be relied on.
    pub created: Option<Timestamp>,
    /// What it starts, entrypoint and command together.
    #[serde(default)]
    pub entrypoint: Vec<String>,
    /// The image that it was built from, where annotations tell.
    #[serde(default)]
    pub base: Option<String>,
    /// Which packages were recognised.
    pub packages: Packages,
    /// Secrets in its configuration and in any layer.
    #[serde(default)]
    pub secrets: Vec<SecretFinding>,
    /// What could not be read.
    #[serde(default)]
    pub gaps: Vec<Gap>,
}

/// The user of an image's configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfiguredUser {
    /// As written: `nginx`, `1000:1000`; empty means root.
    pub name: String,
    /// Its number: the text's own, or that of its entry in the image's `/etc/passwd`. `None` where neither is known.
    pub uid: Option<u32>,
}

/// A file with the set-user-id or set-group-id bit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetId {
    /// Path.
    pub path: String,
    /// Permission bits, the upper ones included: 0o4755.
    pub mode: u32,
}

/// A file with capabilities.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileCapabilities {
    /// Path.
    pub path: String,
    /// The capabilities, for example `cap_net_bind_service`.
    pub capabilities: Vec<String>,
}

/// Something that looks like a secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretFinding {
    /// The detector that found it, for example `private-key`.
    pub kind: String,
    /// The layer; `None` where it stands in the configuration.
    pub layer: Option<Digest>,
    /// Path in the layer, or the place in the configuration: `env:TOKEN`, `history:3`, `label:x`.
    pub path: String,
    /// Whether a later layer removes the file. The layer still has it.
    pub deleted: bool,
    /// A few characters of it, which give nothing away.
    pub excerpt: String,
}

impl fmt::Display for SecretFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let deleted = if self.deleted { ", which a later layer removes" } else { "" };
        let layer = self.layer.map(|layer| format!(" of layer {}", &layer.hex()[..12])).unwrap_or_default();
        write!(f, "{} in {}{layer}{deleted}", self.kind, self.path)
    }
}

impl Contents {
    /// Reads what [`Contents::to_json`] wrote.
    ///
    /// # Errors
    /// When it is something else, or over a limit.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ReportError> {
        let contents: Self = read(bytes)?;
        contents.over_limit().map_or(Ok(contents), |limit| Err(ReportError::Over(limit)))
    }

    /// The contents as they are stored.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        // Plain data without maps: writing it into memory cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Which limit of [`crate::limits`] they are over, if any. Contents over a limit are a gap.
    #[must_use]
    pub fn over_limit(&self) -> Option<&'static str> {
        let lists = [self.setuid.len(), self.capabilities.len(), self.shells.len(), self.package_managers.len(), self.compilers.len()];
        if lists.into_iter().chain([self.exposed_ports.len(), self.entrypoint.len()]).any(|length| length > limits::CONTENT_PATHS) {
            return Some("paths of one kind");
        }
        if self.secrets.len() > limits::SECRETS {
            return Some("secrets");
        }
        (self.gaps.len() > limits::FACT_GAPS).then_some("gaps in one report")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_read_as_they_were_written_and_bounded() {
        let layer = Digest::sha256(b"layer");
        let secret = SecretFinding {
            kind: "private-key".to_owned(),
            layer: Some(layer),
            path: "root/.ssh/id_rsa".to_owned(),
            deleted: true,
            excerpt: "-----BEGIN ****".to_owned(),
        };
        let mut contents = Contents {
            user: ConfiguredUser { name: "nginx".to_owned(), uid: Some(101) },
            setuid: vec![SetId { path: "bin/su".to_owned(), mode: 0o4755 }],
            capabilities: vec![],
            shells: vec!["bin/sh".to_owned()],
            package_managers: vec![],
            compilers: vec![],
            exposed_ports: vec!["80/tcp".to_owned()],
            size: 1,
            created: None,
            entrypoint: vec![],
            base: None,
            packages: Packages::NoneRecognised,
            secrets: vec![secret.clone()],
            gaps: vec![],
        };
        assert_eq!(Contents::from_json(&contents.to_json()).as_ref(), Ok(&contents));
        let expected = format!("private-key in root/.ssh/id_rsa of layer {}, which a later layer removes", &layer.hex()[..12]);
        assert_eq!(secret.to_string(), expected);
        let text = String::from_utf8(contents.to_json()).expect("text").replace(r#""size":1,"#, "");
        assert!(Contents::from_json(text.as_bytes()).is_err(), "what is not said is not nothing");
        contents.secrets = vec![secret; limits::SECRETS + 1];
        assert_eq!(Contents::from_json(&contents.to_json()), Err(ReportError::Over("secrets")));
        contents.secrets.clear();
        contents.shells = vec![String::new(); limits::CONTENT_PATHS + 1];
        assert!(contents.over_limit().is_some());
    }
}
