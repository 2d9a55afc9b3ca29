use super::*;
use crate::tar::build::{Builder, gzip, zstd};

const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const PLAIN: &str = "application/vnd.oci.image.layer.v1.tar";
const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
const STATUS: &str = "var/lib/dpkg/status";

fn descriptor(media_type: &str, bytes: &[u8]) -> Descriptor {
    Descriptor {
        media_type: media_type.to_owned(),
        digest: Digest::sha256(bytes),
        size: bytes.len() as u64,
        artifact_type: None,
        platform: None,
        annotations: Default::default(),
        urls: vec![],
    }
}

fn walk(layers: &[Vec<u8>]) -> Report {
    let mut walk = Walk::new();
    for layer in layers {
        walk.layer(&descriptor(PLAIN, layer), layer.as_slice());
    }
    walk.finish()
}

fn status(packages: &[&str]) -> Vec<u8> {
    packages
        .iter()
        .map(|name| format!("Package: {name}\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n\n"))
        .collect::<String>()
        .into()
}

fn dpkg(packages: &[&str]) -> Builder {
    Builder::default().file(STATUS, &status(packages))
}

fn names(report: &Report) -> Vec<(&str, usize)> {
    report.packages.iter().map(|package| (package.name.as_str(), package.location.layer)).collect()
}

#[test]
fn packages_are_those_of_the_last_layer_and_keep_the_layer_that_brought_them() {
    let report = walk(&[
        dpkg(&["a", "b"]).file("etc/os-release", b"ID=debian\nVERSION_ID=\"12\"\n").finish(),
        dpkg(&["a", "b", "c"]).finish(),
        dpkg(&["a", "c", "d"]).finish(),
    ]);
    assert_eq!(names(&report), [("a", 0), ("c", 1), ("d", 2)]);
    assert_eq!(report.packages[0].purl(), "pkg:deb/debian/a@1?arch=all&distro=debian-12");
    assert!(report.is_complete(), "{:?}", report.gaps);
    assert_eq!((report.sources.len(), report.sources[0].packages, report.layers.len()), (1, 3, 3));
}

#[test]
fn what_a_later_layer_deletes_is_no_package() {
    for whiteout in
        ["var/lib/dpkg/.wh.status", "var/lib/.wh.dpkg", "var/lib/dpkg/.wh..wh..opq", "var/.wh..wh..opq", ".wh.var", ".wh..wh..opq"]
    {
        let report = walk(&[dpkg(&["a"]).finish(), Builder::default().file(whiteout, b"").finish()]);
        assert_eq!((report.packages.len(), report.sources.len(), report.gaps.len()), (0, 0, 0), "{whiteout}");
    }
    let replaced = walk(&[dpkg(&["a"]).finish(), Builder::default().file("var", b"a file").finish()]);
    assert_eq!((replaced.packages.len(), replaced.gaps.len()), (0, 0));
}

#[test]
fn a_whiteout_spares_what_its_own_layer_brings() {
    let before = Builder::default().file("var/lib/dpkg/.wh..wh..opq", b"").file("var/lib/dpkg/.wh.status", b"");
    let orders = [before.clone().file(STATUS, &status(&["new"])).finish(), dpkg(&["new"]).raw(&before.0).finish()];
    for layer in orders {
        assert_eq!(names(&walk(&[dpkg(&["old"]).finish(), layer])), [("new", 1)]);
    }
}

#[test]
fn whiteouts_that_name_nothing_are_gaps() {
    for path in ["a/.wh.", "a/.wh..", "a/.wh...", ".wh.a/b"] {
        let report = walk(&[Builder::default().file(path, b"").finish()]);
        assert!(matches!(report.gaps[0].problem, Problem::Whiteout { .. }), "{path}: {:?}", report.gaps);
    }
    assert!(walk(&[Builder::default().file(".wh..wh.plnk/1", b"").finish()]).is_complete());
}

#[test]
fn links_lead_to_what_is_in_the_image_and_nowhere_else() {
    // A12: paths, hard links and symbolic links that point outside.
    for layer in [
        Builder::default().file("../../etc/shadow", b"x"),
        Builder::default().hard_link("x", "../../etc/shadow"),
        Builder::default().symlink("a", "a/b").file("a/x", b""),
    ] {
        let report = walk(&[layer.finish()]);
        assert!(matches!(report.gaps[0].problem, Problem::Escape { .. } | Problem::LinkLoop { .. }), "{:?}", report.gaps);
    }
    let clamped = walk(&[Builder::default().symlink("up", "../../../../var/lib/dpkg").file("up/status", &status(&["a"])).finish()]);
    assert_eq!((names(&clamped), clamped.sources[0].path.as_str()), (vec![("a", 0)], STATUS));
}

