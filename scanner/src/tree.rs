//! The image's file tree, as far as it decides what the image holds: symbolic links, and the files that were read or noted.
//!
//! Everything else is only passed by. The tree lives in memory and is never a folder on disk, so no path or link in it can
//! reach anything outside of the image.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::limits::{SYMLINKS, TREE_BYTES, TREE_NODES};
use crate::path::{join, split};
use crate::problem::Problem;

/// What stands at a path. `T` is what was learned of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node<T> {
    /// A symbolic link, with its target as it stands there.
    Symlink(String),
    /// A file that was noted.
    File(T),
}

#[derive(Debug, Clone)]
struct Placed<T> {
    layer: usize,
    node: Node<T>,
}

/// A path after its symbolic links were followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The path.
    pub path: String,
    /// The lowest layer that brought one of the links; `None` where there was none.
    pub oldest: Option<usize>,
}

/// The tree.
#[derive(Debug, Clone)]
pub struct Tree<T> {
    nodes: BTreeMap<String, Placed<T>>,
    bytes: usize,
}

impl<T> Default for Tree<T> {
    fn default() -> Self {
        Self { nodes: BTreeMap::new(), bytes: 0 }
    }
}

impl<T: Clone> Tree<T> {
    /// Puts `node` at `path`, whatever stood there or below it. Answers with what stood there itself.
    ///
    /// # Errors
    /// A limit.
    pub fn put(&mut self, path: &str, layer: usize, node: Node<T>) -> Result<Option<(usize, Node<T>)>, Problem> {
        let before = self.displace(path);
        let target = if let Node::Symlink(target) = &node { target.len() } else { 0 };
        self.bytes += path.len() + target;
        if self.nodes.len() >= TREE_NODES {
            return Err(Problem::limit("nodes of the tree", self.nodes.len() + 1, TREE_NODES));
        }
        if self.bytes > TREE_BYTES {
            return Err(Problem::limit("bytes of the tree's paths", self.bytes, TREE_BYTES));
        }
        self.nodes.insert(path.to_owned(), Placed { layer, node });
        Ok(before)
    }

    /// A file that was not noted, or a device, takes the place of what stood at `path` and below it.
    pub fn displace(&mut self, path: &str) -> Option<(usize, Node<T>)> {
        self.remove_below(path, usize::MAX);
        self.take(path)
    }

    /// A folder at `path` takes the place of a file or link, and leaves what is below.
    pub fn put_directory(&mut self, path: &str) {
        self.take(path);
    }

    /// A whiteout (image-spec 1.1, layer.md): removes `path` and what is below, as far as layers under `layer` brought it.
    pub fn white_out(&mut self, path: &str, layer: usize) {
        self.remove_below(path, layer);
        if self.nodes.get(path).is_some_and(|placed| placed.layer < layer) {
            self.take(path);
        }
    }

    /// An opaque whiteout: removes what is in the folder, as far as layers under `layer` brought it.
    pub fn white_out_children(&mut self, folder: &str, layer: usize) {
        self.remove_below(folder, layer);
    }

    fn take(&mut self, path: &str) -> Option<(usize, Node<T>)> {
        let placed = self.nodes.remove(path)?;
        let target = if let Node::Symlink(target) = &placed.node { target.len() } else { 0 };
        self.bytes -= path.len() + target;
        Some((placed.layer, placed.node))
    }

    fn remove_below(&mut self, folder: &str, layer: usize) {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let from = (Bound::Included(prefix.as_str()), Bound::Unbounded);
        let below = self.nodes.range::<str, _>(from).take_while(|(path, _)| path.starts_with(&prefix));
        let gone: Vec<String> = below.filter(|(_, placed)| placed.layer < layer).map(|(path, _)| path.clone()).collect();
        for path in gone {
            self.take(&path);
        }
    }

    /// What stands at exactly `path`.
    pub fn get(&self, path: &str) -> Option<&Node<T>> {
        self.nodes.get(path).map(|placed| &placed.node)
    }

    /// Every file.
    pub fn files(&self) -> impl Iterator<Item = &T> {
        self.nodes.values().filter_map(|placed| match &placed.node {
            Node::File(file) => Some(file),
            Node::Symlink(_) => None,
        })
    }

    /// Whether a file stands at `path` that `layer` brought.
    pub fn has_file(&self, path: &str, layer: usize) -> bool {
        self.nodes.get(path).is_some_and(|placed| placed.layer == layer && matches!(placed.node, Node::File(_)))
    }

