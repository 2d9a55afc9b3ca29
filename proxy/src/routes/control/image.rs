//! Images that the command line has a gate fetch or import, and what it decides on them.

use std::path::PathBuf;
use std::sync::Arc;

use sealgate_verifier::{Digest, Reference, Repository, Tag};
use serde::{Deserialize, Serialize};

use crate::gate::import::Imported;
use crate::gate::prefetch::{Looked, Wanted};
use crate::gate::{Gate, GateError};
use crate::routes::error::Refusal;
use crate::store::layout::read_layout;

/// Body of `POST /prefetch`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prefetch {
    /// The image.
    pub reference: String,
    /// Its blobs too.
    pub blobs: bool,
    /// Which platforms; empty: all.
    pub platforms: Vec<String>,
}

/// Answer of `POST /prefetch`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Prefetched {
    /// The image.
    pub reference: String,
    /// What was decided.
    pub verdict: Verdict,
    /// What was found; none where it is not served.
    pub found: Option<Looked>,
}

/// Body of `POST /store/export`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The images, under canonical names.
    pub references: Vec<String>,
}

/// Body of `POST /store/import`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// Absolute path of the layout.
    pub layout: PathBuf,
    /// Where everything goes; none: where the layout says.
    pub to: Option<Repository>,
}

/// Answer of `POST /store/import`.
#[derive(Debug, Serialize, Deserialize)]
pub struct ImportReport {
    /// The images.
    pub images: Vec<ImportVerdict>,
    /// Evidence manifests.
    pub evidence: u64,
    /// What was not taken, and why.
    pub refused: Vec<String>,
}

/// An imported image, and what the gate decides on it.
#[derive(Debug, Serialize, Deserialize)]
pub struct ImportVerdict {
    /// Where it is.
    pub repository: Repository,
    /// Its tag.
    pub tag: Option<Tag>,
    /// Its digest.
    pub digest: Digest,
    /// Children that did not come with it.
    pub skipped: Vec<Digest>,
    /// What was decided.
    pub verdict: Verdict,
}

/// What the gate decides on an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Verdict {
    /// It is served.
    Admitted,
    /// It is served with a warning.
    Audited {
        /// The warning.
        line: String,
    },
    /// It is not served.
    Denied {
        /// The denial.
        line: String,
    },
    /// Its registry does not have it.
    Unknown {
        /// In one sentence.
        line: String,
    },
    /// Something stood in the way.
    Undecided {
        /// In one sentence.
        line: String,
    },
}

impl Verdict {
    fn of(error: GateError) -> Self {
        let unknown = matches!(error, GateError::ManifestUnknown | GateError::RepositoryUnknown | GateError::BlobUnknown);
        let denied = matches!(error, GateError::Denied(_) | GateError::DeniedUnseen { .. });
        let line = Refusal::from(error).message().to_owned();
        match (denied, unknown) {
            (true, _) => Self::Denied { line },
            (false, true) => Self::Unknown { line },
            (false, false) => Self::Undecided { line },
        }
    }

    /// In one line.
    #[must_use]
    pub fn line(&self) -> String {
        match self {
            Self::Admitted => "admitted".to_owned(),
            Self::Audited { line } => format!("served with a warning: {line}"),
            Self::Denied { line } | Self::Unknown { line } => line.clone(),
            Self::Undecided { line } => format!("undecided: {line}"),
        }
    }
}

/// Resolves, decides and fetches an image.
///
/// # Errors
/// It names none. A denial is no error here.
pub async fn prefetch(gate: &Arc<Gate>, request: Prefetch) -> Result<Prefetched, Refusal> {
    let Prefetch { reference, blobs, platforms } = request;
    let image: Reference = reference.parse().map_err(|error| Refusal::body_invalid(format!("{error}")))?;
    let (verdict, found) = match gate.prefetch(&image, &Wanted { blobs, platforms }).await {
        Ok(looked) if looked.line.is_empty() => (Verdict::Admitted, Some(looked)),
        Ok(looked) => (Verdict::Audited { line: looked.line.clone() }, Some(looked)),
        Err(error) => (Verdict::of(error), None),
    };
    Ok(Prefetched { reference, verdict, found })
}

/// Imports a layout and says what is decided on its images.
///
/// # Errors
/// It is no layout, one of its blobs is damaged, or the store fails.
pub async fn import(gate: &Arc<Gate>, request: Import) -> Result<ImportReport, Refusal> {
    let Import { layout, to } = request;
    let blobs = Arc::clone(gate.store().blobs());
    let reading = tokio::task::spawn_blocking(move || read_layout(&layout, &blobs, &|_, _| {}));
    let layout = reading.await.map_err(|error| Refusal::housekeeping(error.to_string()))?;
    let layout = layout.map_err(|error| Refusal::housekeeping(error.to_string()))?;
    let Imported { images, evidence, refused } = gate.import(&layout, to.as_ref()).await?;
    let mut decided = Vec::with_capacity(images.len());
    for image in images {
        let reference = Reference { repository: image.repository.clone(), tag: None, digest: Some(image.digest) };
        let verdict = prefetch(gate, Prefetch { reference: reference.to_string(), blobs: false, platforms: Vec::new() }).await?.verdict;
        decided.push(ImportVerdict { repository: image.repository, tag: image.tag, digest: image.digest, skipped: image.skipped, verdict });
    }
    Ok(ImportReport { images: decided, evidence, refused })
}
