//! Documents: the envelope, and the fields of each kind's payload.

use phi_verify::{
    DocumentKind, ExactList, FlagCode, Floors, Reason, Rule, Status, Subject, TokenId,
};

use super::{Check, DocumentView, Outcome, Vectors, base};
use crate::{
    hex,
    item::{Fields, Item, head, wide_head},
    snakeoil::{self, DAY, ISSUER, PRODUCT, START, Seed},
};

pub(super) fn add(vectors: &mut Vectors) {
    good(vectors);
    envelopes(vectors);
    signatures(vectors);
    payloads(vectors);
    roots(vectors);
    keysets(vectors);
    statuses(vectors);
    catalogs(vectors);
    sizes(vectors);
}

fn taken(view: impl Into<DocumentView>) -> Outcome {
    Outcome::Updated(view.into())
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
    let tokens = ExactList::new(&status.salt, tokens);
    Status {
        rules,
        tokens,
        ..status
    }
}

/// The order of encodings: a map of four entries stands before one of five.
fn sorted(mut rules: Vec<Rule>) -> Vec<Rule> {
    rules.sort_by_key(|rule| (rule.issued_before.is_some(), rule.subject.class()));
    rules
}

fn refuse(vectors: &mut Vectors, path: &str, shows: &str, document: &[u8], code: &str) {
    vectors.refuse(path, shows, base::import(document), code);
}

/// An envelope piece by piece.
fn envelope(kind: &[u8], payload: &[u8], signatures: &[u8]) -> Vec<u8> {
    [
        &[0x83],
        kind,
        &head(2, payload.len() as u64),
        payload,
        signatures,
    ]
    .concat()
}

fn envelopes(vectors: &mut Vectors) {
    let payload_bytes = base::keyset_fields().encode();
    let good = base::document(DocumentKind::Keyset, payload_bytes.clone(), Seed::Keyset);
    let kind = &good[1..8];
    let entry = good[good.len() - 77..].to_vec();
    let signed = |count: &[u8], entries: &[&[u8]]| {
        envelope(kind, &payload_bytes, &[count, &entries.concat()].concat())
    };
    assert_eq!(
        signed(&[0x81], &[&entry]),
        good,
        "the pieces are those of a good envelope"
    );
    let with_kind =
        |kind: Vec<u8>| envelope(&kind, &payload_bytes, &[&[0x81], &entry[..]].concat());
    let long_payload = {
        let head = wide_head(
            2,
            &u32::try_from(payload_bytes.len())
                .expect("short")
                .to_be_bytes(),
        );
        [&[0x83], kind, &head, &payload_bytes, &[0x81], &entry].concat()
    };
    let changed = |at: usize, byte: u8| {
        let mut entry = entry.clone();
        entry[at] = byte;
        signed(&[0x81], &[&entry])
    };
    let sixteen = vec![&entry[..]; 17];
    for (name, shows, document) in [
        ("empty", "no bytes", Vec::new()),
        (
            "array-of-two",
            "an array of two",
            [&[0x82], &good[1..]].concat(),
        ),
        (
            "array-indefinite",
            "an array without its length",
            [&[0x9f], &good[1..], &[0xff]].concat(),
        ),
        (
            "text",
            "a document's word in the place of its bytes",
            b"phi.keyset.".to_vec(),
        ),
        ("token", "a token in the place of a document", {
            Seed::License.mint(&snakeoil::claims()).into_bytes()
        }),
        (
            "kind-unknown",
            "a kind that does not exist",
            with_kind(b"\x65delta".to_vec()),
        ),
        ("kind-number", "a kind that is a number", with_kind(vec![4])),
        (
            "kind-head-longer",
            "a kind with a longer head",
            with_kind(b"\x78\x06keyset".to_vec()),
        ),
        (
            "payload-head-longer",
            "a payload with a longer head",
            long_payload,
        ),
        ("payload-text", "a payload that is a text", {
            let mut document = good.clone();
            document[8] |= 0x20;
            document
        }),
        ("payload-of-2-62", "a payload that claims 2^62 bytes", {
            [&[0x83], kind, &wide_head(2, &(1_u64 << 62).to_be_bytes())].concat()
        }),
        ("payload-of-4-gib", "a payload that claims 4 GiB", {
            [&[0x83], kind, &wide_head(2, &[0xff; 4])].concat()
        }),
        ("cut-in-payload", "cut in the payload", good[..40].to_vec()),
        (
            "cut-before-signatures",
            "cut before the signatures",
            good[..good.len() - 78].to_vec(),
        ),
        (
            "cut-in-signature",
            "cut in the signature",
            good[..good.len() - 1].to_vec(),
        ),
        (
            "trailing-byte",
            "a byte after the signatures",
            [&good[..], &[0]].concat(),
        ),
        ("signatures-none", "no signature", signed(&[0x80], &[])),
        (
            "signatures-seventeen",
            "seventeen signatures",
            signed(&[0x91], &sixteen),
        ),
        (
            "signatures-claimed",
            "two signatures are claimed, one is there",
            signed(&[0x82], &[&entry]),
        ),
        (
            "signatures-head-longer",
            "a list of signatures with a longer head",
            { signed(&[0x98, 1], &[&entry]) },
        ),
        (
            "signatures-2-32",
            "four thousand million signatures are claimed",
            { signed(&wide_head(4, &[0xff; 4]), &[&entry]) },
        ),
        (
            "signature-entry-of-three",
            "an entry of three",
            changed(0, 0x83),
        ),
        (
            "signature-key-id-of-eight",
            "a key id of eight bytes",
            changed(1, 0x48),
        ),
        (
            "signature-of-65",
            "a signature of 65 bytes",
            changed(12, 0x41),
        ),
    ] {
        refuse(
            vectors,
            &format!("document/{name}"),
            shows,
            &document,
            "document-envelope",
        );
    }
}

