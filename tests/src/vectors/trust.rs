//! What a trust state takes after what it has: the chain of roots, rollback, equivocation, and
//! documents that do not go together.

use ed25519_dalek::SigningKey;
use phi_verify::{Floors, Keyset, RoleKeys, Root, Status, UnsignedDocument};

use super::{Check, Outcome, Trust, Vectors, base};
use crate::{
    hex,
    snakeoil::{self, DAY, START, Seed, key, role, sign_all},
};

pub(super) fn add(vectors: &mut Vectors) {
    chain(vectors);
    thresholds(vectors);
    versions(vectors);
    floors(vectors);
    together(vectors);
    domains(vectors);
    too_many_catalogs(vectors);
}

/// The 257th product.
fn too_many_catalogs(vectors: &mut Vectors) {
    let catalog = |number: usize| {
        let mut catalog = snakeoil::catalog();
        catalog.product = format!("product-{number}");
        Seed::Keyset.sign(&catalog.unsigned())
    };
    let mut trust = base::trust();
    trust
        .imports
        .extend((0..256).map(|number| hex(&catalog(number))));
    let shows = "the catalog of a 257th product";
    let check = base::import_into(trust, &catalog(256));
    refuse(
        vectors,
        "catalogs-too-many",
        shows,
        check,
        "catalogs-too-many",
    );
}

fn state(imports: &[&[u8]]) -> Trust {
    base::trust_with(imports)
}

fn accept(vectors: &mut Vectors, name: &str, shows: &str, check: Check, outcome: Outcome) {
    vectors.accept(format!("trust/{name}"), shows, check, outcome);
}

fn refuse(vectors: &mut Vectors, name: &str, shows: &str, check: Check, code: &str) {
    vectors.refuse(format!("trust/{name}"), shows, check, code);
}

fn updated(document: impl Into<super::DocumentView>) -> Outcome {
    Outcome::Updated(document.into())
}

/// The key that follows the snakeoil root key.
fn next_key() -> SigningKey {
    key(21)
}

/// Root version 2, under a new root key.
fn second() -> Root {
    Root {
        version: 2,
        issued_at: START.plus(DAY),
        root: role(&[next_key()], 1),
        ..snakeoil::root()
    }
}

fn old_key() -> SigningKey {
    Seed::Root.signing_key()
}

/// A root signed by the key before and its own.
fn by_both(root: &Root) -> Vec<u8> {
    sign_all(&root.unsigned(), &[old_key(), next_key()])
}

fn chain(vectors: &mut Vectors) {
    let root = second();
    let good = by_both(&root);
    let into = |imports: &[&[u8]], document: &[u8]| base::import_into(state(imports), document);
    let shows = "the next root, signed by the keys of both";
    accept(
        vectors,
        "valid-root-next",
        shows,
        into(&[], &good),
        updated(&root),
    );
    let third = Root {
        version: 3,
        ..root.clone()
    };
    let alone = sign_all(&third.unsigned(), &[next_key()]);
    let shows = "the root after, signed by the new key alone";
    accept(
        vectors,
        "valid-root-after",
        shows,
        into(&[&good], &alone),
        updated(&third),
    );
    let more = sign_all(&root.unsigned(), &[key(90), old_key(), next_key()]);
    let shows = "a stranger's signature beside those that are needed";
    accept(
        vectors,
        "valid-root-extra-signature",
        shows,
        into(&[], &more),
        updated(&root),
    );
    let shows = "the root that is in force";
    accept(
        vectors,
        "valid-root-again",
        shows,
        into(&[&good], &good),
        Outcome::Unchanged,
    );
    let unsigned = root.unsigned();
    for (name, shows, keys) in [
        (
            "root-not-by-old",
            "not signed by the key before",
            vec![next_key()],
        ),
        (
            "root-not-by-new",
            "not signed by its own key",
            vec![old_key()],
        ),
        (
            "root-by-stranger",
            "signed by strangers",
            vec![key(90), key(91)],
        ),
        (
            "root-by-keyset-key",
            "signed by the keyset key",
            vec![Seed::Keyset.signing_key()],
        ),
    ] {
        let check = into(&[], &sign_all(&unsigned, &keys));
        refuse(vectors, name, shows, check, "signatures-missing");
    }
    let gap = Root {
        version: 3,
        ..root.clone()
    };
    let shows = "version 3 after version 1, signed by the keys of both";
    refuse(
        vectors,
        "root-gap",
        shows,
        into(&[], &by_both(&gap)),
        "root-gap",
    );
    let far = Root {
        version: u64::MAX,
        ..root.clone()
    };
    let shows = "the last version there is";
    refuse(
        vectors,
        "root-gap-last",
        shows,
        into(&[], &by_both(&far)),
        "root-gap",
    );
    let same_keys = Root {
        version: 2,
        ..snakeoil::root()
    };
    let held = Seed::Root.sign(&same_keys.unsigned());
    let check = into(&[&held], &snakeoil::anchor());
    refuse(
        vectors,
        "root-rollback",
        "version 1 after version 2",
        check,
        "rollback",
    );
    let unlike = Root {
        issued_at: START.plus(9),
        ..same_keys
    };
    let check = into(&[&held], &Seed::Root.sign(&unlike.unsigned()));
    refuse(
        vectors,
        "root-equivocation",
        "two roots of version 2",
        check,
        "equivocation",
    );
    let other = Root {
        issuer: "other.example".into(),
        ..root.clone()
    };
    let check = into(&[], &by_both(&other));
    refuse(
        vectors,
        "root-issuer",
        "another issuer's name",
        check,
        "issuer-mismatch",
    );
    let shared = Root {
        status: role(&[next_key()], 1),
        ..root
    };
    let check = into(&[], &by_both(&shared));
    refuse(
        vectors,
        "root-key-in-two-roles",
        "a key in two roles",
        check,
        "key-in-two-roles",
    );
}

