//! An issuer whose every key is known, so that a fuzzer's bytes reach the decoders behind the
//! signature checks.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use ed25519_dalek::{Signer, SigningKey};
use phi_verify::{
    Allowance, Catalog, Claims, DocumentKind, ExactList, FlagCode, Floors, Imported, KeyState,
    Keyset, LicenseId, LicenseKey, LimitCode, Minimum, Name, Period, PublicKey, Quota, QuotaCode,
    Reason, RevocationPolicy, RoleKeys, Root, Rule, Status, Subject, Terms, TokenId, TrustState,
    UnixTime, UnsignedDocument, UnsignedToken, Verifier,
};

pub const ISSUER: &str = "snakeoil.example";
pub const PRODUCT: &str = "editor";

/// The issuer's documents, one of each kind, and the trust state made of them.
pub struct World {
    pub root: Vec<u8>,
    pub keyset: Vec<u8>,
    pub status: Vec<u8>,
    pub catalog: Vec<u8>,
    pub trust: TrustState,
}

pub static WORLD: LazyLock<World> = LazyLock::new(World::new);

impl World {
    fn new() -> Self {
        let root = seal(DocumentKind::Root, &root(1).unsigned());
        let keyset = seal(DocumentKind::Keyset, &keyset(1).unsigned());
        let catalog = seal(DocumentKind::Catalog, &catalog().unsigned());
        let mut trust = TrustState::from_anchor(&root).expect("the anchor is signed");
        trust.import(&keyset).expect("the keyset is signed");
        let status = seal(DocumentKind::Status, &status(&trust).unsigned());
        trust.import(&status).expect("the status is signed");
        trust.import(&catalog).expect("the catalog is signed");
        Self {
            root,
            keyset,
            status,
            catalog,
            trust,
        }
    }
}

/// A moment at which every sample is valid.
pub fn now() -> UnixTime {
    time(1_800_000_000)
}

fn time(seconds: u64) -> UnixTime {
    UnixTime::new(seconds).expect("before the year 10000")
}

/// Key pairs by number. The seed of a secret key is its number, 32 times.
static KEYS: LazyLock<Vec<(SigningKey, PublicKey)>> = LazyLock::new(|| {
    let pair = |number| {
        let secret = SigningKey::from_bytes(&[number; 32]);
        let public = secret.verifying_key().to_bytes();
        (
            secret,
            PublicKey::from_bytes(&public).expect("an honest key"),
        )
    };
    (0..=RETIRED_KEY).map(pair).collect()
});

fn secret(number: u8) -> &'static SigningKey {
    &KEYS[usize::from(number)].0
}

fn public(number: u8) -> PublicKey {
    KEYS[usize::from(number)].1.clone()
}

fn role(number: u8) -> RoleKeys {
    RoleKeys::new(vec![public(number)], 1).expect("one of one")
}

/// The number of the key that signs documents of this kind.
fn signer(kind: DocumentKind) -> u8 {
    match kind {
        DocumentKind::Root => 1,
        DocumentKind::Keyset | DocumentKind::Catalog => 2,
        DocumentKind::Status => 3,
    }
}

const LICENSE_KEY: u8 = 5;
const RETIRED_KEY: u8 = 6;

/// Signs a document as its role does.
pub fn seal(kind: DocumentKind, document: &UnsignedDocument) -> Vec<u8> {
    let number = signer(kind);
    let signature = secret(number).sign(&document.message()).to_bytes();
    document.sealed(&[(public(number).id(), signature)])
}

/// Signs any bytes as the body of a license; none if they are too many for a token.
pub fn token(body: &[u8]) -> Option<String> {
    let unsigned = UnsignedToken::with_body(public(LICENSE_KEY).id(), body).ok()?;
    Some(unsigned.sealed(&secret(LICENSE_KEY).sign(&unsigned.message()).to_bytes()))
}

/// A verifier of the sample product in the sample world.
pub fn verifier() -> Verifier<'static> {
    Verifier::new(&WORLD.trust, PRODUCT, RevocationPolicy::Lenient)
}

/// Imports `bytes` as they are, then as the payload of a document of this kind that the right
/// key has signed, into a state without that document.
///
/// # Panics
/// If a document that is accepted once is not known the second time.
pub fn import_both_ways(kind: DocumentKind, bytes: &[u8], before: &TrustState) {
    let _ = phi_verify::dangerous_inspect::document(bytes);
    import(bytes, before);
    let unsigned = UnsignedDocument::with_payload(kind, bytes.to_vec());
    import(&seal(kind, &unsigned), before);
}

fn import(document: &[u8], before: &TrustState) {
    let mut trust = before.clone();
    match trust.import(document) {
        Ok(Imported::Updated(kind)) => {
            let after = trust.clone();
            assert_eq!(trust.import(document), Ok(Imported::Unchanged(kind)));
            assert_eq!(trust, after);
        }
        Ok(Imported::Unchanged(_)) | Err(_) => assert_eq!(&trust, before),
    }
}