#[test]
fn a_database_behind_links_is_read() {
    let usr_merged = Builder::default()
        .symlink("lib", "usr/lib")
        .file("usr/lib/os-release", b"ID=alpine\nVERSION_ID=3.20.1\n")
        .symlink("etc/os-release", "../usr/lib/os-release")
        .file("lib/apk/db/installed", b"P:musl\nV:1.2\nA:x86_64\n\n");
    let report = walk(&[usr_merged.finish()]);
    assert_eq!(report.packages[0].purl(), "pkg:apk/alpine/musl@1.2?arch=x86_64&distro=alpine-3.20.1");
    assert_eq!(report.packages[0].location.path, "usr/lib/apk/db/installed");
    let hard = walk(&[Builder::default().file("x/dpkg/status", &status(&["a"])).hard_link(STATUS, "x/dpkg/status").finish()]);
    assert!(hard.is_complete() && hard.sources.len() == 2, "{hard:?}");
}

#[test]
fn a_layer_that_writes_through_a_lower_layers_link_hides_nothing() {
    // overlayfs makes a folder of the link; other stores follow it. Both lists are kept.
    let lower = Builder::default().symlink("lib", "usr/lib").file("usr/lib/apk/db/installed", b"P:old\nV:1\n\n").finish();
    let upper = Builder::default().file("lib/apk/db/installed", b"P:new\nV:1\n\n").finish();
    assert_eq!(names(&walk(&[lower, upper])), [("new", 1), ("old", 0)]);
}

#[test]
fn a_database_whose_content_was_not_read_is_a_gap() {
    let hard = Builder::default().file("tmp/x", &status(&["a"])).hard_link(STATUS, "tmp/x");
    let symbolic = Builder::default().file("tmp/x", &status(&["a"])).symlink(STATUS, "/tmp/x");
    let folder = Builder::default().file("tmp/x", &status(&["a"])).symlink("var/lib/dpkg", "../../tmp");
    for layer in [hard, symbolic, folder] {
        let report = walk(&[layer.finish()]);
        assert!(matches!(report.gaps[0].problem, Problem::Link { .. }), "{:?}", report.gaps);
    }
    let sparse =
        Builder::default().pax(b'x', &[("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.name", STATUS.as_bytes())]);
    let report = walk(&[sparse.file("s", b"x").finish()]);
    assert!(matches!(report.gaps[0].problem, Problem::Unsupported { .. }), "{:?}", report.gaps);
    let malformed = walk(&[Builder::default().file(STATUS, b"Version: 1\n").finish()]);
    assert!(matches!(malformed.gaps[0].problem, Problem::Malformed { .. }));
    let repaired = walk(&[Builder::default().file(STATUS, b"Version: 1\n").finish(), dpkg(&["a"]).finish()]);
    assert!(repaired.is_complete() && repaired.packages.len() == 1);
}

#[test]
fn a_database_that_stands_twice_in_a_layer_is_a_gap() {
    for second in [dpkg(&["b"]), Builder::default().symlink(STATUS, "x"), Builder::default().entry(b'3', STATUS, "", 0, b"")] {
        let report = walk(&[dpkg(&["a"]).raw(&second.0).finish()]);
        assert!(report.gaps.iter().any(|gap| matches!(gap.problem, Problem::Duplicate { .. })), "{:?}", report.gaps);
    }
}

#[test]
fn bytes_that_are_not_the_descriptors_are_a_gap() {
    let layer = dpkg(&["a"]).finish();
    let mut flipped = layer.clone();
    flipped[600] ^= 1;
    let longer = [layer.as_slice(), &[0; 512]].concat();
    for (given, expected) in [(&flipped, "Digest"), (&longer, "Size"), (&layer[..layer.len() - 512].to_vec(), "Size")] {
        let mut walk = Walk::new();
        walk.layer(&descriptor(PLAIN, &layer), given.as_slice());
        let report = walk.finish();
        assert!(format!("{:?}", report.gaps[0].problem).starts_with(expected), "{:?}", report.gaps);
    }
}