/// A root whose root role is this one.
fn with_root_role(version: u64, role: RoleKeys) -> Root {
    Root {
        version,
        root: role,
        ..snakeoil::root()
    }
}

fn thresholds(vectors: &mut Vectors) {
    let keys = |seeds: &[u8]| seeds.iter().map(|seed| key(*seed)).collect::<Vec<_>>();
    let old = with_root_role(1, role(&keys(&[30, 31, 32]), 2));
    let anchor = sign_all(&old.unsigned(), &keys(&[30, 31]));
    let new = with_root_role(2, role(&keys(&[31, 32, 33]), 2));
    let check = |document: &UnsignedDocument, signers: &[u8]| Check::Import {
        trust: Trust {
            anchor: hex(&anchor),
            imports: Vec::new(),
        },
        document: hex(&sign_all(document, &keys(signers))),
    };
    let document = new.unsigned();
    for (name, shows, signers) in [
        (
            "valid-two-of-three-shared",
            "2 of 3, by the keys that both roots have",
            &[31, 32][..],
        ),
        (
            "valid-two-of-three-all",
            "2 of 3, by all four keys",
            &[33, 30, 31, 32],
        ),
        (
            "valid-two-of-three-crossed",
            "2 of 3: 30 and 31 of the old, 31 and 33 of the new",
            &[30, 31, 33],
        ),
    ] {
        accept(
            vectors,
            name,
            shows,
            check(&document, signers),
            updated(&new),
        );
    }
    for (name, shows, signers) in [
        (
            "threshold-old",
            "one of the old keys, two of the new",
            &[31, 33][..],
        ),
        (
            "threshold-new",
            "two of the old keys, one of the new",
            &[30, 31],
        ),
        ("threshold-one", "one key", &[31]),
    ] {
        let check = check(&document, signers);
        refuse(vectors, name, shows, check, "signatures-missing");
    }
    let shows = "one signature twice in the place of two";
    let twice = check(&document, &[31, 31]);
    refuse(
        vectors,
        "threshold-signature-twice",
        shows,
        twice,
        "signature-duplicate",
    );
    let raised = with_root_role(2, role(&keys(&[30, 31, 32]), 3));
    let shows = "a threshold raised to three, signed by two";
    let raise = check(&raised.unsigned(), &[30, 31]);
    refuse(
        vectors,
        "threshold-raised",
        shows,
        raise,
        "signatures-missing",
    );
    let lowered = with_root_role(2, role(&keys(&[30]), 1));
    let shows = "a threshold lowered to one, signed by one";
    let lower = check(&lowered.unsigned(), &[30]);
    refuse(
        vectors,
        "threshold-lowered",
        shows,
        lower,
        "signatures-missing",
    );
    let shows = "a threshold lowered to one, signed by two";
    let lower = check(&lowered.unsigned(), &[30, 32]);
    accept(
        vectors,
        "valid-threshold-lowered",
        shows,
        lower,
        updated(&lowered),
    );
}

/// The snakeoil keyset with another version.
fn keyset(version: u64) -> Keyset {
    let mut keyset = snakeoil::keyset();
    keyset.version = version;
    keyset
}

fn sign_keyset(keyset: &Keyset) -> Vec<u8> {
    Seed::Keyset.sign(&keyset.unsigned())
}

fn sign_status(status: &Status) -> Vec<u8> {
    Seed::Status.sign(&status.unsigned())
}

/// A status list that follows this one.
fn after(status: &Status) -> Status {
    Status {
        epoch: status.epoch + 1,
        form: snakeoil::full(Some(status.unsigned().payload_hash())),
        this_update: status.this_update.plus(DAY),
        ..status.clone()
    }
}