/// The state of an application that has its anchor alone.
pub fn anchor_only() -> TrustState {
    TrustState::from_anchor(&WORLD.root).expect("the anchor is signed")
}

/// The state of an application that has not yet seen a status or a catalog.
pub fn with_keyset() -> TrustState {
    let mut trust = anchor_only();
    trust.import(&WORLD.keyset).expect("the keyset is signed");
    trust
}

pub fn root(version: u64) -> Root {
    Root {
        issuer: ISSUER.into(),
        version,
        issued_at: time(1_790_000_000),
        root: role(1),
        keyset: role(2),
        status: role(3),
        ledger: role(4),
        floors: Floors {
            keyset: 1,
            status: 1,
        },
    }
}

pub fn keyset(version: u64) -> Keyset {
    let active = LicenseKey {
        key: public(LICENSE_KEY),
        state: KeyState::Active {
            from: time(1_780_000_000),
        },
    };
    let (from, until) = (time(1_700_000_000), time(1_780_000_000));
    let retired = LicenseKey {
        key: public(RETIRED_KEY),
        state: KeyState::Retired { from, until },
    };
    let keys = vec![active, retired];
    Keyset::new(ISSUER.into(), version, time(1_791_000_000), 1, keys).expect("two keys")
}

/// A status that revokes something of each class, but not the sample license.
pub fn status(trust: &TrustState) -> Status {
    let salt = [9; 16];
    let rule = |subject| Rule {
        subject,
        issued_before: Some(time(1_795_000_000)),
        reason: Reason::Unspecified,
        since: time(1_792_000_000),
    };
    Status {
        issuer: ISSUER.into(),
        epoch: 1,
        this_update: time(1_792_000_000),
        next_update: time(1_810_000_000),
        hard_expiry: time(1_820_000_000),
        keyset: (1, trust.keyset_hash().expect("a keyset is there")),
        previous: None,
        salt,
        covered_keys: vec![public(LICENSE_KEY).id()],
        rules: vec![
            rule(Subject::License(LicenseId::from_bytes([8; 8]))),
            rule(Subject::Customer([7; 16])),
            rule(Subject::Key(public(RETIRED_KEY).id())),
            rule(Subject::Feature(PRODUCT.into(), flag(2))),
        ],
        tokens: ExactList::new(&salt, (0..4).map(|byte| TokenId::from_bytes([byte; 16]))),
    }
}

fn flag(code: u64) -> FlagCode {
    FlagCode::checked(code).expect("a small code")
}

fn quota() -> QuotaCode {
    QuotaCode::checked(0).expect("a small code")
}

fn limit() -> LimitCode {
    LimitCode::checked(0).expect("a small code")
}

fn terms() -> Terms {
    let mut terms = Terms::default();
    for code in [0, 2, 9] {
        terms.flags.insert(flag(code));
    }
    let monthly = Quota {
        allowance: Allowance::Limited(5000),
        period: Period::Month,
    };
    terms.quotas.insert(quota(), monthly);
    terms.limits.insert(limit(), Allowance::Limited(25));
    terms
}

pub fn catalog() -> Catalog {
    let name = |name: &str, unit: &str| Name {
        name: name.into(),
        title: format!("What {name} is"),
        unit: unit.into(),
    };
    Catalog {
        issuer: ISSUER.into(),
        product: PRODUCT.into(),
        revision: 1,
        issued_at: time(1_791_000_000),
        flags: [0, 2, 9]
            .map(|code| (flag(code), name(&format!("flag_{code}"), "")))
            .into(),
        quotas: [(quota(), (name("exports", "exports"), Period::Month))].into(),
        limits: [(limit(), name("seats", "seats"))].into(),
        plans: [("team".to_owned(), terms())].into(),
        addons: BTreeMap::new(),
    }
}

/// A license that the sample world accepts.
pub fn claims() -> Claims {
    Claims {
        issuer: ISSUER.into(),
        customer: "ada".into(),
        expires: Some(time(1_900_000_000)),
        not_before: None,
        issued_at: time(1_795_000_000),
        token_id: TokenId::from_bytes([200; 16]),
        product: PRODUCT.into(),
        plan: "team".into(),
        terms: terms(),
        binding: None,
        grace: 86_400,
        license_id: LicenseId::from_bytes([1; 8]),
        license_revision: 1,
        catalog_revision: 1,
        minimum: Minimum::default(),
        max_status_age: None,
        mint_epoch: 1,
        extensions: BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_license_is_accepted() {
        let token = token(&claims().encode().expect("well formed")).expect("short");
        let license = verifier().verify(&token, now()).expect("valid");
        assert_eq!(license.claims(), &claims());
    }
}
