//! The entries of `credentials:`.

use sealgate_verifier::Pattern;
use sealgate_verifier::reference::DOCKER_HUB;

use super::secret::{self, Environment};
use super::{Credential, fields};
use crate::node::{Node, Value};
use crate::problems::Problems;

/// Reads `credentials:` of the registry called `name` (none where its name is wrong).
pub(crate) fn read(node: Option<&Node>, name: Option<&str>, environment: &Environment<'_>, problems: &mut Problems<'_>) -> Vec<Credential> {
    let Some(items) = node.and_then(|node| problems.list(node)) else { return Vec::new() };
    if let (Some(node), true) = (node, items.is_empty()) {
        problems.node(node, "`credentials` is empty", "remove it, or add a user name and password");
    }
    items.iter().filter_map(|item| one(item, name, environment, problems)).collect()
}

fn one(node: &Node, name: Option<&str>, environment: &Environment<'_>, problems: &mut Problems<'_>) -> Option<Credential> {
    let members = problems.members(node, &fields::CREDENTIAL)?;
    let username = members.get("username").and_then(|node| secret::read(node, "the user name", environment, problems));
    let password = members.get("password").and_then(|node| secret::read(node, "the password", environment, problems));
    // RFC 7617 §2: the first colon ends the user name.
    if let (Some(username), Some(node)) = (&username, members.get("username"))
        && username.expose().contains(':')
    {
        problems.node(node, "the user name holds a colon", "write the part behind it under `password`");
    }
    let repositories = match (members.get("repositories"), name) {
        (Some(node), Some(name)) => repositories(node, name, problems)?,
        (None, Some(DOCKER_HUB)) => {
            let mend = "add `repositories: [acme/**]`; the images named there are open to every client of the gate";
            problems.node(node, "credentials of docker.io must name the repositories that they are for", mend);
            return None;
        }
        (None, _) | (Some(_), None) => Vec::new(),
    };
    Some(Credential { repositories, username: username?, password: password? })
}

fn repositories(node: &Node, name: &str, problems: &mut Problems<'_>) -> Option<Vec<Pattern>> {
    let items = if matches!(node.value, Value::List(_)) { node.items() } else { std::slice::from_ref(node) };
    if items.is_empty() {
        problems.node(node, "`repositories` is empty", "name at least one, such as acme/**");
        return None;
    }
    let mut patterns = Vec::new();
    for item in items {
        let Some(text) = problems.text(item) else { continue };
        match pattern(text, name) {
            Ok(pattern) if name == DOCKER_HUB && pattern.literal() == DOCKER_HUB => {
                problems.node(item, "credentials of docker.io must not reach all of it", "name the organisation, as in acme/**");
            }
            Ok(pattern) => patterns.push(pattern),
            Err(mend) => problems.node(item, format!("found {}", problems.quote(text)), mend),
        }
    }
    (patterns.len() == items.len()).then_some(patterns)
}

/// A pattern below the registry `name`; the name itself may be left out.
fn pattern(text: &str, name: &str) -> Result<Pattern, String> {
    let below = text.strip_prefix(name).and_then(|rest| rest.strip_prefix('/')).unwrap_or(text);
    let first = below.split('/').next().unwrap_or_default();
    if below == text && first.contains(['.', ':']) {
        return Err(format!("these credentials are for {name} only: expected a repository there, such as acme/** or {name}/acme/**"));
    }
    let hub_short = name == DOCKER_HUB && !below.contains(['/', '*']);
    let full = if hub_short { format!("{name}/library/{below}") } else { format!("{name}/{below}") };
    full.parse().map_err(|_| "expected a repository, or the start of one with * or ** as its whole last part, such as acme/**".to_owned())
}
