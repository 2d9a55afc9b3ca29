//! An image in one file, as `docker save` and other tools write it: where each member's bytes are.

use std::collections::BTreeMap;
use std::io::Read;

use crate::compression::{Compression, Plain};
use crate::limits::{LAYER_ENTRIES, TREE_NODES};
use crate::path::{clean, join, printable, split};
use crate::problem::Problem;
use crate::tar::{Archive, EntryKind};

/// A file in the tarball.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Where its bytes begin.
    pub offset: u64,
    /// How many they are.
    pub size: u64,
}

/// The members of a plain tarball by path. A link, as older versions of `docker save` write for a layer that stands there twice,
/// is the member that it leads to.
///
/// # Errors
/// What is wrong with the archive; a compressed one is refused, since its members cannot be found again.
pub fn members(bytes: impl Read) -> Result<BTreeMap<String, Member>, Problem> {
    let mut archive = Archive::new(Plain::open(bytes, Some(Compression::Plain))?);
    let mut members = BTreeMap::new();
    let mut links = vec![];
    while let Some(entry) = archive.next_entry()? {
        let path = clean(&entry.path)?;
        if members.len() + links.len() >= TREE_NODES {
            return Err(Problem::limit("members of the tarball", members.len(), TREE_NODES.min(LAYER_ENTRIES as usize)));
        }
        match entry.kind {
            EntryKind::File if entry.sparse => return Err(Problem::Unsupported { path, what: "a sparse member".to_owned() }),
            EntryKind::File => {
                let member = Member { offset: archive.position(), size: entry.stored };
                if members.insert(path.clone(), member).is_some() {
                    return Err(Problem::Duplicate { path });
                }
            }
            EntryKind::Symlink => {
                let target = join(split(&path).0, &printable(&entry.target));
                links.push((path, clean(target.as_bytes())?));
            }
            EntryKind::HardLink => links.push((path, clean(&entry.target)?)),
            EntryKind::Directory | EntryKind::Special => {}
        }
    }
    let resolved: Vec<_> = links.into_iter().filter_map(|(path, target)| Some((path, *members.get(&target)?))).collect();
    members.extend(resolved);
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tar::build::{Builder, gzip};

    #[test]
    fn members_are_found_again() {
        let tarball = Builder::default()
            .folder("x/")
            .file("x/layer.tar", b"layer")
            .symlink("y/layer.tar", "../x/layer.tar")
            .file("manifest.json", b"[]")
            .finish();
        let members = members(tarball.as_slice()).expect("a tarball");
        for (path, content) in [("x/layer.tar", &b"layer"[..]), ("y/layer.tar", b"layer"), ("manifest.json", b"[]")] {
            let member = members[path];
            let start = usize::try_from(member.offset).expect("small");
            assert_eq!(&tarball[start..start + content.len()], content, "{path}");
        }
    }

    #[test]
    fn what_is_no_plain_tarball_is_refused() {
        let twice = Builder::default().file("a", b"1").file("a", b"2").finish();
        assert!(matches!(members(twice.as_slice()), Err(Problem::Duplicate { .. })));
        let outside = Builder::default().symlink("a", "../../etc/shadow").finish();
        assert!(matches!(members(outside.as_slice()), Err(Problem::Escape { .. })));
        assert!(matches!(members(gzip(&twice).as_slice()), Err(Problem::Compression { .. })));
    }
}
