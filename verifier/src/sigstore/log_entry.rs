//! Entries of a transparency log: Rekor v1 (promise, proof, checkpoint) and Rekor v2 (proof and checkpoint only).

use super::VerifyError;
use super::artifact::Signed;
use super::body::{Body, Signer};
use super::checkpoint::Checkpoint;
use super::merkle::{self, Hash};
use super::trust_root::{TransparencyLog, TrustRoot};
use crate::digest::push_hex;
use crate::time::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// An entry as it came. Nothing in it is believed.
#[derive(Debug)]
pub(super) struct LogEntry {
    /// The id of the log's key.
    pub(super) log_id: Vec<u8>,
    /// The place in the log, over all its trees.
    pub(super) index: i64,
    /// Kind and version, where they are given beside the body.
    pub(super) kind: Option<(String, String)>,
    /// When the log took it in; only a promise authenticates it.
    pub(super) integrated: Option<Timestamp>,
    /// The inclusion promise, or signed entry timestamp (SET).
    pub(super) promise: Option<Vec<u8>>,
    pub(super) proof: Option<InclusionProof>,
    /// The leaf of the tree.
    pub(super) body: Vec<u8>,
}

/// The way from the leaf to a root.
#[derive(Debug)]
pub(super) struct InclusionProof {
    pub(super) index: u64,
    pub(super) size: u64,
    pub(super) root: Vec<u8>,
    pub(super) hashes: Vec<Hash>,
    pub(super) checkpoint: Option<String>,
}

impl LogEntry {
    fn log<'r>(&self, root: &'r TrustRoot) -> Result<&'r TransparencyLog, VerifyError> {
        root.logs.iter().find(|log| log.key.id == self.log_id).ok_or(VerifyError::UnknownLog)
    }

    /// When the log took it in, as its promise says; `None` without a promise. A promise that is wrong is an error, never nothing.
    pub(super) fn promised_time(&self, root: &TrustRoot) -> Result<Option<Timestamp>, VerifyError> {
        let Some(promise) = &self.promise else {
            return Ok(None);
        };
        let at = self.integrated.ok_or(VerifyError::Promise)?;
        let log = self.log(root)?;
        if !log.key.window.contains(at) {
            return Err(VerifyError::LogWindow { at });
        }
        // Rekor's signed entry timestamp: RFC 8785 canonical JSON of these four.
        let mut id = String::new();
        push_hex(&mut id, &self.log_id);
        let (body, index) = (STANDARD.encode(&self.body), self.index);
        let signed = format!(r#"{{"body":"{body}","integratedTime":{},"logID":"{id}","logIndex":{index}}}"#, at.0);
        if log.key.key.verify(signed.as_bytes(), promise) { Ok(Some(at)) } else { Err(VerifyError::Promise) }
    }

    /// Checks that the log holds the entry and that the entry describes `signed` by `signer`. `times`: all verified times of
    /// signing.
    pub(super) fn verify(
        &self,
        root: &TrustRoot,
        times: &[Timestamp],
        signed: &Signed<'_>,
        signer: &Signer<'_>,
    ) -> Result<(), VerifyError> {
        let log = self.log(root)?;
        let body = Body::parse(&self.body)?;
        if self.kind.as_ref().is_some_and(|(kind, version)| !body.is(kind, version)) {
            return Err(VerifyError::Body { problem: "its kind is not that of its body" });
        }
        if let Some(at) = times.iter().find(|at| !log.key.window.contains(**at)) {
            return Err(VerifyError::LogWindow { at: *at });
        }
        match (&self.proof, &self.promise) {
            (Some(proof), _) => self.verify_inclusion(log, proof, body.is_tiled())?,
            (None, Some(_)) if !body.is_tiled() => {}
            (None, _) => return Err(VerifyError::Inclusion { problem: "none" }),
        }
        body.describes(signed, signer)
    }

    fn verify_inclusion(&self, log: &TransparencyLog, proof: &InclusionProof, tiled: bool) -> Result<(), VerifyError> {
        let Some(note) = &proof.checkpoint else {
            // Bundles of v0.1 may carry a proof without a checkpoint: it proves nothing, and the promise, which they must carry, stands.
            return if self.promise.is_some() && !tiled { Ok(()) } else { Err(VerifyError::Checkpoint { problem: "none" }) };
        };
        let checkpoint = Checkpoint::parse(note)?;
        checkpoint.verify(log, tiled)?;
        // Rekor v2: the proof's own index, size and root are copies that nothing vouches for (rekor-v2-spec, "Verification").
        let index = if tiled {
            u64::try_from(self.index).map_err(|_| VerifyError::Inclusion { problem: "a negative index" })?
        } else {
            if proof.root != checkpoint.root || proof.size != checkpoint.size {
                return Err(VerifyError::Checkpoint { problem: "it is not that of the proof" });
            }
            proof.index
        };
        if merkle::included(&self.body, index, checkpoint.size, &proof.hashes, &checkpoint.root) {
            Ok(())
        } else {
            Err(VerifyError::Inclusion { problem: "it does not lead to the checkpoint's root" })
        }
    }
}
