//! The speed of the gate beside docker-registry and nginx, as ratios out of one run (DESIGN §9). `tests/bench/run` starts it.
//!
//! Rounds rotate the order of the servers; a ratio is the median over the rounds' own ratios, so that what else the machine does falls
//! on all alike. nginx runs twice in each round: its ratio to itself (A/A) says how far the others can be believed. The server has one
//! core and the client the other; cold pulls may use all. Counts are exact and decide the exit code; ratios never do.

mod arguments;
mod blobs;
mod client;
mod cold;
mod decisions;
mod distribution;
mod lab;
mod load;
mod machine;
mod manifests;
mod nginx;
mod plan;
mod push;
mod report;
mod rounds;
mod server;
mod stalled;
mod start;
mod uploader;

use std::process::ExitCode;

use arguments::{Arguments, Section};
use lab::Lab;
use plan::Plan;
use report::Report;

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::from(2);
        }
    };
    let plan = if arguments.quick { Plan::QUICK } else { Plan::FULL };
    let mut report = Report::new(arguments.quick);
    let lab = Lab::prepare(plan);
    for section in Section::ALL.into_iter().filter(|section| arguments.wants(*section)) {
        eprintln!("… {}", section.name());
        match section {
            Section::Manifests => manifests::run(&lab, &mut report),
            Section::Blobs => blobs::plain(&lab, &mut report),
            Section::Tls => blobs::tls(&lab, &mut report),
            Section::Cold => cold::run(&lab, &mut report),
            Section::Stalled => stalled::run(&lab, &mut report),
            Section::Start => start::run(&lab, &mut report),
            Section::Decisions => decisions::run(&lab, &mut report),
            Section::Push => push::run(&lab, &mut report),
        }
    }
    print!("{}", report.table());
    if let Some(path) = &arguments.json {
        std::fs::write(path, report.json().to_string()).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
    if report.counts_hold() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
