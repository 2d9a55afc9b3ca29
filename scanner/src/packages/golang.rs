//! Go: the build information that the linker writes into every program (Go's debug/buildinfo, format of Go 1.18 and later).
//!
//! It is searched for in the stream and not by sections, so that programs of any size and without section headers are read.

use crate::package::{Package, PackageType};
use crate::problem::Problem;

/// debug/buildinfo: `buildInfoMagic`, at an offset that `buildInfoAlign` divides.
const MAGIC: &[u8; 14] = b"\xff Go buildinf:";
const ALIGN: u64 = 16;
/// Bytes of the header, before the strings.
const HEADER: usize = 32;
/// Bytes of build information. Programs with a thousand modules have under 200 KiB.
const INFO_BYTES: usize = 1 << 20;
/// Pieces of build information in one file. One is usual; an archive of objects may have some.
const INFOS: usize = 16;
/// runtime/debug: `modinfo` stands between two sentinels of this many bytes.
const SENTINEL: usize = 16;

/// A search through a program's bytes.
#[derive(Default)]
pub struct Search {
    window: Vec<u8>,
    /// Offset of the window in the file.
    offset: u64,
    found: Vec<Vec<Package>>,
    old: bool,
}

impl Search {
    /// Looks at the next bytes.
    pub fn feed(&mut self, piece: &[u8]) {
        self.window.extend_from_slice(piece);
        self.search(false);
    }

    /// What was found, after the last piece.
    pub fn finish(mut self, path: &str) -> Result<Vec<Package>, Problem> {
        self.search(true);
        if self.found.is_empty() && self.old {
            return Err(Problem::Unsupported { path: path.to_owned(), what: "Go build information of Go 1.17 and older".to_owned() });
        }
        let mut packages: Vec<_> = self.found.into_iter().flatten().collect();
        packages.sort();
        packages.dedup();
        Ok(packages)
    }

    fn search(&mut self, at_end: bool) {
        let mut from = 0;
        let keep = loop {
            let Some(hit) = memchr::memmem::find(&self.window[from..], MAGIC).map(|hit| from + hit) else {
                break self.window.len().saturating_sub(MAGIC.len() - 1).max(from);
            };
            let rest = &self.window[hit..];
            if (self.offset + hit as u64).is_multiple_of(ALIGN) && self.found.len() < INFOS {
                match parse(rest) {
                    Parsed::Info(packages) => self.found.push(packages),
                    Parsed::Old => self.old = true,
                    Parsed::Short if !at_end && rest.len() < INFO_BYTES => break hit,
                    Parsed::Short | Parsed::Other => {}
                }
            }
            from = hit + MAGIC.len();
        };
        self.window.drain(..keep);
        self.offset += keep as u64;
    }
}

enum Parsed {
    Info(Vec<Package>),
    /// Pointers instead of strings.
    Old,
    /// More bytes are needed.
    Short,
    /// The magic stands there as a text, as in Go's own tools.
    Other,
}

fn parse(bytes: &[u8]) -> Parsed {
    let Some(header) = bytes.first_chunk::<HEADER>() else { return Parsed::Short };
    match (header[14], header[15]) {
        (_, flags) if flags & !1 == 2 => {}
        (4 | 8, 0 | 1) => return Parsed::Old,
        _ => return Parsed::Other,
    }
    let mut rest = &bytes[HEADER..];
    let (version, modules) = match string(&mut rest).and_then(|version| Ok((version, string(&mut rest)?))) {
        Ok(strings) => strings,
        Err(parsed) => return parsed,
    };
    let Some(toolchain) = std::str::from_utf8(version).ok().and_then(toolchain) else { return Parsed::Other };
    let mut packages = vec![Package::new(PackageType::Golang, "", "stdlib", toolchain)];
    // debug/buildinfo: the last byte before the sentinel is a line's end.
    if modules.len() > 2 * SENTINEL && modules[modules.len() - SENTINEL - 1] == b'\n' {
        packages.extend(self::modules(&String::from_utf8_lossy(&modules[SENTINEL..modules.len() - SENTINEL])));
    }
    Parsed::Info(packages)
}

/// A length as an unsigned varint, and that many bytes.
fn string<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Parsed> {
    let mut length = 0usize;
    for (index, byte) in rest.iter().enumerate() {
        if index > 3 {
            return Err(Parsed::Other);
        }
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            if length > INFO_BYTES {
                return Err(Parsed::Other);
            }
            let (text, after) = rest[index + 1..].split_at_checked(length).ok_or(Parsed::Short)?;
            *rest = after;
            return Ok(text);
        }
    }
    Err(Parsed::Short)
}

