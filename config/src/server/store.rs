//! `store:`

use std::time::Duration;

use super::{IndexKind, Keep, fields};
use crate::node::Node;
use crate::problems::Problems;

/// DESIGN §7: what a pull under way was promised stays for half an hour.
const LEASE: Duration = Duration::from_mins(30);
/// What relies on a stored blob is recorded within its lease.
const SHORTEST: Duration = Duration::from_secs(1);
/// The least that `max-size` may be: an image's largest layer must fit beside what is being pulled.
const SMALLEST: u64 = 1024 * 1024;

pub(super) fn read(node: Option<&Node>, problems: &mut Problems<'_>) -> (IndexKind, Keep) {
    let mut keep = Keep { max_size: None, reserve: None, lease: LEASE };
    let Some(members) = node.and_then(|node| problems.members(node, &fields::STORE)) else { return (IndexKind::Redb, keep) };
    let index = members.get("index").and_then(|node| {
        problems.parsed(node, "`redb` or `sled`", |text| match text {
            "redb" => Some(IndexKind::Redb),
            "sled" => Some(IndexKind::Sled),
            _ => None,
        })
    });
    if let Some(node) = members.get("max-size") {
        keep.max_size = problems.size(node);
        if keep.max_size.is_some_and(|size| size < SMALLEST) {
            problems.node(node, "`max-size` is under 1MiB", "make it as large as the images that are to be kept, or remove it");
        }
    }
    keep.reserve = members.get("reserve").and_then(|node| problems.size(node));
    if let Some(node) = members.get("lease") {
        keep.lease = problems.duration(node).unwrap_or(LEASE);
        if keep.lease < SHORTEST {
            problems.node(node, "`lease` is under a second", "make it longer than a client pauses in a pull, best 30m");
        }
    }
    (index.unwrap_or(IndexKind::Redb), keep)
}