fn signatures(vectors: &mut Vectors) {
    let keyset = snakeoil::keyset().unsigned();
    let code = "signatures-missing";
    let payload = base::keyset_fields().encode();
    for (name, shows, document) in [
        (
            "signer-license-key",
            "a license key signs a keyset",
            Seed::License.sign(&keyset),
        ),
        (
            "signer-root-key",
            "a root key signs a keyset",
            Seed::Root.sign(&keyset),
        ),
        (
            "signer-status-key",
            "a status key signs a keyset",
            Seed::Status.sign(&keyset),
        ),
        (
            "signer-foreign",
            "a stranger signs a keyset",
            Seed::Foreign.sign(&keyset),
        ),
        ("signature-zeros", "a signature of zeros", {
            keyset.sealed(&[(Seed::Keyset.id(), [0; 64])])
        }),
        (
            "signature-of-other-domain",
            "signed as a catalog, sent as a keyset",
            {
                let signature = signature_of(DocumentKind::Catalog, payload.clone(), Seed::Keyset);
                sealed(
                    DocumentKind::Keyset,
                    payload.clone(),
                    &[(Seed::Keyset, signature)],
                )
            },
        ),
        (
            "signature-of-payload-alone",
            "signed over the payload without its domain",
            {
                let signature = sign(Seed::Keyset, &payload);
                sealed(
                    DocumentKind::Keyset,
                    payload.clone(),
                    &[(Seed::Keyset, signature)],
                )
            },
        ),
        (
            "key-id-borrowed",
            "a stranger's signature under the id of a trusted key",
            {
                let signature = signature_of(DocumentKind::Keyset, payload.clone(), Seed::Foreign);
                sealed(
                    DocumentKind::Keyset,
                    payload.clone(),
                    &[(Seed::Keyset, signature)],
                )
            },
        ),
    ] {
        refuse(vectors, &format!("document/{name}"), shows, &document, code);
    }
    let good = signature_of(DocumentKind::Keyset, payload.clone(), Seed::Keyset);
    let twice = [(Seed::Keyset, good), (Seed::Keyset, good)];
    let twice = sealed(DocumentKind::Keyset, payload.clone(), &twice);
    let shows = "one signature twice";
    refuse(
        vectors,
        "document/signature-twice",
        shows,
        &twice,
        "signature-duplicate",
    );
    let stranger = (Seed::Foreign, [9; 64]);
    let twice = [(Seed::Keyset, good), stranger, stranger];
    let twice = sealed(DocumentKind::Keyset, payload.clone(), &twice);
    let shows = "a stranger's id twice, beside enough good signatures";
    refuse(
        vectors,
        "document/signature-twice-of-stranger",
        shows,
        &twice,
        "signature-duplicate",
    );
    let more = sealed(
        DocumentKind::Keyset,
        payload,
        &[stranger, (Seed::Keyset, good)],
    );
    let shows = "a signature that does not hold beside one that does: it counts for nothing";
    let keyset = one_key_keyset();
    vectors.accept(
        "document/valid-extra-signature",
        shows,
        base::import(&more),
        taken(&keyset),
    );
}

