//! The fields of a license: each rule broken alone, beside the claims that just keep it.

use std::collections::BTreeMap;

use phi_verify::{
    Allowance, Binding, Claims, Extension, Fingerprint, FlagCode, LimitCode, Minimum, Period,
    Quota, QuotaCode, Terms, UnixTime,
};

use super::{Check, Vectors, base};
use crate::{
    item::{Fields, Item},
    snakeoil::{self, DAY, Seed},
};

pub(super) fn add(vectors: &mut Vectors) {
    good(vectors);
    missing_and_unknown(vectors);
    names(vectors);
    types(vectors);
    between_fields(vectors);
    flags(vectors);
    quotas_and_limits(vectors);
    bindings(vectors);
}

fn accept(vectors: &mut Vectors, name: &str, shows: &str, claims: &Claims) {
    let check = base::token(&Seed::License.mint(claims));
    vectors.accept(
        format!("claims/{name}"),
        shows,
        check,
        base::license(claims),
    );
}

fn refuse(vectors: &mut Vectors, name: &str, shows: &str, fields: &Fields, code: &str) {
    let check = base::token(&base::sealed(&fields.encode()));
    vectors.refuse(format!("claims/{name}"), shows, check, code);
}

fn fields() -> Fields {
    base::license_fields()
}

/// The least that a license can say.
fn minimal() -> Claims {
    Claims {
        customer: "c".into(),
        plan: "p".into(),
        expires: None,
        grace: 0,
        terms: Terms::default(),
        ..snakeoil::claims()
    }
}

fn good(vectors: &mut Vectors) {
    let claims = snakeoil::claims();
    accept(
        vectors,
        "valid-minimal",
        "only the fields that must be there",
        &minimal(),
    );
    let perpetual = Claims {
        expires: None,
        grace: 0,
        ..claims.clone()
    };
    accept(
        vectors,
        "valid-perpetual",
        "a license that does not expire",
        &perpetual,
    );
    let begun = Some(claims.issued_at.plus(DAY));
    let later = Claims {
        not_before: begun,
        ..claims.clone()
    };
    accept(
        vectors,
        "valid-not-before",
        "a license that began a day after its issue",
        &later,
    );
    let unlimited = Claims {
        terms: unlimited(),
        ..claims.clone()
    };
    accept(
        vectors,
        "valid-unlimited",
        "quotas and limits without a bound",
        &unlimited,
    );
    let extended = Claims {
        extensions: extensions(),
        ..claims
    };
    accept(
        vectors,
        "valid-extensions",
        "an extension of every type",
        &extended,
    );
    let (machine, claims) = maximal();
    let token = Seed::License.mint(&claims);
    let known = super::Machine {
        product: machine.product().into(),
        components: (0..16).map(|n| ("part".into(), n.to_string())).collect(),
    };
    let check = Check::Token(super::TokenCheck {
        machine: Some(known),
        ..base::token_check(&token)
    });
    let shows = "every field, with the largest values it can have";
    vectors.accept("claims/valid-maximal", shows, check, base::license(&claims));
}

fn unlimited() -> Terms {
    let quota = |period| Quota {
        allowance: Allowance::Unlimited,
        period,
    };
    let quotas = (0..)
        .zip(Period::ALL)
        .map(|(code, period)| (QuotaCode::new(code), quota(period)));
    Terms {
        quotas: quotas.collect(),
        limits: BTreeMap::from([(LimitCode::new(0), Allowance::Unlimited)]),
        ..snakeoil::terms()
    }
}

fn extensions() -> BTreeMap<i64, Extension> {
    let text = |text: &str| Extension::Text(text.into());
    let map = vec![
        (Extension::Integer(1), text("one")),
        (Extension::Integer(-1), text("minus one")),
        (text("a"), Extension::Map(Vec::new())),
        (text("aa"), Extension::List(vec![Extension::Bool(true)])),
    ];
    BTreeMap::from([
        (-1, Extension::Integer(i128::from(u64::MAX))),
        (-2, Extension::Integer(-1 - i128::from(u64::MAX))),
        (-3, Extension::Bytes(vec![0, 0xff])),
        (-4, text("")),
        (-5, Extension::Bool(false)),
        (-6, Extension::List(vec![Extension::Integer(0), text("Ω")])),
        (-7, Extension::Map(map)),
        (i64::MIN, Extension::Bool(true)),
    ])
}

