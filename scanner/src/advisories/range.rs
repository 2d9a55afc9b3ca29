//! Ranges of affected versions, evaluated as the OSV schema's "Evaluation" section says.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::version::{Scheme, Version, VersionError};

/// Which order a range's versions have. `GIT` ranges speak of commits and are not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RangeKind {
    /// Semantic Versioning.
    Semver,
    /// The ecosystem's own.
    Ecosystem,
}

/// One event on the line of versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Versions from here on are affected; `0` is before all.
    Introduced(String),
    /// Versions from here on are not.
    Fixed(String),
    /// Versions after this one are not.
    LastAffected(String),
    /// Versions from here on are not spoken of; `*` is after all.
    Limit(String),
}

/// Events in any order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// How they compare.
    pub kind: RangeKind,
    /// The events.
    pub events: Vec<Event>,
}

impl Range {
    /// Whether it names a fixed version.
    #[must_use]
    pub fn has_fix(&self) -> bool {
        self.events.iter().any(|event| matches!(event, Event::Fixed(_)))
    }
}

/// A range whose versions are read and sorted.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// How its versions compare.
    pub scheme: Scheme,
    edges: Vec<(Place, Edge)>,
    limits: Vec<Place>,
}

#[derive(Debug, Clone, PartialEq)]
enum Place {
    Start,
    At(Version),
    End,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Edge {
    Introduced,
    Fixed(String),
    LastAffected,
}

impl Place {
    fn of(text: &str, scheme: Scheme) -> Result<Self, VersionError> {
        match text {
            "0" => Ok(Self::Start),
            "*" => Ok(Self::End),
            other => scheme.parse(other).map(Self::At),
        }
    }

    /// How this place stands to a version.
    fn to(&self, version: &Version) -> Ordering {
        match self {
            Self::Start => Ordering::Less,
            // Versions of one scheme always compare; an unexpected pair counts as before, hence as affected.
            Self::At(at) => at.partial_cmp(version).unwrap_or(Ordering::Less),
            Self::End => Ordering::Greater,
        }
    }

    fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::At(left), Self::At(right)) => left.partial_cmp(right).unwrap_or(Ordering::Equal),
            (left, right) => left.rank().cmp(&right.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Start => 0,
            Self::At(_) => 1,
            Self::End => 2,
        }
    }
}

impl Bounds {
    /// Reads and sorts a range.
    ///
    /// # Errors
    /// An event's version is none of the scheme's.
    pub fn of(range: &Range, ecosystem: Scheme) -> Result<Self, VersionError> {
        let scheme = match range.kind {
            RangeKind::Semver => Scheme::Semver,
            RangeKind::Ecosystem => ecosystem,
        };
        let (mut edges, mut limits) = (Vec::new(), Vec::new());
        for event in &range.events {
            match event {
                Event::Introduced(text) => edges.push((Place::of(text, scheme)?, Edge::Introduced)),
                Event::Fixed(text) => edges.push((Place::of(text, scheme)?, Edge::Fixed(text.clone()))),
                Event::LastAffected(text) => edges.push((Place::of(text, scheme)?, Edge::LastAffected)),
                Event::Limit(text) => limits.push(Place::of(text, scheme)?),
            }
        }
        // At one version the order of the record stays, but for the last affected version, which is still affected.
        edges.sort_by(|(left, one), (right, two)| left.order(right).then((*one == Edge::LastAffected).cmp(&(*two == Edge::LastAffected))));
        Ok(Self { scheme, edges, limits })
    }

    /// Whether `version` is affected.
    #[must_use]
    pub fn hold(&self, version: &Version) -> bool {
        if !self.limits.is_empty() && !self.limits.iter().any(|limit| limit.to(version).is_gt()) {
            return false;
        }
        let mut affected = false;
        for (place, edge) in &self.edges {
            affected = match (edge, place.to(version)) {
                (Edge::Introduced, Ordering::Less | Ordering::Equal) => true,
                (Edge::Fixed(_), Ordering::Less | Ordering::Equal) | (Edge::LastAffected, Ordering::Less) => false,
                (Edge::Introduced | Edge::Fixed(_), Ordering::Greater) | (Edge::LastAffected, Ordering::Equal | Ordering::Greater) => {
                    affected
                }
            };
        }
        affected
    }

    /// The first fixed version after `version`.
    #[must_use]
    pub fn fix_of(&self, version: &Version) -> Option<&str> {
        self.edges.iter().find_map(|(place, edge)| match edge {
            Edge::Fixed(text) if place.to(version).is_gt() => Some(text.as_str()),
            Edge::Fixed(_) | Edge::Introduced | Edge::LastAffected => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(events: &[(&str, &str)]) -> Bounds {
        let event = |(kind, version): &(&str, &str)| serde_json::from_value(serde_json::json!({ *kind: version })).expect("an event");
        let range = Range { kind: RangeKind::Semver, events: events.iter().map(event).collect() };
        Bounds::of(&range, Scheme::Semver).expect("a range")
    }

    fn affected(bounds: &Bounds, versions: &[&str]) -> Vec<bool> {
        versions.iter().map(|version| bounds.hold(&Scheme::Semver.parse(version).expect("a version"))).collect()
    }

    #[test]
    fn versions_between_introduction_and_fix_are_affected() {
        let two = bounds(&[("introduced", "1.22.0-0"), ("fixed", "1.22.4"), ("introduced", "0"), ("fixed", "1.21.11")]);
        assert_eq!(
            affected(&two, &["0.0.0-0", "1.21.10", "1.21.11", "1.21.99", "1.22.0-rc.1", "1.22.3", "1.22.4", "2.0.0"]),
            [true, true, false, false, true, true, false, false]
        );
        let fix = |version: &str| two.fix_of(&Scheme::Semver.parse(version).expect("a version"));
        assert_eq!((fix("1.21.0"), fix("1.22.1"), fix("1.23.0")), (Some("1.21.11"), Some("1.22.4"), None));
    }

    #[test]
    fn the_last_affected_version_is_affected_wherever_it_is_written() {
        for events in [[("introduced", "1.0.0"), ("last_affected", "1.0.0")], [("last_affected", "1.0.0"), ("introduced", "1.0.0")]] {
            assert_eq!(affected(&bounds(&events), &["0.9.0", "1.0.0", "1.0.1"]), [false, true, false]);
        }
        assert_eq!(
            bounds(&[("introduced", "0"), ("last_affected", "2.0.0")]).fix_of(&Scheme::Semver.parse("1.0.0").expect("a version")),
            None
        );
    }

    #[test]
    fn an_empty_range_affects_nothing_and_an_open_one_everything_after() {
        assert_eq!(affected(&bounds(&[("introduced", "0"), ("fixed", "0")]), &["0.0.0", "1.0.0"]), [false, false]);
        assert_eq!(affected(&bounds(&[("introduced", "1.0.0")]), &["0.9.0", "1.0.0", "999.0.0"]), [false, true, true]);
        assert_eq!(affected(&bounds(&[]), &["1.0.0"]), [false]);
    }

    #[test]
    fn versions_after_every_limit_are_not_spoken_of() {
        let limited = bounds(&[("introduced", "0"), ("limit", "1.0.0"), ("limit", "2.0.0")]);
        assert_eq!(affected(&limited, &["1.5.0", "2.0.0"]), [true, false]);
        assert_eq!(affected(&bounds(&[("introduced", "0"), ("limit", "*")]), &["9.0.0"]), [true]);
    }
}