#[test]
fn layers_are_read_in_every_compression_and_refused_under_a_wrong_label() {
    let tar = dpkg(&["a"]).finish();
    for (media_type, bytes) in [(PLAIN, tar.clone()), (GZIP, gzip(&tar)), (ZSTD, zstd(&tar))] {
        let mut walk = Walk::new();
        walk.layer(&descriptor(media_type, &bytes), bytes.as_slice());
        let report = walk.finish();
        assert_eq!((report.packages.len(), report.gaps.len()), (1, 0), "{media_type}");
        assert_eq!((report.layers[0].plain_bytes, report.layers[0].entries, report.layers[0].files), (tar.len() as u64, 1, 1));
        for wrong in [PLAIN, GZIP, ZSTD, "application/octet-stream"].into_iter().filter(|wrong| *wrong != media_type) {
            let mut walk = Walk::new();
            walk.layer(&descriptor(wrong, &bytes), bytes.as_slice());
            let report = walk.finish();
            assert!(matches!(report.gaps[0].problem, Problem::Compression { .. } | Problem::MediaType { .. }), "{wrong}");
            assert_eq!(report.packages.len(), 0);
        }
    }
}

#[test]
fn gaps_beyond_the_limit_are_counted() {
    let many = (0..=GAPS).fold(Builder::default(), |builder, _| builder.file("../x", b""));
    let report = walk(&[many.finish()]);
    assert_eq!((report.gaps.len(), report.gaps_omitted, report.is_complete()), (GAPS, 1, false));
}

#[test]
fn a_report_is_the_same_after_it_was_stored() {
    let report = walk(&[dpkg(&["a"]).file("../x", b"").file("etc/os-release", b"ID=debian\n").finish()]);
    let stored = serde_json::to_vec(&report).expect("JSON");
    assert_eq!(serde_json::from_slice::<Report>(&stored).expect("a report"), report);
}

#[test]
fn setuid_files_and_capabilities_are_told_with_every_name_they_have() {
    let capability: &[u8] = b"\x01\x00\x00\x02\x00\x20\x00\x00";
    let layer = Builder::default()
        .mode("bin/su", 0o4755, b"x")
        .hard_link("tmp/.hidden", "bin/su")
        .mode("usr/bin/wall", 0o2755, b"x")
        .pax(b'x', &[("SCHILY.xattr.security.capability", capability)])
        .file("bin/ping", b"x")
        .mode("gone", 0o4755, b"x");
    let report = walk(&[layer.finish(), Builder::default().file(".wh.gone", b"").mode("bin/su", 0o755, b"x").finish()]);
    let told: Vec<_> = report.privileged.iter().map(|f| (f.path.as_str(), f.mode, f.capability.as_deref())).collect();
    let expected = [("bin/ping", 0o644, Some("0100000200200000")), ("tmp/.hidden", 0o4755, None), ("usr/bin/wall", 0o2755, None)];
    assert_eq!(told, expected);
}

