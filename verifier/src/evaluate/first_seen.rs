//! For how long an image has been known.

use super::{Case, Met, age};
use crate::policy::Requirement;
use crate::time::Timestamp;
use crate::verdict::{Reason, Satisfied};

impl Case<'_> {
    /// Whether it has been known for `min` seconds: since it was first seen here, or since a named signer's verified signature over it
    /// or over the index of the view `other` was logged or timestamped. Who signs a digest has seen it.
    pub(super) fn age(&mut self, min: i64, other: usize) -> Result<Met, Vec<Reason>> {
        let expected = Requirement::Age { min }.to_string();
        let now = self.now;
        let first_seen = self.evidence.image.first_seen.clone().map(|at| (at, "first seen here", Timestamp(i64::MAX)));
        let is_old = |at: Timestamp| now >= at.plus(min);
        if let Ok((at, ..)) = first_seen
            && is_old(at)
        {
            return Ok(Met::plain(0, Satisfied::by(expected, Vec::new()), None));
        }
        let mut known: Vec<(Timestamp, &str, Timestamp)> = first_seen.clone().into_iter().collect();
        let mut views = vec![0];
        views.extend(Some(other).filter(|other| *other != 0));
        for view in views {
            if let Some(seen) = self.see(view, |_| true) {
                let stale_at = seen.stale_at();
                let approvals = seen.approvals().filter_map(|signed| signed.at);
                let times = approvals.chain(seen.attestations().filter_map(|(_, signed)| signed.at));
                known.extend(times.map(|at| (at, "signed, by the word of a log or timestamp,", stale_at)));
            }
        }
        match (known.into_iter().min(), first_seen) {
            (Some((at, _, stale_at)), _) if is_old(at) => Ok(Met::plain(0, Satisfied::by(expected, Vec::new()), Some(stale_at))),
            (Some((at, how, _)), _) => {
                let until = at.plus(min);
                self.ends.insert(until);
                let old = age(now.since(at).max(0) / 60 * 60);
                Err(vec![Reason::TooYoung { expected, found: format!("{how} {at}, {old} ago; old enough {until}"), until }])
            }
            (None, Ok(_)) => Err(Vec::new()),
            (None, Err(gap)) => Err(vec![Reason::EvidenceMissing { expected, gaps: vec![gap] }]),
        }
    }
}
