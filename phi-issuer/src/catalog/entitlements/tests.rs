//! What licenses grant, and what cannot be resolved.

use super::*;
use crate::catalog::Source;

fn revision() -> Revision {
    let text = r#"
        product = "p"
        flags = { sso = "SSO", old = "Old", gone = "Gone" }
        quotas = { api = { period = "month" }, jobs = { period = "day" } }
        limits = { seats = "Seats" }
        [plans.team]
        flags = ["sso"]
        quotas = { api = 100 }
        limits = { seats = 9223372036854775807 }
        [addons.calls]
        flags = ["old"]
        quotas = { api = 5, jobs = 1 }
        [addons.flat]
        quotas = { api = "unlimited" }
        [addons.seats]
        limits = { seats = 9223372036854775807 }
    "#;
    let edited = text
        .replace("old = \"Old\", gone = \"Gone\"", "new = { was = \"old\" }")
        .replace("[\"old\"]", "[\"new\"]");
    let first = Revision::first(&Source::parse(text).unwrap()).unwrap();
    first.next(&Source::parse(&edited).unwrap()).unwrap()
}

fn resolve(addons: &[&str], overrides: &Overrides) -> Result<Entitlements, EntitlementError> {
    let addons: Vec<String> = addons.iter().map(ToString::to_string).collect();
    revision().entitlements("team", &addons, overrides)
}

fn names(all: &[&str]) -> BTreeSet<String> {
    all.iter().map(ToString::to_string).collect()
}

fn amount(name: &str, amount: Allowance) -> BTreeMap<String, Allowance> {
    BTreeMap::from([(name.to_owned(), amount)])
}

#[test]
fn addons_add_and_count_each_time() {
    let none = Overrides::default();
    let twice = resolve(&["calls", "calls"], &none).unwrap();
    assert_eq!(twice.flags, BTreeSet::from([0, 1]));
    assert_eq!(twice.quotas[&0], (Allowance::Limited(110), Period::Month));
    assert_eq!(twice.quotas[&1], (Allowance::Limited(2), Period::Day));
    let flat = resolve(&["flat", "calls"], &none).unwrap();
    assert_eq!(flat.quotas[&0], (Allowance::Unlimited, Period::Month));
    let name = "seats".to_owned();
    assert!(resolve(&["seats"], &none).is_ok());
    assert_eq!(
        resolve(&["seats", "seats"], &none),
        Err(EntitlementError::TooMuch { name })
    );
}

#[test]
fn overrides_come_last() {
    let overrides = Overrides {
        flags: names(&["new"]),
        without: names(&["sso", "jobs", "seats"]),
        quotas: amount("api", Allowance::Limited(0)),
        limits: BTreeMap::new(),
    };
    let granted = resolve(&["calls"], &overrides).unwrap();
    assert_eq!(granted.flags, BTreeSet::from([1]));
    let api = (Allowance::Limited(0), Period::Month);
    assert_eq!(granted.quotas, BTreeMap::from([(0, api)]));
    assert!(granted.limits.is_empty());
    let limits = amount("seats", Allowance::Unlimited);
    let raised = resolve(
        &[],
        &Overrides {
            limits,
            ..Overrides::default()
        },
    )
    .unwrap();
    assert_eq!(raised.limits[&0], Allowance::Unlimited);
}

#[test]
fn what_cannot_be_resolved_says_why() {
    #[track_caller]
    fn check(overrides: &Overrides, expected: &str) {
        assert_eq!(resolve(&[], overrides).unwrap_err().to_string(), expected);
    }
    let flags = |name| Overrides {
        flags: names(&[name]),
        ..Overrides::default()
    };
    check(&flags("api"), "\"api\" is a quota, not a flag");
    check(&flags("ss"), "no flag, quota or limit is called \"ss\"");
    check(&flags("old"), "\"old\" is called \"new\" now");
    check(&flags("gone"), "\"gone\" was removed from the catalog");
    let without = Overrides {
        without: names(&["x"]),
        ..Overrides::default()
    };
    check(&without, "no flag, quota or limit is called \"x\"");
    let both = Overrides {
        without: names(&["sso"]),
        ..flags("sso")
    };
    check(&both, "the overrides both grant \"sso\" and take it away");
    let refused = revision()
        .entitlements("gold", &[], &Overrides::default())
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "no plan is called \"gold\"; plans: team"
    );
    let refused = resolve(&["gold"], &Overrides::default()).unwrap_err();
    assert!(refused.to_string().ends_with("add-ons: calls, flat, seats"));
}

#[test]
fn a_tampered_revision_grants_nothing() {
    for (table, code) in [("flags", 0), ("quotas", 0), ("limits", 0)] {
        let mut stored = serde_json::to_value(revision()).unwrap();
        let terms = stored["terms"][table].as_object_mut().unwrap();
        terms.remove(&code.to_string());
        let tampered: Revision = serde_json::from_value(stored).unwrap();
        let refused = tampered.entitlements("team", &[], &Overrides::default());
        assert!(matches!(
            refused,
            Err(EntitlementError::Inconsistent { code: 0, .. })
        ));
    }
}
