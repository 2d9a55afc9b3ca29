//! The decision over every kind of signer: by keys, keys with a log entry, short-lived certificates, Notation, and attestations.

#[path = "../../verifier/tests/conformance/essence.rs"]
mod essence;
#[path = "../../verifier/tests/conformance/mutant.rs"]
mod mutant;
mod mutation;
mod properties;
mod proven;
mod real;
mod verdicts;
