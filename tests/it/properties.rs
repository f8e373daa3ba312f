//! What holds for every license, every change of a byte, and any input at all.

use phi_tests::{
    item::Item,
    snakeoil::{self, NOW, PRODUCT, Seed},
};
use phi_verify::{
    Allowance, Binding, Claims, Error, Extension, Fingerprint, FlagCode, KeyId, LicenseId,
    LimitCode, Minimum, Period, PublicKey, Quota, QuotaCode, RevocationPolicy, Terms, TokenId,
    TrustState, UnixTime, UnsignedToken, UntrustedDocument, Verifier, armor,
};
use proptest::{collection, option, prelude::*};

fn name() -> impl Strategy<Value = String> {
    // Letters of one, two, three and four bytes, up to 64 bytes in all.
    collection::vec(prop_oneof!["[ -~]", "[α-ω]", "[一-九]", "[😀-😂]"], 1..16)
        .prop_map(|name| name.concat())
}

fn time() -> impl Strategy<Value = UnixTime> {
    (0..=UnixTime::MAX.seconds()).prop_map(|seconds| UnixTime::new(seconds).unwrap())
}

fn allowance() -> impl Strategy<Value = Allowance> {
    prop_oneof![
        any::<u64>().prop_map(Allowance::Limited),
        Just(Allowance::Unlimited)
    ]
}

fn quota() -> impl Strategy<Value = Quota> {
    (allowance(), 0..Period::ALL.len()).prop_map(|(allowance, period)| Quota {
        allowance,
        period: Period::ALL[period],
    })
}

fn terms() -> impl Strategy<Value = Terms> {
    let flags = collection::btree_set(0..phi_verify::FLAG_CODES, 0..40);
    let quotas = collection::btree_map(0..phi_verify::QUOTA_CODES, quota(), 0..20);
    let limits = collection::btree_map(0..phi_verify::LIMIT_CODES, allowance(), 0..20);
    (flags, quotas, limits).prop_map(|(flags, quotas, limits)| Terms {
        flags: flags.into_iter().map(FlagCode::new).collect(),
        quotas: quotas
            .into_iter()
            .map(|(code, quota)| (QuotaCode::new(code), quota))
            .collect(),
        limits: limits
            .into_iter()
            .map(|(code, limit)| (LimitCode::new(code), limit))
            .collect(),
    })
}

fn machine() -> impl Strategy<Value = Fingerprint> {
    let parts = collection::btree_map(name(), ".{0,20}", 1..=phi_verify::MAX_COMPONENTS);
    parts.prop_map(|parts| {
        let machine = Fingerprint::new(PRODUCT);
        parts
            .iter()
            .fold(machine, |machine, (kind, value)| machine.with(kind, value))
    })
}

/// Values up to six levels deep, so that a claim keeps within eight.
fn extension() -> impl Strategy<Value = Extension> {
    let integer = -1 - i128::from(u64::MAX)..=i128::from(u64::MAX);
    let leaf = prop_oneof![
        integer.prop_map(Extension::Integer),
        collection::vec(any::<u8>(), 0..20).prop_map(Extension::Bytes),
        ".{0,20}".prop_map(Extension::Text),
        any::<bool>().prop_map(Extension::Bool),
    ];
    leaf.prop_recursive(6, 24, 4, |inner| {
        prop_oneof![
            collection::vec(inner.clone(), 0..4).prop_map(Extension::List),
            collection::vec((inner.clone(), inner), 0..4).prop_map(ordered),
        ]
    })
}

/// A map in the order of its keys' encodings, none twice.
fn ordered(mut entries: Vec<(Extension, Extension)>) -> Extension {
    entries.sort_by_key(|(key, _)| item(key).encode());
    entries.dedup_by_key(|(key, _)| item(key).encode());
    Extension::Map(entries)
}

fn item(extension: &Extension) -> Item {
    match extension {
        Extension::Integer(number) => u64::try_from(*number).map_or_else(
            |_| Item::Nint(u64::try_from(-1 - number).unwrap()),
            Item::Uint,
        ),
        Extension::Bytes(bytes) => Item::bytes(bytes),
        Extension::Text(text) => Item::text(text),
        Extension::Bool(truth) => Item::Bool(*truth),
        Extension::List(items) => Item::Array(items.iter().map(item).collect()),
        Extension::Map(entries) => {
            let entries = entries.iter().map(|(key, value)| (item(key), item(value)));
            Item::Map(entries.collect())
        }
    }
}

