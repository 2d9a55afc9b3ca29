//! `watch:`

use std::collections::BTreeMap;
use std::time::Duration;

use sealgate_verifier::{Reference, Repository};

use super::{Registry, Watch, fields};
use crate::limits;
use crate::node::Node;
use crate::problems::Problems;

/// Often enough for tags that move each hour, and four requests a day for each image that does not.
const EVERY: Duration = Duration::from_hours(6);
/// Registries count requests.
const SHORTEST: Duration = Duration::from_mins(1);
const AT_ONCE: usize = 2;

pub(super) fn read(node: Option<&Node>, registries: &BTreeMap<String, Registry>, problems: &mut Problems<'_>) -> Watch {
    let mut watch = Watch { images: Vec::new(), every: EVERY, fetch: false, at_once: AT_ONCE };
    let Some(members) = node.and_then(|node| problems.members(node, &fields::WATCH)) else { return watch };
    if let Some(node) = members.get("images") {
        let items = match node.items() {
            [] => std::slice::from_ref(node),
            items => items,
        };
        if items.len() > limits::WATCHED {
            problems.node(node, format!("{} images are watched, over the limit of {}", items.len(), limits::WATCHED), "watch fewer");
        }
        watch.images = items.iter().take(limits::WATCHED).filter_map(|item| image(item, registries, problems)).collect();
    }
    if let Some(node) = members.get("every") {
        watch.every = problems.duration(node).unwrap_or(EVERY);
        if watch.every < SHORTEST {
            problems.node(node, "`every` is under a minute", "make it 1m or longer: registries count requests");
        }
    }
    watch.fetch = members.get("fetch").and_then(|node| problems.boolean(node)).unwrap_or(false);
    let at_once = members.get("at-once").and_then(|node| problems.count(node, 1, 16));
    watch.at_once = at_once.and_then(|count| usize::try_from(count).ok()).unwrap_or(AT_ONCE);
    watch
}

/// A reference to an image of a configured registry, under its canonical name.
fn image(node: &Node, registries: &BTreeMap<String, Registry>, problems: &mut Problems<'_>) -> Option<Reference> {
    let mut reference = problems.parsed(node, "an image such as docker.io/library/nginx:1.27", |text| text.parse::<Reference>().ok())?;
    let registry = reference.repository.registry();
    if registries.contains_key(registry) {
        return Some(reference);
    }
    let Some(known) = registries.values().find(|known| known.authority == registry) else {
        problems.node(node, format!("the registry {} is not configured", problems.quote(registry)), "add it under `registries`");
        return None;
    };
    reference.repository = Repository::new(&known.name, reference.repository.path()).ok()?;
    Some(reference)
}
