//! The `RateLimit` fields: what is left of a quota, for programs that read it from a response.
//!
//! `draft-ietf-httpapi-ratelimit-headers`, whose fields are structured by RFC 9651.

use http::{HeaderMap, HeaderName, HeaderValue};
use phi_verify::{Allowance, Quota, QuotaCode, UnixTime};

use crate::{
    clock::Wall,
    gate::{Gate, Taken},
    period::Label,
    refusal::Refusal,
};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");
/// The greatest integer of a structured field, RFC 9651, section 3.3.1.
const GREATEST: u64 = 999_999_999_999_999;

/// How a quota stood at an answer, as the `RateLimit-Policy` and `RateLimit` fields say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    name: String,
    limit: u64,
    left: u64,
    /// How long the period lasts and how long from now, in seconds; a whole life does neither.
    period: Option<(u64, u64)>,
}

impl RateLimit {
    /// Of a quota of which so many may be used, and so many are left until the period ends. The
    /// name is for whoever reads the fields; what they cannot carry of it becomes `_`.
    pub fn new(name: &str, limit: u64, left: u64, ends: Option<(Label, UnixTime)>) -> Self {
        let printable = |c: char| if matches!(c, ' '..='~') { c } else { '_' };
        let period = ends.and_then(|(label, now)| {
            let ends = label.ends()?.seconds();
            let begins = label.before().and_then(Label::ends);
            let begins = begins.map_or(0, UnixTime::seconds);
            Some((ends - begins, ends.saturating_sub(now.seconds())))
        });
        Self {
            name: name.chars().map(printable).collect(),
            limit,
            left,
            period,
        }
    }

    /// The name of the quota.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `RateLimit-Policy`: how many there are, and in how long.
    pub fn policy(&self) -> HeaderValue {
        let window = self.period.map(|(length, _)| length);
        self.value('q', self.limit, 'w', window)
    }

    /// `RateLimit`: how many are left, and for how long.
    pub fn state(&self) -> HeaderValue {
        let resets = self.period.map(|(_, left)| left);
        self.value('r', self.left, 't', resets)
    }

    /// Adds both fields. What other quotas said stays: the fields are lists.
    pub fn append_to(&self, headers: &mut HeaderMap) {
        headers.append(POLICY, self.policy());
        headers.append(STATE, self.state());
    }

    fn value(&self, amount: char, of: u64, time: char, seconds: Option<u64>) -> HeaderValue {
        let name = self.name.replace('\\', "\\\\").replace('"', "\\\"");
        let seconds = seconds.map(|seconds| format!(";{time}={}", seconds.min(GREATEST)));
        let seconds = seconds.unwrap_or_default();
        let value = format!("\"{name}\";{amount}={}{seconds}", of.min(GREATEST));
        HeaderValue::try_from(value).expect("every character is printable")
    }
}

impl Gate {
    /// What the `RateLimit` fields say after this answer of [`Gate::take`]. `None` for a quota
    /// without a limit, and for a refusal that has nothing to do with how much is left.
    pub fn rate_limit(
        &self,
        quota: QuotaCode,
        name: &str,
        answer: &Result<Taken, Refusal>,
    ) -> Option<RateLimit> {
        let (left, resets) = match answer {
            Ok(taken) => (taken.left, taken.resets),
            Err(Refusal::Exhausted { left, resets, .. }) => (*left, *resets),
            Err(_) => return None,
        };
        let (quota, extra) = self.quota_terms(quota)?;
        let Quota {
            allowance: Allowance::Limited(limit),
            period,
        } = quota
        else {
            return None;
        };
        let ends = resets.map(|resets| {
            let last = Wall::from(resets.minus(1));
            (Label::at(period, last), self.now().second())
        });
        Some(RateLimit::new(
            name,
            limit.saturating_add(extra),
            left,
            ends,
        ))
    }
}

#[cfg(test)]
mod tests {
    use phi_verify::Period;
    use sfv::{BareItem, List, ListEntry, Parser};

    use super::*;

    /// What a client reads of a value: the name, and the parameters by their keys.
    #[track_caller]
    fn read(value: &HeaderValue) -> (String, Vec<(String, u64)>) {
        let list: List = Parser::new(value.as_bytes()).parse().unwrap();
        let [ListEntry::Item(item)] = &list[..] else {
            panic!("{list:?}");
        };
        let BareItem::String(name) = &item.bare_item else {
            panic!("{item:?}");
        };
        let number = |value: &BareItem| u64::try_from(i64::from(value.as_integer().unwrap()));
        let parameters = item.params.iter();
        let parameters = parameters.map(|(key, value)| (key.to_string(), number(value).unwrap()));
        (name.to_string(), parameters.collect())
    }

    #[track_caller]
    fn check(limit: &RateLimit, policy: &[(&str, u64)], state: &[(&str, u64)]) -> String {
        let (name, found) = read(&limit.policy());
        let owned = |pairs: &[(&str, u64)]| -> Vec<_> {
            pairs.iter().map(|(key, of)| ((*key).into(), *of)).collect()
        };
        assert_eq!(found, owned(policy));
        let (same, found) = read(&limit.state());
        assert_eq!((&same, found), (&name, owned(state)));
        name
    }

    #[test]
    fn both_fields_are_structured_as_the_draft_says() {
        let now = UnixTime::new(1_925_251_200).unwrap(); // 2031-01-04T00:00:00Z
        let month = Label::at(Period::Month, Wall::from(now));
        let limit = RateLimit::new("api-calls", 5000, 17, Some((month, now)));
        assert_eq!(limit.policy(), r#""api-calls";q=5000;w=2678400"#);
        assert_eq!(limit.state(), r#""api-calls";r=17;t=2419200"#);
        let name = check(
            &limit,
            &[("q", 5000), ("w", 31 * 86_400)],
            &[("r", 17), ("t", 28 * 86_400)],
        );
        assert_eq!(name, "api-calls");
    }

    #[test]
    fn a_whole_life_has_no_window_and_late_is_not_before() {
        let life = Label::at(Period::Lifetime, Wall::default());
        let now = UnixTime::EPOCH;
        let limit = RateLimit::new("projects", 10, 0, Some((life, now)));
        check(&limit, &[("q", 10)], &[("r", 0)]);
        let hour = Label::at(Period::Hour, Wall::default());
        let limit = RateLimit::new("calls", 10, 0, Some((hour, UnixTime::MAX)));
        check(&limit, &[("q", 10), ("w", 3600)], &[("r", 0), ("t", 0)]);
    }

    #[test]
    fn no_name_and_no_number_breaks_a_field() {
        let limit = RateLimit::new("a\"b\\c\n\u{e9};q=1", u64::MAX, u64::MAX, None);
        let most = 999_999_999_999_999;
        let name = check(&limit, &[("q", most)], &[("r", most)]);
        assert_eq!(name, r#"a"b\c__;q=1"#);
        check(&RateLimit::new("", 1, 1, None), &[("q", 1)], &[("r", 1)]);
    }
}
