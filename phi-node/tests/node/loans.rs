//! A seat that is taken along: from a node, over HTTP, to a machine that has nothing but files.

use std::{fs, os::unix::fs::PermissionsExt as _, time::SystemTime};

use phi_enforce::{BorrowError, BorrowedSeat, borrowed_from_text};
use phi_tests::snakeoil::{self, PRODUCT, Seed};
use phi_verify::{
    Bundle, Fingerprint, License, PublicKey, RevocationPolicy, TrustState, UnixTime, Verifier,
};
use serde_json::{Value, json};

use crate::{
    issuer::{LICENSE, bundle, claims},
    process::Home,
};

/// What a machine without a network was brought: the issuer's anchor, a bundle, the site's public
/// key, and the document.
struct Offline {
    trust: TrustState,
    license: License,
    seat: BorrowedSeat,
}

impl Offline {
    fn new(bundle: &[u8], site: &PublicKey, word: &str) -> Self {
        let mut trust = TrustState::from_anchor(&snakeoil::anchor()).unwrap();
        trust.import_bundle(&Bundle::parse(bundle).unwrap());
        let token = Seed::License.mint(&claims(LICENSE, 10, 2));
        let verifier = Verifier::new(&trust, PRODUCT, RevocationPolicy::Lenient);
        let license = verifier.verify(&token, now()).unwrap();
        let document = borrowed_from_text(word).unwrap();
        let seat = BorrowedSeat::open(&document, std::slice::from_ref(site)).unwrap();
        Self {
            trust,
            license,
            seat,
        }
    }

    fn has_the_seat(&self, machine: &Fingerprint, at: UnixTime) -> Result<(), BorrowError> {
        self.seat.check(&self.license, machine, &self.trust, at)
    }
}

fn now() -> UnixTime {
    SystemTime::now().into()
}

fn machine(name: &str) -> Fingerprint {
    Fingerprint::new(PRODUCT).with("machine-id", name)
}

#[test]
fn a_seat_goes_along_with_a_machine_and_comes_back() {
    let licenses = bundle(&[claims(LICENSE, 10, 2)]);
    let home = Home::new(&licenses);
    let made = home.run(&["site-key", "new", "site.key"]);
    assert!(made.status.success(), "{made:?}");
    let public = String::from_utf8(made.stdout).unwrap();
    let site = PublicKey::from_paserk(public.trim()).unwrap();
    let mode = fs::metadata(home.path("site.key")).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    let shown = home.run(&["site-key", "show", "site.key", "--json"]);
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["public_key"], public.trim());
    assert_eq!(shown["key_id"], site.id().to_string());

    let policy = "[seats.seats]\nborrow = { days = 3, percent = 50 }\n";
    fs::write(home.path("policy.toml"), policy).unwrap();
    let ann = home.add_client("ann", &["--scope", "borrow,seats", "--holder", "*"]);
    let bob = home.add_client("bob", &["--scope", "seats", "--holder", "*"]);
    let options = "--policy policy.toml --site-key site.key --clients clients.toml";
    let node = home.start(&options.split(' ').collect::<Vec<_>>());
    let (ann, bob) = (node.api.with(&ann), node.api.with(&bob));
    let asked = json!({
        "limit": "seats", "holder": "ann", "session": "trip", "for_s": 86_400,
        "machine": machine("laptop").to_request().unwrap(),
    });
    bob.post("/v1/seats/borrow", &asked)
        .must_be_refused(403, "scope");
    let lent = ann.post("/v1/seats/borrow", &asked).is(201);
    let word = lent.text("document");

    let offline = Offline::new(&licenses, &site, &word);
    let soon = now().plus(86_000);
    assert_eq!(offline.has_the_seat(&machine("laptop"), soon), Ok(()));
    let late = offline.has_the_seat(&machine("laptop"), now().plus(86_400));
    assert!(matches!(late, Err(BorrowError::Ended(_))), "{late:?}");
    let copy = offline.has_the_seat(&machine("desk"), soon);
    assert_eq!(copy, Err(BorrowError::OtherMachine));

    // One is left, until the other comes back.
    let mut desk = asked.clone();
    desk["machine"] = machine("desk").to_request().unwrap().into();
    let desk = ann.post("/v1/seats/borrow", &desk);
    desk.must_be_refused(429, "loans-full");
    bob.claim("bob").is(201);
    bob.claim("cyd").must_be_refused(429, "seats-full");
    let back = json!({ "document": word });
    bob.post("/v1/seats/hand-back", &back)
        .must_be_refused(403, "scope");
    ann.post("/v1/seats/hand-back", &back).is(204);
    ann.post("/v1/seats/hand-back", &back).is(204);
    bob.claim("cyd").is(201);
}

#[test]
fn a_key_that_is_missing_open_or_there_is_said() {
    let home = Home::new(&bundle(&[]));
    let refused = |arguments: &[&str], code: &str, next: &str| {
        let output = home.run(&[&["--json"], arguments].concat());
        assert_eq!(output.status.code(), Some(14), "{output:?}");
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(said["error"]["code"], code, "{said}");
        let hint = said["error"]["hint"].as_str().unwrap();
        assert!(hint.contains(next), "{said}");
    };
    let node = "run --store sqlite:usage.db --anchor root-1.phi --site-key site.key";
    let node: Vec<_> = node.split(' ').collect();
    refused(&node, "site-key-file", "this user");
    refused(
        &["site-key", "show", "site.key"],
        "site-key-file",
        "this user",
    );
    assert!(home.run(&["site-key", "new", "site.key"]).status.success());
    let before = fs::read(home.path("site.key")).unwrap();
    refused(
        &["site-key", "new", "site.key"],
        "site-key-file",
        "new file",
    );
    assert_eq!(fs::read(home.path("site.key")).unwrap(), before);
    let open = fs::Permissions::from_mode(0o644);
    fs::set_permissions(home.path("site.key"), open).unwrap();
    refused(&node, "site-key-permissions", "chmod 600");
    fs::write(home.path("none.key"), "k4.secret.AAAA").unwrap();
    refused(
        &["site-key", "show", "none.key"],
        "site-key-permissions",
        "chmod",
    );
}
