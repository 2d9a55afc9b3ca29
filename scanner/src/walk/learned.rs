//! What one file says of the image.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::package::{Package, PackageType};
use crate::packages::{Contribution, Source};
use crate::problem::Problem;
use crate::release::Release;
use crate::tool::Tool;

/// Bits of the mode: setuid and setgid.
const SET_ID: u32 = 0o6000;

/// What was learned of one file. Hard links and later layers share its lists.
#[derive(Debug, Clone, Default)]
pub struct Learned {
    pub size: u64,
    /// Permission bits, setuid and setgid included.
    pub mode: u32,
    pub uid: u64,
    /// The extended attribute `security.capability`.
    pub capability: Option<Vec<u8>>,
    /// Which kind of package source it is.
    pub source: Option<Source>,
    pub packages: Arc<Vec<Package>>,
    pub release: Option<Release>,
    /// Files that a distribution's package brought: path and package.
    pub owned: Arc<Vec<(String, String)>>,
    /// Every file that a distribution's package brought, as keys.
    pub files: Arc<Vec<u64>>,
    /// Users and their numbers.
    pub users: Arc<Vec<(String, u32)>>,
    pub tool: Option<Tool>,
    /// Whether a credential was found in it, so that it matters whether it is still there at the end.
    pub has_secret: bool,
    /// Why it could not be read, which is a gap if the file is still there at the end.
    pub problem: Option<Problem>,
}

impl Learned {
    /// Whether it is worth remembering.
    pub fn is_noted(&self) -> bool {
        self.source.is_some() || self.tool.is_some() || self.has_secret || self.is_privileged()
    }

    /// Whether it runs with more rights than whoever starts it.
    pub fn is_privileged(&self) -> bool {
        self.mode & SET_ID != 0 || self.capability.is_some()
    }

    pub fn take(&mut self, outcome: Result<Contribution, Problem>) {
        match outcome {
            Ok(Contribution { packages, release, owned, files, users }) => {
                self.files = Arc::new(files);
                self.users = Arc::new(users);
                self.packages = Arc::new(packages);
                self.release = release;
                self.owned = Arc::new(owned);
            }
            Err(problem) => self.problem = Some(problem),
        }
    }

    /// A package database is written anew by each layer that installs something: what stood in it before keeps its layer.
    pub fn keep_layers(&mut self, before: &Self) {
        type Key<'a> = (PackageType, &'a str, &'a str, &'a str, Option<&'a String>);
        fn key(package: &Package) -> Key<'_> {
            (package.kind, &package.namespace, &package.name, &package.version, package.qualifiers.get("arch"))
        }
        let layers: BTreeMap<Key<'_>, usize> = before.packages.iter().map(|package| (key(package), package.location.layer)).collect();
        if layers.is_empty() {
            return;
        }
        for package in Arc::make_mut(&mut self.packages) {
            if let Some(layer) = layers.get(&key(package)) {
                package.location.layer = *layer;
            }
        }
    }
}