/// The keyset of [`base::keyset_fields`].
fn one_key_keyset() -> phi_verify::Keyset {
    let key = phi_verify::LicenseKey {
        key: Seed::License.public(),
        state: phi_verify::KeyState::Active { from: START },
    };
    let issued_at = START.plus(DAY);
    phi_verify::Keyset::new(ISSUER.into(), 2, issued_at, 1, vec![key]).expect("one key")
}

fn sign(seed: Seed, message: &[u8]) -> [u8; 64] {
    ed25519_dalek::Signer::sign(&seed.signing_key(), message).to_bytes()
}

fn signature_of(kind: DocumentKind, payload: Vec<u8>, seed: Seed) -> [u8; 64] {
    let document = phi_verify::UnsignedDocument::with_payload(kind, payload);
    sign(seed, &document.message())
}

fn sealed(kind: DocumentKind, payload: Vec<u8>, signatures: &[(Seed, [u8; 64])]) -> Vec<u8> {
    let signatures = signatures
        .iter()
        .map(|(seed, signature)| (seed.id(), *signature));
    let document = phi_verify::UnsignedDocument::with_payload(kind, payload);
    document.sealed(&signatures.collect::<Vec<_>>())
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

fn anchor(vectors: &mut Vectors, name: &str, shows: &str, fields: &Fields, code: &str) {
    let anchor = base::document(DocumentKind::Root, fields.encode(), Seed::Root);
    vectors.refuse(
        format!("root/{name}"),
        shows,
        Check::Anchor(hex(&anchor)),
        code,
    );
}

fn roots(vectors: &mut Vectors) {
    let fields = base::root_fields;
    let floors = |keyset, status| Item::Array(vec![Item::Uint(keyset), Item::Uint(status)]);
    for (name, shows, fields, code) in [
        (
            "threshold-zero",
            "a threshold of zero",
            { fields().with(6, base::role(0, &[Seed::Status])) },
            "key-threshold",
        ),
        (
            "threshold-beyond",
            "a threshold beyond the number of keys",
            { fields().with(6, base::role(2, &[Seed::Status])) },
            "key-threshold",
        ),
        (
            "threshold-2-62",
            "a threshold of 2^62",
            { fields().with(6, base::role(1 << 62, &[Seed::Status])) },
            "key-threshold",
        ),
        (
            "role-without-keys",
            "a role without keys",
            fields().with(6, base::role(1, &[])),
            { "key-threshold" },
        ),
        (
            "role-of-seventeen",
            "seventeen keys in a role",
            {
                let keys = (100..117)
                    .map(|seed| Item::bytes(&snakeoil::key(seed).verifying_key().to_bytes()));
                fields().with(
                    6,
                    Item::Array(vec![Item::Uint(1), Item::Array(keys.collect())]),
                )
            },
            "key-threshold",
        ),
        (
            "key-twice",
            "a key twice in a role",
            { fields().with(6, base::role(1, &[Seed::Status, Seed::Status])) },
            "key-duplicate",
        ),
        (
            "key-in-two-roles",
            "a key in two roles",
            { fields().with(6, base::role(1, &[Seed::Keyset])) },
            "key-in-two-roles",
        ),
        (
            "key-31-bytes",
            "a key of 31 bytes",
            {
                let role = vec![Item::Uint(1), Item::Array(vec![Item::bytes(&[1; 31])])];
                fields().with(6, Item::Array(role))
            },
            "field-invalid",
        ),
        (
            "version-zero",
            "version 0",
            fields().with(2, Item::Uint(0)),
            "field-invalid",
        ),
        (
            "role-missing",
            "no ledger role",
            fields().without(7),
            "field-missing",
        ),
        (
            "floors-none",
            "floors that set none, which are to be left out",
            { fields().with(8, floors(0, 0)) },
            "field-invalid",
        ),
        (
            "floors-of-one",
            "a floor for the keyset alone",
            { fields().with(8, Item::Array(vec![Item::Uint(1)])) },
            "field-invalid",
        ),
    ] {
        anchor(vectors, name, shows, &fields, code);
    }
    let stranger = base::document(DocumentKind::Root, fields().encode(), Seed::Foreign);
    let shows = "an anchor that its own keys did not sign";
    let check = Check::Anchor(hex(&stranger));
    vectors.refuse(
        "root/anchor-not-self-signed",
        shows,
        check,
        "signatures-missing",
    );
}

fn keysets(vectors: &mut Vectors) {
    let entry = |seed: Seed, values: &[u64]| {
        let values = values.iter().map(|value| Item::Uint(*value));
        base::key_entry(seed.public().as_bytes(), values)
    };
    let two =
        |first: Seed, second: Seed| Item::Array(vec![entry(first, &[0]), entry(second, &[0])]);
    let (low, high) = if Seed::License.id() < Seed::Retired.id() {
        (Seed::License, Seed::Retired)
    } else {
        (Seed::Retired, Seed::License)
    };
    let one = |values: &[u64]| Item::Array(vec![entry(Seed::License, values)]);
    let at = START.seconds();
    let Item::Map(mut odd) = entry(Seed::License, &[1, at]) else {
        unreachable!("an entry is a map")
    };
    odd.push((Item::Uint(4), Item::Uint(0)));
    for (name, shows, keys, code) in [
        (
            "keys-out-of-order",
            "keys out of the order of their ids",
            two(high, low),
            "field-invalid",
        ),
        ("key-twice", "a key twice", two(low, low), "key-duplicate"),
        (
            "staged-with-window",
            "a staged key with a window",
            one(&[0, at]),
            "field-invalid",
        ),
        (
            "active-without-window",
            "an active key without a window",
            one(&[1]),
            "field-invalid",
        ),
        (
            "active-with-end",
            "an active key with an end",
            one(&[1, at, at]),
            "field-invalid",
        ),
        (
            "retired-without-end",
            "a retired key without an end",
            one(&[2, at]),
            "field-invalid",
        ),
        (
            "retired-backward",
            "a window that ends before it begins",
            { one(&[2, at, at - 1]) },
            "field-invalid",
        ),
        (
            "revoked-with-window",
            "a revoked key with a window",
            one(&[3, at]),
            "field-invalid",
        ),
        (
            "state-4",
            "a state that does not exist",
            one(&[4]),
            "field-invalid",
        ),
        (
            "key-entry-unknown",
            "an unknown entry beside a key",
            { Item::Array(vec![Item::Map(odd)]) },
            "field-invalid",
        ),
        (
            "key-31-bytes",
            "a key of 31 bytes",
            { Item::Array(vec![base::key_entry(&[1; 31], [Item::Uint(0)])]) },
            "field-invalid",
        ),
        (
            "key-in-two-roles",
            "a license key that is the status key",
            { Item::Array(vec![entry(Seed::Status, &[0])]) },
            "key-in-two-roles",
        ),
    ] {
        let payload = base::keyset_fields().with(5, keys).encode();
        let document = base::document(DocumentKind::Keyset, payload, Seed::Keyset);
        refuse(vectors, &format!("keyset/{name}"), shows, &document, code);
    }
    for (name, shows, key, value, code) in [
        ("version-zero", "version 0", 2, 0, "field-invalid"),
        ("root-version-zero", "root version 0", 4, 0, "field-invalid"),
        (
            "root-version-ahead",
            "signed under a root to come",
            4,
            2,
            "root-too-old",
        ),
    ] {
        let payload = base::keyset_fields().with(key, Item::Uint(value)).encode();
        let document = base::document(DocumentKind::Keyset, payload, Seed::Keyset);
        refuse(vectors, &format!("keyset/{name}"), shows, &document, code);
    }
    let none = base::keyset_fields()
        .with(5, Item::Array(Vec::new()))
        .encode();
    let document = base::document(DocumentKind::Keyset, none, Seed::Keyset);
    let issued_at = START.plus(DAY);
    let keyset = phi_verify::Keyset::new(ISSUER.into(), 2, issued_at, 1, Vec::new());
    let keyset = keyset.expect("no key is there twice");
    let shows = "a keyset without keys: nothing is accepted under it";
    vectors.accept(
        "keyset/valid-no-keys",
        shows,
        base::import(&document),
        taken(&keyset),
    );
}

fn statuses(vectors: &mut Vectors) {
    let fields = base::status_fields;
    let hash = || Item::bytes(&[7; 32]);
    let list = |items: Vec<Item>| Item::Array(items);
    let section = |class: u64, kind: u64, body: &[u8]| {
        list(vec![Item::Uint(class), Item::Uint(kind), Item::bytes(body)])
    };
    let sections = |sections: Vec<Item>| fields().with(11, list(sections));
    let id = |seed: Seed| Item::bytes(seed.id().as_bytes());
    let at = |days| Item::Uint(START.plus(days * DAY).seconds());
    let rule = |entries: Vec<(u64, Item)>| {
        let entries = entries
            .into_iter()
            .map(|(key, value)| (Item::Uint(key), value));
        Item::Map(entries.collect())
    };
    let plain = |class: u64, id: Item, reason: u64| {
        rule(vec![
            (0, Item::Uint(class)),
            (1, id),
            (3, Item::Uint(reason)),
            (4, at(1)),
        ])
    };
    let license = || plain(1, Item::bytes(b"license1"), 0);
    let rules = |rules: Vec<Item>| fields().with(10, list(rules));
    let covered = |seeds: [Seed; 2]| fields().with(9, list(seeds.map(id).to_vec()));
    let (low, high) = if Seed::License.id() < Seed::Retired.id() {
        (Seed::License, Seed::Retired)
    } else {
        (Seed::Retired, Seed::License)
    };
    for (name, shows, fields) in [
        ("epoch-zero", "epoch 0", fields().with(2, Item::Uint(0))),
        (
            "next-update-at-this",
            "due when it was made",
            fields().with(4, at(60)),
        ),
        (
            "hard-expiry-before-due",
            "expired before it is due",
            fields().with(5, at(89)),
        ),
        ("keyset-version-zero", "a keyset of version 0", {
            fields().with(6, list(vec![Item::Uint(0), hash()]))
        }),
        ("keyset-hash-31-bytes", "a keyset hash of 31 bytes", {
            fields().with(6, list(vec![Item::Uint(1), Item::bytes(&[7; 31])]))
        }),
        (
            "previous-of-first",
            "a first list with a list before",
            fields().with(7, hash()),
        ),
        (
            "previous-missing",
            "a second list without the list before",
            { fields().with(2, Item::Uint(2)) },
        ),
        (
            "salt-15-bytes",
            "a salt of 15 bytes",
            fields().with(8, Item::bytes(&[7; 15])),
        ),
        (
            "covered-out-of-order",
            "covered keys out of order",
            covered([high, low]),
        ),
        ("covered-twice", "a covered key twice", covered([low, low])),
        (
            "rules-out-of-order",
            "rules out of the order of their encodings",
            { rules(vec![plain(3, id(Seed::License), 0), license()]) },
        ),
        (
            "rule-twice",
            "a rule twice",
            rules(vec![license(), license()]),
        ),
        (
            "rule-class-0",
            "a rule for one token, which a section is for",
            { rules(vec![plain(0, Item::bytes(&[7; 16]), 0)]) },
        ),
        ("rule-class-5", "a rule of a class that does not exist", {
            rules(vec![plain(5, Item::bytes(&[7; 16]), 0)])
        }),
        ("rule-reason-7", "a reason that does not exist", {
            rules(vec![plain(1, Item::bytes(b"license1"), 7)])
        }),
        ("rule-id-of-other-class", "a license rule with a key id", {
            rules(vec![plain(1, id(Seed::License), 0)])
        }),
        ("rule-customer-in-clear", "a customer by name", {
            rules(vec![plain(2, Item::text("globex"), 0)])
        }),
        ("rule-feature-4096", "a feature beyond the code space", {
            let feature = list(vec![Item::text(PRODUCT), Item::Uint(4096)]);
            rules(vec![plain(4, feature, 0)])
        }),
        ("rule-entry-unknown", "an unknown entry in a rule", {
            let entries = vec![
                (0, Item::Uint(1)),
                (1, Item::bytes(b"license1")),
                (3, Item::Uint(0)),
                (4, at(1)),
                (5, Item::Uint(0)),
            ];
            rules(vec![rule(entries)])
        }),
        (
            "section-cascade",
            "a section of a kind to come",
            sections(vec![section(0, 2, &[7; 8])]),
        ),
        (
            "section-class-1",
            "a section for licenses",
            sections(vec![section(1, 0, &[7; 8])]),
        ),
        ("section-empty", "an empty list, which is to be left out", {
            sections(vec![section(0, 0, &[])])
        }),
        (
            "section-cut",
            "a prefix of seven bytes",
            sections(vec![section(0, 0, &[7; 7])]),
        ),
        ("section-out-of-order", "prefixes out of order", {
            sections(vec![section(0, 0, &[[2; 8], [1; 8]].concat())])
        }),
        (
            "section-prefix-twice",
            "a prefix twice",
            sections(vec![section(0, 0, &[7; 16])]),
        ),
        ("sections-two", "two sections", {
            sections(vec![section(0, 0, &[1; 8]), section(0, 0, &[2; 8])])
        }),
    ] {
        let document = base::document(DocumentKind::Status, fields.encode(), Seed::Status);
        refuse(
            vectors,
            &format!("status/{name}"),
            shows,
            &document,
            "field-invalid",
        );
    }
    let cut = rule(vec![
        (0, Item::Uint(1)),
        (1, Item::bytes(b"license1")),
        (3, Item::Uint(0)),
    ]);
    let document = base::document(
        DocumentKind::Status,
        rules(vec![cut]).encode(),
        Seed::Status,
    );
    let shows = "a rule without its date";
    refuse(
        vectors,
        "status/rule-without-since",
        shows,
        &document,
        "field-missing",
    );
}

fn catalogs(vectors: &mut Vectors) {
    let fields = base::catalog_fields;
    let name = |name: &str, title: &str| {
        Item::Array(vec![Item::text(name), Item::text(title), Item::text("")])
    };
    let map = |code: u64, value: Item| Item::Map(vec![(Item::Uint(code), value)]);
    let plan = |name: &str, terms: Item| Item::Map(vec![(Item::text(name), terms)]);
    let long = "x".repeat(257);
    let flags = Item::Map(vec![
        (Item::Uint(0), name("a", "")),
        (Item::Uint(1), name("a", "")),
    ]);
    for (label, shows, fields) in [
        (
            "revision-zero",
            "revision 0",
            fields().with(3, Item::Uint(0)),
        ),
        (
            "flags-empty",
            "no flag, which is to be left out",
            fields().with(5, Item::Map(Vec::new())),
        ),
        (
            "flag-code-4096",
            "a flag beyond the code space",
            fields().with(5, map(4096, name("a", ""))),
        ),
        (
            "flag-name-empty",
            "a flag without a name",
            fields().with(5, map(0, name("", ""))),
        ),
        (
            "flag-name-twice",
            "one name for two flags",
            fields().with(5, flags),
        ),
        ("name-of-two-kinds", "one name for a flag and a limit", {
            fields().with(5, map(0, name("seats", "")))
        }),
        (
            "title-257-bytes",
            "a title of 257 bytes",
            fields().with(5, map(0, name("a", &long))),
        ),
        (
            "title-control",
            "a title with a line end",
            fields().with(5, map(0, name("a", "b\nc"))),
        ),
        ("quota-code-256", "a quota beyond the code space", {
            let quota = Item::Array(vec![name("a", ""), Item::Uint(0)]);
            fields().with(6, map(256, quota))
        }),
        ("quota-period-5", "a period that does not exist", {
            let quota = Item::Array(vec![name("a", ""), Item::Uint(5)]);
            fields().with(6, map(0, quota))
        }),
        ("limit-code-256", "a limit beyond the code space", {
            fields().with(7, map(256, name("a", "")))
        }),
        ("plan-name-empty", "a plan without a name", {
            fields().with(8, plan("", Item::Map(Vec::new())))
        }),
        ("plan-entry-unknown", "an unknown entry in a plan", {
            fields().with(8, plan("free", map(13, Item::Uint(0))))
        }),
        ("plan-flags-empty", "an empty bitmap in a plan", {
            fields().with(8, plan("free", map(10, Item::bytes(&[]))))
        }),
        ("addon-entry-unknown", "an unknown entry in an add-on", {
            fields().with(9, plan("more", map(13, Item::Uint(0))))
        }),
    ] {
        let document = base::document(DocumentKind::Catalog, fields.encode(), Seed::Keyset);
        refuse(
            vectors,
            &format!("catalog/{label}"),
            shows,
            &document,
            "field-invalid",
        );
    }
    let document = base::document(DocumentKind::Catalog, fields().encode(), Seed::Status);
    let shows = "a status key signs a catalog";
    refuse(
        vectors,
        "catalog/signer-status-key",
        shows,
        &document,
        "signatures-missing",
    );
}

/// A payload of this many bytes: a good object and an extension that fills it.
fn filled(fields: &Fields, length: usize) -> Vec<u8> {
    let fill = |bytes: usize| {
        fields
            .clone()
            .ending(Item::negative(-1), Item::Bytes(vec![0; bytes]))
    };
    let fixed = fill(0x1_0000).encode().len() - 0x1_0000;
    if length < 0x1_0000 + fixed {
        fill(length + 2 - fixed).encode()
    } else {
        fill(length - fixed).encode()
    }
}

fn sizes(vectors: &mut Vectors) {
    // An envelope is 1 + 5 bytes for the kind, a head of 3 for the payload, and 1 + 77.
    let payload = DocumentKind::Root.size_limit() - 87;
    let root = |length| {
        base::document(
            DocumentKind::Root,
            filled(&base::root_fields(), length),
            Seed::Root,
        )
    };
    let largest = root(payload);
    assert_eq!(
        largest.len(),
        DocumentKind::Root.size_limit(),
        "the largest root"
    );
    let check = Check::Anchor(hex(&largest));
    let shows = "a root of 16384 bytes";
    vectors.accept("root/valid-largest", shows, check, taken(&snakeoil::root()));
    let check = Check::Anchor(hex(&root(payload + 1)));
    vectors.refuse(
        "root/too-large",
        "a root of 16385 bytes",
        check,
        "document-too-large",
    );
    let mut keyset = b"\x83\x66keyset".to_vec();
    keyset.resize(DocumentKind::Keyset.size_limit() + 1, 0);
    let shows = "a byte more than the limit: refused before anything else is read";
    refuse(
        vectors,
        "keyset/too-large",
        shows,
        &keyset,
        "document-too-large",
    );
    let levels = [vec![0x81; 99_999], vec![0x80]].concat();
    let deep = base::catalog_fields()
        .ending(Item::negative(-1), Item::Raw(levels))
        .encode();
    let deep = base::document(DocumentKind::Catalog, deep, Seed::Keyset);
    let shows = "a hundred thousand levels of arrays, well signed";
    refuse(
        vectors,
        "catalog/nesting-100000",
        shows,
        &deep,
        "cbor-syntax",
    );
}
