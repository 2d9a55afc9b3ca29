//! The command line.

use std::path::PathBuf;

/// What can be measured by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Warm manifests: GET by digest, HEAD by tag.
    Manifests,
    /// Warm blobs over plaintext.
    Blobs,
    /// A large warm blob over TLS.
    Tls,
    /// Cold pulls by one and by many clients.
    Cold,
    /// Memory of downloads whose client takes nothing.
    Stalled,
    /// Start with many images.
    Start,
    /// Decisions, and the commands that make them.
    Decisions,
    /// Pushes of blobs and manifests.
    Push,
}

impl Section {
    /// All, in the order in which they run.
    pub const ALL: [Self; 8] =
        [Self::Manifests, Self::Blobs, Self::Tls, Self::Cold, Self::Stalled, Self::Start, Self::Push, Self::Decisions];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Manifests => "manifests",
            Self::Blobs => "blobs",
            Self::Tls => "tls",
            Self::Cold => "cold",
            Self::Stalled => "stalled",
            Self::Start => "start",
            Self::Decisions => "decisions",
            Self::Push => "push",
        }
    }
}

/// What the command line asks for.
#[derive(Debug, Default)]
pub struct Arguments {
    /// Small sizes and one round.
    pub quick: bool,
    /// Where every sample goes.
    pub json: Option<PathBuf>,
    only: Vec<Section>,
}

impl Arguments {
    /// Reads the command line; the error is for the terminal.
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Self::default();
        while let Some(word) = words.next() {
            match word.as_str() {
                // `cargo bench` adds it.
                "--bench" => {}
                "--quick" => arguments.quick = true,
                "--json" => arguments.json = Some(words.next().ok_or("--json needs a file")?.into()),
                "--only" => {
                    for name in words.next().ok_or("--only needs sections")?.split(',') {
                        let section = Section::ALL.into_iter().find(|section| section.name() == name);
                        let names = Section::ALL.map(Section::name).join(", ");
                        arguments.only.push(section.ok_or_else(|| format!("no section {name:?}; there are {names}"))?);
                    }
                }
                other => return Err(format!("unknown argument {other:?}; see tests/bench/run")),
            }
        }
        Ok(arguments)
    }

    /// Whether a section is to run.
    pub fn wants(&self, section: Section) -> bool {
        self.only.is_empty() || self.only.contains(&section)
    }
}
