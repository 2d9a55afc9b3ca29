//! What a policy says of an image's insides (`contents`).

use std::collections::BTreeSet;
use std::fmt;

use super::text::TextMatcher;
use crate::time::Timestamp;

/// What an image may hold. What is `None` or `false` is not asked for; one that asks for nothing is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContentsPolicy {
    /// Its processes start as another user than root.
    pub non_root: bool,
    /// Paths of files that may have the set-user-id or set-group-id bit; empty: none may.
    pub setuid: Option<BTreeSet<String>>,
    /// Paths of files that may have capabilities; empty: none may.
    pub capabilities: Option<BTreeSet<String>>,
    /// No shell.
    pub no_shell: bool,
    /// No package manager.
    pub no_package_manager: bool,
    /// No compiler or linker.
    pub no_compiler: bool,
    /// Ports that it may expose, each as `80/tcp`.
    pub ports: Option<BTreeSet<String>>,
    /// Bytes that all its layers together may have, as they are stored.
    pub max_size: Option<u64>,
    /// No secrets but these.
    pub secrets: Option<Vec<IgnoredSecret>>,
    /// It holds no list of packages, and a `scanned` beside this requirement does not miss one: for images made from nothing.
    pub no_packages: bool,
}

/// Something that a detector takes for a secret and that is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IgnoredSecret {
    /// The detector.
    pub kind: String,
    /// The path, or its beginning.
    pub path: TextMatcher,
    /// Why it is none.
    pub reason: String,
    /// From then on it counts again.
    pub expires: Timestamp,
}

impl ContentsPolicy {
    /// Whether it asks for anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for ContentsPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        let mut say = |holds: bool, word: &str| words.extend(holds.then(|| word.to_owned()));
        say(self.non_root, "user non-root");
        say(self.no_shell, "no shell");
        say(self.no_package_manager, "no package manager");
        say(self.no_compiler, "no compiler");
        say(self.secrets.is_some(), "no secrets");
        say(self.no_packages, "no packages");
        let mut allow = |list: &Option<BTreeSet<String>>, what: &str| match list {
            Some(list) if list.is_empty() => words.push(format!("no {what}")),
            Some(list) => words.push(format!("{what} only {}", list.iter().cloned().collect::<Vec<_>>().join(" "))),
            None => {}
        };
        allow(&self.setuid, "setuid files");
        allow(&self.capabilities, "file capabilities");
        allow(&self.ports, "ports");
        words.extend(self.max_size.map(|size| format!("at most {size} bytes")));
        write!(f, "contents {}", words.join(", "))
    }
}
