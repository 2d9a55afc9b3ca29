//! Notation signatures: what `notation` 1.3 signs, and what attackers make of it, judged by our verifier and by
//! `notation verify` side by side. Where the two may differ, the test says why.

mod attacks;
mod forge;
mod interop;
mod mutation;
mod revocation;
mod scene;
mod timestamps;
mod token;