fn versions(vectors: &mut Vectors) {
    let second = sign_keyset(&keyset(2));
    let held = || state(&[&second]);
    let fifth = keyset(5);
    let into = |trust: Trust, document: &[u8]| base::import_into(trust, document);
    let shows = "a newer keyset; versions may be skipped";
    let check = into(held(), &sign_keyset(&fifth));
    accept(vectors, "valid-keyset-newer", shows, check, updated(&fifth));
    let check = into(held(), &second);
    accept(
        vectors,
        "valid-keyset-again",
        "the keyset at hand",
        check,
        Outcome::Unchanged,
    );
    let check = into(held(), &sign_keyset(&keyset(1)));
    refuse(
        vectors,
        "keyset-rollback",
        "version 1 after version 2",
        check,
        "rollback",
    );
    let mut unlike = keyset(2);
    unlike.issued_at = START;
    let check = into(held(), &sign_keyset(&unlike));
    refuse(
        vectors,
        "keyset-equivocation",
        "two keysets of version 2",
        check,
        "equivocation",
    );

    let first = snakeoil::status();
    let next = after(&first);
    let [keys, one, two] = [base::keyset(), sign_status(&first), sign_status(&next)];
    let check = into(state(&[&keys, &one]), &two);
    accept(
        vectors,
        "valid-status-next",
        "the list that follows",
        check,
        updated(&next),
    );
    let third = after(&next);
    let shows = "a list after one that was never seen";
    let check = into(state(&[&keys, &one]), &sign_status(&third));
    accept(vectors, "valid-status-gap", shows, check, updated(&third));
    let check = into(state(&[&keys, &two]), &two);
    accept(
        vectors,
        "valid-status-again",
        "the list at hand",
        check,
        Outcome::Unchanged,
    );
    let check = into(state(&[&keys, &two]), &one);
    refuse(
        vectors,
        "status-rollback",
        "epoch 1 after epoch 2",
        check,
        "rollback",
    );
    let unlike = Status {
        hard_expiry: next.hard_expiry.plus(1),
        ..next.clone()
    };
    let check = into(state(&[&keys, &two]), &sign_status(&unlike));
    refuse(
        vectors,
        "status-equivocation",
        "two lists of epoch 2",
        check,
        "equivocation",
    );
    let forked = Status {
        form: snakeoil::full(Some([0; 32])),
        ..next
    };
    let shows = "epoch 2 after another list of epoch 1 than the one at hand";
    let check = into(state(&[&keys, &one]), &sign_status(&forked));
    refuse(vectors, "status-forked", shows, check, "equivocation");

    let revised = phi_verify::Catalog {
        revision: 2,
        ..snakeoil::catalog()
    };
    let sign = |catalog: &phi_verify::Catalog| Seed::Keyset.sign(&catalog.unsigned());
    let [one, two] = [sign(&snakeoil::catalog()), sign(&revised)];
    let check = into(state(&[&one]), &two);
    accept(
        vectors,
        "valid-catalog-newer",
        "a newer catalog",
        check,
        updated(&revised),
    );
    let check = into(state(&[&two]), &one);
    refuse(
        vectors,
        "catalog-rollback",
        "revision 1 after revision 2",
        check,
        "rollback",
    );
    let unlike = phi_verify::Catalog {
        issued_at: START.plus(9),
        ..revised
    };
    let check = into(state(&[&two]), &sign(&unlike));
    refuse(
        vectors,
        "catalog-equivocation",
        "two catalogs of revision 2",
        check,
        "equivocation",
    );
    let other = phi_verify::Catalog {
        product: "other".into(),
        ..snakeoil::catalog()
    };
    let shows = "revisions are counted for each product alone";
    let check = into(state(&[&two]), &sign(&other));
    accept(
        vectors,
        "valid-catalog-other-product",
        shows,
        check,
        updated(&other),
    );
}