fn maximal() -> (Fingerprint, Claims) {
    let product = snakeoil::PRODUCT;
    let machine = (0..16).fold(Fingerprint::new(product), |machine, n| {
        machine.with("part", &n.to_string())
    });
    let quota = |allowance| Quota {
        allowance,
        period: Period::Year,
    };
    let issued_at = snakeoil::claims().issued_at;
    let claims = Claims {
        customer: "c".repeat(64),
        plan: "ü".repeat(32),
        expires: Some(UnixTime::MAX),
        not_before: Some(issued_at.plus(1)),
        terms: Terms {
            flags: (0..phi_verify::FLAG_CODES).map(FlagCode::new).collect(),
            quotas: [0, 23, 24, 255]
                .map(|code| (QuotaCode::new(code), quota(Allowance::Limited(u64::MAX))))
                .into(),
            limits: [0, 23, 24, 255]
                .map(|code| (LimitCode::new(code), Allowance::Limited(u64::MAX)))
                .into(),
        },
        binding: Some(Binding::new(&machine, 16).expect("sixteen of sixteen")),
        grace: u64::MAX,
        license_revision: u64::MAX,
        catalog_revision: u64::MAX,
        minimum: Minimum {
            keyset: 1,
            status: 0,
        },
        mint_epoch: u64::MAX,
        extensions: extensions(),
        ..snakeoil::claims()
    };
    (machine, claims)
}

fn missing_and_unknown(vectors: &mut Vectors) {
    for key in [0, 1, 2, 6, 7, 8, 9, 15, 16, 19] {
        let shows = format!("no field {key}, which every license has");
        let name = format!("missing-{key}");
        refuse(
            vectors,
            &name,
            &shows,
            &fields().without(key),
            "field-missing",
        );
    }
    for key in [3, 20, u64::MAX] {
        let shows = format!("field {key}, which this version does not know");
        let fields = fields().with(key, Item::Uint(0));
        refuse(
            vectors,
            &format!("unknown-{key}"),
            &shows,
            &fields,
            "field-unknown",
        );
    }
    for (name, kind) in [("usage", 2), ("root", 3), ("keyset", 4), ("none", 99)] {
        let shows = format!("object kind {kind} in a token");
        let fields = fields().with(0, Item::Uint(kind));
        refuse(
            vectors,
            &format!("kind-{name}"),
            &shows,
            &fields,
            "kind-mismatch",
        );
    }
    let documents = [
        ("keyset", base::keyset_fields()),
        ("status", base::status_fields()),
        ("root", base::root_fields()),
        ("catalog", base::catalog_fields()),
    ];
    for (name, fields) in documents {
        let shows = "the payload of a document as the body of a token";
        refuse(
            vectors,
            &format!("payload-of-{name}"),
            shows,
            &fields,
            "kind-mismatch",
        );
    }
}

/// Issuer, customer, product and plan are names.
fn names(vectors: &mut Vectors) {
    for (field, key) in [("issuer", 1), ("customer", 2), ("product", 8), ("plan", 9)] {
        let name = format!("{field}-empty");
        let empty = fields().with(key, Item::text(""));
        refuse(
            vectors,
            &name,
            "a name without characters",
            &empty,
            "field-invalid",
        );
    }
    let customer = |text: &str| fields().with(2, Item::text(text));
    let long = "ü".repeat(32) + "x";
    for (name, shows, text) in [
        (
            "name-65-bytes",
            "a name of 65 bytes in 33 characters",
            long.as_str(),
        ),
        ("name-newline", "a name with a line end", "a\nb"),
        (
            "name-escape",
            "a name with a terminal's escape character",
            "a\u{1b}[2Jb",
        ),
        (
            "name-control-c1",
            "a name with a control character beyond ASCII",
            "a\u{85}b",
        ),
    ] {
        refuse(vectors, name, shows, &customer(text), "field-invalid");
    }
    let claims = Claims {
        customer: "ü".repeat(32),
        ..snakeoil::claims()
    };
    accept(
        vectors,
        "valid-name-64-bytes",
        "a name of 64 bytes in 32 characters",
        &claims,
    );
}

