//! The packages of an image are those that the ecosystems' own tools name: dpkg-query, rpm, npm, pip, cargo and go.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sealgate_tests::gate::sealgate;
use sealgate_tests::image::Image;
use sealgate_tests::layout;
use sealgate_tests::program::Program;
use sealgate_tests::registry::Registry;
use serde_json::{Value, json};

/// What fetches from package registries may take long.
const FETCH: Duration = Duration::from_secs(900);

fn bom(image: &str) -> Value {
    serde_json::from_str(&sealgate(["sbom", "--allow-http", image]).limit(FETCH).run().expect_success().stdout).expect("JSON")
}

/// `purl` of every package of a kind, without qualifiers.
fn purls(bom: &Value, kind: &str) -> BTreeSet<String> {
    let components = bom["components"].as_array().expect("components").iter();
    let purls = components.filter_map(|component| component["purl"].as_str()).filter(|purl| purl.starts_with(&format!("pkg:{kind}/")));
    purls.map(|purl| purl.split('?').next().expect("a purl").to_owned()).collect()
}

/// An image of the files in `folder`, as its one layer.
fn image_of(folder: &Path) -> (tempfile::TempDir, String) {
    let place = tempfile::tempdir().expect("a folder");
    let tar = place.path().join("layer.tar");
    let program = Program::new("tar").args(["--format=pax", "-cf"]).arg(&tar).arg("-C").arg(folder).arg(".");
    let _ = program.limit(FETCH).run().expect_success();
    let layer = std::fs::read(&tar).expect("the layer");
    let path = place.path().join("layout");
    layout::write(&path, "1", &Image::of_archives(&json!({}), vec![layer]));
    let path = path.to_string_lossy().into_owned();
    (place, path)
}

fn encoded(text: &str) -> String {
    text.replace('@', "%40").replace('+', "%2B").replace('(', "%28").replace(')', "%29")
}

/// A Debian root, made once.
fn debian() -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("debian-12.tar");
    if !path.is_file() {
        let made = path.with_extension("new.tar");
        let program = Program::new("mmdebstrap").args(["--variant=minbase", "--include=python3-six,ca-certificates", "bookworm"]);
        let _ = program.arg(&made).limit(FETCH).run().expect_success();
        std::fs::rename(&made, &path).expect("the root");
    }
    path
}

struct Buildah {
    folder: tempfile::TempDir,
}

impl Buildah {
    fn run(&self, arguments: &[&str]) -> String {
        let storage = |name: &str| self.folder.path().join(name).to_string_lossy().into_owned();
        let places = ["--root".to_owned(), storage("root"), "--runroot".to_owned(), storage("run")];
        let program = Program::new("buildah").env("STORAGE_DRIVER", "vfs").env("BUILDAH_ISOLATION", "chroot");
        program.args(places).args(arguments).limit(FETCH).run().expect_success().stdout.trim().to_owned()
    }
}

