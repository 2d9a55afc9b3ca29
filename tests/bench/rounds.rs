//! Rotated rounds and paired ratios.

use serde::Serialize;

/// One measurement.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Sample {
    /// Units per second: requests, bytes or pulls.
    pub rate: f64,
    /// The server's CPU seconds per unit.
    pub cpu: f64,
}

/// What one server did, round by round.
#[derive(Debug, Clone, Serialize)]
pub struct Series {
    /// The server.
    pub name: &'static str,
    /// One for each round.
    pub samples: Vec<Sample>,
}

/// A ratio of two series.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Ratio {
    /// Median over the rounds.
    pub median: f64,
    /// Smallest of a round.
    pub least: f64,
    /// Largest of a round.
    pub most: f64,
}

/// Measures each of `names` once a round; each round begins with another one.
pub fn rotate(names: &[&'static str], rounds: usize, mut measure: impl FnMut(usize) -> Sample) -> Vec<Series> {
    let mut series: Vec<_> = names.iter().map(|name| Series { name, samples: Vec::new() }).collect();
    for round in 0..rounds {
        for turn in 0..names.len() {
            let which = (round + turn) % names.len();
            let sample = measure(which);
            series[which].samples.push(sample);
        }
    }
    series
}

impl Series {
    /// Median rate.
    pub fn rate(&self) -> f64 {
        median(self.samples.iter().map(|sample| sample.rate).collect())
    }

    /// Median CPU seconds per unit.
    pub fn cpu(&self) -> f64 {
        median(self.samples.iter().map(|sample| sample.cpu).collect())
    }

    /// This rate over the other's, round by round.
    pub fn rate_over(&self, other: &Self) -> Ratio {
        Ratio::of(self.samples.iter().zip(&other.samples).map(|(one, two)| one.rate / two.rate))
    }

    /// This time per unit over the other's, round by round.
    pub fn time_over(&self, other: &Self) -> Ratio {
        Ratio::of(self.samples.iter().zip(&other.samples).map(|(one, two)| two.rate / one.rate))
    }

    /// This CPU time per unit over the other's, round by round.
    pub fn cpu_over(&self, other: &Self) -> Ratio {
        Ratio::of(self.samples.iter().zip(&other.samples).map(|(one, two)| one.cpu / two.cpu))
    }
}

impl Ratio {
    /// Of ratios that were measured.
    pub fn of(values: impl Iterator<Item = f64>) -> Self {
        let values: Vec<f64> = values.collect();
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(0.0, f64::max);
        Self { median: median(values), least, most }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}