#[test]
fn language_packages_are_read_where_they_are_installed() {
    let go = crate::packages::golang::tests::build_info("go1.22.1", "");
    let mut program = crate::packages::elf::tests::program(".x", b"");
    program.resize(program.len().next_multiple_of(16), 0);
    let layer = Builder::default()
        .file("app/node_modules/a/package.json", br#"{"name":"a","version":"1.0.0"}"#)
        .file("app/package-lock.json", br#"{"packages":{"node_modules/only-for-the-build":{"version":"1.0.0"}}}"#)
        .file("lock-only/package-lock.json", br#"{"packages":{"node_modules/locked":{"version":"1.0.0"}}}"#)
        .file("usr/lib/python3/dist-packages/six-1.16.0.egg-info", b"Name: six\nVersion: 1.16.0\n")
        .file("var/lib/dpkg/info/python3-six.list", b"/usr/lib/python3/dist-packages/six-1.16.0.egg-info\n/bin/tool\n")
        .symlink("bin", "usr/bin")
        .file("usr/bin/tool", &[program, go].concat())
        .file("usr/bin/other", b"\x7fELF, and nothing that is known")
        .file("app/yarn.lock", b"x");
    let report = walk(&[layer.finish()]);
    let told: Vec<_> = report.packages.iter().map(|p| (p.purl(), p.owner.as_deref())).collect();
    let expected = [
        ("pkg:npm/a@1.0.0", None),
        ("pkg:npm/locked@1.0.0", None),
        ("pkg:pypi/six@1.16.0", Some("python3-six")),
        ("pkg:golang/stdlib@1.22.1", Some("python3-six")),
    ];
    assert_eq!(told, expected.map(|(purl, owner)| (purl.to_owned(), owner)));
    assert!(report.is_complete() && report.unsupported.len() == 1 && report.sources.len() == 4, "{report:?}");
}

#[test]
fn a_database_that_is_not_read_is_a_gap_and_named() {
    let report = walk(&[Builder::default().file("var/lib/rpm/Packages", b"x").finish()]);
    assert!(matches!(report.gaps[0].problem, Problem::Unsupported { .. }) && report.unsupported.len() == 1, "{report:?}");
}

#[test]
fn credentials_are_found_in_every_layer_and_in_none_of_the_words() {
    // D8: no output holds the secret.
    let key = format!(
        "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\n",
        "MIIEpAIBAAKCAQEAq7x9Zk3vB1fT0cYw2LrU5sGdHnJ8eXoP4iQmWbVt6yAzKjRh".repeat(3)
    );
    let configuration = br#"{"architecture":"amd64","os":"linux","config":{"User":"app","Env":["DB=postgres://a:Tr0ub4dor33@db/x"]}}"#;
    let lower = Builder::default()
        .file("root/.ssh/id_rsa", key.as_bytes())
        .file("root/kept.pem", key.as_bytes())
        .file("root/replaced.pem", key.as_bytes())
        .file("etc/passwd", b"root:x:0:0::/:/bin/sh\napp:x:0:0::/:/bin/sh\n")
        .symlink("bin/sh", "dash")
        .file("usr/bin/apt-get", b"x");
    let upper = Builder::default().file("root/.ssh/.wh.id_rsa", b"").file("root/replaced.pem", b"nothing").finish();
    let lower = lower.finish();
    let mut walk = Walk::new();
    walk.configuration(
        configuration,
        &[("org.opencontainers.image.base.name".to_owned(), "docker.io/library/debian:12".to_owned())].into(),
    );
    walk.layer(&descriptor(PLAIN, &lower), lower.as_slice());
    walk.layer(&descriptor(PLAIN, &upper), upper.as_slice());
    let report = walk.finish();
    let file = |path: &str, deleted| Place::File { layer: 0, path: path.to_owned(), line: 1, deleted };
    let places: Vec<_> = report.secrets.iter().map(|secret| secret.place.clone()).collect();
    let environment = Place::Environment { name: "DB".to_owned() };
    assert_eq!(places, [file("root/.ssh/id_rsa", true), file("root/kept.pem", false), file("root/replaced.pem", true), environment]);
    let contents = report.contents();
    assert_eq!((contents.user.uid, contents.shells.len(), contents.package_managers.len(), contents.secrets.len()), (Some(0), 1, 1, 4));
    assert_eq!(contents.base.as_deref(), Some("docker.io/library/debian:12"));
    for told in [serde_json::to_string(&report).expect("JSON"), format!("{report:?}"), String::from_utf8(contents.to_json()).expect("text")]
    {
        assert!(!told.contains("Tr0ub4dor33") && !told.contains("MIIEpAIBAAK"), "{told}");
    }
}

#[test]
fn keys_that_a_distribution_publishes_are_told_apart() {
    let key = format!("-----BEGIN EC PRIVATE KEY-----\n{}\n", "MHcCAQEEIKz8tM3nXo0bVf5hYwQdRg7jP1sLuE9aTcZi2yNvKmHxoAoGCCqGSM49");
    let list = b"/lib/libtls.so\n/etc/tls.key\n";
    let layer = Builder::default().file("usr/lib/libtls.so", key.as_bytes()).file("etc/tls.key", key.as_bytes());
    let report = walk(&[layer.file("usr/lib/own.so", key.as_bytes()).file("var/lib/dpkg/info/libtls.list", list).finish()]);
    let paths = |secrets: &[Secret]| secrets.iter().map(|secret| format!("{:?}", secret.place)).collect::<String>();
    assert!(report.published.len() == 1 && paths(&report.published).contains("libtls.so"), "{report:?}");
    assert!(report.secrets.len() == 2 && !paths(&report.secrets).contains("libtls.so"), "{report:?}");
}
