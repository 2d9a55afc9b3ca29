//! # What is inside an image
//!
//! This crate reads hostile bytes: layers, package databases, binaries. It is a crate of its own so that neither the server
//! nor the decision is built with what parses them. It never writes to disk, and knows no network and no clock.
//!
//! Read in this order: [`package`], [`release`].

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod package;
pub mod release;
pub mod version;

pub use package::{Location, Package, PackageType, SourcePackage};
pub use release::Release;
