//! What a clock that was ahead brought into effect before its time.

use phi_verify::{LicenseId, UnixTime};

use super::{LicenseRecord, Settled, State, fold};
use crate::{error::Error, store::Query};

/// A change that waited for a time that has not come, and was settled under a clock that was
/// ahead: what was recorded on top of it stands, and so it stays as it was settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettledEarly {
    /// The license.
    pub license: LicenseId,
    /// Its customer.
    pub customer: String,
    /// What became of the change.
    pub settled: Settled,
    /// The state in which the license is now.
    pub state: State,
}

/// The changes that wait for times after this one and that the newest entries settled, which are
/// of a clock that was ahead of it and were not corrected yet.
pub(crate) fn settled_early(query: &Query<'_>, now: UnixTime) -> Result<Vec<SettledEarly>, Error> {
    let since = query.newest_correction()?;
    let mut found = Vec::new();
    for id in query.licenses_changed(since, now)? {
        let mut record: Option<LicenseRecord> = None;
        let mut early = Vec::new();
        for entry in query.changes_of_license(id)? {
            if let Some(record) = &mut record
                && entry.seq > since
            {
                let settled = record.settle(entry.time).into_iter();
                early.extend(settled.filter(|settled| settled.waited.effective > now));
            }
            fold(&mut record, &entry)?;
        }
        let Some(record) = record else { continue };
        found.extend(early.into_iter().map(|settled| SettledEarly {
            license: id,
            customer: record.customer.clone(),
            settled,
            state: record.state(now),
        }));
    }
    Ok(found)
}
