//! Several issuers on one folder at once: nothing is lost, and what was minted stays valid.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Barrier,
    thread,
};

use phi_issuer::{
    Error, Issuer, MintedToken, Publication, RevokeRequest, Role, StatusPublished, StatusRequest,
    Subject,
};
use phi_tests::{
    home::{Home, Sql, Store},
    on_every_store,
    snakeoil::START,
    workshop::{self, PRODUCT, at, passphrase},
};
use phi_verify::{
    Claims, DocumentKind, KeyId, LicenseId, Reason, RevocationPolicy, Status, StatusLists,
    UnixTime, Verdict, Verifier,
    dangerous_inspect::{self, Document},
};

/// Acts of each issuer in a race.
const ACTS: u64 = 14;

on_every_store![
    two_issuers_race,
    four_issuers_race,
    deltas_race_with_minting_and_revoking,
    a_staged_key_takes_over_once,
    a_token_of_the_second_in_which_its_key_was_replaced_stays_valid,
    the_key_that_the_root_names_signs_whatever_the_clocks_say,
];

fn two_issuers_race(store: Store) {
    race(store, 2);
}

fn four_issuers_race(store: Store) {
    race(store, 4);
}

/// What one racer did.
#[derive(Default)]
struct Done {
    licenses: i64,
    tokens: Vec<String>,
    statuses: i64,
    refused: Vec<String>,
}

fn race(store: Store, racers: u64) {
    let home = Home::new(store);
    home.furnished().unwrap();
    let start = Barrier::new(usize::try_from(racers).unwrap());
    let done: Vec<Done> = thread::scope(|scope| {
        let racer = |number| {
            let (folder, start) = (home.path(), &start);
            scope.spawn(move || {
                start.wait();
                run(folder, number)
            })
        };
        let racers: Vec<_> = (0..racers).map(racer).collect();
        racers
            .into_iter()
            .map(|racer| racer.join().unwrap())
            .collect()
    });
    for refusal in done.iter().flat_map(|racer| &racer.refused) {
        println!("refused: {refusal}");
    }
    let mut issuer = home.open().unwrap();
    let now = START.plus(10_000);
    issuer.publish_keyset(&passphrase(), &at(now)).unwrap();
    issuer.publish_status(&passphrase(), &at(now)).unwrap();
    let tokens: Vec<_> = done.iter().flat_map(|racer| &racer.tokens).collect();
    let trust = issuer.trust_state().unwrap();
    for token in &tokens {
        // A strict verifier accepts what the newest list covers, and it covers everything.
        Verifier::new(&trust, PRODUCT, RevocationPolicy::Strict)
            .verify(token, now)
            .unwrap();
    }
    let sql = Sql::open(home.path());
    assert_eq!(
        sql.number("SELECT count(*) FROM tokens"),
        i64::try_from(tokens.len()).unwrap()
    );
    let licenses: i64 = done.iter().map(|racer| racer.licenses).sum();
    assert_eq!(sql.number("SELECT count(*) FROM licenses"), licenses);
    // One at the beginning, one just now.
    let statuses: i64 = done.iter().map(|racer| racer.statuses).sum::<i64>() + 2;
    assert_eq!(
        sql.number("SELECT max(version) FROM publications WHERE kind = 'status'"),
        statuses
    );
    check_order(&sql);
    assert!(!tokens.is_empty());
}

