//! An issuer made of known seeds, for vectors, examples and attacks. Its keys protect nothing.

use std::collections::BTreeMap;

use ed25519_dalek::{Signer as _, SigningKey};
use phi_verify::{
    Allowance, Catalog, Claims, ClockReset, FlagCode, Floors, Form, InstallationId, KeyId,
    KeyState, Keyset, LicenseId, LicenseKey, LimitCode, Minimum, Name, PayloadHash, Period,
    PublicKey, Quota, QuotaCode, RoleKeys, Root, Scope, Sections, Status, Terms, TokenId,
    TrustState, UnixTime, UnsignedDocument, UnsignedToken,
};

/// The issuer's name in everything here.
pub const ISSUER: &str = "phi-demo.example";
/// The product in everything here.
pub const PRODUCT: &str = "demo-app";

/// When the snakeoil issuer began: 2026-01-01T00:00:00Z.
pub const START: UnixTime = match UnixTime::new(1_767_225_600) {
    Some(time) => time,
    None => UnixTime::EPOCH,
};

/// Seconds in a day.
pub const DAY: u64 = 24 * 60 * 60;

/// The roles by their seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seed {
    /// The root key.
    Root = 1,
    /// Signs keysets and catalogs.
    Keyset = 2,
    /// Signs status documents.
    Status = 3,
    /// Signs checkpoints.
    Ledger = 4,
    /// Signs licenses.
    License = 5,
    /// The license key before.
    Retired = 6,
    /// A license key that was stolen.
    Revoked = 7,
    /// A license key to come.
    Staged = 8,
    /// A key that nobody trusts.
    Foreign = 9,
}

impl Seed {
    /// The signing key of this seed: 32 times the seed's number.
    pub fn signing_key(self) -> SigningKey {
        SigningKey::from_bytes(&[self as u8; 32])
    }

    /// The verifying key.
    ///
    /// # Panics
    /// Never: the seeds' keys are good.
    pub fn public(self) -> PublicKey {
        let bytes = self.signing_key().verifying_key().to_bytes();
        PublicKey::from_bytes(&bytes).expect("a key of a seed is of prime order")
    }

    /// The key id.
    pub fn id(self) -> KeyId {
        self.public().id()
    }

    /// A role of this one key.
    ///
    /// # Panics
    /// Never: one of one is a threshold.
    pub fn role(self) -> RoleKeys {
        RoleKeys::new(vec![self.public()], 1).expect("one of one")
    }

    /// Signs a document alone.
    pub fn sign(self, document: &UnsignedDocument) -> Vec<u8> {
        let signature = self.signing_key().sign(&document.message()).to_bytes();
        document.sealed(&[(self.id(), signature)])
    }

    /// Signs a token.
    pub fn seal(self, token: &UnsignedToken) -> String {
        token.sealed(&self.signing_key().sign(&token.message()).to_bytes())
    }

    /// Mints a token of these claims under this key.
    ///
    /// # Panics
    /// If the claims break a rule of the format.
    pub fn mint(self, claims: &Claims) -> String {
        self.seal(&UnsignedToken::license(self.id(), claims).expect("claims keep the rules"))
    }
}

/// A role of these keys, of which `threshold` must sign.
///
/// # Panics
/// If the keys cannot meet the threshold.
pub fn role(keys: &[SigningKey], threshold: usize) -> RoleKeys {
    let public = |key: &SigningKey| PublicKey::from_bytes(&key.verifying_key().to_bytes());
    let keys = keys.iter().map(|key| public(key).expect("an honest key"));
    RoleKeys::new(keys.collect(), threshold).expect("the keys can meet the threshold")
}

/// The key whose seed is 32 times this byte.
pub fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

/// Signs a document with each of these keys, in this order.
///
/// # Panics
/// Never: the seeds' keys are good.
pub fn sign_all(document: &UnsignedDocument, keys: &[SigningKey]) -> Vec<u8> {
    let message = document.message();
    let sign = |key: &SigningKey| {
        let public = PublicKey::from_bytes(&key.verifying_key().to_bytes());
        let id = public.expect("an honest key").id();
        (id, key.sign(&message).to_bytes())
    };
    document.sealed(&keys.iter().map(sign).collect::<Vec<_>>())
}

/// The first root.
pub fn root() -> Root {
    Root {
        issuer: ISSUER.into(),
        version: 1,
        issued_at: START,
        root: Seed::Root.role(),
        keyset: Seed::Keyset.role(),
        status: Seed::Status.role(),
        ledger: Seed::Ledger.role(),
        floors: Floors::default(),
        refresh_by: None,
    }
}

/// A keyset with a key in each state.
///
/// # Panics
/// Never: the keys differ.
pub fn keyset() -> Keyset {
    let from = START.plus(30 * DAY);
    let keys = [
        (Seed::License, KeyState::Active { from }),
        (
            Seed::Retired,
            KeyState::Retired {
                from: START,
                until: from,
            },
        ),
        (Seed::Revoked, KeyState::Revoked { cut: None }),
        (Seed::Staged, KeyState::Staged),
    ];
    let keys = keys.into_iter().map(|(seed, state)| LicenseKey {
        key: seed.public(),
        state,
        scope: Scope::default(),
    });
    Keyset::new(ISSUER.into(), 1, from, 1, keys.collect()).expect("the keys differ")
}

