//! The environment variables that override the file.

use crate::shape::nearest;

/// What each variable overrides.
pub(crate) const LISTEN: &str = "SEALGATE_LISTEN";
pub(crate) const ADMIN_LISTEN: &str = "SEALGATE_ADMIN_LISTEN";
pub(crate) const DATA: &str = "SEALGATE_DATA";
pub(crate) const POLICY: &str = "SEALGATE_POLICY";
pub(crate) const PUBLIC_URL: &str = "SEALGATE_PUBLIC_URL";

/// The variables that [`super::ServerConfig::load`] reads.
pub const VARIABLES: [&str; 5] = [LISTEN, ADMIN_LISTEN, DATA, POLICY, PUBLIC_URL];

/// A warning for each of `names` that starts with `SEALGATE_` and is neither one of [`VARIABLES`] nor one of `others`, which
/// the caller itself reads. Sorted; values are never looked at.
#[must_use]
pub fn unknown_variables(names: impl IntoIterator<Item = String>, others: &[&str]) -> Vec<String> {
    let known = || VARIABLES.iter().chain(others).copied();
    let mut warnings: Vec<String> = names
        .into_iter()
        .filter(|name| name.starts_with("SEALGATE_") && !known().any(|k| k == name))
        .map(|name| match nearest(&name, known()) {
            Some(near) => format!("the environment variable {name} is not known and is ignored; did you mean {near}?"),
            None => {
                format!("the environment variable {name} is not known and is ignored; known are {}", known().collect::<Vec<_>>().join(", "))
            }
        })
        .collect();
    warnings.sort();
    warnings
}