/// Versions count up by one, no two publications share one, and every list knew all tokens that
/// its epoch covers, and only those.
fn check_order(sql: &Sql) {
    let none = |question: &str| assert_eq!(sql.number(question), 0, "{question}");
    none("SELECT max(seq) - count(*) FROM events");
    for kind in ["root", "keyset", "status"] {
        none(&format!(
            "SELECT max(version) - count(*) FROM publications WHERE kind = '{kind}'"
        ));
        none(&format!(
            "SELECT count(*) FROM publications a JOIN publications b
             ON a.kind = b.kind AND a.version < b.version AND a.seq > b.seq WHERE a.kind = '{kind}'"
        ));
    }
    let published = sql.bytes("SELECT entry FROM events WHERE word = 'document-published'");
    let catalog = |entry: &&Vec<u8>| entry.windows(8).any(|part| part == b"gcatalog");
    let others = published.len() - published.iter().filter(catalog).count();
    assert_eq!(
        sql.number("SELECT count(*) FROM publications WHERE kind <> 'catalog'"),
        i64::try_from(others).unwrap()
    );
    none(
        "SELECT count(*) FROM tokens t JOIN publications p ON p.kind = 'status'
         WHERE (t.epoch < p.version) <> (t.seq < p.seq)",
    );
}

/// One racer with its own open issuer, whose clock is not that of the others.
fn run(folder: &Path, number: u64) -> Done {
    let mut issuer = Issuer::open(folder).unwrap();
    let mut done = Done::default();
    for act in 0..ACTS {
        let now = START.plus(60 + act - act.min(number));
        if let Err(error) = step(&mut issuer, act + number, now, &mut done) {
            let code = error.code();
            assert!(
                matches!(code, "not-allowed" | "publication-behind"),
                "act {act} of {number}: {code}: {error:?}"
            );
            done.refused.push(format!("{code}: {error}"));
        }
    }
    done
}

fn step(issuer: &mut Issuer, act: u64, now: UnixTime, done: &mut Done) -> Result<(), Error> {
    let (secret, context) = (passphrase(), at(now));
    let rotate = |issuer: &mut Issuer, role| issuer.rotate_key(role, None, &secret, &context);
    match act % 7 {
        0 => {
            issuer.new_key(Role::License, &secret, &context)?;
        }
        1 => {
            rotate(issuer, Role::License)?;
            issuer.publish_keyset(&secret, &context)?;
        }
        2 | 5 => {
            issuer.publish_status(&secret, &context)?;
            done.statuses += 1;
        }
        3 => {
            rotate(
                issuer,
                if act.is_multiple_of(2) {
                    Role::Status
                } else {
                    Role::Keyset
                },
            )?;
            issuer.publish_keyset(&secret, &context)?;
        }
        4 => {
            for row in workshop::batch(issuer, &format!("r{now}-{act}"), 7, now, |_| {})? {
                // Two racers may order the same rows: one of them carries them out.
                let (repeated, minted) = (row.repeated, row.outcome?);
                if !repeated {
                    done.tokens.push(minted.token);
                    done.licenses += 1;
                }
            }
        }
        _ => {
            let license = workshop::issue(issuer, now)?;
            done.licenses += 1;
            mint(issuer, license, now, done)?;
        }
    }
    Ok(())
}

fn mint(
    issuer: &mut Issuer,
    license: LicenseId,
    now: UnixTime,
    done: &mut Done,
) -> Result<(), Error> {
    for count in [1, 3, 1] {
        let minted = workshop::mint(issuer, license, count, now)?;
        done.tokens
            .extend(minted.into_iter().map(|minted| minted.token));
    }
    Ok(())
}

/// Rounds of each issuer while one publishes deltas.
const ROUNDS: u64 = 6;