    /// What is in a folder and its folders.
    pub fn below<'a>(&'a self, folder: &str) -> impl Iterator<Item = &'a Node<T>> {
        let prefix = format!("{folder}/");
        let from = (Bound::Included(prefix.clone()), Bound::Unbounded);
        self.nodes.range(from).take_while(move |(path, _)| path.starts_with(&prefix)).map(|(_, placed)| &placed.node)
    }

    /// Every node, in order of paths.
    pub fn iter(&self) -> impl Iterator<Item = (&str, usize, &Node<T>)> {
        self.nodes.iter().map(|(path, placed)| (path.as_str(), placed.layer, &placed.node))
    }

    /// `path` with every symbolic link in it followed, its last part included. `..` at the root stays there, as in a chroot.
    ///
    /// # Errors
    /// [`Problem::LinkLoop`] after [`SYMLINKS`].
    pub fn resolve(&self, path: &str) -> Result<Resolved, Problem> {
        let mut rest: Vec<String> = path.split('/').rev().filter(|part| !part.is_empty()).map(str::to_owned).collect();
        let mut done = String::new();
        let mut followed = 0;
        let mut oldest = None;
        while let Some(part) = rest.pop() {
            match part.as_str() {
                "." | "" => continue,
                ".." => {
                    done = split(&done).0.to_owned();
                    continue;
                }
                _ => {}
            }
            let here = join(&done, &part);
            let Some(Placed { layer, node: Node::Symlink(target) }) = self.nodes.get(&here) else {
                done = here;
                continue;
            };
            oldest = Some(oldest.map_or(*layer, |oldest: usize| oldest.min(*layer)));
            followed += 1;
            if followed > SYMLINKS || rest.len() > crate::limits::PATH_BYTES {
                return Err(Problem::LinkLoop { path: path.to_owned() });
            }
            if target.starts_with('/') {
                done.clear();
            }
            rest.extend(target.split('/').rev().map(str::to_owned));
        }
        Ok(Resolved { path: done, oldest })
    }

    /// `path` with the links in its folder followed, and its last part as it is.
    ///
    /// # Errors
    /// As [`Tree::resolve`].
    pub fn resolve_folder(&self, path: &str) -> Result<Resolved, Problem> {
        let (folder, name) = split(path);
        let folder = self.resolve(folder)?;
        Ok(Resolved { path: join(&folder.path, name), oldest: folder.oldest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(nodes: &[(&str, usize, Option<&str>)]) -> Tree<u8> {
        let mut tree = Tree::default();
        for (path, layer, target) in nodes {
            let node = target.map_or(Node::File(0), |target| Node::Symlink(target.to_owned()));
            tree.put(path, *layer, node).expect("within the limits");
        }
        tree
    }

    fn paths(tree: &Tree<u8>) -> Vec<&str> {
        tree.iter().map(|(path, ..)| path).collect()
    }

    #[test]
    fn links_are_followed_inside_the_root_only() {
        // A12
        let tree = tree(&[
            ("lib", 0, Some("usr/lib")),
            ("out", 0, Some("../../../../etc")),
            ("abs", 0, Some("/usr/./lib/../lib")),
            ("deep/link", 0, Some("../lib")),
        ]);
        for (path, expected) in [
            ("lib/apk/db", "usr/lib/apk/db"),
            ("out/shadow", "etc/shadow"),
            ("abs/x", "usr/lib/x"),
            ("deep/link/x", "usr/lib/x"),
            ("none/x", "none/x"),
        ] {
            assert_eq!(tree.resolve(path).map(|resolved| resolved.path).as_deref(), Ok(expected));
        }
        assert_eq!(tree.resolve_folder("lib"), Ok(Resolved { path: "lib".to_owned(), oldest: None }));
    }

    #[test]
    fn endless_links_end() {
        let tree = tree(&[("a", 0, Some("b")), ("b", 0, Some("a")), ("grow", 0, Some("grow/x/x/x/x"))]);
        for path in ["a/x", "grow"] {
            assert!(matches!(tree.resolve(path), Err(Problem::LinkLoop { .. })), "{path}");
        }
    }

    #[test]
    fn whiteouts_remove_what_lower_layers_brought() {
        let mut tree = tree(&[("a/b", 0, None), ("a/c", 1, None), ("a.d", 0, None), ("e", 1, None)]);
        tree.white_out_children("a", 1);
        assert_eq!(paths(&tree), ["a.d", "a/c", "e"]);
        tree.white_out("e", 1);
        assert_eq!(paths(&tree), ["a.d", "a/c", "e"]);
        tree.white_out("a", 2);
        assert_eq!(paths(&tree), ["a.d", "e"]);
    }

    #[test]
    fn a_file_in_place_of_a_folder_removes_what_was_in_it() {
        let mut tree = tree(&[("a/b/c", 0, None), ("a/d", 0, None)]);
        tree.put("a/b", 0, Node::File(1)).expect("within the limits");
        assert_eq!(paths(&tree), ["a/b", "a/d"]);
        tree.put_directory("a/b");
        assert_eq!(paths(&tree), ["a/d"]);
    }
}
