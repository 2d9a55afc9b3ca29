//! Every bound on what an image can make large while it is read. Each constant names its unit and where the number comes from.

/// Bytes that one layer may unpack to: 64 GiB. The largest published images (CUDA, ROCm) stay under 40 GiB.
pub const LAYER_PLAIN_BYTES: u64 = 64 << 30;
/// Times that a layer may grow when it is unpacked. DEFLATE's own bound is 1,032; layers of zeros that builders make (swap
/// files, sparse databases) come near it, layers of programs stay under 10.
pub const RATIO: u64 = 250;
/// Plain bytes below which [`RATIO`] says nothing: small archives of padding compress beyond any ratio.
pub const RATIO_FREE_BYTES: u64 = 64 << 20;
/// Bytes of history that a zstd frame may ask for: `ZSTD_WINDOWLOG_LIMIT_DEFAULT` (27) of zstd's own decoder.
pub const ZSTD_WINDOW_BYTES: u64 = 128 << 20;
/// Frames of one zstd stream. zstd:chunked writes one for each file, and for each 4 MiB of a larger one.
pub const FRAMES: u64 = 4_000_000;
/// Entries of one layer. Layers of whole desktop distributions have some 600,000.
pub const LAYER_ENTRIES: u64 = 4_000_000;
/// Bytes of one extended header: `maxSpecialFileSize` of Go's archive/tar, which container engines unpack with.
pub const EXTENDED_HEADER_BYTES: u64 = 1 << 20;
/// Records of one PAX header. Files with the most extended attributes have under 30.
pub const PAX_RECORDS: usize = 1_024;
/// Bytes of a path: Linux's `PATH_MAX`.
pub const PATH_BYTES: usize = 4_096;
/// Folders of a path. Deep trees of `node_modules` have under 100.
pub const PATH_DEPTH: usize = 256;
/// Symbolic links that are followed in one path: Linux's `MAXSYMLINKS`.
pub const SYMLINKS: usize = 40;
/// Nodes of the image's tree that are remembered: symbolic links and files that say what the image holds.
pub const TREE_NODES: usize = 1_000_000;
/// Bytes of the paths and link targets that are remembered.
pub const TREE_BYTES: usize = 256 << 20;
/// Bytes of one file that is read whole: package databases, lock files, programs, Java archives. Fat Java archives and
/// package databases of whole distributions stay under it.
pub const FILE_BYTES: u64 = 128 << 20;
/// Bytes of one metadata or lock file. The largest `package-lock.json` have some 10 MiB.
pub const DOCUMENT_BYTES: u64 = 32 << 20;
/// Packages of one image, of all versions that its layers ever held.
pub const PACKAGES: usize = 500_000;
/// Bytes of a package's name, version, architecture or source. PyPI's and npm's longest names have 214 characters.
pub const FIELD_BYTES: usize = 1_024;
/// Bytes of the image's configuration: that of a manifest.
pub const CONFIG_BYTES: usize = sealgate_verifier::limits::MANIFEST_BYTES;
/// Gaps that are kept by name; the rest are counted. Under the bound of the decision's own list.
pub const GAPS: usize = 1_000;
/// Credentials of one image: the bound of the decision's own list.
pub const SECRETS: usize = sealgate_verifier::limits::SECRETS;
