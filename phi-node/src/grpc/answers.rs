//! Requests and answers of the service, as messages.

use std::time::Duration;

use super::v1;
use crate::service::{
    Borrow, BorrowedAnswer, Checked, Claim, DocumentAnswer, LicenseAnswer, LicensesAnswer,
    LimitAnswer, LimitedBy, Occupied, PartAnswer, QuotaAnswer, Reason, SeatAnswer, SeatDay, Take,
    TakenAnswer, TrustAnswer, UsageAnswer, Used, Where,
};

impl From<v1::ClaimRequest> for Claim {
    fn from(asked: v1::ClaimRequest) -> Self {
        Self {
            license: asked.license,
            limit: asked.limit,
            holder: asked.holder,
            group: asked.group,
            session: asked.session,
            wait: asked.wait_ms.map(Duration::from_millis),
        }
    }
}

impl From<v1::TakeRequest> for Take {
    fn from(asked: v1::TakeRequest) -> Self {
        Self {
            license: asked.license,
            quota: asked.quota,
            units: asked.units,
            key: asked.idempotency_key,
        }
    }
}

impl From<v1::BorrowRequest> for Borrow {
    fn from(asked: v1::BorrowRequest) -> Self {
        Self {
            license: asked.license,
            limit: asked.limit,
            holder: asked.holder,
            group: asked.group,
            session: asked.session,
            machine: asked.machine,
            required: asked.required,
            lasts: asked.for_s.map(Duration::from_secs),
        }
    }
}

impl From<BorrowedAnswer> for v1::BorrowResponse {
    fn from(lent: BorrowedAnswer) -> Self {
        Self {
            document: lent.document,
            license: lent.license.to_string(),
            limit: lent.limit,
            holder: lent.holder,
            session: lent.session,
            fence: lent.fence,
            from: lent.from,
            until: lent.until,
        }
    }
}

impl From<Checked> for v1::CheckResponse {
    fn from(checked: Checked) -> Self {
        Self {
            license: checked.license.to_string(),
            flag: checked.flag,
            code: checked.code.into(),
        }
    }
}

impl From<TakenAnswer> for v1::TakeResponse {
    fn from(taken: TakenAnswer) -> Self {
        let standing = match taken.standing {
            LimitedBy::Within => v1::QuotaStanding::Within,
            LimitedBy::Soft => v1::QuotaStanding::Soft,
            LimitedBy::Beyond => v1::QuotaStanding::Beyond,
        };
        Self {
            license: taken.license.to_string(),
            quota: taken.quota,
            code: taken.code.into(),
            units: taken.units,
            left: taken.left,
            resets: taken.resets,
            standing: standing.into(),
        }
    }
}

impl From<SeatAnswer> for v1::Seat {
    fn from(seat: SeatAnswer) -> Self {
        Self {
            seat: seat.seat,
            license: seat.license.to_string(),
            limit: seat.limit,
            holder: seat.holder,
            session: seat.session,
            fence: seat.fence,
            valid_for_ms: seat.valid_for_ms,
            renew_after_ms: seat.renew_after_ms,
        }
    }
}

impl From<Occupied> for v1::Occupied {
    fn from(occupied: Occupied) -> Self {
        let place = match occupied.place {
            Where::Seat => v1::Place::Seat,
            Where::Queue => v1::Place::Queue,
        };
        Self {
            holder: occupied.holder,
            client: occupied.client,
            session: occupied.session,
            group: occupied.group,
            place: place.into(),
            fence: occupied.fence,
            lease_ms: occupied.lease_ms,
        }
    }
}

impl From<LicensesAnswer> for v1::ListLicensesResponse {
    fn from(answer: LicensesAnswer) -> Self {
        Self {
            trust: Some(answer.trust.into()),
            licenses: answer.licenses.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<TrustAnswer> for v1::Trust {
    fn from(trust: TrustAnswer) -> Self {
        Self {
            root: trust.root,
            keyset: trust.keyset,
            status: trust.status,
            freshness: trust.freshness,
        }
    }
}

impl From<LicenseAnswer> for v1::License {
    fn from(license: LicenseAnswer) -> Self {
        Self {
            license: license.license.to_string(),
            product: license.product,
            revision: license.revision,
            in_force: license.in_force,
            reason: license.reason.map(Into::into),
            customer: license.customer,
            plan: license.plan,
            expires: license.expires,
            ends: license.ends,
            flags: license.flags,
            quotas: license.quotas.into_iter().map(Into::into).collect(),
            limits: license.limits.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<QuotaAnswer> for v1::Quota {
    fn from(quota: QuotaAnswer) -> Self {
        Self {
            quota: quota.quota,
            code: quota.code.into(),
            limit: quota.limit,
            period: period(quota.period).into(),
        }
    }
}

const fn period(period: phi_verify::Period) -> v1::Period {
    match period {
        phi_verify::Period::Lifetime => v1::Period::Lifetime,
        phi_verify::Period::Hour => v1::Period::Hour,
        phi_verify::Period::Day => v1::Period::Day,
        phi_verify::Period::Month => v1::Period::Month,
        phi_verify::Period::Year => v1::Period::Year,
    }
}

impl From<LimitAnswer> for v1::Limit {
    fn from(limit: LimitAnswer) -> Self {
        Self {
            limit: limit.limit,
            code: limit.code.into(),
            seats: limit.seats,
        }
    }
}

impl From<DocumentAnswer> for v1::ImportDocumentResponse {
    fn from(answer: DocumentAnswer) -> Self {
        Self {
            good: answer.good,
            parts: answer.parts.into_iter().map(Into::into).collect(),
            unkept: answer.unkept,
        }
    }
}

impl From<PartAnswer> for v1::Part {
    fn from(part: PartAnswer) -> Self {
        Self {
            kind: part.kind,
            name: part.name,
            license: part.license.map(|license| license.to_string()),
            outcome: part.outcome,
            reason: part.reason.map(Into::into),
        }
    }
}

impl From<Reason> for v1::Reason {
    fn from(reason: Reason) -> Self {
        Self {
            code: reason.code,
            message: reason.message,
        }
    }
}

impl From<UsageAnswer> for v1::GetUsageResponse {
    fn from(usage: UsageAnswer) -> Self {
        Self {
            quotas: usage.quotas.into_iter().map(Into::into).collect(),
            seats: usage.seats.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Used> for v1::QuotaUsage {
    fn from(used: Used) -> Self {
        Self {
            license: used.license.to_string(),
            quota: used.quota,
            period: period(used.period).into(),
            ends: used.ends,
            charged: used.charged,
            granted: used.granted,
            returned: used.returned,
        }
    }
}

impl From<SeatDay> for v1::SeatUsage {
    fn from(day: SeatDay) -> Self {
        Self {
            license: day.license.to_string(),
            limit: day.limit,
            day: day.day,
            peak: day.peak,
            acquired: day.acquired,
        }
    }
}