/// Two layers: a Debian root, and one that removes a package and changes the file list.
#[test]
fn the_packages_of_a_debian_image_are_those_of_dpkg_query() {
    let buildah = Buildah { folder: tempfile::tempdir().expect("a folder") };
    let base = buildah.run(&["from", "scratch"]);
    buildah.run(&["add", "-q", &base, &debian().to_string_lossy(), "/"]);
    let first = buildah.run(&["commit", "-q", &base]);
    let upper = buildah.run(&["from", &first]);
    let root = buildah.run(&["mount", &upper]);
    let _ = Program::new("dpkg").args([&format!("--root={root}"), "--purge", "python3-six"]).run().expect_success();
    let form = "-f=${db:Status-Status} ${Package} ${Version} ${Architecture} ${source:Package} ${source:Version}\n";
    let query = Program::new("dpkg-query").args([&format!("--admindir={root}/var/lib/dpkg"), "-W", form]).run().expect_success().stdout;
    let out = |kind: &str, name: &str| format!("{kind}:{}", buildah.folder.path().join(name).to_string_lossy());
    let second = buildah.run(&["commit", "-q", &upper, &out("oci", "layout:latest")]);
    let second = if second.is_empty() { buildah.run(&["commit", "-q", &upper]) } else { second };
    buildah.run(&["push", "-q", &second, &out("docker-archive", "saved.tar")]);
    buildah.run(&["push", "-q", &second, &out("oci-archive", "oci.tar")]);

    let expected: BTreeSet<String> = query.lines().filter_map(|line| line.strip_prefix("installed ")).map(str::to_owned).collect();
    assert!(expected.len() > 90 && !expected.iter().any(|line| line.contains("python3-six")), "{expected:?}");
    let mut documents = vec![];
    for name in ["layout", "saved.tar", "oci.tar"] {
        let document = bom(&buildah.folder.path().join(name).to_string_lossy());
        assert_eq!(dpkg_lines(&document), expected, "{name}");
        assert_eq!(purls(&document, "pypi").iter().filter(|purl| purl.contains("/six@")).count(), 0, "{name}: what was purged is gone");
        documents.push(document);
    }
    let os = documents[0]["components"][0].clone();
    assert_eq!((os["name"].as_str(), os["version"].as_str()), (Some("debian"), Some("12")));

    let registry = Registry::start();
    let reference = registry.reference("debian:12");
    let copy = Program::new("skopeo").args([
        "copy",
        "-q",
        "--dest-tls-verify=false",
        &out("oci", "layout:latest"),
        &format!("docker://{reference}"),
    ]);
    let _ = copy.limit(FETCH).run().expect_success();
    let pulled = bom(&reference);
    // Compressed anew on its way, the layers have other digests; what is in them is the same.
    assert_eq!(dpkg_lines(&pulled), expected, "from a registry as from disk");
    let again = bom(&reference);
    assert_eq!(pulled.to_string(), again.to_string(), "the same bytes for the same image");
}

fn dpkg_lines(document: &Value) -> BTreeSet<String> {
    document["components"].as_array().expect("components").iter().filter_map(dpkg_line).collect()
}

/// A component as the query above writes a package.
fn dpkg_line(component: &Value) -> Option<String> {
    let purl = component["purl"].as_str().filter(|purl| purl.starts_with("pkg:deb/debian/"))?;
    let arch = purl.split(['?', '&']).find_map(|part| part.strip_prefix("arch="))?;
    let of = |name: &str| component["properties"].as_array()?.iter().find(|p| p["name"] == name)?["value"].as_str();
    let (name, version) = (component["name"].as_str()?, component["version"].as_str()?);
    Some(format!("{name} {version} {arch} {} {}", of("sealgate:source:name")?, of("sealgate:source:version")?))
}

#[test]
fn the_packages_of_a_node_project_are_those_of_npm_ls() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("app")).expect("a folder");
    let app = folder.path().join("app");
    std::fs::write(app.join("package.json"), r#"{"name":"app","version":"1.0.0","private":true}"#).expect("package.json");
    let install = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "express@4.18.2", "@babel/template@7.22.15", "semver@5"];
    let _ = Program::new("npm").args(install).folder(&app).limit(FETCH).run().expect_success();
    let listed = Program::new("npm").args(["ls", "--all", "--parseable", "--long"]).folder(&app).run().expect_success().stdout;
    let of_line = |line: &str| {
        let (name, version) = line.split(':').nth(1)?.rsplit_once('@')?;
        Some(format!("pkg:npm/{}@{version}", encoded(name)))
    };
    let expected: BTreeSet<String> = listed.lines().skip(1).filter_map(of_line).collect();
    assert!(expected.len() > 60, "{expected:?}");
    let (_kept, image) = image_of(folder.path());
    assert_eq!(purls(&bom(&image), "npm"), expected);
    // Without what is installed, the lock file is all there is.
    std::fs::remove_dir_all(app.join("node_modules")).expect("node_modules");
    let (_kept, image) = image_of(folder.path());
    assert_eq!(purls(&bom(&image), "npm"), expected);
}

