//! A pull as bare requests: what a client would ask, without a client's retries, and every answer kept.

use std::net::SocketAddr;

use serde_json::Value;

use crate::gate::{Gate, LAB};
use crate::sha256;
use crate::wire::{self, Reply};

/// The answers to a pull.
#[derive(Debug)]
pub struct Pulled {
    /// To the manifest's request.
    pub manifest: Reply,
    /// To the requests of config and layers, by digest and in the manifest's order; empty where there was no manifest.
    pub blobs: Vec<(String, Reply)>,
}

/// Pulls `reference` (tag or digest) of `repository` of [`LAB`]: the manifest, then each blob that it lists.
#[must_use]
pub fn pull(gate: SocketAddr, repository: &str, reference: &str) -> Pulled {
    let manifest = wire::get(gate, &Gate::target(repository, &format!("manifests/{reference}")));
    let listed = if manifest.status == 200 { blobs_of(&manifest.json()) } else { vec![] };
    let blobs = listed.into_iter().map(|digest| {
        let reply = wire::get(gate, &format!("/v2/{LAB}/{repository}/blobs/{digest}"));
        (digest, reply)
    });
    Pulled { blobs: blobs.collect(), manifest }
}

/// The digests of the blobs that an image manifest lists.
fn blobs_of(manifest: &Value) -> Vec<String> {
    let layers = manifest["layers"].as_array().into_iter().flatten();
    std::iter::once(&manifest["config"]).chain(layers).filter_map(|blob| blob["digest"].as_str().map(str::to_owned)).collect()
}

impl Pulled {
    /// Whether everything arrived.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.manifest.status == 200 && self.blobs.iter().all(|(_, reply)| reply.status == 200 && reply.complete)
    }

    /// Itself, if everything arrived and is what its digest says.
    #[must_use]
    pub fn expect_whole(self) -> Self {
        assert_eq!(self.manifest.status, 200, "{} {}", self.manifest.reason, self.manifest.text());
        for (digest, reply) in &self.blobs {
            assert_eq!((reply.status, reply.complete), (200, true), "{digest}: {} after {} bytes", reply.reason, reply.body.len());
        }
        self.assert_nothing_wrong();
        self
    }

    /// Every complete answer is what its digest says; what is not complete may be anything.
    pub fn assert_nothing_wrong(&self) {
        if self.manifest.status == 200 && self.manifest.complete {
            let digest = self.manifest.header("docker-content-digest").map(str::to_owned);
            assert_eq!(digest, Some(sha256(&self.manifest.body)), "a manifest under another's digest");
        }
        for (digest, reply) in self.blobs.iter().filter(|(_, reply)| reply.status == 200 && reply.complete) {
            assert_eq!(*digest, sha256(&reply.body), "a complete blob under another's digest");
        }
    }
}
