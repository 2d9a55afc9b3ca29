//! Programs whose presence says how much an intruder finds in an image.

use serde::{Deserialize, Serialize};

/// What a program is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tool {
    /// Runs commands.
    Shell,
    /// Installs packages.
    PackageManager,
    /// Makes programs.
    Compiler,
}

const SHELLS: [&str; 12] = ["sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "csh", "tcsh", "fish", "busybox", "rbash"];
const PACKAGE_MANAGERS: [&str; 24] = [
    "apt",
    "apt-get",
    "dpkg",
    "apk",
    "rpm",
    "dnf",
    "microdnf",
    "yum",
    "zypper",
    "pacman",
    "opkg",
    "emerge",
    "xbps-install",
    "nix-env",
    "pip",
    "pip3",
    "npm",
    "yarn",
    "pnpm",
    "gem",
    "cargo",
    "conda",
    "composer",
    "snap",
];
const COMPILERS: [&str; 19] = [
    "gcc", "cc", "c++", "g++", "clang", "clang++", "tcc", "ld", "as", "rustc", "go", "javac", "gfortran", "make", "cmake", "cc1",
    "cc1plus", "ghc", "nvcc",
];
/// Folders from which programs are started.
const FOLDERS: [&str; 3] = ["bin", "sbin", "libexec"];

/// What the program at `path` is, by its name. `gcc-12` and `python3.11` are names with a version behind.
pub fn tool_of(path: &str) -> Option<Tool> {
    let (folder, name) = crate::path::split(path);
    if !FOLDERS.contains(&crate::path::split(folder).1) && name != "cc1" && name != "cc1plus" {
        return None;
    }
    let plain = name.trim_end_matches(|character: char| character.is_ascii_digit() || character == '.').trim_end_matches('-');
    // Compilers for a platform: `x86_64-linux-gnu-gcc-12`.
    let short = plain.rsplit_once("-gnu-").map_or(plain, |(_, short)| short);
    let is_one_of = |names: &[&str]| [name, plain, short].iter().any(|name| names.contains(name));
    if is_one_of(&SHELLS) {
        Some(Tool::Shell)
    } else if is_one_of(&PACKAGE_MANAGERS) {
        Some(Tool::PackageManager)
    } else if is_one_of(&COMPILERS) {
        Some(Tool::Compiler)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_known_by_name_in_folders_of_programs() {
        for (path, expected) in [
            ("bin/sh", Some(Tool::Shell)),
            ("usr/local/bin/pip3.11", Some(Tool::PackageManager)),
            ("usr/bin/x86_64-linux-gnu-gcc-12", Some(Tool::Compiler)),
            ("usr/lib/gcc/x86_64-linux-gnu/12/cc1", Some(Tool::Compiler)),
            ("usr/bin/gcc-12", Some(Tool::Compiler)),
            ("etc/sh", None),
            ("usr/share/bash/x", None),
            ("usr/bin/shred", None),
        ] {
            assert_eq!(tool_of(path), expected, "{path}");
        }
    }
}
