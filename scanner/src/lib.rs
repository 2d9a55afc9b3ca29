//! # What is inside an image
//!
//! This crate reads hostile bytes: layers, package databases, binaries. It is a crate of its own so that neither the server
//! nor the decision is built with what parses them. It never writes to disk, and knows no network and no clock.
//!
//! [`Walk`] takes the layers, the lowest first, and yields a [`Report`].
//!
//! Read in this order: [`package`], [`release`], [`walk`], [`report`], [`limits`].

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod advisories;
mod capability;
mod compression;
pub mod configuration;
pub mod external;
mod facts;
pub mod limits;
pub mod package;
mod packages;
mod path;
pub mod problem;
pub mod release;
pub mod report;
pub mod sarif;
pub mod sbom;
pub mod secrets;
mod tar;
pub mod tarball;
pub mod tool;
mod tree;
pub mod version;
pub mod walk;
mod zstd;

pub use package::{Location, Package, PackageType, SourcePackage};
pub use problem::Problem;
pub use release::Release;
pub use report::{Gap, LayerReport, PrivilegedFile, Report, SourceReport, ToolReport, UnsupportedFile};
pub use secrets::{Place, Secret};
pub use walk::Walk;
