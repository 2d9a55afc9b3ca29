//! Credential files as docker and podman write them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sealgate_registry::docker_config::{CredentialError, credentials_from};

fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("a file");
    path
}

fn found(registry: &str, repository: &str, files: &[&PathBuf]) -> Option<(String, String)> {
    let source = credentials_from(registry, files.iter().map(|path| (*path).clone())).expect("readable files");
    source(repository).map(|credentials| (credentials.username, credentials.password))
}

fn pair(user: &str, password: &str) -> Option<(String, String)> {
    Some((user.to_owned(), password.to_owned()))
}

#[test]
fn entries_are_found_as_docker_and_podman_write_them() {
    let folder = tempfile::tempdir().expect("a folder");
    // dTpw is u:p, dTpwOnE= is u:p:q.
    let docker = file(
        folder.path(),
        "config.json",
        r#"{"auths":{"https://index.docker.io/v1/":{"auth":"dTpw"},"ghcr.io":{"auth":"dTpwOnE"},"https://old.example/v1/":{"username":"a","password":"b"},
            "empty.example":{},"id.example":{"auth":"dTpw","identitytoken":"refresh"}},"HttpHeaders":{"x":"y"}}"#,
    );
    let podman = file(
        folder.path(),
        "auth.json",
        r#"{"auths":{"quay.io":{"auth":"dTpw"},"quay.io/team":{"auth":"dDpw"},"quay.io/team/app":{"auth":"YTpw"},"ghcr.io":{"auth":"eDp5"}}}"#,
    );
    let files = [&docker, &podman];
    for hub in ["docker.io", "index.docker.io", "registry-1.docker.io"] {
        assert_eq!(found(hub, "library/nginx", &files), pair("u", "p"), "{hub}");
    }
    assert_eq!(found("ghcr.io", "a/b", &files), pair("u", "p:q"));
    assert_eq!(found("old.example", "a", &files), pair("a", "b"));
    assert_eq!(found("id.example", "a", &files), pair("<token>", "refresh"));
    assert_eq!(found("quay.io", "other", &files), pair("u", "p"));
    assert_eq!(found("quay.io", "team/x", &files), pair("t", "p"));
    assert_eq!(found("quay.io", "team/app", &files), pair("a", "p"));
    assert_eq!(found("quay.io", "team/app-two", &files), pair("t", "p"));
}

#[test]
fn one_registry_s_credentials_are_never_another_s() {
    // B8
    let folder = tempfile::tempdir().expect("a folder");
    let docker = file(folder.path(), "config.json", r#"{"auths":{"a.example":{"auth":"dTpw"},"a.example:5000":{"auth":"dTpw"}}}"#);
    for registry in ["b.example", "a.example.evil.example", "evil-a.example", "a.example:443", "docker.io", "empty.example"] {
        assert_eq!(found(registry, "x", &[&docker]), None, "{registry}");
    }
    assert_eq!(found("a.example", "x", &[&folder.path().join("missing.json")]), None);
}

#[test]
fn malformed_files_are_errors_without_their_content() {
    // D8
    let folder = tempfile::tempdir().expect("a folder");
    for text in ["{\"auths\":{\"a.example\":{\"auth\":\"SECRET!\"}}}", "SECRET", "{\"auths\":{\"a.example\":{\"auth\":[\"SECRET\"]}}}"] {
        let path = file(folder.path(), "config.json", text);
        let error = credentials_from("a.example", [path]).err().expect("an error");
        assert!(!format!("{error} {error:?}").contains("SECRET"));
    }
}

#[test]
fn a_helper_is_asked_and_its_output_kept_out_of_errors() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = |helper: &Path| {
        let name = format!("../../../../../../../..{}", helper.display());
        file(folder.path(), "path.json", &format!(r#"{{"credHelpers":{{"a.example":"{name}"}}}}"#))
    };
    let script = file(folder.path(), "docker-credential-evil", "#!/bin/sh\ntouch ran\n");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("executable");
    // A path is no helper's name.
    assert!(matches!(credentials_from("a.example", [config(&script)]), Err(CredentialError::Helper { .. })));
    let missing = file(folder.path(), "missing.json", r#"{"credsStore":"sealgate-no-such-helper"}"#);
    let error = credentials_from("a.example", [missing]).err().expect("an error");
    assert!(error.to_string().contains("docker-credential-sealgate-no-such-helper"), "{error}");
}

/// Runs this test again as a process of its own, with the helper in its `PATH`.
#[test]
fn a_helper_answers_for_its_registry() {
    const CONFIG: &str = "SEALGATE_TEST_CONFIG";
    if let Some(config) = std::env::var_os(CONFIG) {
        let config = PathBuf::from(config);
        assert_eq!(found("docker.io", "a/b", &[&config]), pair("<token>", "for https://index.docker.io/v1/"));
        assert_eq!(found("own.example", "a/b", &[&config]), pair("<token>", "for own.example"));
        assert_eq!(found("none.example", "a/b", &[&config]), None);
        let error = credentials_from("broken.example", [config]).err().expect("an error");
        assert!(!format!("{error} {error:?}").contains("SECRET"));
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let script = r#"#!/bin/sh
server=$(cat)
case $server in
none.example) echo "credentials not found in native keychain"; exit 1 ;;
broken.example) echo SECRET; echo SECRET >&2; exit 1 ;;
*) printf '{"ServerURL":"x","Username":"<token>","Secret":"for %s"}' "$server" ;;
esac
"#;
    let helper = file(folder.path(), "docker-credential-sealgate-test", script);
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).expect("executable");
    let config = file(folder.path(), "config.json", r#"{"credsStore":"sealgate-test","credHelpers":{"own.example":"sealgate-test"}}"#);
    let path = std::env::var("PATH").unwrap_or_default();
    let status = std::process::Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "a_helper_answers_for_its_registry"])
        .env("PATH", format!("{}:{path}", folder.path().display()))
        .env(CONFIG, config)
        .status()
        .expect("a run");
    assert!(status.success());
}
