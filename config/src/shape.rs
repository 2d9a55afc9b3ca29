//! What a file may hold, as one table that both the reader and the published JSON Schema follow.

/// What may stand at one place.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// A text without line breaks.
    Text,
    /// A text, a number, `true` or `false`.
    Scalar,
    /// A file's path.
    Path,
    /// A PEM public key, or its file's path.
    Key,
    /// A secret: `env://VAR`, `file:///path` or the text itself. Never shown.
    Secret,
    /// `host:port`.
    Listen,
    /// `30s`, `5m`, `24h`, `14d`.
    Duration,
    /// `512MiB`, `200GiB`, `2TB`.
    Size,
    /// `true` or `false`.
    Boolean,
    /// A whole number, at least the first and at most the second.
    Count(u64, u64),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// An image pattern, [`sealgate_verifier::Pattern`].
    Pattern,
    /// `sha256:…` or `sha512:…`.
    Digest,
    /// RFC 3339, UTC, whole seconds.
    Time,
    /// `2027-01-31`: a day, UTC.
    Date,
    /// `linux/amd64`.
    Platform,
    /// A list of these.
    List(&'static Shape),
    /// One of these, or a list.
    OneOrMore(&'static Shape),
    /// A mapping with fixed keys.
    Object(&'static Object),
    /// A mapping whose keys the file's author chooses.
    Named(&'static Shape),
    /// Either.
    Either(&'static Shape, &'static Shape),
}

/// A mapping with fixed keys.
#[derive(Debug)]
pub(crate) struct Object {
    /// The keys.
    pub fields: &'static [Field],
    /// Keys that a later version brings, each with what to do until then.
    pub later: &'static [Later],
    /// Where not empty: the keys present must be exactly one of these sets, beside those that are in no set.
    pub forms: &'static [&'static [&'static str]],
    /// Whether a key that is not known may be part of a secret, and so is not shown.
    pub secret: bool,
}

/// One key.
#[derive(Debug)]
pub(crate) struct Field {
    /// The key.
    pub key: &'static str,
    /// Its value.
    pub shape: Shape,
    /// Whether it must be there.
    pub required: bool,
    /// What it says, for the schema.
    pub about: &'static str,
}

/// A key that a later version brings.
#[derive(Debug)]
pub(crate) struct Later {
    /// The key.
    pub key: &'static str,
    /// What to do until then.
    pub mend: &'static str,
}

impl Object {
    /// A mapping with `fields` and nothing more to say.
    pub const fn new(fields: &'static [Field]) -> Self {
        Self { fields, later: &[], forms: &[], secret: false }
    }

    /// The field that `key` was probably meant to be.
    pub fn nearest(&self, key: &str) -> Option<&'static str> {
        nearest(key, self.fields.iter().map(|field| field.key))
    }

    /// Whether a message may quote `key`, which is not in the table: where secrets stand, only what resembles a key.
    pub fn quotes_unknown(&self, key: &str) -> bool {
        !key.contains('@') && (!self.secret || self.nearest(key).is_some())
    }

    /// The field called `key`.
    pub fn field(&self, key: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.key == key)
    }
}

impl Field {
    /// An optional key.
    pub const fn new(key: &'static str, shape: Shape, about: &'static str) -> Self {
        Self { key, shape, required: false, about }
    }

    /// The same key, which must be there.
    pub const fn required(self) -> Self {
        Self { required: true, ..self }
    }
}

/// The candidate that `text` was probably meant to be.
pub(crate) fn nearest<'c>(text: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let normal = text.to_ascii_lowercase().replace('_', "-");
    let allowed = |candidate: &str| (candidate.chars().count() / 3).clamp(1, 3);
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(&normal, &candidate.to_ascii_lowercase().replace('_', "-")), candidate))
        .filter(|(distance, candidate)| *distance <= allowed(candidate))
        .min()
        .map(|(_, candidate)| candidate)
}
