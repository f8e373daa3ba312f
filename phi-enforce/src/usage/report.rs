//! What a usage report says. Making one is left to `replay`, signing it to whoever sends it.

use std::collections::BTreeSet;

use phi_verify::{Allowance, LicenseId, Period, UnixTime};
use serde::{Deserialize, Serialize};

use super::time;
use crate::error::{Fault, StoreError};

/// What a report is asked for: a span of time, of all licenses unless said, as of now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageQuery {
    pub(super) from: UnixTime,
    pub(super) to: UnixTime,
    pub(super) licenses: Option<BTreeSet<LicenseId>>,
    pub(super) through: Option<u64>,
}

impl UsageQuery {
    /// Of the time from `from` on, and before `to`.
    ///
    /// # Errors
    /// If nothing is between them.
    pub fn new(from: UnixTime, to: UnixTime) -> Result<Self, StoreError> {
        if from >= to {
            let problem = format!("the span ends at {to}, which is not after its beginning {from}");
            return Err(StoreError::new(Fault::Request, problem));
        }
        Ok(Self {
            from,
            to,
            licenses: None,
            through: None,
        })
    }

    /// Of these licenses alone: nothing about others is in the report or its digest.
    #[must_use]
    pub fn of(self, licenses: impl IntoIterator<Item = LicenseId>) -> Self {
        Self {
            licenses: Some(licenses.into_iter().collect()),
            ..self
        }
    }

    /// As the log was when this was the number of its newest event: what an earlier report has in
    /// [`ReportedLog::through`]. The same span has the same report again.
    #[must_use]
    pub fn through(self, seq: u64) -> Self {
        Self {
            through: Some(seq),
            ..self
        }
    }

    pub(super) fn covers(&self, license: LicenseId) -> bool {
        let licenses = self.licenses.as_ref();
        licenses.is_none_or(|licenses| licenses.contains(&license))
    }
}

/// What was used of licenses in a span of time: made of the usage log alone, so that whoever has the
/// log can make it again.
///
/// The same log and the same span make the same report, to the byte. Periods of quotas that are
/// partly in the span are in it whole, with everything that was ever charged to them; days of
/// limits are cut off at the span's ends. Times are in UTC, by the store's wall clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UsageReport {
    /// The form of the report.
    pub format: ReportFormat,
    /// The store's own name.
    pub store: String,
    /// Which history of the store it is: another number means that it went back to an earlier state,
    /// and may have forgotten what was given out since.
    pub epoch: u64,
    /// Where the span begins: RFC 3339, in UTC.
    #[serde(with = "time")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub from: UnixTime,
    /// Where it ends: the first second that is not in it.
    #[serde(with = "time")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub to: UnixTime,
    /// What the report is made of.
    pub log: ReportedLog,
    /// Of each license that has anything to report, by id.
    pub licenses: Vec<ReportedLicense>,
}

/// The form of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ReportFormat {
    /// The first, and the only one so far.
    #[default]
    #[serde(rename = "phi.usage.v1")]
    V1,
}

/// The events that a report is made of: those of its licenses from the beginning of the log on.
///
/// Those before the span are among them, because who had a seat when it began stands there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReportedLog {
    /// The number of the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
    /// The number of the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<u64>,
    /// How far the log was read: events after this number are not in the report.
    pub through: u64,
    /// How many events.
    pub events: u64,
    /// The digest of the events, each as a line of JSON: SHA-256 in hexadecimal.
    pub sha256: String,
    /// The furthest that the clock was behind the event before, in milliseconds. How long seats were
    /// held is known no better than this.
    pub clock_set_back_ms: u64,
}

/// What was used of a license.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReportedLicense {
    /// Its id.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub license: LicenseId,
    /// Of each quota, by number.
    pub quotas: Vec<ReportedQuota>,
    /// Of each concurrency limit, by number.
    pub limits: Vec<ReportedLimit>,
}

/// What was used of a quota.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReportedQuota {
    /// Its number in the product's catalog.
    pub code: u16,
    /// Its name there, where whoever made the report has the catalog. The log has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Of each period, in their order.
    pub periods: Vec<ReportedPeriod>,
}

/// What was used of a quota in a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReportedPeriod {
    /// Its kind: `lifetime`, `hour`, `day`, `month` or `year`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub period: Period,
    /// When it began; a whole life has neither beginning nor end here.
    #[serde(
        default,
        with = "time::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub begins: Option<UnixTime>,
    /// When it ends.
    #[serde(
        default,
        with = "time::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub ends: Option<UnixTime>,
    /// Units that were given out to nodes in all.
    pub granted: u64,
    /// Units of those that came back.
    pub returned: u64,
    /// Units that count as used: granted less returned. They were spent, are in the hands of a
    /// node, or were lost with one.
    pub used: u64,
    /// The limit when units were last given out: a number, or `unlimited`. It is missing where the
    /// log was begun by a version that did not write it down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<serde_json::Value>))]
    pub limit: Option<Allowance>,
    /// Units used beyond that limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overage: Option<u64>,
}

/// How the seats of a concurrency limit were used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReportedLimit {
    /// Its number in the product's catalog.
    pub code: u16,
    /// Its name there, where whoever made the report has the catalog. The log has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Of each day on which a seat was taken, in their order.
    pub days: Vec<ReportedDay>,
}

/// How seats were used on a day. Of several sessions of a holder one seat is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReportedDay {
    /// When the day began: RFC 3339, in UTC.
    #[serde(with = "time")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub day: UnixTime,
    /// The most that were taken at once.
    pub peak: u64,
    /// How often one was taken that its holder did not have.
    pub acquired: u64,
    /// For how many seconds they were held, together: until they were given up or evicted, and one
    /// that was taken along until its end.
    pub seat_seconds: u64,
    /// How often a holder lost one, because it was silent and somebody waited.
    pub evicted: u64,
    /// How often one was taken along.
    pub borrowed: u64,
}