fn types(vectors: &mut Vectors) {
    let pair = |first: Item, second: Item| Item::Array(vec![first, second]);
    let id = || Item::bytes(b"license1");
    for (name, shows, key, value) in [
        (
            "kind-text",
            "an object kind that is a text",
            0,
            Item::text("1"),
        ),
        (
            "customer-bytes",
            "a customer that is a byte string",
            2,
            Item::bytes(b"globex"),
        ),
        (
            "issued-at-negative",
            "a time before 1970",
            6,
            Item::negative(-1),
        ),
        (
            "issued-at-year-10000",
            "a time after 9999",
            6,
            Item::Uint(253_402_300_800),
        ),
        (
            "expires-year-10000",
            "an expiry after 9999",
            4,
            Item::Uint(253_402_300_800),
        ),
        (
            "token-id-15-bytes",
            "a token id of 15 bytes",
            7,
            Item::bytes(&[1; 15]),
        ),
        (
            "token-id-17-bytes",
            "a token id of 17 bytes",
            7,
            Item::bytes(&[1; 17]),
        ),
        (
            "license-not-array",
            "a license id without its revision",
            15,
            id(),
        ),
        (
            "license-of-three",
            "three values for license and revision",
            15,
            { Item::Array(vec![id(), Item::Uint(1), Item::Uint(1)]) },
        ),
        ("license-id-7-bytes", "a license id of 7 bytes", 15, {
            pair(Item::bytes(b"license"), Item::Uint(1))
        }),
        (
            "license-revision-zero",
            "license revision 0",
            15,
            pair(id(), Item::Uint(0)),
        ),
        (
            "catalog-revision-zero",
            "catalog revision 0",
            16,
            Item::Uint(0),
        ),
        ("minimum-nothing", "a minimum that demands nothing", 17, {
            pair(Item::Uint(0), Item::Uint(0))
        }),
        (
            "minimum-of-one",
            "a minimum of one value",
            17,
            Item::Array(vec![Item::Uint(1)]),
        ),
        (
            "max-status-age-zero",
            "a status age that no list can have",
            18,
            Item::Uint(0),
        ),
        (
            "mint-epoch-text",
            "a mint epoch that is a text",
            19,
            Item::text("0"),
        ),
        (
            "grace-zero",
            "a grace of zero, which is to be left out",
            14,
            Item::Uint(0),
        ),
        (
            "grace-bool",
            "a grace that is a truth value",
            14,
            Item::Bool(true),
        ),
    ] {
        refuse(
            vectors,
            name,
            shows,
            &fields().with(key, value),
            "field-invalid",
        );
    }
}

fn between_fields(vectors: &mut Vectors) {
    let issued_at = snakeoil::claims().issued_at.seconds();
    let at = |seconds| Item::Uint(seconds);
    let perpetual = fields().without(4);
    refuse(
        vectors,
        "grace-perpetual",
        "grace without an expiry",
        &perpetual,
        "field-invalid",
    );
    let equal = fields().with(5, at(issued_at));
    let shows = "a beginning at the time of issue, which is to be left out";
    refuse(
        vectors,
        "not-before-at-issue",
        shows,
        &equal,
        "field-invalid",
    );
    let none = fields().with(4, at(issued_at));
    refuse(
        vectors,
        "expires-at-issue",
        "no second of life",
        &none,
        "field-invalid",
    );
    let none = fields()
        .with(5, at(issued_at + 9))
        .with(4, at(issued_at + 9));
    refuse(
        vectors,
        "expires-at-beginning",
        "no second after the beginning",
        &none,
        "field-invalid",
    );
    let last = snakeoil::NOW;
    let claims = Claims {
        not_before: Some(last),
        expires: Some(last.plus(1)),
        ..snakeoil::claims()
    };
    accept(
        vectors,
        "valid-one-second",
        "a license of one second",
        &claims,
    );
}

fn flags(vectors: &mut Vectors) {
    let bitmap = |bytes: &[u8]| fields().with(10, Item::bytes(bytes));
    for (name, shows, fields) in [
        (
            "flags-empty",
            "an empty bitmap, which is to be left out",
            bitmap(&[]),
        ),
        ("flags-zero", "a bitmap of one zero byte", bitmap(&[0])),
        (
            "flags-trailing-zero",
            "a bitmap with a zero byte at its end",
            bitmap(&[7, 0]),
        ),
        (
            "flags-code-4096",
            "a flag beyond the code space",
            bitmap(&[1; 513]),
        ),
        (
            "flags-number",
            "a bitmap that is a number",
            fields().with(10, Item::Uint(7)),
        ),
    ] {
        refuse(vectors, name, shows, &fields, "field-invalid");
    }
    let mut terms = snakeoil::terms();
    terms.flags = [4095].map(FlagCode::new).into_iter().collect();
    let claims = Claims {
        terms,
        ..snakeoil::claims()
    };
    accept(vectors, "valid-flag-4095", "the last flag alone", &claims);
}