/// Roots that raise or reset what a state will still take.
fn floors(vectors: &mut Vectors) {
    let root = |floors: Floors, status: &SigningKey| Root {
        version: 2,
        status: role(std::slice::from_ref(status), 1),
        floors,
        ..snakeoil::root()
    };
    let sign = |root: &Root| Seed::Root.sign(&root.unsigned());
    let (status_key, new_key) = (Seed::Status.signing_key(), key(22));
    let raised = sign(&root(
        Floors {
            keyset: 2,
            status: 2,
        },
        &status_key,
    ));
    let keys = [sign_keyset(&keyset(1)), sign_keyset(&keyset(2))];
    let into = |imports: &[&[u8]], document: &[u8]| base::import_into(state(imports), document);
    let check = into(&[&raised], &keys[0]);
    refuse(
        vectors,
        "floor-keyset",
        "a keyset below the root's floor",
        check,
        "rollback",
    );
    let check = into(&[&raised], &keys[1]);
    let shows = "a keyset at the root's floor";
    accept(
        vectors,
        "valid-floor-keyset",
        shows,
        check,
        updated(&keyset(2)),
    );
    let first = snakeoil::status();
    let check = into(&[&keys[0], &raised, &keys[1]], &sign_status(&first));
    refuse(
        vectors,
        "floor-status",
        "a list below the root's floor",
        check,
        "rollback",
    );

    // A thief of the status key published the last epoch there is.
    let thief = Status {
        epoch: u64::MAX,
        form: snakeoil::full(Some([9; 32])),
        ..snakeoil::status()
    };
    let stolen = sign_status(&thief);
    let replaced = sign(&root(
        Floors {
            keyset: 0,
            status: 2,
        },
        &new_key,
    ));
    let second = after(&first);
    let recovered = sign_all(&second.unsigned(), std::slice::from_ref(&new_key));
    let before = [&keys[0][..], &stolen, &replaced];
    let shows = "a new status key forgets a thief's last epoch and begins at the root's floor";
    accept(
        vectors,
        "valid-fast-forward-undone",
        shows,
        into(&before, &recovered),
        updated(&second),
    );
    let check = into(&before, &stolen);
    let shows = "the thief's list under the new status key";
    refuse(
        vectors,
        "fast-forward-again",
        shows,
        check,
        "signatures-missing",
    );
    let old = sign_all(&first.unsigned(), std::slice::from_ref(&new_key));
    let shows = "a list below the floor that came with the new status key";
    refuse(
        vectors,
        "fast-forward-floor",
        shows,
        into(&before, &old),
        "rollback",
    );
    let plain = sign(&root(Floors::default(), &status_key));
    let next = sign_status(&second);
    let check = into(&[&keys[0], &next, &plain], &sign_status(&first));
    let shows = "a root that keeps the status key opens no door to an older list";
    refuse(vectors, "root-bump-status-replay", shows, check, "rollback");
    // The keys overlap: one of two is enough, and the old one is among them.
    let both = Root {
        version: 2,
        status: role(&[status_key, new_key.clone()], 1),
        floors: Floors {
            keyset: 0,
            status: 2,
        },
        ..snakeoil::root()
    };
    let check = into(&[&keys[0], &sign(&both)], &sign_status(&first));
    let shows = "a list from before a rotation with overlapping keys, below the root's floor";
    refuse(vectors, "rotation-status-replay", shows, check, "rollback");
    let new = sign_all(&second.unsigned(), &[new_key]);
    let check = into(&[&keys[0], &sign(&both)], &new);
    let shows = "a list by the new key of a rotation with overlapping keys";
    accept(
        vectors,
        "valid-rotation-status",
        shows,
        check,
        updated(&second),
    );
}

/// Documents that must name each other rightly.
fn together(vectors: &mut Vectors) {
    let status = snakeoil::status();
    let into = |imports: &[&[u8]], document: &[u8]| base::import_into(state(imports), document);
    let shows = "a status list without a keyset";
    refuse(
        vectors,
        "status-without-keyset",
        shows,
        into(&[], &sign_status(&status)),
        "keyset-missing",
    );
    let keys = base::keyset();
    let unlike = Status {
        keyset: (1, [7; 32]),
        ..status.clone()
    };
    let shows = "a status list that names another keyset of the same version";
    let check = into(&[&keys], &sign_status(&unlike));
    refuse(
        vectors,
        "status-keyset-other",
        shows,
        check,
        "mix-and-match",
    );
    let ahead = Status {
        keyset: (2, [7; 32]),
        ..status.clone()
    };
    let shows = "a status list that names a keyset to come";
    let check = into(&[&keys], &sign_status(&ahead));
    refuse(
        vectors,
        "status-keyset-ahead",
        shows,
        check,
        "mix-and-match",
    );
    let newer = sign_keyset(&keyset(2));
    let shows = "a status list that names an older keyset";
    let check = into(&[&newer], &sign_status(&status));
    accept(
        vectors,
        "valid-status-keyset-older",
        shows,
        check,
        updated(&status),
    );
}

/// A payload signed as one kind and sent as another.
fn domains(vectors: &mut Vectors) {
    let keyset_document = base::keyset();
    let mut as_status = keyset_document.clone();
    as_status[2..8].copy_from_slice(b"status");
    let shows = "a keyset under the name of a status list";
    let check = base::import(&as_status);
    refuse(
        vectors,
        "keyset-as-status",
        shows,
        check,
        "signatures-missing",
    );
    let kind = phi_verify::DocumentKind::Status;
    let payload = base::keyset_fields().encode();
    let signed = base::document(kind, payload, Seed::Status);
    let shows = "a keyset's payload, signed as a status list";
    refuse(
        vectors,
        "keyset-payload-as-status",
        shows,
        base::import(&signed),
        "kind-mismatch",
    );
}
