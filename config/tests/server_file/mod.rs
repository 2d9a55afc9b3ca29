//! A server's configuration out of a text.

use std::fs;

use sealgate_config::{ConfigErrors, RegistryKind, ServerConfig, Upstream};

/// Loads `text` as a file, with these environment variables.
pub fn load_with(text: &str, environment: &[(&str, &str)]) -> Result<ServerConfig, ConfigErrors> {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("sealgate.yaml");
    fs::write(&file, text).expect("file");
    for name in ["gate.crt", "gate.key", "ca.pem", "hub"] {
        fs::write(folder.path().join(name), "s3cr3t\n").expect("file");
    }
    let variables = |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    ServerConfig::load(Some(&file), &variables)
}

/// Loads `text` as a file.
pub fn load(text: &str) -> Result<ServerConfig, ConfigErrors> {
    load_with(text, &[])
}

/// The upstream `name` of a configuration.
pub fn upstream<'c>(config: &'c ServerConfig, name: &str) -> &'c Upstream {
    let RegistryKind::Upstream(upstream) = &config.registries.get(name).expect(name).kind else { panic!("{name} is hosted") };
    upstream
}
