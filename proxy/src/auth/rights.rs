//! What a principal may do where.

use std::sync::Arc;

use sealgate_config::{Action, Actions};
use sealgate_verifier::{Pattern, Repository};

/// Actions in some repositories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Right {
    /// The repositories, by canonical name.
    pub repositories: Vec<Pattern>,
    /// What may be done there.
    pub actions: Actions,
}

/// Everything that one principal may do. Empty: nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rights(Vec<Arc<Right>>);

impl Rights {
    /// These, added up.
    #[must_use]
    pub fn new(rights: impl IntoIterator<Item = Right>) -> Self {
        rights.into_iter().map(Arc::new).collect()
    }

    /// What may be done in `repository`. Whoever may do anything else there may pull.
    #[must_use]
    pub fn within(&self, repository: &Repository) -> Actions {
        let matching = self.0.iter().filter(|right| right.repositories.iter().any(|pattern| pattern.matches(repository)));
        matching.fold(Actions::NONE, |all, right| all.union(right.actions)).with_pull()
    }

    /// Whether `action` may be done in `repository`.
    #[must_use]
    pub fn permit(&self, action: Action, repository: &Repository) -> bool {
        self.within(repository).contains(action)
    }
}

impl FromIterator<Arc<Right>> for Rights {
    fn from_iter<I: IntoIterator<Item = Arc<Right>>>(rights: I) -> Self {
        Self(rights.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_add_up_and_nothing_is_permitted_elsewhere() {
        let right = |pattern: &str, actions: Actions| Right { repositories: vec![pattern.parse().expect(pattern)], actions };
        let rights = Rights::new([
            right("hosted.local/team/**", Action::Push.into()),
            right("hosted.local/team/app", Action::Sign.into()),
            right("hosted.local/none/**", Actions::NONE),
        ]);
        for (name, actions) in [
            ("hosted.local/team/app", "pull,push,sign"),
            ("hosted.local/team/other/deep", "pull,push"),
            ("hosted.local/teams/app", ""),
            ("hosted.local/none/app", ""),
            ("docker.io/team/app", ""),
        ] {
            assert_eq!(rights.within(&name.parse().expect(name)).to_string(), actions, "{name}");
        }
        assert_eq!(Rights::default().within(&"docker.io/library/nginx".parse().expect("a name")), Actions::NONE);
    }
}
