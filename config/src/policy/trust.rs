//! `trust-roots:` and `trust-stores:`: whose word counts about who signed.

use std::collections::BTreeMap;

use sealgate_verifier::notation::{StoreKind, TrustStore};
use sealgate_verifier::policy::{PUBLIC_ROOT, TrustRootName, TrustRootSource};
use sealgate_verifier::sigstore::TrustRoot;

use super::fields;
use super::revision::Files;
use super::signer::is_name;
use crate::limits;
use crate::node::{Key, Node, Value};
use crate::problems::Problems;

/// What stands in place of a path where the gate keeps the root current.
const TUF: &str = "tuf";

/// What signers may name.
#[derive(Default)]
pub(crate) struct Trust {
    /// Instances of Sigstore.
    pub roots: BTreeMap<TrustRootName, TrustRootSource>,
    /// Names of roots that could not be read.
    pub broken_roots: Vec<TrustRootName>,
    /// Notation's trust stores; `None` for those that could not be read.
    pub stores: BTreeMap<String, Option<StoreFiles>>,
}

/// The files of a trust store, each read and found good.
#[derive(Default)]
pub(crate) struct StoreFiles {
    certificates: Vec<(StoreKind, Vec<u8>)>,
    revocation_lists: Vec<Vec<u8>>,
}

impl StoreFiles {
    /// Adds what is of `kind` to `store`, with all revocation lists.
    pub fn add_to(&self, store: &mut TrustStore, kind: StoreKind) -> Result<(), String> {
        for (_, file) in self.certificates.iter().filter(|(found, _)| *found == kind) {
            store.add(kind, file).map_err(|error| error.to_string())?;
        }
        self.revocation_lists.iter().try_for_each(|file| store.add_revocation_lists(file).map_err(|error| error.to_string()))
    }

    /// Whether there is anything of `kind`.
    pub fn has(&self, kind: StoreKind) -> bool {
        self.certificates.iter().any(|(found, _)| *found == kind)
    }
}

/// The entries of a mapping from names, each once.
fn named<'n>(node: &'n Node, example: &str, problems: &mut Problems<'_>) -> Vec<(&'n Key, &'n Node)> {
    let Value::Map(entries) = &node.value else {
        problems.node(node, format!("expected a mapping, found {}", node.kind()), format!("write `{example}`, one line for each"));
        return Vec::new();
    };
    let mut found: Vec<(&Key, &Node)> = Vec::new();
    for (name, value) in entries {
        if !is_name(&name.text) {
            problems.place(name.place, "this is no name", "use up to 64 letters, digits, `.`, `_` and `-`");
        } else if let Some((first, _)) = found.iter().find(|(first, _)| first.text == name.text) {
            problems.place(name.place, "this name stands here twice", format!("remove one; the first is in line {}", first.place.line));
        } else {
            found.push((name, value));
        }
    }
    found
}

impl Trust {
    /// Reads `trust-roots:`.
    pub fn read_roots(&mut self, node: &Node, files: &mut Files, problems: &mut Problems<'_>) {
        for (name, value) in named(node, "lab: roots/trusted_root.json", problems) {
            if name.text == PUBLIC_ROOT {
                problems.place(name.place, "`public` is built in", "choose another name");
                continue;
            }
            if matches!(&value.value, Value::Text(text) if text == TUF) {
                self.roots.insert(name.text.clone(), TrustRootSource::Tuf);
                continue;
            }
            match file(value, limits::TRUST_ROOT_BYTES, files, problems).map(|bytes| TrustRoot::from_json(&bytes)) {
                Some(Ok(root)) => {
                    self.roots.insert(name.text.clone(), TrustRootSource::File(Box::new(root)));
                }
                Some(Err(error)) => {
                    let mend = "name a trusted_root.json of a Sigstore instance, or `tuf` where sealgate.yaml names its TUF repository";
                    problems.node(value, format!("this is no trust root: {error}"), mend);
                    self.broken_roots.push(name.text.clone());
                }
                None => self.broken_roots.push(name.text.clone()),
            }
        }
    }

    /// Reads `trust-stores:`.
    pub fn read_stores(&mut self, node: &Node, files: &mut Files, problems: &mut Problems<'_>) {
        for (name, value) in named(node, "acme: { ca: [certs/acme.pem] }", problems) {
            let store = store(value, files, problems);
            self.stores.insert(name.text.clone(), store);
        }
    }
}

/// The store, where all of it could be read.
fn store(node: &Node, files: &mut Files, problems: &mut Problems<'_>) -> Option<StoreFiles> {
    let members = problems.members(node, &fields::TRUST_STORE)?;
    let mut whole = true;
    let mut found = StoreFiles::default();
    let kinds = [("ca", StoreKind::Ca), ("signing-authority", StoreKind::SigningAuthority), ("tsa", StoreKind::Tsa)];
    for (key, kind) in kinds {
        for item in members.get(key).map(|node| listed(node, problems)).unwrap_or_default() {
            let bytes = file(item, limits::CERTIFICATE_FILE_BYTES, files, problems);
            let checked = bytes.map(|bytes| TrustStore::new().add(kind, &bytes).map(|()| bytes));
            match checked {
                Some(Ok(bytes)) => found.certificates.push((kind, bytes)),
                Some(Err(error)) => {
                    problems.node(item, format!("this is no root: {error}"), "name a file with self-signed root certificates");
                    whole = false;
                }
                None => whole = false,
            }
        }
    }
    for item in members.get("crls").map(|node| listed(node, problems)).unwrap_or_default() {
        let bytes = file(item, sealgate_verifier::limits::REVOCATION_LIST_BYTES, files, problems);
        match bytes.map(|bytes| TrustStore::new().add_revocation_lists(&bytes).map(|()| bytes)) {
            Some(Ok(bytes)) => found.revocation_lists.push(bytes),
            Some(Err(error)) => {
                problems.node(item, format!("this is no revocation list: {error}"), "name a file with X.509 CRLs, PEM or DER");
                whole = false;
            }
            None => whole = false,
        }
    }
    if whole && found.certificates.is_empty() {
        problems.node(node, "a trust store without a certificate trusts nobody", "add `ca: [certs/root.pem]`");
        whole = false;
    }
    whole.then_some(found)
}

fn listed<'n>(node: &'n Node, problems: &mut Problems<'_>) -> &'n [Node] {
    let items = problems.list(node).unwrap_or_default();
    if items.len() > limits::TRUST_STORE_FILES {
        problems.node(node, format!("more than {} files in one list", limits::TRUST_STORE_FILES), "put several certificates into one file");
        return &[];
    }
    items
}

/// A file's bytes; a path is relative to the policy.
fn file(node: &Node, limit: usize, files: &mut Files, problems: &mut Problems<'_>) -> Option<Vec<u8>> {
    let name = problems.text(node)?;
    let path = problems.document().relative(name);
    let shown = path.display().to_string();
    match files.bytes(path, name, limit) {
        Ok(bytes) => Some(bytes),
        Err(problem) => {
            problems.node(node, format!("{shown} {problem}"), "paths are relative to this file");
            None
        }
    }
}
