//! Documents: good ones of every kind, and what holds for the payload of each.

use phi_verify::{
    DocumentKind, FlagCode, Floors, Reason, Rule, Sections, Status, Subject, TokenId,
};

use super::{Check, DocumentView, Outcome, Vectors, base};
use crate::{
    hex,
    item::Item,
    snakeoil::{self, DAY, ISSUER, PRODUCT, START, Seed},
};

pub(super) fn add(vectors: &mut Vectors) {
    good(vectors);
    payloads(vectors);
}

fn good(vectors: &mut Vectors) {
    let root = snakeoil::root();
    let check = Check::Anchor(hex(&snakeoil::anchor()));
    vectors.accept("root/valid-anchor", "a trust anchor", check, taken(&root));
    let floors = Floors {
        keyset: 3,
        status: 9,
    };
    let raised = phi_verify::Root {
        floors,
        ..snakeoil::root()
    };
    let check = Check::Anchor(hex(&Seed::Root.sign(&raised.unsigned())));
    vectors.accept(
        "root/valid-floors",
        "an anchor with floors",
        check,
        taken(&raised),
    );
    let dated = phi_verify::Root {
        refresh_by: Some(START),
        ..snakeoil::root()
    };
    let check = Check::Anchor(hex(&Seed::Root.sign(&dated.unsigned())));
    let shows = "an anchor that was to be replaced long ago, which is advice";
    vectors.accept("root/valid-refresh-by", shows, check, taken(&dated));
    let bare = || base::trust_with(&[]);
    let keyset = snakeoil::keyset();
    let check = base::import_into(bare(), &base::keyset());
    vectors.accept("keyset/valid", "a key in each state", check, taken(&keyset));
    let status = snakeoil::status();
    let check = base::import(&Seed::Status.sign(&status.unsigned()));
    vectors.accept(
        "status/valid-empty",
        "a list that revokes nothing",
        check,
        taken(&status),
    );
    let mut full = full_status();
    // What is read stands in the order of the encodings.
    full.rules = sorted(full.rules);
    let check = base::import(&Seed::Status.sign(&full.unsigned()));
    vectors.accept(
        "status/valid-full",
        "a rule of every class, and tokens",
        check,
        taken(&full),
    );
    let catalog = snakeoil::catalog();
    let check = base::import_into(bare(), &Seed::Keyset.sign(&catalog.unsigned()));
    vectors.accept(
        "catalog/valid",
        "flags, quotas, limits and plans",
        check,
        taken(&catalog),
    );
    let mut least = snakeoil::catalog();
    least.flags.clear();
    least.quotas.clear();
    least.limits.clear();
    least.plans.clear();
    let check = base::import_into(bare(), &Seed::Keyset.sign(&least.unsigned()));
    vectors.accept(
        "catalog/valid-empty",
        "a catalog without entries",
        check,
        taken(&least),
    );
    let mut addon = snakeoil::catalog();
    addon.addons.insert("more-seats".into(), snakeoil::terms());
    addon
        .plans
        .insert("a-longer-name".into(), phi_verify::Terms::default());
    let check = base::import_into(bare(), &Seed::Keyset.sign(&addon.unsigned()));
    vectors.accept(
        "catalog/valid-addons",
        "an add-on, and a plan of nothing",
        check,
        taken(&addon),
    );
}

fn full_status() -> Status {
    let status = snakeoil::status();
    let customer = status.customer_hash("globex");
    let since = START.plus(50 * DAY);
    let rule = |subject, issued_before, reason| Rule {
        subject,
        issued_before,
        reason,
        since,
        ends: None,
    };
    let rules = vec![
        rule(
            Subject::License(snakeoil::claims().license_id),
            None,
            Reason::Nonpayment,
        ),
        rule(Subject::Customer(customer), Some(since), Reason::Breach),
        rule(
            Subject::Key(Seed::Revoked.id()),
            None,
            Reason::KeyCompromise,
        ),
        rule(
            Subject::Feature(PRODUCT.into(), FlagCode::new(1)),
            None,
            Reason::IssuedInError,
        ),
    ];
    let tokens = (0..3).map(|byte| TokenId::from_bytes([byte; 16]));
    let revoked = Sections::exact(&status.salt(), tokens);
    Status {
        rules,
        revoked,
        ..status
    }
}

/// The order of encodings: a map of four entries stands before one of five.
fn sorted(mut rules: Vec<Rule>) -> Vec<Rule> {
    rules.sort_by_key(|rule| (rule.issued_before.is_some(), rule.subject.class()));
    rules
}

/// What holds for the payload of every kind, shown with keysets.
fn payloads(vectors: &mut Vectors) {
    let signed = |payload: Vec<u8>| base::document(DocumentKind::Keyset, payload, Seed::Keyset);
    let fields = base::keyset_fields;
    let bytes = fields().encode();
    for (name, shows, payload, code) in [
        (
            "payload-empty",
            "an empty payload",
            Vec::new(),
            "cbor-syntax",
        ),
        (
            "payload-of-catalog",
            "a catalog's payload in a keyset",
            { base::catalog_fields().encode() },
            "kind-mismatch",
        ),
        (
            "payload-of-license",
            "a license in a keyset",
            { base::license_fields().encode() },
            "kind-mismatch",
        ),
        (
            "payload-trailing",
            "a byte after the object",
            { [&bytes[..], &[0]].concat() },
            "cbor-not-deterministic",
        ),
        (
            "payload-keys-swapped",
            "fields out of order",
            {
                let mut fields = fields();
                fields.0.swap(1, 2);
                fields.encode()
            },
            "cbor-key-order",
        ),
        (
            "payload-float",
            "a float",
            { fields().with(2, Item::Raw(vec![0xf9, 0x40, 0])).encode() },
            "cbor-forbidden-type",
        ),
        (
            "field-unknown",
            "a field that this version does not know",
            { fields().with(6, Item::Uint(0)).encode() },
            "field-unknown",
        ),
        (
            "field-missing",
            "no version",
            fields().without(2).encode(),
            "field-missing",
        ),
        (
            "issuer-other",
            "another issuer's keyset under this issuer's key",
            { fields().with(1, Item::text("other.example")).encode() },
            "issuer-mismatch",
        ),
    ] {
        refuse(
            vectors,
            &format!("document/{name}"),
            shows,
            &signed(payload),
            code,
        );
    }
    let extended = fields()
        .ending(Item::negative(-1), Item::text("ignored"))
        .encode();
    let shows = "an extension field, which may be ignored";
    let check = base::import(&signed(extended));
    vectors.accept(
        "document/valid-extension",
        shows,
        check,
        taken(&one_key_keyset()),
    );
    let keyset = hex(&base::keyset());
    let shows = "a keyset in the place of an anchor";
    vectors.refuse(
        "root/anchor-keyset",
        shows,
        Check::Anchor(keyset),
        "document-kind",
    );
}

/// The keyset of [`base::keyset_fields`].
pub(super) fn one_key_keyset() -> phi_verify::Keyset {
    let key = phi_verify::LicenseKey {
        key: Seed::License.public(),
        state: phi_verify::KeyState::Active { from: START },
        scope: phi_verify::Scope::default(),
    };
    let issued_at = START.plus(DAY);
    phi_verify::Keyset::new(ISSUER.into(), 2, issued_at, 1, vec![key]).expect("one key")
}

pub(super) fn taken(view: impl Into<DocumentView>) -> Outcome {
    Outcome::Updated(view.into())
}

pub(super) fn refuse(vectors: &mut Vectors, path: &str, shows: &str, document: &[u8], code: &str) {
    vectors.refuse(path, shows, base::import(document), code);
}
