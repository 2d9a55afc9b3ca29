//! The store from outside: contracts against every implementation, and the faults of CASES.md.

mod blobs;
mod crash;
mod disk_full;
mod facade;
mod metadata;
mod opening;
mod pruning;
mod rebuild;
mod sample;
mod start;
