use phi_enforce::{Borrowing, LONGEST_LEASE, Overage};
use phi_tests::snakeoil;

use super::*;

fn parse(text: &str) -> Result<Policies, PolicyError> {
    Policies::parse(Path::new("policy.toml"), text, LONGEST_LEASE)
}

/// The catalog of this product, with these numbers in place of the codes of its quotas.
fn catalogs(products: &[&str]) -> BTreeMap<String, Arc<Catalog>> {
    let all = products.iter().map(|product| {
        let product = (*product).to_owned();
        let catalog = Catalog {
            product: product.clone(),
            ..snakeoil::catalog()
        };
        (product, Arc::new(catalog))
    });
    all.collect()
}

#[test]
fn a_policy_is_said_by_name_by_number_and_by_product() {
    let policies = parse(
        r#"
        [quotas.api_calls]
        soft = 8
        allow = 1

        [quotas.1]
        burst = 3

        [seats.seats]
        lease = 20
        extra = 2
        reserved = { ops = 2, "on call" = 1 }
        borrow = { days = 7, percent = 25 }

        [products.other.quotas.api_calls]
        soft = 5
        "#,
    )
    .unwrap();
    let (calls, projects) = (QuotaCode::new(0), QuotaCode::new(1));
    let quota = |soft, overage| QuotaPolicy { soft, overage };
    let seats = SeatPolicy {
        lease: Duration::from_secs(20),
        extra: 2,
        reserved: [("ops", 2), ("on call", 1)].into_iter().collect(),
        borrowing: Some(Borrowing {
            longest: Duration::from_secs(7 * 24 * 60 * 60),
            percent: 25,
        }),
    };
    let by_number = Policy::default().quota(projects, quota(None, Overage::Burst(3)));
    let common = by_number
        .clone()
        .seats(LimitCode::new(0), seats)
        .quota(calls, quota(Some(8), Overage::Allow(1)));
    let catalog = snakeoil::catalog();
    assert_eq!(policies.of(snakeoil::PRODUCT, Some(&catalog)), common);
    // What is said of a product comes before what is said of all.
    let own = common.quota(calls, quota(Some(5), Overage::Deny));
    assert_eq!(policies.of("other", Some(&catalog)), own);
    // Without names there are numbers, and nothing else is admitted.
    assert_eq!(policies.of(snakeoil::PRODUCT, None), by_number);
    assert_eq!(Policies::default().of("other", None), Policy::default());
}

/// However TOML lets it be written.
#[test]
fn tables_may_be_dotted_inline_and_apart() {
    let header =
        "[products.app.quotas.api_calls]\nsoft = 1\n[products.app.seats.seats]\nextra = 1\n";
    let expected = parse(header).unwrap().of("app", Some(&snakeoil::catalog()));
    for text in [
        "products.app.quotas.api_calls.soft = 1\nproducts.app.seats.seats.extra = 1\n",
        "[products.app]\nquotas = { api_calls = { soft = 1 } }\nseats.seats.extra = 1\n",
        "[products]\napp = { quotas.api_calls.soft = 1, seats = { seats.extra = 1 } }\n",
    ] {
        let policies = parse(text).unwrap();
        assert_eq!(policies.of("app", Some(&snakeoil::catalog())), expected);
    }
    assert_ne!(expected, Policy::default());
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    for (text, line, problem) in [
        ("[quotas.calls]\nsofd = 1\n", 2, "unknown field `sofd`"),
        ("\n[quotes.calls]\n", 2, "unknown field `quotes`"),
        (
            "[quotas.calls]\nallow = 1\nburst = 2\n",
            3,
            "allow and burst",
        ),
        ("[quotas.calls]\nsoft = -1\n", 2, "invalid value"),
        ("[quotas.calls]\nsoft = \"9\"\n", 2, "invalid type"),
        ("[quotas.calls\n", 1, ""),
        ("[quotas.calls]\n[quotas.calls]\n", 2, "duplicate key"),
        ("[seats.seats]\nlease = 0\n", 2, "from 1 to 30 seconds"),
        ("[seats.seats]\nlease = 31\n", 2, "--longest-lease"),
        (
            "[seats.seats]\nreserved = { \"\" = 1 }\n",
            2,
            "1 to 256 bytes",
        ),
        (
            "[seats.seats.reserved]\n\"ops-*\" = 1\n",
            2,
            "without a star",
        ),
        (
            "[seats.seats]\n[seats.seats.reserved]\nops = 0\n",
            3,
            "leaving it out",
        ),
        (
            "[seats.seats]\nborrow = { days = 7 }\n",
            2,
            "missing field `percent`",
        ),
        (
            "[seats.seats]\nborrow = { days = 0, percent = 5 }\n",
            2,
            "1 to 366 days",
        ),
        (
            "[seats.seats]\nborrow = { days = 9, percent = 101 }\n",
            2,
            "from 1 to 100",
        ),
        (
            "[products.demo.seats.seats]\nborrow = { days = 9, percent = 0 }\n",
            2,
            "from 1 to 100",
        ),
        ("[products.demo]\nlease = 1\n", 2, "unknown field `lease`"),
    ] {
        match parse(text).unwrap_err() {
            PolicyError::Refused {
                line: at,
                problem: found,
                ..
            } => {
                assert!(found.contains(problem), "{found}\n{text}");
                assert_eq!(at, line, "{found}\n{text}");
            }
            other => panic!("{other:?}\n{text}"),
        }
    }
    let groups = (0..=phi_enforce::MAX_GROUPS).map(|group| format!("g{group} = 1\n"));
    let text = format!(
        "[seats.seats.reserved]\n{}",
        groups.collect::<Vec<_>>().concat()
    );
    let error = parse(&text).unwrap_err();
    assert!(error.to_string().contains("64 groups"), "{error}");
}

