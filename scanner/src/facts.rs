//! A report in the words of the decision: [`sealgate_verifier::Contents`].

use sealgate_verifier::contents::{ConfiguredUser, Contents, FileCapabilities, SecretFinding, SetId};
use sealgate_verifier::scan::Packages;
use sealgate_verifier::{EvidenceSource, Failure, Gap, Timestamp};

use crate::capability;
use crate::problem::Problem;
use crate::report::Report;
use crate::secrets::{Place, Secret};
use crate::tool::Tool;

/// setuid and setgid.
const SET_ID: u32 = 0o6000;

impl Report {
    /// What the decision reads of this report. What could not be read comes along as gaps.
    #[must_use]
    pub fn contents(&self) -> Contents {
        let configuration = &self.configuration;
        let of = |kind: Tool| self.tools.iter().filter(|tool| tool.kind == kind).map(|tool| tool.path.clone()).collect();
        let set_id = self.privileged.iter().filter(|file| file.mode & SET_ID != 0);
        let capable = self.privileged.iter().filter_map(|file| Some((file, capability::names(file.capability.as_deref()?))));
        Contents {
            user: ConfiguredUser { name: configuration.user.clone(), uid: self.uid },
            setuid: set_id.map(|file| SetId { path: file.path.clone(), mode: file.mode }).collect(),
            capabilities: capable.map(|(file, capabilities)| FileCapabilities { path: file.path.clone(), capabilities }).collect(),
            shells: of(Tool::Shell),
            package_managers: of(Tool::PackageManager),
            compilers: of(Tool::Compiler),
            exposed_ports: configuration.exposed_ports.clone(),
            size: self.layers.iter().map(|layer| layer.bytes).sum(),
            created: configuration.created.as_deref().and_then(Timestamp::from_rfc_3339),
            entrypoint: configuration.entrypoint.iter().chain(&configuration.command).cloned().collect(),
            base: self.base.clone(),
            packages: self.recognised(),
            secrets: self.secrets.iter().map(|secret| self.finding(secret)).collect(),
            gaps: self.decision_gaps(EvidenceSource::Contents),
        }
    }

    /// Which packages were recognised.
    #[must_use]
    pub fn recognised(&self) -> Packages {
        if self.sources.is_empty() { Packages::NoneRecognised } else { Packages::Recognised { count: self.packages.len() } }
    }

    /// What could not be read, as gaps of `source`.
    #[must_use]
    pub fn decision_gaps(&self, source: EvidenceSource) -> Vec<Gap> {
        let gaps = self.gaps.iter().map(|gap| Gap {
            source,
            place: gap.layer.map_or_else(|| "image".to_owned(), |layer| format!("layer {layer}")),
            failure: failure(&gap.problem),
            detail: gap.problem.to_string(),
        });
        let omitted = (self.gaps_omitted > 0).then(|| Gap {
            source,
            place: "image".to_owned(),
            failure: Failure::Malformed,
            detail: format!("{} more", self.gaps_omitted),
        });
        gaps.chain(omitted).collect()
    }

    fn finding(&self, secret: &Secret) -> SecretFinding {
        let (layer, path, deleted) = match &secret.place {
            Place::File { layer, path, deleted, .. } => (self.layers.get(*layer).map(|layer| layer.digest), path.clone(), *deleted),
            Place::Environment { name } => (None, format!("env:{name}"), false),
            Place::History { step } => (None, format!("history:{step}"), false),
            Place::Label { name } => (None, format!("label:{name}"), false),
            Place::Command => (None, "command".to_owned(), false),
        };
        SecretFinding { kind: secret.kind.clone(), layer, path, deleted, excerpt: secret.excerpt.clone() }
    }
}

const fn failure(problem: &Problem) -> Failure {
    match problem {
        Problem::Read { .. } => Failure::Unavailable,
        Problem::Limit { .. } => Failure::Oversized,
        Problem::Truncated { .. } => Failure::Truncated,
        Problem::MediaType { .. }
        | Problem::Compression { .. }
        | Problem::Stream { .. }
        | Problem::Digest { .. }
        | Problem::Size { .. }
        | Problem::Header { .. }
        | Problem::EntryType { .. }
        | Problem::Trailing { .. }
        | Problem::Escape { .. }
        | Problem::Whiteout { .. }
        | Problem::Duplicate { .. }
        | Problem::Link { .. }
        | Problem::LinkLoop { .. }
        | Problem::Malformed { .. }
        | Problem::Unsupported { .. } => Failure::Malformed,
    }
}