/// One issuer publishes lists, each with deltas to the first and to the one before, while two mint
/// and revoke. Whatever was minted or revoked in between, every list, and every delta with its
/// base, says of every token what the ledger said when the list was recorded.
fn deltas_race_with_minting_and_revoking(store: Store) {
    let home = Home::new(store);
    let mut issuer = home.furnished().unwrap();
    let license = workshop::issue(&mut issuer, START).unwrap();
    let mut tokens = mint_and_revoke(&mut issuer, license, START.plus(1));
    let first = issuer.publish_status(&passphrase(), &at(START.plus(2)));
    let first = first.unwrap().0;
    let start = Barrier::new(3);
    let (published, minted) = thread::scope(|scope| {
        let racer = |number| {
            let (home, start) = (&home, &start);
            scope.spawn(move || {
                let mut issuer = home.open().unwrap();
                start.wait();
                let now = |round| START.plus(60 + 10 * round + number);
                let rounds = 0..2 * ROUNDS;
                rounds
                    .flat_map(|round| mint_and_revoke(&mut issuer, license, now(round)))
                    .collect::<Vec<_>>()
            })
        };
        let racers = [racer(0), racer(1)];
        let published = publish_deltas(&home, &start, first.version);
        (published, racers.map(|racer| racer.join().unwrap()))
    });
    tokens.extend(minted.into_iter().flatten());
    let sql = Sql::open(home.path());
    check_order(&sql);
    let ledger = Times::of(&sql, &tokens);
    let mut lists: BTreeMap<u64, Status> = [(first.version, read(&first))].into();
    let mut seen = [0; 3];
    for StatusPublished { list, deltas, .. } in &published {
        let full = read(list);
        let alone = StatusLists::new(&full, None).unwrap();
        ledger.check(&alone, full.epoch, &mut seen);
        for delta in deltas {
            let (base, delta) = (&lists[&delta.base.unwrap()], read(delta));
            let lists = StatusLists::new(base, Some(&delta)).unwrap();
            ledger.check(&lists, full.epoch, &mut seen);
        }
        lists.insert(full.epoch, full);
    }
    assert_eq!(lists.len(), usize::try_from(ROUNDS).unwrap() + 1);
    // Tokens that were good, revoked and younger than the list: the race was one.
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
}

fn publish_deltas(home: &Home, start: &Barrier, first: u64) -> Vec<StatusPublished> {
    let mut issuer = home.open().unwrap();
    start.wait();
    let publish = |round| {
        let newest = issuer.published(DocumentKind::Status, "").unwrap().version;
        let request = StatusRequest {
            deltas_from: BTreeSet::from([first, newest]).into_iter().collect(),
            ..StatusRequest::of(issuer.settings())
        };
        let now = at(START.plus(60 + 20 * round));
        let published = issuer.publish_status_as(&request, &passphrase(), &now, |_| {});
        published.unwrap()
    };
    (0..ROUNDS).map(publish).collect()
}

/// Mints four tokens and revokes the second of them.
fn mint_and_revoke(issuer: &mut Issuer, license: LicenseId, now: UnixTime) -> Vec<MintedToken> {
    let minted = workshop::mint(issuer, license, 4, now).unwrap();
    let request = RevokeRequest {
        subject: Subject::Token(minted[1].token_id),
        issued_before: None,
        cut: None,
        reason: Reason::Refund,
    };
    issuer.revoke(&request, &at(now)).unwrap();
    minted
}

fn read(publication: &Publication) -> Status {
    match dangerous_inspect::document(&publication.document).unwrap() {
        Document::Status(status) => status,
        _ => panic!("no list"),
    }
}

/// When things came into the ledger, by the numbers of their events.
struct Times {
    tokens: Vec<(KeyId, Claims, i64, Option<i64>)>,
    /// Of each list, by its epoch.
    lists: BTreeMap<u64, i64>,
}

impl Times {
    fn of(sql: &Sql, tokens: &[MintedToken]) -> Self {
        let tokens = tokens.iter().map(|token| {
            let (key_id, claims) = dangerous_inspect::token(&token.token).unwrap();
            let id = token.token_id;
            let bytes = match sql {
                Sql::File(_) => format!("x'{id}'"),
                Sql::Server(_) => format!("'\\x{id}'::bytea"),
            };
            let minted = format!("SELECT seq FROM tokens WHERE id = {bytes}");
            let revoked = format!(
                "SELECT coalesce(max(seq), 0) FROM revocations WHERE class = 'token' AND id = '{id}'"
            );
            let revoked = Some(sql.number(&revoked)).filter(|seq| *seq > 0);
            (key_id, claims, sql.number(&minted), revoked)
        });
        let newest = sql.number("SELECT max(version) FROM publications WHERE kind = 'status'");
        let lists = (1..=newest).map(|version| {
            let seq = sql.number(&format!(
                "SELECT seq FROM publications WHERE kind = 'status' AND version = {version}"
            ));
            (version.cast_unsigned(), seq)
        });
        Self {
            tokens: tokens.collect(),
            lists: lists.collect(),
        }
    }

