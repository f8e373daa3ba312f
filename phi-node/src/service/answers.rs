//! What calls answer: plain records, which every protocol writes in its own way.

use phi_enforce::{
    BorrowedSeat, PeriodUsage, Place, RateLimit, SeatUsage, Standing as QuotaStanding, Taken,
    borrowed_to_text,
};
use phi_verify::{Allowance, LicenseId, LimitCode, Period, QuotaCode, UnixTime};
use serde::Serialize;
use utoipa::ToSchema;

use super::millis;
use crate::{
    intake::{Named, Report},
    licenses::{Entry, Shelf, Standing, Trust},
    sessions::{Seat, session_parts},
};

/// An answer with what is left of a quota, for the `RateLimit` fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limited<T> {
    /// The answer.
    pub answer: T,
    /// How the quota stood.
    pub limit: Option<RateLimit>,
}

/// A flag that is on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Checked {
    /// The license.
    #[schema(value_type = String)]
    pub license: LicenseId,
    /// The flag, as it was asked for.
    pub flag: String,
    /// The number of the flag.
    pub code: u16,
}

/// Units that were taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TakenAnswer {
    /// The license.
    #[schema(value_type = String)]
    pub license: LicenseId,
    /// The quota, as it was asked for.
    pub quota: String,
    /// The number of the quota.
    pub code: u16,
    /// How many were taken.
    pub units: u64,
    /// How many are left of the period, as of the store's last answer. Where there is no limit, a
    /// number above 2^62.
    pub left: u64,
    /// When the period ends: RFC 3339, in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resets: Option<String>,
    /// How the use lies to the limit.
    pub standing: LimitedBy,
}

/// How the use of a quota lies to its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LimitedBy {
    /// Within it.
    Within,
    /// Within it, and from the soft limit on.
    Soft,
    /// Beyond it, as the policy allows.
    Beyond,
}

impl TakenAnswer {
    pub(super) fn of(
        license: LicenseId,
        quota: &str,
        code: QuotaCode,
        units: u64,
        taken: Taken,
    ) -> Self {
        Self {
            license,
            quota: quota.into(),
            code: code.get(),
            units,
            left: taken.left,
            resets: taken.resets.map(|ends| ends.to_string()),
            standing: match taken.standing {
                QuotaStanding::Within => LimitedBy::Within,
                QuotaStanding::Soft => LimitedBy::Soft,
                QuotaStanding::Beyond => LimitedBy::Beyond,
            },
        }
    }
}

/// A seat of a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SeatAnswer {
    /// Its name, by which it is renewed and given back. It is good for this client alone.
    pub seat: String,
    /// The license.
    #[schema(value_type = String)]
    pub license: LicenseId,
    /// The concurrency limit: its name, or its number.
    pub limit: String,
    /// Who is counted.
    pub holder: String,
    /// Which use of the seat this is.
    pub session: String,
    /// The number of the seat, which rises with every seat that is given out: hand it to what the
    /// holder writes to, and let that refuse a lower one than it has seen.
    pub fence: u64,
    /// How long the seat may be used, in milliseconds from before the request was sent, by a clock
    /// that goes on in suspend. After that, stop. It is what was left at the answer: whoever waited
    /// in the queue renews once before it begins.
    pub valid_for_ms: u64,
    /// When to renew, in milliseconds from the same moment.
    pub renew_after_ms: u64,
}

impl SeatAnswer {
    pub(super) fn of(seat: Seat, entry: &Entry) -> Self {
        Self {
            license: seat.pool.license,
            limit: limit_name(entry, seat.pool.limit),
            fence: seat.fence,
            valid_for_ms: millis(seat.valid_for),
            renew_after_ms: millis(seat.renew_after),
            seat: seat.id,
            holder: seat.holder,
            session: seat.session,
        }
    }
}

/// A seat that was taken along.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct BorrowedAnswer {
    /// The document that the machine takes along, as a word: `phi.borrowed-seat.…`.
    #[serde(serialize_with = "word")]
    #[schema(value_type = String)]
    pub document: Vec<u8>,
    /// The license.
    #[schema(value_type = String)]
    pub license: LicenseId,
    /// The concurrency limit: its name, or its number.
    pub limit: String,
    /// Who is on it.
    pub holder: String,
    /// Which use of the seat this is.
    pub session: String,
    /// The number of the seat, as of any other.
    pub fence: u64,
    /// When it begins: RFC 3339, in UTC.
    pub from: String,
    /// When it ends.
    pub until: String,
}

fn word<S: serde::Serializer>(document: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&borrowed_to_text(document))
}

impl BorrowedAnswer {
    pub(super) fn of(seat: &BorrowedSeat, entry: &Entry, document: Vec<u8>) -> Self {
        let (_, session) = session_parts(&seat.occupant().session);
        Self {
            document,
            license: seat.license(),
            limit: limit_name(entry, seat.limit()),
            holder: seat.occupant().holder.clone(),
            session: session.into(),
            fence: seat.fence(),
            from: seat.from().to_string(),
            until: seat.until().to_string(),
        }
    }
}