prop_compose! {
    fn claims()(
        (customer, plan) in (name(), name()),
        (token_id, license_id) in (any::<[u8; 16]>(), any::<[u8; 8]>()),
        terms in terms(),
        machine in option::of(machine()),
        (part, begins_in, lives, grace) in (any::<u16>(), 0..100_u64, option::of(0..1_u64 << 40), any::<u64>()),
        revisions in (1..=u64::MAX, 1..=u64::MAX),
        minimum in 0..=1_u64,
        mint_epoch in any::<u64>(),
        extensions in collection::btree_map(i64::MIN..=-1, extension(), 0..4),
    ) -> Claims {
        let issued_at = snakeoil::claims().issued_at;
        let begins = issued_at.plus(begins_in);
        let binding = machine.map(|machine| {
            let count = machine.components().count();
            Binding::new(&machine, 1 + usize::from(part) % count).unwrap()
        });
        // Some end before it is checked; the test moves its clock.
        let expires = lives.map(|lives| begins.plus(1 + lives));
        Claims {
            customer,
            expires,
            not_before: (begins_in > 0).then_some(begins),
            issued_at,
            token_id: TokenId::from_bytes(token_id),
            plan,
            terms,
            binding,
            grace: if expires.is_some() { grace } else { 0 },
            license_id: LicenseId::from_bytes(license_id),
            license_revision: revisions.0,
            catalog_revision: revisions.1,
            minimum: Minimum { keyset: minimum, status: 0 },
            mint_epoch,
            extensions,
            ..snakeoil::claims()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_minted_is_read(claims in claims(), machine in machine()) {
        let trust = snakeoil::trust();
        let token = Seed::License.mint(&claims);
        let bound = claims.binding.as_ref().is_some_and(|binding| {
            binding.matched(&machine) < binding.required()
        });
        let verifier = Verifier::new(&trust, PRODUCT, RevocationPolicy::Lenient);
        let result = verifier.on_machine(&machine).verify(&token, claims.begins());
        if bound {
            prop_assert_eq!(result.unwrap_err().code(), "machine-mismatch");
        } else {
            let license = result.unwrap();
            prop_assert_eq!(license.claims(), &claims);
            prop_assert_eq!(license.key_id(), Seed::License.id());
        }
    }

    /// The claims are in the token as another CBOR writer would put them there.
    #[test]
    fn one_value_has_one_encoding(extensions in collection::btree_map(i64::MIN..=-1, extension(), 0..4)) {
        let body = Claims { extensions: extensions.clone(), ..snakeoil::claims() }.encode().unwrap();
        let tail = extensions.iter().rev().flat_map(|(key, value)| {
            [Item::negative(*key).encode(), item(value).encode()].concat()
        });
        prop_assert!(body.ends_with(&tail.collect::<Vec<_>>()));
    }

    #[test]
    fn requests_are_read_as_they_were_made(machine in machine()) {
        let request = machine.to_request().unwrap();
        prop_assert_eq!(Fingerprint::from_request(&request), Ok(machine));
    }

    #[test]
    fn armor_gives_back_the_word(word in "[A-Za-z0-9._-]{0,300}", label in "[A-Z ]{1,20}") {
        prop_assert_eq!(armor::unwrap(&armor::wrap(&label, &word)), Ok(word));
    }

    #[test]
    fn times_are_written_as_jiff_writes_them(time in time()) {
        let seconds = i64::try_from(time.seconds()).unwrap();
        let other = jiff::Timestamp::from_second(seconds);
        // The last day of 9999 is beyond jiff's range.
        if let Ok(other) = other {
            prop_assert_eq!(time.to_string(), other.to_string());
        } else {
            prop_assert!(time > UnixTime::MAX.minus(2 * snakeoil::DAY));
        }
    }

    #[test]
    fn nothing_panics_on_bytes(bytes in collection::vec(any::<u8>(), 0..300)) {
        anything_on_bytes(&bytes);
    }

    #[test]
    fn nothing_panics_on_text(text in "\\PC{0,200}") {
        anything_on_text(&text);
    }

    #[test]
    fn nothing_panics_behind_a_good_beginning(tail in collection::vec(any::<u8>(), 0..300)) {
        for head in [&b"\x83\x64root\x58"[..], b"\x83\x66keyset\x59", b"\x83\x66status\x42\xa0\x00\x81"] {
            anything_on_bytes(&[head, &tail].concat());
        }
        let text: String = tail.iter().map(|byte| char::from(byte % 128)).collect();
        for head in ["v4.public.", "phi.keyset.", "phi.fingerprint.", "k4.public.", "-----BEGIN PHI "] {
            anything_on_text(&format!("{head}{text}"));
        }
    }

    /// A good signature over any bytes: the decoder sees them and does not panic.
    #[test]
    fn nothing_panics_on_signed_bytes(body in collection::vec(any::<u8>(), 0..300)) {
        let token = UnsignedToken::with_body(Seed::License.id(), &body).unwrap();
        let trust = snakeoil::trust();
        let verifier = Verifier::new(&trust, PRODUCT, RevocationPolicy::Lenient);
        prop_assert!(verifier.verify(&Seed::License.seal(&token), NOW).is_err());
        let _ = phi_verify::dangerous_inspect::token(&token.sealed(&[0; 64]));
    }

    /// A byte of a good body is another, under a good signature: refused, or read as what it is.
    #[test]
    fn a_body_is_refused_or_read_as_it_stands(at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let claims = Claims { extensions: [(-1, Extension::List(vec![]))].into(), ..snakeoil::claims() };
        let mut body = claims.encode().unwrap();
        let at = at.index(body.len());
        body[at] = to;
        let token = UnsignedToken::with_body(Seed::License.id(), &body).unwrap();
        let trust = snakeoil::trust();
        let verifier = Verifier::new(&trust, PRODUCT, RevocationPolicy::Lenient);
        if let Ok(license) = verifier.verify(&Seed::License.seal(&token), NOW) {
            prop_assert_eq!(license.claims().encode(), Ok(body));
        }
    }
}

fn anything_on_bytes(bytes: &[u8]) {
    let mut state = snakeoil::trust();
    let _ = state.import(bytes);
    let _ = TrustState::from_anchor(bytes);
    let _ = UntrustedDocument::parse(bytes);
    let _ = armor::document_to_text(bytes);
    let _ = phi_verify::dangerous_inspect::document(bytes);
    if let Ok(key) = bytes.try_into() {
        let _ = PublicKey::from_bytes(key);
    }
}

fn anything_on_text(text: &str) {
    let trust = snakeoil::trust();
    let verifier = Verifier::new(&trust, PRODUCT, RevocationPolicy::Lenient);
    assert!(verifier.verify(text, NOW).is_err());
    let _ = phi_verify::dangerous_inspect::token(text);
    let _ = armor::unwrap(text);
    let _ = armor::document_from_text(text);
    let _ = Fingerprint::from_request(text);
    let _ = PublicKey::from_paserk(text);
    let _ = text.parse::<KeyId>();
    let _ = text.parse::<TokenId>();
    let _ = text.parse::<LicenseId>();
}

#[test]
fn claims_that_no_verifier_would_read_are_not_encoded() {
    let nested = |levels| {
        (0..levels).fold(Extension::Bool(true), |inner, _| {
            Extension::List(vec![inner])
        })
    };
    let with = |extension| Claims {
        extensions: [(-1, extension)].into(),
        ..snakeoil::claims()
    };
    assert!(with(nested(7)).encode().is_ok());
    assert!(with(nested(8)).encode().is_err());
    let entry = |number| (Extension::Integer(number), Extension::Bool(true));
    assert!(
        with(Extension::Map(vec![entry(1), entry(2)]))
            .encode()
            .is_ok()
    );
    assert!(
        with(Extension::Map(vec![entry(2), entry(1)]))
            .encode()
            .is_err()
    );
    assert!(
        with(Extension::Map(vec![entry(1), entry(1)]))
            .encode()
            .is_err()
    );
    assert!(with(Extension::Integer(i128::MAX)).encode().is_err());
    let mut claims = snakeoil::claims();
    claims.extensions.insert(1, Extension::Bool(true));
    assert!(claims.encode().is_err());
}

#[test]
fn every_day_is_written_as_jiff_writes_it() {
    // A second that moves through the day, on every day of eight thousand years.
    for day in 0..UnixTime::MAX.seconds() / snakeoil::DAY - 1 {
        let time = UnixTime::new(day * snakeoil::DAY + day % snakeoil::DAY).unwrap();
        let other = jiff::Timestamp::from_second(i64::try_from(time.seconds()).unwrap()).unwrap();
        assert_eq!(time.to_string(), other.to_string());
    }
}

fn refused(verifier: &Verifier<'_>, token: &str) -> Result<(), Error> {
    match verifier.verify(token, NOW) {
        Err(error) => Err(error),
        Ok(_) => panic!("accepted: {token}"),
    }
}

#[test]
fn every_single_bit_of_a_token_counts() {
    let trust = snakeoil::trust();
    let verifier = Verifier::new(&trust, PRODUCT, RevocationPolicy::Lenient);
    let token = Seed::License.mint(&snakeoil::claims());
    assert!(verifier.verify(&token, NOW).is_ok());
    let mut judged = 0;
    for at in 0..token.len() {
        for bit in 0..8 {
            let mut bytes = token.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            // A set top bit alone is no UTF-8: a verifier that takes text cannot be given it.
            if let Ok(changed) = String::from_utf8(bytes) {
                let _ = refused(&verifier, &changed);
                judged += 1;
            }
        }
    }
    assert_eq!(judged, token.len() * 7);
}

/// Every character of base64url, and those that often slip in.
const CHARACTERS: &str =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.+/= \n\r\t\0é";

#[test]
fn every_single_character_of_a_token_counts() {
    let trust = snakeoil::trust();
    let verifier = Verifier::new(&trust, PRODUCT, RevocationPolicy::Lenient);
    let token = Seed::License.mint(&snakeoil::claims());
    for at in 0..=token.len() {
        let (head, tail) = token.split_at(at);
        let _ = (!tail.is_empty()).then(|| refused(&verifier, head));
        for character in CHARACTERS.chars() {
            let _ = refused(&verifier, &format!("{head}{character}{tail}"));
            let rest = tail.get(1..).filter(|_| !tail.starts_with(character));
            let _ = rest.map(|rest| refused(&verifier, &format!("{head}{character}{rest}")));
        }
        let _ = tail
            .get(1..)
            .map(|rest| refused(&verifier, &format!("{head}{rest}")));
    }
}

#[test]
fn two_neighbors_of_a_token_cannot_be_swapped() {
    let trust = snakeoil::trust();
    let verifier = Verifier::new(&trust, PRODUCT, RevocationPolicy::Lenient);
    let token = Seed::License.mint(&snakeoil::claims()).into_bytes();
    for at in 1..token.len() {
        let mut swapped = token.clone();
        swapped.swap(at - 1, at);
        if swapped != token {
            let _ = refused(&verifier, &String::from_utf8(swapped).unwrap());
        }
    }
}

#[test]
fn every_bit_of_a_document_counts_and_so_does_its_length() {
    let root = phi_verify::Root {
        version: 2,
        ..snakeoil::root()
    };
    let bare = TrustState::from_anchor(&snakeoil::anchor()).unwrap();
    let held = snakeoil::trust();
    for (state, document) in [
        (&bare, Seed::Root.sign(&root.unsigned())),
        (&bare, Seed::Keyset.sign(&snakeoil::keyset().unsigned())),
        (&held, Seed::Status.sign(&snakeoil::status().unsigned())),
        (&bare, Seed::Keyset.sign(&snakeoil::catalog().unsigned())),
    ] {
        assert!(state.clone().import(&document).is_ok());
        for at in 0..document.len() {
            for bit in 0..8 {
                let mut changed = document.clone();
                changed[at] ^= 1 << bit;
                let mut after = state.clone();
                assert!(after.import(&changed).is_err(), "byte {at}, bit {bit}");
                assert_eq!(&after, state);
            }
            assert!(
                state.clone().import(&document[..at]).is_err(),
                "cut at {at}"
            );
        }
        assert!(
            state
                .clone()
                .import(&[&document[..], &[0]].concat())
                .is_err()
        );
    }
    let anchor = snakeoil::anchor();
    for at in 0..anchor.len() {
        let mut changed = anchor.clone();
        changed[at] ^= 1;
        assert!(
            TrustState::from_anchor(&changed).is_err(),
            "byte {at} of an anchor"
        );
    }
}
