//! What a policy makes of one vulnerability by itself.

use crate::policy::{GraceStart, ScanPolicy, Treatment};
use crate::scan::Vulnerability;
use crate::search::LEEWAY;
use crate::time::Timestamp;
use crate::verdict::FindingStanding;

/// Seconds of a day.
const DAY: i64 = 86_400;

pub(super) fn standing(policy: &ScanPolicy, found: &Vulnerability, now: Timestamp) -> FindingStanding {
    let standing = match policy.severities.of(found.severity) {
        Treatment::Track => FindingStanding::Tracked,
        Treatment::Deny => FindingStanding::Denied,
        Treatment::Grace { from: GraceStart::FixAvailable, .. } if found.fixed.is_none() => FindingStanding::Grace { until: None },
        Treatment::Grace { seconds, from } => match start(from, found, now).map(|start| start.plus(seconds)) {
            Some(end) if now < end => FindingStanding::Grace { until: Some(end) },
            Some(end) => FindingStanding::Overdue { since: end },
            None => FindingStanding::Denied,
        },
    };
    if policy.ignore_unfixed && found.fixed.is_none() && standing.denies() { FindingStanding::Unfixed } else { standing }
}

/// From when the grace period counts. A time in the future is none: else the period would never end.
fn start(from: GraceStart, found: &Vulnerability, now: Timestamp) -> Option<Timestamp> {
    let known = |time: Option<Timestamp>| time.filter(|time| *time <= now.plus(LEEWAY));
    let wanted = match from {
        GraceStart::FixAvailable => found.fix_available,
        GraceStart::Published => found.published,
        GraceStart::FirstSeen => found.first_seen,
    };
    known(wanted).or_else(|| [found.published, found.fix_available, found.first_seen].into_iter().filter_map(known).min())
}

pub(super) fn days_left(standing: &FindingStanding, now: Timestamp) -> Option<i64> {
    match standing {
        FindingStanding::Grace { until } => until.map(|until| until.since(now).saturating_add(DAY - 1).div_euclid(DAY)),
        FindingStanding::Overdue { since } => Some(-now.since(*since).div_euclid(DAY)),
        FindingStanding::Denied
        | FindingStanding::Unfixed
        | FindingStanding::Waived { .. }
        | FindingStanding::NotAffected { .. }
        | FindingStanding::Tracked => None,
    }
}
