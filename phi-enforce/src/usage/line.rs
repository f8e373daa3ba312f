//! An event as a line of JSON: what a report's digest is computed over.

use phi_verify::{Allowance, LicenseId, LimitCode, Period, QuotaCode, UnixTime};
use serde::Serialize;

use super::{About, UsageEvent};

/// The keys in their order; those that an event does not have are left out.
#[derive(Serialize)]
struct Line<'a> {
    seq: u64,
    /// In milliseconds since 1970.
    at: u64,
    node: String,
    request: u64,
    act: &'static str,
    license: LicenseId,
    #[serde(flatten)]
    subject: Subject<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Subject<'a> {
    Units {
        quota: u16,
        period: Period,
        label: u64,
        units: u64,
    },
    Seat {
        limit: u16,
        fence: u64,
        holder: &'a str,
        session: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        until: Option<UnixTime>,
    },
    Terms {
        quota: u16,
        period: Period,
        revision: u64,
        allowance: Allowance,
    },
}

impl UsageEvent {
    /// The license that it is about.
    pub const fn license(&self) -> LicenseId {
        match &self.about {
            About::Units { key, .. } | About::Terms { key, .. } => key.license,
            About::Seat { pool, .. } | About::Loan { pool, .. } => pool.license,
        }
    }

    /// The event as one line of JSON, with the end of the line: its keys always in the same order,
    /// no space between them, times in whole numbers (`at` in milliseconds, `until` in seconds).
    ///
    /// [`ReportedLog::sha256`](super::ReportedLog::sha256) is the digest of these lines.
    pub fn to_line(&self) -> String {
        let line = Line {
            seq: self.seq,
            at: self.at.millis(),
            node: self.incarnation.to_string(),
            request: self.request,
            act: self.act.name(),
            license: self.license(),
            subject: subject(&self.about),
        };
        serde_json::to_string(&line).expect("keys are text and no part fails") + "\n"
    }
}

fn subject(about: &About) -> Subject<'_> {
    let quota = QuotaCode::get;
    let limit = LimitCode::get;
    match about {
        About::Units { key, label, units } => Subject::Units {
            quota: quota(key.quota),
            period: label.period,
            label: label.number,
            units: *units,
        },
        About::Seat {
            pool,
            fence,
            occupant,
        } => Subject::Seat {
            limit: limit(pool.limit),
            fence: *fence,
            holder: &occupant.holder,
            session: &occupant.session,
            until: None,
        },
        About::Loan {
            pool,
            fence,
            occupant,
            until,
        } => Subject::Seat {
            limit: limit(pool.limit),
            fence: *fence,
            holder: &occupant.holder,
            session: &occupant.session,
            until: Some(*until),
        },
        About::Terms {
            key,
            revision,
            quota: terms,
        } => Subject::Terms {
            quota: quota(key.quota),
            period: terms.period,
            revision: *revision,
            allowance: terms.allowance,
        },
    }
}

#[cfg(test)]
mod tests {
    use phi_verify::Quota;

    use super::*;
    use crate::{
        clock::Wall,
        period::Label,
        store::{Incarnation, Occupant, Pool, QuotaKey},
        usage::Act,
    };

    const LICENSE: LicenseId = LicenseId::from_bytes(*b"license1");
    const KEY: QuotaKey = QuotaKey {
        license: LICENSE,
        quota: QuotaCode::new(2),
    };

    #[track_caller]
    fn check(act: Act, about: About, rest: &str) {
        let event = UsageEvent {
            seq: 7,
            at: Wall::from_millis(1_925_251_200_123),
            incarnation: Incarnation::from_bytes([0xab; 16]),
            request: 3,
            act,
            about,
        };
        let node = "ab".repeat(16);
        let begins = format!(
            "{{\"seq\":7,\"at\":1925251200123,\"node\":\"{node}\",\"request\":3,\"act\":\"{}\",\
             \"license\":\"6c6963656e736531\",",
            act.name()
        );
        assert_eq!(event.to_line(), format!("{begins}{rest}}}\n"));
    }

    /// Whoever recomputes a digest writes these bytes.
    #[test]
    fn an_event_is_written_in_one_way() {
        let label = Label {
            period: Period::Month,
            number: 732,
        };
        let units = About::Units {
            key: KEY,
            label,
            units: 9,
        };
        let written = r#""quota":2,"period":"month","label":732,"units":9"#;
        check(Act::Granted, units, written);
        let pool = Pool {
            license: LICENSE,
            limit: LimitCode::new(1),
        };
        let occupant = Occupant {
            holder: "an\"n\n".into(),
            session: "lapt\u{f6}p".into(),
        };
        let seat = About::Seat {
            pool,
            fence: 5,
            occupant: occupant.clone(),
        };
        let written = r#""limit":1,"fence":5,"holder":"an\"n\n","session":"laptöp""#;
        check(Act::SeatAcquired, seat, written);
        let loan = About::Loan {
            pool,
            fence: 5,
            occupant,
            until: UnixTime::EPOCH.plus(60),
        };
        check(Act::SeatBorrowed, loan, &format!("{written},\"until\":60"));
        let terms = |allowance| About::Terms {
            key: KEY,
            revision: 4,
            quota: Quota {
                allowance,
                period: Period::Month,
            },
        };
        let written = r#""quota":2,"period":"month","revision":4,"allowance":100"#;
        check(Act::TermsSet, terms(Allowance::Limited(100)), written);
        let written = r#""quota":2,"period":"month","revision":4,"allowance":"unlimited""#;
        check(Act::TermsSet, terms(Allowance::Unlimited), written);
    }
}
