//! How much of everything.

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Sizes and counts of a run. Each load is bounded by one of them.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Rounds of warm loads.
    pub rounds: usize,
    /// Seconds of one load by wrk or ab.
    pub seconds: u64,
    /// Most HEAD requests of one load.
    pub heads: usize,
    /// Bytes of the small layer.
    pub small: usize,
    /// Bytes of the large layer.
    pub large: usize,
    /// How often each connection fetches the large layer in one sample.
    pub fetches: usize,
    /// Bytes of each layer of the image that is pulled cold.
    pub layers: [usize; 8],
    /// Rounds of cold pulls.
    pub cold_rounds: usize,
    /// Clients that pull at once.
    pub clients: usize,
    /// Downloads that stall.
    pub stalled: usize,
    /// Images in the store of the start.
    pub images: usize,
    /// Rounds of pushes.
    pub push_rounds: usize,
    /// Small manifests of one push.
    pub manifests: usize,
}

impl Plan {
    /// The run whose ratios mean something.
    pub const FULL: Self = Self {
        rounds: 7,
        seconds: 2,
        heads: 100_000,
        small: 64 * KIB,
        large: 256 * MIB,
        fetches: 2,
        layers: [32 * MIB; 8],
        cold_rounds: 5,
        clients: 16,
        stalled: 300,
        images: 100_000,
        push_rounds: 3,
        manifests: 1_000,
    };
    /// The run whose counts mean something.
    pub const QUICK: Self = Self {
        rounds: 1,
        seconds: 1,
        heads: 1_000,
        small: 64 * KIB,
        large: 8 * MIB,
        fetches: 1,
        layers: [256 * KIB; 8],
        cold_rounds: 1,
        clients: 16,
        stalled: 30,
        images: 300,
        push_rounds: 1,
        manifests: 50,
    };
}
