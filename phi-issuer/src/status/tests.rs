use std::collections::BTreeSet;

use phi_verify::{
    KeyId, LicenseId, PublicKey, Reason, TokenId,
    filter::{Filter, FilterKind, SaltedId},
};

use super::*;
use crate::{
    Customer, CustomerKind, FirstRoot, InitOptions, Issuance, MintedToken, NewLicense,
    RevokeRequest, StoreOptions, Subject, keyfile::KdfStrength, passphrase::Passphrase, revoke,
};

const CATALOG: &str = "product = \"atlas\"\n[flags]\nsso = \"SSO\"\n[plans.team]\n";
const DAY: u64 = 24 * 60 * 60;

const fn day(number: u64) -> UnixTime {
    UnixTime::EPOCH.plus((20_000 + number) * DAY)
}

fn at(now: UnixTime) -> Context {
    Context::new(now, "ann")
}

fn passphrase() -> Passphrase {
    Passphrase::from_bytes(b"snakeoil").unwrap()
}

struct Office {
    issuer: Issuer,
    key_id: KeyId,
    _folder: tempfile::TempDir,
}

fn office() -> Office {
    let folder = tempfile::tempdir().unwrap();
    let options = InitOptions {
        issuer: "acme.example".into(),
        product: "atlas".into(),
        kdf: KdfStrength::Fast,
        store: StoreOptions::default(),
        root: FirstRoot::Here,
    };
    let secret = passphrase();
    let mut issuer = Issuer::init(folder.path(), &options, &secret, &at(day(0))).unwrap();
    issuer
        .publish_catalog(CATALOG, &secret, &at(day(0)))
        .unwrap();
    let globex = Customer {
        id: "globex".into(),
        kind: CustomerKind::Organization,
        name: String::new(),
    };
    issuer.add_customer(globex, &at(day(0))).unwrap();
    let keys = issuer.keys().unwrap();
    let license = keys.iter().find(|key| key.role == Role::License);
    let key_id = PublicKey::id(&license.unwrap().public);
    Office {
        issuer,
        key_id,
        _folder: folder,
    }
}

fn license_id(number: u32) -> LicenseId {
    let mut id = [0; 8];
    id[..4].copy_from_slice(&number.to_be_bytes());
    LicenseId::from_bytes(id)
}

fn token_id(number: u32) -> TokenId {
    let mut id = [7; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    TokenId::from_bytes(id)
}

impl Office {
    /// So many licenses with a token each, in one transaction. Their signatures are nobody's: no
    /// list looks at one.
    fn sell(&mut self, count: u32) {
        let (now, key_id) = (day(1), self.key_id);
        let sell = |writer: &mut crate::store::Writer<'_>| {
            (0..count).try_for_each(|number| {
                let id = license_id(number);
                writer.append(&Event::LicenseIssued {
                    license: Issuance {
                        id,
                        revision: 1,
                        issued_at: now,
                        catalog_revision: 1,
                        supersedes: None,
                        order: NewLicense::new("globex", "atlas", "team"),
                    },
                })?;
                writer.append(&Event::TokenMinted(MintedToken {
                    token_id: token_id(number),
                    license: id,
                    license_revision: 1,
                    key_id,
                    issued_at: now,
                    expires: None,
                    ends: None,
                    mint_epoch: 1,
                    token: number.to_string(),
                }))
            })
        };
        self.issuer.store.write(&at(now), sell).unwrap();
    }

    fn revoke(&mut self, subjects: impl IntoIterator<Item = Subject>, now: UnixTime) {
        let take_back = |writer: &mut crate::store::Writer<'_>| {
            subjects.into_iter().try_for_each(|subject| {
                let request = RevokeRequest {
                    subject,
                    issued_before: None,
                    cut: None,
                    reason: Reason::Refund,
                };
                revoke::record(writer, &request).map(drop)
            })
        };
        self.issuer.store.write(&at(now), take_back).unwrap();
    }

    fn publish(&mut self, deltas_from: &[u64], now: UnixTime) -> StatusPublished {
        let request = StatusRequest {
            deltas_from: deltas_from.to_vec(),
            ..StatusRequest::of(&self.issuer.settings)
        };
        let published = self
            .issuer
            .publish_status_as(&request, &passphrase(), &at(now), |_| {});
        published.unwrap()
    }

    /// What the gate says of a list that somebody changed before it was signed.
    fn gate(&mut self, change: impl FnOnce(&mut Status)) -> Result<Passed, Error> {
        let request = StatusRequest::of(&self.issuer.settings);
        let documents = self.issuer.status_under_salt(&request, [5; 16], day(3));
        let payload = documents.unwrap().remove(0);
        let read = dangerous_inspect::payload(DocumentKind::Status, &payload).unwrap();
        let Document::Status(mut status) = read else {
            panic!("no list");
        };
        change(&mut status);
        self.issuer.store.read(|query| {
            let revoked = Revoked::load(query, day(3))?;
            let gate = Gate {
                lists: vec![lists(&status, None)?],
                revoked: &revoked,
                keys: list::covered_keys(query)?,
                before: None,
                now: day(3),
            };
            let mut nobody = |_| {};
            let mut step = Step {
                done: 0,
                total: 0,
                progress: &mut nobody,
            };
            gate.pass(query, day(0), &mut step)
        })
    }
}

fn listed(ids: &[TokenId]) -> Filter {
    let mut prefixes: Vec<[u8; 8]> = ids
        .iter()
        .map(|id| {
            let id = SaltedId::of_token(&[5; 16], *id).to_bytes();
            id[..8].try_into().unwrap()
        })
        .collect();
    prefixes.sort_unstable();
    Filter::parse(FilterKind::Exact.number(), &prefixes.concat()).unwrap()
}