/// The name of a limit, or its number.
fn limit_name(entry: &Entry, limit: LimitCode) -> String {
    let catalog = entry.catalog.as_ref();
    let named = catalog.and_then(|catalog| catalog.limits.get(&limit));
    named.map_or_else(|| limit.get().to_string(), |named| named.name.clone())
}

/// Someone on a seat or in the queue for one, at any node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Occupied {
    /// Who is counted.
    pub holder: String,
    /// The client that claimed it; none, if a program did that enforces by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// Which use of the seat this is.
    pub session: String,
    /// The group that the holder is of: of a seat, the one with which it was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Whether it is on a seat or waits.
    pub place: Where,
    /// The number of the seat, or of the place in the queue.
    pub fence: u64,
    /// How long it is held without a renewal, in milliseconds.
    pub lease_ms: u64,
}

/// Where in a pool someone is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Where {
    /// On a seat.
    Seat,
    /// In the queue.
    Queue,
}

impl From<Place> for Where {
    fn from(place: Place) -> Self {
        match place {
            Place::Seat => Self::Seat,
            Place::Queue => Self::Queue,
        }
    }
}

/// What a node believes, and its licenses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LicensesAnswer {
    /// What it believes.
    pub trust: TrustAnswer,
    /// Every license that the client may use.
    pub licenses: Vec<LicenseAnswer>,
}

/// A license of the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LicenseAnswer {
    /// Its id.
    #[schema(value_type = String)]
    pub license: LicenseId,
    /// The product.
    pub product: String,
    /// The revision that speaks for it.
    pub revision: u64,
    /// Whether it was verified; if not, `reason` says why.
    pub in_force: bool,
    /// Why it is not in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The customer, if it is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// The plan, if it is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// When it expires: RFC 3339, in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// When it stops working, grace included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends: Option<String>,
    /// The flags that are on: their names, or their numbers.
    pub flags: Vec<String>,
    /// The quotas.
    pub quotas: Vec<QuotaAnswer>,
    /// The concurrency limits.
    pub limits: Vec<LimitAnswer>,
}

/// A quota of a license.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct QuotaAnswer {
    /// Its name, or its number.
    pub quota: String,
    /// Its number.
    pub code: u16,
    /// How much there is in each period; without it, there is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// `lifetime`, `hour`, `day`, `month` or `year`.
    #[schema(value_type = String)]
    pub period: Period,
}

/// A concurrency limit of a license.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LimitAnswer {
    /// Its name, or its number.
    pub limit: String,
    /// Its number.
    pub code: u16,
    /// How many seats there are; without it, there is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seats: Option<u64>,
}

const fn amount(allowance: Allowance) -> Option<u64> {
    match allowance {
        Allowance::Limited(limit) => Some(limit),
        Allowance::Unlimited => None,
    }
}

impl LicenseAnswer {
    pub(super) fn of(entry: &Entry) -> Self {
        let mut answer = Self {
            license: entry.id,
            product: entry.product.clone(),
            revision: entry.revision,
            in_force: false,
            reason: None,
            customer: None,
            plan: None,
            expires: None,
            ends: None,
            flags: Vec::new(),
            quotas: Vec::new(),
            limits: Vec::new(),
        };
        let license = match &entry.standing {
            Standing::InForce(license) => license,
            Standing::Refused(error) => {
                answer.reason = Some(Reason {
                    code: error.code().into(),
                    message: error.to_string(),
                });
                return answer;
            }
        };
        let claims = license.claims();
        let ends = |ends: UnixTime| ends.plus(claims.grace).to_string();
        answer.in_force = true;
        answer.customer = Some(license.customer().into());
        answer.plan = Some(license.plan().into());
        answer.expires = license.expires().map(|expires| expires.to_string());
        answer.ends = license.expires().map(ends);
        let catalog = entry.catalog.as_deref();
        let flags = license.flags().map(|code| {
            let named = catalog.and_then(|catalog| catalog.flags.get(&code));
            named.map_or_else(|| code.get().to_string(), |named| named.name.clone())
        });
        answer.flags = flags.collect();
        let quotas = claims.terms.quotas.iter().map(|(code, quota)| {
            let named = catalog.and_then(|catalog| catalog.quotas.get(code));
            let number = || code.get().to_string();
            QuotaAnswer {
                quota: named.map_or_else(number, |(named, _)| named.name.clone()),
                code: code.get(),
                limit: amount(quota.allowance),
                period: quota.period,
            }
        });
        answer.quotas = quotas.collect();
        let limits = claims.terms.limits.iter().map(|(code, seats)| {
            let named = catalog.and_then(|catalog| catalog.limits.get(code));
            let number = || code.get().to_string();
            LimitAnswer {
                limit: named.map_or_else(number, |named| named.name.clone()),
                code: code.get(),
                seats: amount(*seats),
            }
        });
        answer.limits = limits.collect();
        answer
    }
}