#[test]
fn the_packages_of_a_python_folder_are_those_of_pip_list() {
    let folder = tempfile::tempdir().expect("a folder");
    let site = folder.path().join("app/site-packages");
    let pip = |arguments: &[&str]| {
        Program::new("python3").args(["-m", "pip"]).args(arguments).arg(&site).limit(FETCH).run().expect_success().stdout
    };
    pip(&["install", "-q", "requests==2.31.0", "Flask_SQLAlchemy==3.1.1", "--target"]);
    let listed: Value = serde_json::from_str(&pip(&["list", "--format", "json", "--path"])).expect("JSON");
    let of_entry = |entry: &Value| {
        let name = entry["name"].as_str()?.to_lowercase().replace(['_', '.'], "-");
        Some(format!("pkg:pypi/{name}@{}", entry["version"].as_str()?))
    };
    let expected: BTreeSet<String> = listed.as_array().expect("a list").iter().filter_map(of_entry).collect();
    assert!(expected.len() > 10, "{expected:?}");
    let (_kept, image) = image_of(folder.path());
    assert_eq!(purls(&bom(&image), "pypi"), expected);
}

#[test]
fn the_packages_of_a_lock_file_are_those_of_cargo() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let metadata = Program::new("cargo").args(["metadata", "--offline", "--locked", "--format-version", "1"]).folder(top).run();
    let metadata: Value = serde_json::from_str(&metadata.expect_success().stdout).expect("JSON");
    let of_package = |package: &Value| Some(format!("pkg:cargo/{}@{}", package["name"].as_str()?, encoded(package["version"].as_str()?)));
    let expected: BTreeSet<String> = metadata["packages"].as_array().expect("packages").iter().filter_map(of_package).collect();
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::copy(top.join("Cargo.lock"), folder.path().join("Cargo.lock")).expect("Cargo.lock");
    let (_kept, image) = image_of(folder.path());
    let found = purls(&bom(&image), "cargo");
    // `cargo metadata` leaves out what no target of this machine needs; the lock file does not.
    assert!(expected.len() > 300 && expected.is_subset(&found), "{:?}", expected.difference(&found).collect::<Vec<_>>());
}

#[test]
fn the_modules_of_go_programs_are_those_of_go_version() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir_all(folder.path().join("usr/bin")).expect("a folder");
    let mut expected = BTreeSet::new();
    // Debian builds without modules, so one that has some is built here.
    let programs = ["crane", "oras", "cosign"].map(|name| (name, sealgate_tests::program::require(name)));
    let built = go_program(folder.path());
    for (name, program) in programs.into_iter().chain([("app", built)]) {
        std::fs::copy(&program, folder.path().join("usr/bin").join(name)).expect("a program");
        let told = Program::new("go").args(["version", "-m"]).arg(&program).run().expect_success().stdout;
        let mut last = String::new();
        for line in told.lines() {
            let fields: Vec<&str> = line.split('\t').collect();
            match fields.as_slice() {
                [first] => {
                    let version = first.split_whitespace().find_map(|word| word.strip_prefix("go1").map(|rest| format!("1{rest}")));
                    expected.insert(format!("pkg:golang/stdlib@{}", encoded(&version.expect("a toolchain"))));
                }
                ["", "mod" | "dep", path, version, ..] => {
                    last = format!("pkg:golang/{path}@{}", encoded(version));
                    expected.insert(last.clone());
                }
                ["", "=>", path, ..] if path.starts_with('.') => {}
                ["", "=>", path, version, ..] => {
                    expected.remove(&last);
                    expected.insert(format!("pkg:golang/{path}@{}", encoded(version)));
                }
                _ => {}
            }
        }
    }
    assert!(expected.contains("pkg:golang/dep.test/net/v2@v2.0.1"), "{expected:?}");
    let (_kept, image) = image_of(&folder.path().join("usr"));
    assert_eq!(purls(&bom(&image), "golang"), expected);
}