/// Mozilla's builder verified a list that blocked every add-on and noticed nothing (addons-server
/// #22828). Whatever is wrong with a list, no signature is made of it.
#[test]
fn mozilla_22828_the_gate_notices_whatever_is_wrong() {
    type Change = fn(&mut Status);
    let mut office = office();
    office.sell(50);
    office.revoke([Subject::Token(token_id(3))], day(2));
    office.revoke([Subject::License(license_id(4))], day(2));
    let passed = office.gate(|_| {}).unwrap();
    assert_eq!((passed.live, passed.revoked, passed.asked), (50, 2, 50));
    let all: Vec<_> = (0..50).map(token_id).collect();
    let changes: [Change; 5] = [
        |list| list.revoked.tokens = None,
        |list| list.rules.clear(),
        |list| list.revoked.tokens = Some(listed(&[token_id(3), token_id(9)])),
        // It knows none of the tokens, and says so.
        |list| list.covered_keys.clear(),
        // Tokens that were minted after it are in the ledger already: the barrier did not hold.
        |list| list.epoch = 1,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let wrong = office.gate(change);
        let code = wrong.map_err(|error| error.code().to_owned());
        assert_eq!(code.unwrap_err(), "list-wrong", "change {number}");
    }
    let everything = office.gate(|list| list.revoked.tokens = Some(listed(&all)));
    assert_eq!(everything.unwrap_err().code(), "list-wrong");
}

/// Beyond some thousand rules for whole licenses they stand in a section, and all goes on.
#[test]
fn many_whole_licenses_stand_in_a_section() {
    const RULES: u32 = 4096;
    let mut office = office();
    office.sell(RULES + 100);
    let whole = |numbers: std::ops::RangeInclusive<u32>| {
        numbers.map(|number| Subject::License(license_id(number)))
    };
    office.revoke(whole(0..=RULES - 1), day(2));
    let rules = office.publish(&[1], day(2));
    assert_eq!(rules.report.rules, 4096);
    office.revoke(whole(RULES..=RULES), day(3));
    let section = office.publish(&[1, 2], day(3));
    assert_eq!(section.report.rules, 0);
    assert_eq!(
        (section.report.checked, section.report.revoked),
        (4196, 4097)
    );
    let read = decoded(&section.list).unwrap();
    assert!(read.revoked.licenses.is_some() && read.unrevoked.is_empty());
    // Two come back: the others fit into rules again.
    for number in [0, 7] {
        let subject = Subject::License(license_id(number));
        office.issuer.unrevoke(&subject, &at(day(4))).unwrap();
    }
    let again = office.publish(&[1, 2, 3], day(4));
    assert_eq!((again.report.rules, again.report.revoked), (4095, 4095));
    let named: BTreeSet<_> = decoded(&again.list)
        .unwrap()
        .unrevoked
        .into_iter()
        .collect();
    assert_eq!(named.len(), 2, "list 2 has rules for them");
}

/// Changes since a list of a million tokens, one in a hundred of which it revokes; the bytes of the
/// filter that the bench finds for them, and the most that the signed delta may have.
const SIGNED_DELTAS: [(u32, u64, u64); 3] = [(10, 37, 300), (100, 202, 560), (1000, 1497, 2700)];

/// What a delta carries beside its filter, signature and all. It does not depend on how many tokens
/// there are, so that a small ledger tells.
#[test]
fn a_signed_delta_is_small() {
    let mut office = office();
    office.sell(1200);
    office.publish(&[], day(2));
    let mut revoked = 0;
    for (changes, of_a_million, most) in SIGNED_DELTAS {
        let now = day(2 + u64::from(changes.ilog10()));
        office.revoke((revoked..changes).map(token_id).map(Subject::Token), now);
        revoked = changes;
        let published = office.publish(&[2], now);
        let signed = published.deltas[0].document.len() as u64;
        let (_, numbers) = &published.report.deltas[0];
        assert_eq!(numbers.members, u64::from(changes));
        let around = signed - numbers.filter_bytes;
        // A length beyond 255 is told in a byte more.
        let expected = around + of_a_million + 1;
        println!("{changes} changes: {signed} bytes, {around} of them around the filter");
        assert!(
            expected <= most,
            "{changes} changes: {expected} bytes, {around} around"
        );
    }
}

/// A license of which no token was minted goes from a rule into the section like the others: the
/// list says of none that it came back.
#[test]
fn a_license_without_tokens_goes_into_the_section_too() {
    const RULES: u32 = 4096;
    let mut office = office();
    office.sell(RULES);
    let bare = license_id(RULES);
    let issue = |writer: &mut crate::store::Writer<'_>| {
        writer.append(&Event::LicenseIssued {
            license: Issuance {
                id: bare,
                revision: 1,
                issued_at: day(1),
                catalog_revision: 1,
                supersedes: None,
                order: NewLicense::new("globex", "atlas", "team"),
            },
        })
    };
    office.issuer.store.write(&at(day(1)), issue).unwrap();
    office.revoke([Subject::License(bare)], day(2));
    assert_eq!(office.publish(&[], day(2)).report.rules, 1);
    let all = (0..RULES).map(|number| Subject::License(license_id(number)));
    office.revoke(all, day(3));
    let section = office.publish(&[1, 2], day(3));
    assert_eq!(section.report.rules, 0);
    for list in [&section.list, &section.deltas[1]] {
        assert_eq!(decoded(list).unwrap().unrevoked, []);
    }
}
