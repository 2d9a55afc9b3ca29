//! The table and the JSON document.

use std::fmt::Write;

use serde::Serialize;
use serde_json::{Value, json};

use crate::rounds::{Ratio, Series};

/// What a ratio must be.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// More is better.
    AtLeast(f64),
    /// Less is better.
    AtMost(f64),
    /// There is none: a yardstick.
    None,
}

#[derive(Debug, Serialize)]
struct Line {
    what: String,
    ratio: Ratio,
    goal: Goal,
}

#[derive(Debug, Serialize)]
struct Count {
    what: String,
    expected: String,
    found: String,
    holds: bool,
}

/// Everything that was measured.
#[derive(Debug)]
pub struct Report {
    quick: bool,
    lines: Vec<Line>,
    counts: Vec<Count>,
    notes: Vec<String>,
    samples: Vec<Value>,
}

impl Goal {
    const fn met(self, value: f64) -> Option<bool> {
        match self {
            Self::AtLeast(goal) => Some(value >= goal),
            Self::AtMost(goal) => Some(value <= goal),
            Self::None => None,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(goal) => format!("≥ {goal}"),
            Self::AtMost(goal) => format!("≤ {goal}"),
            Self::None => String::new(),
        }
    }
}

impl Report {
    /// Without a line.
    pub const fn new(quick: bool) -> Self {
        Self { quick, lines: Vec::new(), counts: Vec::new(), notes: Vec::new(), samples: Vec::new() }
    }

    /// Adds a ratio.
    pub fn ratio(&mut self, what: impl Into<String>, ratio: Ratio, goal: Goal) {
        self.lines.push(Line { what: what.into(), ratio, goal });
    }

    /// Adds a count that decides the exit code.
    pub fn count<T: PartialEq + std::fmt::Debug>(&mut self, what: impl Into<String>, expected: &T, found: &T) {
        let (holds, expected, found) = (expected == found, format!("{expected:?}"), format!("{found:?}"));
        self.counts.push(Count { what: what.into(), expected, found, holds });
    }

    /// Adds a line of text: absolute figures, which hold for this machine and hour only.
    pub fn note(&mut self, text: String) {
        self.notes.push(text);
    }

    /// Keeps the samples behind the ratios, and notes the medians; `unit` is the rate's.
    pub fn series(&mut self, what: &str, unit: &str, series: &[Series]) {
        let scale = if unit == "GB" { 1e-9 } else { 1.0 };
        let figure = |one: &Series| {
            let cpu = one.cpu() / scale * if unit == "GB" { 1.0 } else { 1e6 };
            format!("{} {:.4} ({:.2})", one.name, one.rate() * scale, cpu)
        };
        let cpu_unit = if unit == "GB" { "CPU s" } else { "CPU µs" };
        let figures: Vec<_> = series.iter().map(figure).collect();
        self.notes.push(format!("{what}, {unit}/s ({cpu_unit}/{unit}): {}", figures.join(", ")));
        self.samples.push(json!({ "what": what, "unit": unit, "series": series }));
    }

    /// Whether every count is what it must be.
    pub fn counts_hold(&self) -> bool {
        self.counts.iter().all(|count| count.holds)
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut table = String::new();
        let mut put = |line: String| writeln!(table, "{line}").expect("a string");
        if self.quick {
            put("QUICK RUN: one round of small loads; its ratios mean nothing, its counts do.".to_owned());
        }
        put(format!("{:<66} {:>8} {:>17}  {:<8} {}", "ratio: median over rounds", "", "[least–most]", "goal", ""));
        for Line { what, ratio, goal } in &self.lines {
            let range = format!("[{:.2}–{:.2}]", ratio.least, ratio.most);
            let word = goal.met(ratio.median).map_or("", |met| if met { "met" } else { "MISSED" });
            put(format!("{what:<66} {:>8.2} {range:>17}  {:<8} {word}", ratio.median, goal.text()));
        }
        put("\ncounts".to_owned());
        for Count { what, expected, found, holds } in &self.counts {
            put(format!("{what:<66} {found} {}", if *holds { "as it must be".to_owned() } else { format!("WRONG, expected {expected}") }));
        }
        put("\nabsolute, on this machine at this hour".to_owned());
        self.notes.iter().for_each(|note| put(note.clone()));
        table
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({ "quick": self.quick, "ratios": self.lines, "counts": self.counts, "notes": self.notes, "samples": self.samples })
    }
}
