//! Several issuers on one folder at once: nothing is lost, and what was minted stays valid.

use std::{path::Path, sync::Barrier, thread};

use phi_issuer::{Error, Issuer, Role};
use phi_tests::{
    home::{Home, Sql, Store},
    on_every_store,
    snakeoil::START,
    workshop::{self, PRODUCT, at, passphrase},
};
use phi_verify::{LicenseId, RevocationPolicy, UnixTime, Verifier};

/// Acts of each issuer in a race.
const ACTS: u64 = 14;

on_every_store![
    two_issuers_race,
    four_issuers_race,
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