fn quotas_and_limits(vectors: &mut Vectors) {
    let entry = |code: u64, value: Item| Item::Map(vec![(Item::Uint(code), value)]);
    let quota = |amount: Item, period: u64| Item::Array(vec![amount, Item::Uint(period)]);
    for (name, shows, key, value) in [
        (
            "quotas-empty",
            "no quota, which is to be left out",
            11,
            Item::Map(Vec::new()),
        ),
        (
            "quota-code-256",
            "a quota beyond the code space",
            11,
            entry(256, quota(Item::Uint(1), 0)),
        ),
        (
            "quota-period-5",
            "a period that does not exist",
            11,
            entry(0, quota(Item::Uint(1), 5)),
        ),
        (
            "quota-amount-false",
            "false as an amount",
            11,
            entry(0, quota(Item::Bool(false), 0)),
        ),
        (
            "quota-amount-negative",
            "an amount below zero",
            11,
            entry(0, quota(Item::Nint(0), 0)),
        ),
        (
            "quota-without-period",
            "an amount without a period",
            11,
            entry(0, Item::Uint(1)),
        ),
        (
            "quotas-array",
            "quotas in an array",
            11,
            Item::Array(Vec::new()),
        ),
        ("quota-code-text", "a quota by its name", 11, {
            Item::Map(vec![(Item::text("calls"), quota(Item::Uint(1), 0))])
        }),
        (
            "limits-empty",
            "no limit, which is to be left out",
            12,
            Item::Map(Vec::new()),
        ),
        (
            "limit-code-256",
            "a limit beyond the code space",
            12,
            entry(256, Item::Uint(1)),
        ),
        (
            "limit-amount-false",
            "false as a limit",
            12,
            entry(0, Item::Bool(false)),
        ),
        (
            "limit-amount-text",
            "a limit that is a text",
            12,
            entry(0, Item::text("25")),
        ),
    ] {
        refuse(
            vectors,
            name,
            shows,
            &fields().with(key, value),
            "field-invalid",
        );
    }
    let zero = Quota {
        allowance: Allowance::Limited(0),
        period: Period::Day,
    };
    let terms = Terms {
        quotas: BTreeMap::from([(QuotaCode::new(255), zero)]),
        limits: BTreeMap::from([(LimitCode::new(255), Allowance::Limited(0))]),
        ..snakeoil::terms()
    };
    let claims = Claims {
        terms,
        ..snakeoil::claims()
    };
    accept(
        vectors,
        "valid-code-255",
        "the last codes, with amounts of zero",
        &claims,
    );
}

fn bindings(vectors: &mut Vectors) {
    let binding = |required: u64, digests: &[u8]| {
        let value = Item::Array(vec![Item::Uint(required), Item::bytes(digests)]);
        fields().with(13, value)
    };
    let digests = |count: u8| (0..count).flat_map(|n| [n; 6]).collect::<Vec<_>>();
    for (name, shows, fields) in [
        (
            "binding-requires-none",
            "no component must match",
            binding(0, &digests(2)),
        ),
        (
            "binding-requires-three-of-two",
            "more must match than there are",
            binding(3, &digests(2)),
        ),
        ("binding-empty", "no component", binding(1, &[])),
        (
            "binding-17-components",
            "seventeen components",
            binding(1, &digests(17)),
        ),
        (
            "binding-digest-cut",
            "a digest of five bytes",
            binding(1, &[1; 11]),
        ),
        (
            "binding-out-of-order",
            "digests out of order",
            binding(1, &[[2; 6], [1; 6]].concat()),
        ),
        (
            "binding-twice",
            "a digest twice",
            binding(1, &[[1; 6], [1; 6]].concat()),
        ),
        (
            "binding-number",
            "a binding that is a number",
            fields().with(13, Item::Uint(1)),
        ),
    ] {
        refuse(vectors, name, shows, &fields, "field-invalid");
    }
}
