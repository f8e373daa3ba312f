//! How long a token is that grants a large product's best plan.

use std::{env, fs};

use phi_issuer::{
    Context, Issuer, MintRequest, NewLicense,
    catalog::{Name, from_tsv},
};
use phi_tests::{
    snakeoil::{DAY, START},
    workshop::{self, at, passphrase},
};
use phi_verify::{Fingerprint, RevocationPolicy, Verifier};

/// What the format promises for such a license.
const MOST_CHARACTERS: usize = 400;

/// Names a feature list of a real product, `plan<TAB>feature` a line, which is not in this
/// repository; without it a list like it is made up.
const FEATURE_LIST: &str = "PHI_FEATURE_LIST";

const AMOUNTS: &str = r#"
[quotas]
api_calls = { title = "API calls", period = "month", unit = "calls" }
compute_minutes = { title = "Compute minutes", period = "month", unit = "minutes" }
storage = { title = "Storage", period = "lifetime", unit = "bytes" }
transfer = { title = "Transfer", period = "month", unit = "bytes" }
[limits]
seats = { title = "Seats", unit = "seats" }
runners = { title = "Concurrent runners", unit = "runners" }
[plans.ultimate]
quotas = { api_calls = 50_000_000, compute_minutes = 100_000, storage = 1_099_511_627_776, transfer = "unlimited" }
limits = { seats = 2500, runners = 64 }
"#;

fn features() -> String {
    if let Some(path) = env::var_os(FEATURE_LIST) {
        return fs::read_to_string(path).unwrap();
    }
    let plans = [("starter", 41), ("premium", 120), ("ultimate", 108)];
    let subjects = [
        "merge_request",
        "epic",
        "pipeline",
        "audit_event",
        "package",
        "environment",
    ];
    let powers = [
        "approval_rules",
        "export",
        "streaming",
        "scan_policies",
        "analytics",
    ];
    let feature = |(number, plan): (usize, &str)| {
        let (subject, power) = (subjects[number % 6], powers[number % 5]);
        format!("{plan}\t{subject}_{power}_{number}\n")
    };
    let rows = plans.iter().flat_map(|(plan, count)| vec![*plan; *count]);
    rows.enumerate().map(feature).collect()
}

/// The catalog text with amounts in its best plan.
fn catalog(product: &str) -> String {
    let list = from_tsv(&Name::new(product).unwrap(), &features()).unwrap();
    let (header, plan) = AMOUNTS.split_at(AMOUNTS.find("[plans.ultimate]").unwrap());
    let amounts = plan.strip_prefix("[plans.ultimate]\n").unwrap();
    let edited = list.replacen(
        "[plans.ultimate]\n",
        &format!("[plans.ultimate]\n{amounts}"),
        1,
    );
    assert_ne!(edited, list, "the list has no plan `ultimate`");
    edited.replacen("\n[plans.", &format!("{header}\n[plans."), 1)
}

#[test]
fn a_license_of_269_flags_is_one_short_token() {
    let folder = tempfile::tempdir().unwrap();
    let mut issuer = workshop::init(folder.path()).unwrap();
    let context = at(START.plus(60 * DAY));
    let text = catalog(workshop::PRODUCT);
    issuer
        .publish_catalog(&text, &passphrase(), &context)
        .unwrap();
    let order = order(&mut issuer, &context);
    let license = issuer.issue_license(order, &context).unwrap().id;
    let components = ["machine-id", "board", "disk", "network"];
    let machine = components
        .iter()
        .fold(Fingerprint::new(workshop::PRODUCT), |machine, kind| {
            machine.with(kind, "4c4c4544-0051-3610-8052-b4c04f4d5931")
        });
    let request = MintRequest {
        machine: Some((machine.clone(), 3)),
        ..MintRequest::new(license)
    };
    let minted = issuer.mint(&request, 1, &passphrase(), &context).unwrap();
    let token = &minted[0].token;

    let trust = issuer.trust_state().unwrap();
    let verifier = Verifier::new(&trust, workshop::PRODUCT, RevocationPolicy::Balanced);
    let license = verifier
        .on_machine(&machine)
        .verify(token, context.now)
        .unwrap();
    let terms = &license.claims().terms;
    let counts = [terms.flags.len(), terms.quotas.len(), terms.limits.len()];
    println!(
        "{} flags, {} quotas, {} limits, 3 of 4 components, expiry and grace: {} characters",
        counts[0],
        counts[1],
        counts[2],
        token.len()
    );
    assert_eq!(counts, [269, 4, 2]);
    assert!(token.len() <= MOST_CHARACTERS, "{} characters", token.len());
}

fn order(issuer: &mut Issuer, context: &Context) -> NewLicense {
    issuer.add_customer(workshop::customer(), context).unwrap();
    NewLicense {
        expires: Some(context.now.plus(365 * DAY)),
        grace: 14 * DAY,
        ..NewLicense::new("globex", workshop::PRODUCT, "ultimate")
    }
}
