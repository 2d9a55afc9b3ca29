//! Cores, and what a process has used.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The core of the server under load, where there is more than one.
pub fn server_core() -> Option<usize> {
    (cores() > 1).then_some(0)
}

/// Keeps this thread, and what it starts from now on, off the server's core.
pub fn client_core() {
    if cores() > 1 {
        let mut set = CpuSet::new();
        (1..cores()).for_each(|core| set.set(core));
        sched_setaffinity(None, &set).expect("the client's core");
    }
}

/// Lets this thread, and what it starts from now on, run anywhere.
pub fn all_cores() {
    let mut set = CpuSet::new();
    (0..cores()).for_each(|core| set.set(core));
    sched_setaffinity(None, &set).expect("all cores");
}

fn cores() -> usize {
    static CORES: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
    *CORES.get_or_init(|| sched_getaffinity(None).map_or(1, |set| set.count() as usize))
}

/// CPU seconds that a process and its children have used (proc(5), `stat` fields 14 and 15, in clock ticks).
pub fn cpu_seconds(pid: u32) -> f64 {
    let ticks: u64 = family(pid).into_iter().map(ticks).sum();
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

/// CPU seconds of all children of this process that have ended (proc(5), `stat` fields 16 and 17).
pub fn children_cpu_seconds() -> f64 {
    fields(std::process::id(), 13) as f64 / rustix::param::clock_ticks_per_second() as f64
}

/// Resident memory of a process and its children, in KiB.
pub fn rss_kib(pid: u32) -> u64 {
    let rss = |pid: u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok()).unwrap_or_default()
    };
    family(pid).into_iter().map(rss).sum()
}

fn family(pid: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    std::iter::once(pid).chain(children.split_whitespace().filter_map(|child| child.parse().ok())).collect()
}

fn ticks(pid: u32) -> u64 {
    fields(pid, 11)
}

/// The sum of two fields of `stat`, counted from the one after the name.
fn fields(pid: u32, first: usize) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The second field is a name in brackets that may hold anything.
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    rest.split_whitespace().skip(first).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}