    /// Asks lists about every token; counts those that are good, revoked and not known.
    fn check(&self, lists: &StatusLists<'_>, epoch: u64, seen: &mut [u32; 3]) {
        let recorded = self.lists[&epoch];
        for (key_id, claims, minted, revoked) in &self.tokens {
            let verdict = lists.verdict(claims, *key_id);
            let place = match &verdict {
                Verdict::Good => 0,
                Verdict::Revoked { .. } => 1,
                Verdict::NotCovered => 2,
                Verdict::Probable => panic!("no Bloom filter was published"),
            };
            let expected = match revoked {
                _ if *minted > recorded => 2,
                Some(seq) if *seq < recorded => 1,
                _ => 0,
            };
            assert_eq!(place, expected, "token {}, list {epoch}", claims.token_id);
            seen[place] += 1;
        }
    }
}

fn a_staged_key_takes_over_once(store: Store) {
    let home = Home::new(store);
    let mut issuer = home.furnished().unwrap();
    let license = workshop::issue(&mut issuer, START).unwrap();
    for round in 1..=10 {
        let context = at(START.plus(round * 10));
        issuer
            .new_key(Role::License, &passphrase(), &context)
            .unwrap();
        let start = Barrier::new(2);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut issuer = home.open().unwrap();
                    start.wait();
                    let rotated = issuer.rotate_key(Role::License, None, &passphrase(), &context);
                    if let Err(error) = rotated {
                        assert_eq!(error.code(), "not-allowed", "{error:?}");
                    }
                });
            }
        });
        issuer.publish_keyset(&passphrase(), &context).unwrap();
        workshop::mint(&mut issuer, license, 1, context.now.plus(5)).unwrap();
    }
}

fn a_token_of_the_second_in_which_its_key_was_replaced_stays_valid(store: Store) {
    let home = Home::new(store);
    let mut issuer = home.furnished().unwrap();
    let license = workshop::issue(&mut issuer, START).unwrap();
    // The second token is of an issuer whose clock is three seconds ahead.
    for ahead in [0, 3] {
        let now = START.plus(60 + 10 * ahead);
        let token = workshop::mint(&mut issuer, license, 1, now.plus(ahead)).unwrap();
        issuer
            .rotate_key(Role::License, None, &passphrase(), &at(now))
            .unwrap();
        issuer.publish_keyset(&passphrase(), &at(now)).unwrap();
        let trust = issuer.trust_state().unwrap();
        Verifier::new(&trust, PRODUCT, RevocationPolicy::Balanced)
            .verify(&token[0].token, now.plus(ahead))
            .unwrap();
        workshop::mint(&mut issuer, license, 1, now).unwrap();
    }
}

fn the_key_that_the_root_names_signs_whatever_the_clocks_say(store: Store) {
    let home = Home::new(store);
    let mut ahead = home.furnished().unwrap();
    let mut behind = home.open().unwrap();
    for role in [Role::Status, Role::Keyset, Role::Root] {
        let (late, early) = (at(START.plus(100)), at(START.plus(50)));
        ahead.rotate_key(role, None, &passphrase(), &late).unwrap();
        behind
            .rotate_key(role, None, &passphrase(), &early)
            .unwrap();
        for (issuer, context) in [(&mut ahead, &late), (&mut behind, &early)] {
            issuer.publish_keyset(&passphrase(), context).unwrap();
            issuer.publish_status(&passphrase(), context).unwrap();
        }
    }
}
