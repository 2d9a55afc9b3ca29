//! Loads on one server: wrk for GET, ab for HEAD (wrk counts none), our own client for large blobs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use sealgate_tests::program::Program;
use sealgate_tests::wire::ACCEPT_MANIFESTS;

use crate::client::Client;
use crate::rounds::Sample;
use crate::server::Target;

/// Connections of wrk and ab.
const CONNECTIONS: &str = "32";

/// GET by 32 connections for some seconds.
pub fn get(target: &Target, path: &str, seconds: u64) -> Sample {
    let before = target.cpu();
    let accept = format!("Accept: {ACCEPT_MANIFESTS}");
    let url = format!("http://{}{path}", target.address);
    let duration = format!("{seconds}s");
    let wrk = Program::new("wrk").args(["-t1", "-c", CONNECTIONS, "-d", &duration, "--timeout", "30s", "-H", &accept, &url]);
    let output = wrk.limit(Duration::from_secs(seconds + 60)).run().expect_success().stdout;
    let cpu = target.cpu() - before;
    assert!(!output.contains("Non-2xx") && !output.contains("Socket errors"), "{}: {url}\n{output}", target.name);
    let number = |line: &str| -> Option<f64> { line.split_whitespace().next()?.parse().ok() };
    let requests = output.lines().find(|line| line.contains(" requests in ")).and_then(number).expect("wrk's count");
    let rate = output.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:")).and_then(number).expect("wrk's rate");
    Sample { rate, cpu: cpu / requests }
}

/// HEAD by 32 connections: `count` requests, or as many as fit into some seconds.
pub fn head(target: &Target, path: &str, seconds: u64, count: usize) -> Sample {
    let before = target.cpu();
    let accept = format!("Accept: {ACCEPT_MANIFESTS}");
    let url = format!("http://{}{path}", target.address);
    let (seconds_text, count_text) = (seconds.to_string(), count.to_string());
    let ab = Program::new("ab").args(["-q", "-k", "-i", "-c", CONNECTIONS, "-t", &seconds_text, "-n", &count_text, "-H", &accept, &url]);
    let output = ab.limit(Duration::from_secs(seconds + 60)).run().expect_success().stdout;
    let cpu = target.cpu() - before;
    let number = |field: &str| -> Option<f64> {
        let line = output.lines().find_map(|line| line.strip_prefix(field))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let complete = number("Complete requests:").expect("ab's count");
    assert!(number("Failed requests:") == Some(0.0) && !output.contains("Non-2xx"), "{}: {url}\n{output}", target.name);
    Sample { rate: number("Requests per second:").expect("ab's rate"), cpu: cpu / complete }
}

/// `connections` fetch a blob of `size` bytes `fetches` times each; rate in bytes.
pub fn drain(target: &Target, path: &str, size: u64, connections: usize, fetches: usize, tls: Option<&Arc<ClientConfig>>) -> Sample {
    let before = target.cpu();
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| {
                let mut client = match tls {
                    None => Client::connect(target.address),
                    Some(config) => Client::connect_tls(target.address, config),
                };
                for _ in 0..fetches {
                    assert_eq!(client.drain(path), size, "{}: {path}", target.name);
                }
            });
        }
    });
    let elapsed = started.elapsed().as_secs_f64();
    let bytes = (size * (connections * fetches) as u64) as f64;
    Sample { rate: bytes / elapsed, cpu: (target.cpu() - before) / bytes }
}