/// What became of signed bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DocumentAnswer {
    /// Whether no part was refused.
    pub good: bool,
    /// The parts, in the order in which they were looked at.
    pub parts: Vec<PartAnswer>,
    /// What is in force and could not be written down for the next start.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unkept: Vec<String>,
}

/// What became of one part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PartAnswer {
    /// `root`, `keyset`, `status`, `catalog`, `clock-reset`, `document` or `license`.
    pub kind: String,
    /// What it is, for people.
    pub name: String,
    /// The license, of a token whose signature holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub license: Option<LicenseId>,
    /// `updated`, `unchanged`, `passed`, `waiting`, `refused` or `no-room`.
    pub outcome: String,
    /// Why it is not in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

impl DocumentAnswer {
    pub(super) fn of(report: &Report) -> Self {
        let parts = report.parts.iter().map(|part| PartAnswer {
            kind: part.name.kind().into(),
            name: part.name.to_string(),
            license: match part.name {
                Named::Token(Some((license, _))) => Some(license),
                _ => None,
            },
            outcome: part.outcome.name().into(),
            reason: part.outcome.error().map(|error| Reason {
                code: error.code().into(),
                message: error.to_string(),
            }),
        });
        Self {
            good: report.is_good(),
            parts: parts.collect(),
            unkept: report.unkept.clone(),
        }
    }
}

/// What was used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct UsageAnswer {
    /// Of each quota, in each period.
    pub quotas: Vec<Used>,
    /// Of the seats, on each day.
    pub seats: Vec<SeatDay>,
}

/// What was used of a quota in a period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Used {
    /// The license.
    #[schema(value_type = String)]
    pub license: LicenseId,
    /// The quota: its name, or its number.
    pub quota: String,
    /// `lifetime`, `hour`, `day`, `month` or `year`.
    #[schema(value_type = String)]
    pub period: Period,
    /// When the period ends: RFC 3339, in UTC; a whole life does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends: Option<String>,
    /// Units that count as used: spent, in the hands of a node, or lost with one.
    pub charged: u64,
    /// Units that were given out in all.
    pub granted: u64,
    /// Units of those that came back.
    pub returned: u64,
}

impl Used {
    /// With the names that the node knows.
    pub fn of(used: &PeriodUsage, shelf: &Shelf) -> Self {
        let entry = shelf.licenses.get(&used.key.license);
        let catalog = entry.and_then(|entry| entry.catalog.as_ref());
        let named = catalog.and_then(|catalog| catalog.quotas.get(&used.key.quota));
        let number = || used.key.quota.get().to_string();
        Self {
            license: used.key.license,
            quota: named.map_or_else(number, |(named, _)| named.name.clone()),
            period: used.label.period,
            ends: used.label.ends().map(|ends| ends.to_string()),
            charged: used.charged(),
            granted: used.granted,
            returned: used.returned,
        }
    }
}

/// How many seats of a limit were taken on a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SeatDay {
    /// The license.
    #[schema(value_type = String)]
    pub license: LicenseId,
    /// The limit: its name, or its number.
    pub limit: String,
    /// When the day began: RFC 3339, in UTC.
    pub day: String,
    /// The most at once.
    pub peak: u64,
    /// How often one was taken.
    pub acquired: u64,
}

impl SeatDay {
    /// With the names that the node knows.
    pub fn of(day: &SeatUsage, shelf: &Shelf) -> Self {
        let entry = shelf.licenses.get(&day.pool.license);
        let catalog = entry.and_then(|entry| entry.catalog.as_ref());
        let named = catalog.and_then(|catalog| catalog.limits.get(&day.pool.limit));
        let number = || day.pool.limit.get().to_string();
        Self {
            license: day.pool.license,
            limit: named.map_or_else(number, |named| named.name.clone()),
            day: day.day.to_string(),
            peak: day.peak,
            acquired: day.acquired,
        }
    }
}

/// Whether a node can serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Readiness {
    /// Whether it can.
    pub ready: bool,
    /// Why it cannot.
    pub reasons: Vec<Reason>,
}

/// What a node believes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TrustAnswer {
    /// The version of the root in force.
    pub root: u64,
    /// The version of the keyset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keyset: Option<u64>,
    /// The epoch of the newest status list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u64>,
    /// How old that list is: `fresh`, `stale`, `expired` or `missing`.
    pub freshness: String,
}

impl TrustAnswer {
    pub(super) fn of(trust: &Trust) -> Self {
        Self {
            root: trust.root,
            keyset: trust.keyset,
            status: trust.status,
            freshness: trust.freshness.clone(),
        }
    }
}

/// Why something is not so: a stable word, and a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Reason {
    /// The word, for programs.
    pub code: String,
    /// The sentence, for people; its wording may change.
    pub message: String,
}
