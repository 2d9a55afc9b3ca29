//! `trust-root:` of `sealgate.yaml`, and `trust-roots:` of the policy where they come by TUF.

use std::fs;
use std::path::Path;
use std::time::Duration;

use sealgate_config::{ConfigErrors, ServerConfig, TrustRoots, load_policy, unmatched_rules};
use sealgate_verifier::tuf;

fn write(folder: &Path, text: &str) -> Result<ServerConfig, ConfigErrors> {
    let file = folder.join("sealgate.yaml");
    fs::write(&file, text).expect("file");
    // Any root that is signed by itself.
    fs::write(folder.join("root.json"), tuf::GITHUB).expect("file");
    fs::write(folder.join("unsigned.json"), String::from_utf8_lossy(tuf::GITHUB).replace("2027", "2037")).expect("file");
    fs::write(folder.join("ca.pem"), "x").expect("file");
    ServerConfig::load(Some(&file), &|_| None)
}

fn load(text: &str) -> Result<TrustRoots, String> {
    let folder = tempfile::tempdir().expect("folder");
    write(folder.path(), text).map(|config| config.trust_roots).map_err(|errors| errors.to_string())
}

#[test]
fn the_built_in_roots_are_refreshed_daily_and_may_be_of_any_age_by_default() {
    for text in ["data: ./data\n", "trust-root: {}\n"] {
        let found = load(text).expect(text);
        assert_eq!((found.refresh, found.max_age), (Some(Duration::from_secs(86_400)), None));
        let urls: Vec<_> = found.repositories.iter().map(|(name, repository)| (name.as_str(), repository.url.as_str())).collect();
        assert_eq!(urls, [("github", "https://tuf-repo.github.com"), ("public", "https://tuf-repo-cdn.sigstore.dev")]);
        assert!(found.repositories["public"].root == tuf::PUBLIC && found.repositories["github"].root == tuf::GITHUB);
    }
}

#[test]
fn every_key_is_read() {
    let found = load(
        "trust-root:\n  refresh: 6h\n  max-age: 30d\n  repositories:\n    public: { url: 'https://mirror.example/sigstore/' }\n    lab: { url: 'http://127.0.0.1:7', root: root.json, target: a/trusted_root.json, ca: ca.pem, allow-addresses: [10.0.0.0/8] }\n",
    )
    .expect("a configuration");
    assert_eq!((found.refresh, found.max_age), (Some(Duration::from_secs(6 * 3600)), Some(Duration::from_secs(30 * 86_400))));
    let (public, lab) = (&found.repositories["public"], &found.repositories["lab"]);
    assert_eq!((public.url.as_str(), public.root.as_slice()), ("https://mirror.example/sigstore", tuf::PUBLIC));
    assert_eq!((lab.url.as_str(), lab.target.as_str(), lab.root.as_slice()), ("http://127.0.0.1:7", "a/trusted_root.json", tuf::GITHUB));
    assert!(lab.ca.as_ref().is_some_and(|ca| ca.ends_with("ca.pem")) && lab.allow_addresses.len() == 1);
    assert_eq!(load("trust-root: { refresh: never, max-age: 1h }\n").expect("never").refresh, None);
}

#[test]
fn what_is_wrong_is_said_with_its_mend() {
    let lab = |settings: &str| format!("trust-root: {{ repositories: {{ lab: {{ {settings} }} }} }}\n");
    for (text, problem, mend) in [
        ("trust-root: { refesh: 1h }\n".to_owned(), "refesh", "refresh"),
        ("trust-root: { refresh: often }\n".to_owned(), "found \"often\"", "never"),
        ("trust-root: { refresh: 0s }\n".to_owned(), "found \"0s\"", "24h"),
        ("trust-root: { max-age: 1h }\n".to_owned(), "shorter than `refresh`", "make it longer"),
        ("trust-root: { repositories: [lab] }\n".to_owned(), "expected a mapping", "root: root.json"),
        ("trust-root: { repositories: { a/b: { url: 'https://a.example', root: root.json } } }\n".to_owned(), "no name", "trust-roots"),
        ("trust-root: { repositories: { public: { url: 'https://a.example', root: root.json } } }\n".to_owned(), "built in", "remove it"),
        (lab("root: root.json"), "url", ""),
        (lab("url: 'https://a.example'"), "`root` is missing", "root.json"),
        (lab("url: 'https://a.example', rot: root.json"), "rot", "root"),
        (lab("url: 'https://a.example', root: absent.json"), "does not exist", "relative"),
        (lab("url: 'https://a.example', root: ca.pem"), "is no TUF root", "root.json"),
        (lab("url: 'https://a.example', root: unsigned.json"), "signed by 0 of the keys that count", "root.json"),
        (lab("url: 'ftp://a.example', root: root.json"), "found \"ftp", "https://"),
        (lab("url: 'https://a.example/x?y', root: root.json"), "found \"https", "without query"),
        (lab("url: 'https://a.example/../x', root: root.json"), "found \"https", "without query"),
        (lab("url: 'http://169.254.169.254', root: root.json"), "found \"http", "https://"),
        (lab("url: 'https://a.example', root: root.json, target: ../x"), "found \"../x\"", "trusted_root.json"),
    ] {
        let said = load(&text).expect_err(&text);
        assert!(said.contains(problem) && said.contains(mend), "{text}: {said}");
    }
}

#[test]
fn a_policy_may_leave_a_root_to_the_server_which_must_know_its_repository() {
    let folder = tempfile::tempdir().expect("folder");
    let policy = folder.path().join("trust-policy.yaml");
    let signer = |root: &str| format!("{{ issuer: 'https://a.example', identity: me, trust-root: {root} }}");
    let text = format!(
        "version: 1\ntrust-roots: {{ lab: tuf }}\nsigners: {{ one: {}, two: {}, three: {} }}\nrules: []\n",
        signer("lab"),
        signer("github"),
        signer("public")
    );
    fs::write(&policy, text).expect("file");
    let loaded = load_policy(&policy).map_err(|errors| errors.to_string()).expect("a policy").policy;
    assert_eq!(loaded.roots_to_keep_current(), ["github", "lab", "public"]);
    let without = write(folder.path(), "registries: { ghcr.io: {} }\n").map_err(|errors| errors.to_string()).expect("a configuration");
    let warnings = unmatched_rules(&loaded, &without);
    assert!(warnings.iter().any(|warning| warning.contains("trust root lab comes by TUF")), "{warnings:?}");
    let with = "trust-root: { repositories: { lab: { url: 'https://a.example', root: root.json } } }\n";
    let with = write(folder.path(), with).map_err(|errors| errors.to_string()).expect("a configuration");
    assert_eq!(unmatched_rules(&loaded, &with), Vec::<String>::new());
    // A name that nobody knows is an error still.
    fs::write(&policy, format!("version: 1\nsigners: {{ one: {} }}\nrules: []\n", signer("lob"))).expect("file");
    let said = load_policy(&policy).expect_err("an unknown root").to_string();
    assert!(said.contains("\"lob\"") && said.contains("`trust-roots`"), "{said}");
}