/// A status list of epoch 1 that revokes nothing and covers the license keys.
pub fn status() -> Status {
    let mut covered_keys = vec![Seed::License.id(), Seed::Retired.id()];
    covered_keys.sort_unstable();
    let this_update = START.plus(60 * DAY);
    Status {
        issuer: ISSUER.into(),
        epoch: 1,
        this_update,
        next_update: this_update.plus(30 * DAY),
        hard_expiry: this_update.plus(90 * DAY),
        keyset: (1, keyset().unsigned().payload_hash()),
        form: full(None),
        covered_keys,
        rules: Vec::new(),
        revoked: Sections::default(),
        unrevoked: Vec::new(),
    }
}

/// The salt of every full list here.
pub const SALT: [u8; 16] = *b"snakeoil salt 16";

/// A full list after this one.
pub const fn full(previous: Option<PayloadHash>) -> Form {
    Form::Full {
        previous,
        salt: SALT,
    }
}

/// A catalog of three flags, two quotas and a limit in two plans.
pub fn catalog() -> Catalog {
    let name = |name: &str, title: &str, unit: &str| Name {
        name: name.into(),
        title: title.into(),
        unit: unit.into(),
    };
    let flags = [
        ("export", "Export to CSV"),
        ("sso", "Single sign-on"),
        ("audit", "Audit log"),
    ];
    let flags = (0..)
        .zip(flags)
        .map(|(code, (flag, title))| (FlagCode::new(code), name(flag, title, "")));
    let mut free = Terms::default();
    free.flags.insert(FlagCode::new(0));
    Catalog {
        issuer: ISSUER.into(),
        product: PRODUCT.into(),
        revision: 1,
        issued_at: START,
        flags: flags.collect(),
        quotas: BTreeMap::from([
            (
                QuotaCode::new(0),
                (name("api_calls", "API calls", "calls"), Period::Month),
            ),
            (
                QuotaCode::new(1),
                (name("projects", "Projects", "projects"), Period::Lifetime),
            ),
        ]),
        limits: BTreeMap::from([(LimitCode::new(0), name("seats", "Seats", "seats"))]),
        plans: BTreeMap::from([("free".into(), free), ("pro".into(), terms())]),
        addons: BTreeMap::new(),
    }
}

/// The terms of plan `pro`.
pub fn terms() -> Terms {
    Terms {
        flags: [0, 1, 2].map(FlagCode::new).into_iter().collect(),
        quotas: BTreeMap::from([
            (
                QuotaCode::new(0),
                Quota {
                    allowance: Allowance::Limited(100_000),
                    period: Period::Month,
                },
            ),
            (
                QuotaCode::new(1),
                Quota {
                    allowance: Allowance::Unlimited,
                    period: Period::Lifetime,
                },
            ),
        ]),
        limits: BTreeMap::from([(LimitCode::new(0), Allowance::Limited(25))]),
    }
}

/// The claims of a license of plan `pro` for a year, with two weeks of grace.
pub fn claims() -> Claims {
    let issued_at = START.plus(45 * DAY);
    Claims {
        issuer: ISSUER.into(),
        customer: "globex".into(),
        expires: Some(issued_at.plus(365 * DAY)),
        not_before: None,
        issued_at,
        token_id: TokenId::from_bytes(*b"snakeoil token 1"),
        product: PRODUCT.into(),
        plan: "pro".into(),
        terms: terms(),
        binding: None,
        grace: 14 * DAY,
        license_id: LicenseId::from_bytes(*b"license1"),
        license_revision: 1,
        catalog_revision: 1,
        minimum: Minimum::default(),
        max_status_age: None,
        mint_epoch: 0,
        extensions: BTreeMap::new(),
    }
}

/// The installation in everything here.
pub const MACHINE: InstallationId = InstallationId::from_bytes(*b"snakeoil machine");

/// A clock reset for that installation, good for a week.
pub fn clock_reset() -> ClockReset {
    ClockReset {
        issuer: ISSUER.into(),
        installation: MACHINE,
        nonce: *b"snakeoil nonce 1",
        not_after: NOW.plus(7 * DAY),
        to: None,
        steady: NOW.plus(7 * DAY),
    }
}

/// The trust anchor.
pub fn anchor() -> Vec<u8> {
    Seed::Root.sign(&root().unsigned())
}

/// A trust state with the anchor and the keyset.
///
/// # Panics
/// Never: the documents are good.
pub fn trust() -> TrustState {
    let mut trust = TrustState::from_anchor(&anchor()).expect("a good anchor");
    trust
        .import(&Seed::Keyset.sign(&keyset().unsigned()))
        .expect("a good keyset");
    trust
}

/// A time within the license's life and the status list's freshness.
pub const NOW: UnixTime = START.plus(70 * DAY);