/// `go1.22.1 X:boringcrypto` and `devel go1.23-3f4a…` as `1.22.1` and `1.23-3f4a…`.
fn toolchain(version: &str) -> Option<String> {
    let word = version.split(' ').find_map(|word| word.strip_prefix("go"))?;
    word.starts_with(|first: char| first.is_ascii_digit()).then(|| word.to_owned())
}

/// runtime/debug, `BuildInfo.String`: lines `mod`, `dep` and `=>`, with path, version and sum.
fn modules(text: &str) -> Vec<Package> {
    let mut packages: Vec<Package> = vec![];
    for line in text.lines() {
        let mut fields = line.split('\t');
        let (kind, path, version) = (fields.next(), fields.next(), fields.next().unwrap_or(""));
        let Some(path) = path else { continue };
        match kind {
            Some("mod" | "dep") => packages.push(module(path, version)),
            // The module that was built in place of the one above. A folder in its place has no version: the one that was
            // asked for is what can be known of it.
            Some("=>") if path.starts_with(['.', '/']) => {}
            Some("=>") => {
                packages.pop();
                packages.push(module(path, version));
            }
            _ => {}
        }
    }
    packages
}

fn module(path: &str, version: &str) -> Package {
    let (namespace, name) = path.rsplit_once('/').unwrap_or(("", path));
    Package::new(PackageType::Golang, namespace, name, version)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Build information as Go's linker lays it out.
    pub fn build_info(version: &str, modules: &str) -> Vec<u8> {
        let mut bytes = [&MAGIC[..], &[8, 2], &[0; 16]].concat();
        let modules = if modules.is_empty() { String::new() } else { format!("{0}{modules}{0}", "s".repeat(SENTINEL)) };
        for text in [version, &modules] {
            let mut length = text.len();
            while length >= 0x80 {
                bytes.push((length & 0x7f) as u8 | 0x80);
                length >>= 7;
            }
            bytes.push(length as u8);
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes
    }

    fn search(bytes: &[u8], piece: usize) -> Result<Vec<String>, Problem> {
        let mut search = Search::default();
        bytes.chunks(piece).for_each(|piece| search.feed(piece));
        search.finish("bin/x").map(|packages| packages.iter().map(Package::purl).collect())
    }

    const MODULES: &str = "path\tx/cmd\nmod\tgithub.com/o/x\t(devel)\t\ndep\tgolang.org/x/net\tv0.17.0\th1:a\ndep\tgopkg.in/old\tv1.0.0\n=>\tgithub.com/fork/old/v2\tv2.1.0\th1:b\ndep\tx.test/y\tv1.2.3\n=>\t./y\t(devel)\t\nbuild\t-compiler=gc\n";

    #[test]
    fn modules_and_toolchain_are_found_wherever_pieces_end() {
        let expected = [
            "pkg:golang/stdlib@1.22.1",
            "pkg:golang/github.com/fork/old/v2@v2.1.0",
            "pkg:golang/github.com/o/x@%28devel%29",
            "pkg:golang/golang.org/x/net@v0.17.0",
            "pkg:golang/x.test/y@v1.2.3",
        ];
        let mut bytes = vec![0; 160];
        bytes.extend_from_slice(&build_info("go1.22.1 X:boringcrypto", MODULES));
        bytes.extend_from_slice(&[0; 500]);
        for piece in [1, 7, 16, 100, 165, 10_000] {
            assert_eq!(search(&bytes, piece).expect("build information"), expected, "{piece}");
        }
        assert_eq!(search(&build_info("devel go1.23-3f4a Mon", ""), 64).expect("found"), ["pkg:golang/stdlib@1.23-3f4a"]);
    }

    #[test]
    fn the_magic_as_a_text_is_passed_over() {
        let mut bytes = [&MAGIC[..], b"a constant of a program that reads others"].concat();
        bytes.resize(320, b'x');
        bytes.extend_from_slice(&build_info("go1.20", ""));
        assert_eq!(search(&bytes, 50).expect("found"), ["pkg:golang/stdlib@1.20"]);
        let unaligned = [&b"x"[..], &build_info("go1.20", "")].concat();
        assert_eq!(search(&unaligned, 50).expect("nothing"), [""; 0]);
        assert_eq!(search(&MAGIC[..], 50).expect("nothing"), [""; 0]);
    }

    #[test]
    fn build_information_of_old_compilers_is_unsupported_and_said_so() {
        let old = [&MAGIC[..], &[8, 0], &[1; 16]].concat();
        assert!(matches!(search(&old, 50), Err(Problem::Unsupported { .. })));
    }

    #[test]
    fn lengths_beyond_the_limit_are_no_build_information() {
        for length in [&[0xff, 0xff, 0xff, 0x7f][..], &[0xff; 12]] {
            let bytes = [&MAGIC[..], &[8, 2], &[0; 16], length].concat();
            assert_eq!(search(&bytes, 50).expect("nothing"), [""; 0]);
        }
    }
}