#[test]
fn a_name_is_unknown_when_every_catalog_is_here() {
    let policies = parse(
        "[quotas.calls]\nsoft = 1\n[quotas.7]\nsoft = 1\n\
         [products.app.seats.chairs]\nextra = 1\n[products.gone.quotas.x]\nsoft = 1\n",
    )
    .unwrap();
    let says = |products: &[&str], catalogs: &BTreeMap<_, _>| {
        let products: Vec<_> = products.iter().map(ToString::to_string).collect();
        let misfits = policies.misfits(&products, catalogs);
        let says = misfits.iter().map(|misfit| {
            let PolicyError::Unknown { line, name, .. } = &misfit.error else {
                panic!("{misfit:?}");
            };
            (*line, name.clone(), misfit.may)
        });
        says.collect::<Vec<_>>()
    };
    let one = |line, name: &str, may| (line, name.to_owned(), may);
    let (later, never) = (MayFit::Later, MayFit::Never);
    // Nothing can be known before there is a catalog.
    assert_eq!(
        says(&[], &catalogs(&[])),
        [
            one(1, "calls", later),
            one(5, "chairs", later),
            one(7, "x", later)
        ]
    );
    assert_eq!(
        says(&[], &catalogs(&["app"])),
        [
            one(1, "calls", never),
            one(5, "chairs", never),
            one(7, "x", later)
        ]
    );
    // The products are named: what is of another is of none.
    assert_eq!(
        says(&["app", "tool"], &catalogs(&["tool"])),
        [
            one(1, "calls", later),
            one(5, "chairs", later),
            one(7, "gone", never)
        ]
    );
    let misfits = policies.misfits(&[], &catalogs(&["app"]));
    let (message, hint) = (misfits[1].error.to_string(), misfits[1].error.hint());
    assert!(message.contains("policy.toml, line 5"), "{message}");
    assert!(message.contains("the catalog of app"), "{message}");
    assert!(hint.contains("there are seats;"), "{hint}");
}

/// Whoever says two things of one quota gets neither, and is told.
#[test]
fn what_is_said_twice_is_not_in_force() {
    let policies = parse("[quotas.api_calls]\nallow = 1\n[quotas.0]\nallow = 9\n").unwrap();
    let catalogs = catalogs(&["app"]);
    assert_eq!(
        policies.of("app", Some(&catalogs["app"])),
        Policy::default()
    );
    let misfits = policies.misfits(&[], &catalogs);
    assert_eq!(misfits.len(), 1);
    assert_eq!(misfits[0].may, MayFit::Never);
    let message = misfits[0].error.to_string();
    assert!(
        message.contains("0 and api_calls are the same"),
        "{message}"
    );
}

#[cfg(unix)]
#[test]
fn a_file_that_others_can_write_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.toml");
    std::fs::write(&path, "[quotas.0]\nallow = 1\n").unwrap();
    let load = |mode| {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        Policies::load(&path, LONGEST_LEASE)
    };
    assert!(load(0o644).is_ok());
    let error = load(0o664).unwrap_err();
    assert_eq!(error.code(), "policy-file");
    assert!(error.to_string().contains("0664"), "{error}");
}
