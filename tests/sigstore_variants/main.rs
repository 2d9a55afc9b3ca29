//! What other verifiers of Sigstore bundles are tested with, made by an instance of the tests' own, with cosign as the second judge:
//! Rekor v2, kinds of log entries, timestamps, trust roots, managed keys.

mod entries;
mod rekor2;
mod roots;
mod scene;
mod timestamps;
