//! The edges between crates that DESIGN §2 draws: the decision depends on nothing that could read a clock, a file or a socket.

use std::path::Path;
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

fn tree(package: &str) -> Vec<String> {
    let arguments = ["tree", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{p}", "--package", package];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().expect("cargo tree");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

fn members(package: &str) -> Vec<String> {
    let mut found: Vec<_> = tree(package).into_iter().filter(|name| name.starts_with("sealgate") && name != package).collect();
    found.sort();
    found.dedup();
    found
}

#[test]
fn the_decision_is_built_without_network_async_or_other_members() {
    let names = tree("sealgate-verifier");
    assert!(names.len() > 5, "{names:?}");
    for banned in ["tokio", "hyper", "hyper-util", "reqwest", "mio", "socket2", "rustls", "tracing", "rustix", "async-trait"] {
        assert!(!names.iter().any(|name| name == banned), "{banned}");
    }
    assert_eq!(members("sealgate-verifier"), [""; 0]);
}

#[test]
fn the_scanner_is_built_without_network_or_async() {
    let names = tree("sealgate-scanner");
    assert!(names.len() > 5, "{names:?}");
    for banned in ["tokio", "hyper", "hyper-util", "reqwest", "mio", "socket2", "rustls", "tracing", "rustix", "async-trait"] {
        assert!(!names.iter().any(|name| name == banned), "{banned}");
    }
}

#[test]
fn members_depend_on_each_other_only_as_drawn() {
    assert_eq!(members("sealgate-config"), ["sealgate-verifier"]);
    assert_eq!(members("sealgate-registry"), ["sealgate-verifier"]);
    assert_eq!(members("sealgate-scanner"), ["sealgate-verifier"]);
    assert_eq!(members("sealgate-signer"), ["sealgate-registry", "sealgate-verifier"]);
}

#[test]
fn the_server_knows_no_private_key() {
    let mut folders = vec![root().join("proxy/src")];
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let text = path.to_string_lossy().into_owned();
            // Of the command line, only what `serve` is made of.
            if path.is_dir() {
                folders.push(path);
            } else if !text.contains("/cli/") || text.contains("/cli/serve") {
                read += 1;
                let source = std::fs::read_to_string(&path).expect("source");
                assert!(!source.contains("sealgate_signer"), "{text}");
            }
        }
    }
    assert!(read > 50, "{read}");
}