/// A program with a module of its own and one that it requires.
fn go_program(folder: &Path) -> PathBuf {
    let source = folder.join("source");
    std::fs::create_dir_all(source.join("net")).expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(source.join(name), text).expect("a file");
    write("go.mod", "module app.test/app\n\ngo 1.18\n\nrequire dep.test/net/v2 v2.0.1\n\nreplace dep.test/net/v2 => ./net\n");
    write("main.go", "package main\n\nimport \"dep.test/net/v2\"\n\nfunc main() { println(net.Name) }\n");
    write("net/go.mod", "module dep.test/net/v2\n\ngo 1.18\n");
    write("net/net.go", "package net\n\nconst Name = \"x\"\n");
    let go = Program::new("go").args(["build", "-buildvcs=false", "-o", "app", "."]).folder(&source);
    let go = go.env("GOFLAGS", "-mod=mod").env("GOPROXY", "off").env("CGO_ENABLED", "0").env("GOCACHE", folder.join("cache"));
    let _ = go.limit(FETCH).run().expect_success();
    source.join("app")
}

/// Packages whose headers fill pages and overflow them.
#[test]
fn the_packages_of_an_rpm_database_are_those_of_rpm() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let mut spec =
        "Name: base\nEpoch: 2\nVersion: 1.0~rc1\nRelease: 3.lab\nSummary: x\nLicense: MIT\nBuildArch: noarch\n%description\nx\n".to_owned();
    let mut files = String::new();
    for number in 0..120 {
        let text = "a long description ".repeat(number * 3);
        spec.push_str(&format!(
            "%package -n tool-{number}\nSummary: x\nVersion: {number}.{}\n%description -n tool-{number}\nx {text}\n",
            number % 7
        ));
        files.push_str(&format!("%files -n tool-{number}\n/usr/bin/tool-{number}\n"));
    }
    spec.push_str(
        "%install\nmkdir -p %{buildroot}/usr/bin\nfor i in $(seq 0 119); do echo x > %{buildroot}/usr/bin/tool-$i; done\n%files\n",
    );
    std::fs::write(folder.path().join("x.spec"), spec + &files).expect("a spec");
    let define = format!("_topdir {}", at("build"));
    let _ = Program::new("rpmbuild").args(["-bb", "--define", &define, &at("x.spec")]).limit(FETCH).run().expect_success();
    let built = folder.path().join("build/RPMS/noarch");
    let built: Vec<PathBuf> = std::fs::read_dir(built).expect("packages").map(|entry| entry.expect("an entry").path()).collect();
    assert_eq!(built.len(), 121);
    let database = at("root/var/lib/rpm");
    let rpm = |arguments: &[&str]| Program::new("rpm").args(["--dbpath", &database]).args(arguments).limit(FETCH);
    let _ = rpm(&["-i", "--nodeps", "--justdb", "--nosignature"]).args(&built).run().expect_success();
    let form = "--qf=%{NAME} %|EPOCH?{%{EPOCH}}:{}| %{VERSION}-%{RELEASE} %{ARCH} %{SOURCERPM}\n";
    let listed = rpm(&["-qa", form]).run().expect_success().stdout;
    let of_line = |line: &str| {
        let [name, epoch, version, arch, source] = line.split(' ').collect::<Vec<_>>().try_into().ok()?;
        let epoch = if epoch.is_empty() { String::new() } else { format!("&epoch={epoch}") };
        let source: &str = source;
        assert_eq!(source, "base-1.0~rc1-3.lab.src.rpm");
        Some(format!("pkg:rpm/fedora/{name}@{version}?arch={arch}&distro=fedora-40{epoch}"))
    };
    let expected: BTreeSet<String> = listed.lines().filter_map(of_line).collect();
    std::fs::create_dir(folder.path().join("root/etc")).expect("a folder");
    std::fs::write(folder.path().join("root/etc/os-release"), "ID=fedora\nVERSION_ID=40\n").expect("os-release");
    let (_kept, image) = image_of(&folder.path().join("root"));
    let document = bom(&image);
    let components = document["components"].as_array().expect("components").iter();
    let found: BTreeSet<String> = components.filter_map(|component| component["purl"].as_str()).map(str::to_owned).collect();
    assert_eq!((found.len(), &found), (121, &expected));
}
