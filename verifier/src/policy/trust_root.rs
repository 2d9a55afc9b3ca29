//! Instances of Sigstore, by name: those that a policy brings along, those that are built in, and those that are kept current.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use super::signer::TrustRootName;
use super::{GITHUB_ROOT, PUBLIC_ROOT, Policy};
use crate::sigstore::TrustRoot;
use crate::time::Timestamp;

/// Where a policy has a trust root from.
#[derive(Debug, Clone)]
pub enum TrustRootSource {
    /// A `trusted_root.json`. Whoever wrote the policy answers for its age.
    File(Box<TrustRoot>),
    /// Whoever evaluates the policy keeps it current by TUF.
    Tuf,
}

/// A trust root that is kept current.
#[derive(Debug, Clone)]
pub struct CurrentRoot {
    /// The root.
    pub root: TrustRoot,
    /// When it was last known to be the newest: its age counts from there.
    pub as_of: Timestamp,
}

/// The trust roots that are kept current, beside a policy. What is built in needs no entry.
#[derive(Debug, Clone, Default)]
pub struct CurrentRoots {
    /// By name.
    pub roots: BTreeMap<TrustRootName, CurrentRoot>,
    /// Seconds after which a root that is kept current, or built in, no longer counts. None: never.
    pub max_age: Option<i64>,
    /// Built-in roots that must not be fallen back to: what was known beyond them is lost.
    pub lost: Vec<TrustRootName>,
}

/// Whether a trust root can be verified under.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RootState<'p> {
    /// It can, until then.
    Good { root: &'p TrustRoot, until: Option<Timestamp> },
    /// It is too old.
    Stale { as_of: Timestamp, max_age: i64 },
    /// There is none.
    Missing,
}

impl RootState<'_> {
    /// From this time on nothing that was verified under it counts.
    pub(crate) const fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Good { until, .. } => *until,
            Self::Stale { .. } | Self::Missing => None,
        }
    }

    /// Why nothing can be verified under it.
    pub(crate) fn problem(&self) -> Option<String> {
        match self {
            Self::Good { .. } => None,
            Self::Stale { as_of, max_age } => {
                Some(format!("it was last known to be current at {as_of}, over {} ago", crate::evaluate::age(*max_age)))
            }
            Self::Missing => Some("it has not been fetched yet".to_owned()),
        }
    }
}

/// A built-in root and its date.
fn built_in(name: &str) -> Option<&'static CurrentRoot> {
    static BUILT_IN: OnceLock<Vec<(&str, CurrentRoot)>> = OnceLock::new();
    let all = BUILT_IN.get_or_init(|| {
        let dated =
            [(PUBLIC_ROOT, TrustRoot::public(), TrustRoot::PUBLIC_DATE), (GITHUB_ROOT, TrustRoot::github(), TrustRoot::GITHUB_DATE)];
        let read = dated.into_iter().filter_map(|(name, root, date)| {
            Some((name, CurrentRoot { root: root.ok()?, as_of: Timestamp::from_rfc_3339(&format!("{date}T00:00:00Z"))? }))
        });
        read.collect()
    });
    all.iter().find(|(known, _)| *known == name).map(|(_, root)| root)
}

/// When the built-in root called `name` was last known to be current; none for other names.
#[must_use]
pub fn built_in_as_of(name: &str) -> Option<Timestamp> {
    built_in(name).map(|root| root.as_of)
}

impl Policy {
    /// This policy with these roots in place of those that it had.
    #[must_use]
    pub fn with_current_roots(mut self, roots: Arc<CurrentRoots>) -> Self {
        self.current_roots = roots;
        self
    }

    /// The trust root called `name`: that of the policy's own file, else the newer of what is kept current and what is built in. Only a
    /// policy chooses among them, never an image (V32).
    pub(crate) fn trust_root(&self, name: &str, now: Timestamp) -> RootState<'_> {
        if let Some(TrustRootSource::File(root)) = self.trust_roots.get(name) {
            return RootState::Good { root, until: None };
        }
        let CurrentRoots { roots, max_age, lost } = &*self.current_roots;
        let built_in = built_in(name).filter(|_| !lost.iter().any(|lost| lost == name));
        let newest = roots.get(name).into_iter().chain(built_in).max_by_key(|root| root.as_of);
        let Some(CurrentRoot { root, as_of }) = newest else { return RootState::Missing };
        match max_age {
            Some(max_age) if now >= as_of.plus(*max_age) => RootState::Stale { as_of: *as_of, max_age: *max_age },
            _ => RootState::Good { root, until: max_age.map(|max_age| as_of.plus(max_age)) },
        }
    }

    /// The names of all trust roots that the policy can verify under.
    pub(crate) fn trust_root_names(&self) -> impl Iterator<Item = &str> {
        let named = self.signers.values().filter_map(|signer| signer.identity.trust_root());
        std::iter::once(PUBLIC_ROOT).chain(self.trust_roots.keys().map(String::as_str)).chain(named)
    }

    /// The roots that signers of this policy need and that no file of the policy holds: those to keep current.
    #[must_use]
    pub fn roots_to_keep_current(&self) -> Vec<&str> {
        let named = self.signers.values().filter_map(|signer| signer.identity.trust_root());
        let mut names: Vec<&str> = named.filter(|name| !matches!(self.trust_roots.get(*name), Some(TrustRootSource::File(_)))).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The names that the policy expects to be kept current by TUF.
    pub fn tuf_roots(&self) -> impl Iterator<Item = &str> {
        self.trust_roots.iter().filter(|(_, source)| matches!(source, TrustRootSource::Tuf)).map(|(name, _)| name.as_str())
    }
}
