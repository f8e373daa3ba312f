//! The vendor's five years: what was published in each week, and what was minted for whom.

use std::collections::BTreeMap;

use ed25519_dalek::{Signer as _, SigningKey};
use phi_tests::{
    log::{self, Hash, ORIGIN},
    snakeoil::{self, DAY, ISSUER, START, key, role, sign_all},
};
use phi_verify::{
    BundleBuilder, Claims, KeyId, KeyState, Keyset, LicenseId, LicenseKey, Minimum, PayloadHash,
    PublicKey, Reason, Root, Rule, Scope, Sections, Status, Subject, TokenId, UnixTime,
    UnsignedToken, log::Proof,
};

use super::application::Plan;

pub(super) const WEEK: u64 = 7 * DAY;
/// Five years.
pub(super) const WEEKS: usize = 261;
/// A license's time, and the longest that its key may grant.
pub(super) const TERM: u64 = 365 * DAY;
pub(super) const GRACE: u64 = 14 * DAY;
/// A renewal is minted so many weeks after the license before: four before that ends.
pub(super) const RENEWAL: usize = 48;

/// The status key is stolen, and replaced by the second root.
pub(super) const STATUS_THEFT: usize = 84;
pub(super) const SECOND_ROOT: usize = 90;
/// The license key of that time is revoked with a cut.
pub(super) const CUT: usize = 129;
/// Keyset, ledger and all root keys are replaced.
pub(super) const THIRD_ROOT: usize = 190;
/// A list may be this old: some customers import once a year.
const HARD_EXPIRY: u64 = 400 * DAY;
const NEXT_UPDATE: u64 = 30 * DAY;
/// License keys are changed every four weeks, and announced two weeks before.
const MONTH: usize = 4;
const NOTICE: u64 = 2 * WEEK;
/// A license is minted and taken back in this week of each year.
const REFUND: usize = 10;
const YEAR: usize = 52;

/// When a week's publication is out.
pub(super) fn week_begins(week: usize) -> UnixTime {
    START.plus(week as u64 * WEEK)
}

pub(super) fn public(key: &SigningKey) -> PublicKey {
    PublicKey::from_bytes(&key.verifying_key().to_bytes()).unwrap()
}

/// The license key with this number.
pub(super) fn license_key(number: usize) -> SigningKey {
    key(100 + u8::try_from(number).unwrap())
}

/// A token that the vendor minted.
#[derive(Clone, Debug)]
pub(super) struct Minted {
    pub(super) week: usize,
    pub(super) token: String,
    pub(super) key: KeyId,
    index: usize,
}

/// What was published in a week.
pub(super) struct Week {
    pub(super) documents: BundleBuilder,
    pub(super) root: Vec<u8>,
    pub(super) keyset: Keyset,
    checkpoint: String,
    size: usize,
}

/// A license that was taken back, and the list that says so first.
pub(super) struct Refund {
    pub(super) token: String,
    pub(super) epoch: u64,
}

/// Everything that the vendor ever published and minted.
pub(super) struct History {
    pub(super) weeks: Vec<Week>,
    /// By application, in the order of minting.
    pub(super) minted: Vec<Vec<Minted>>,
    pub(super) refunds: Vec<Refund>,
    /// The license key that was revoked with a cut.
    pub(super) cut_key: SigningKey,
    tree: Tree,
}

impl History {
    pub(super) fn write(plans: &[Plan]) -> Self {
        let mut vendor = Vendor::new(plans.len());
        let weeks = (0..WEEKS).map(|week| vendor.work(week, plans)).collect();
        Self {
            weeks,
            minted: vendor.minted,
            refunds: vendor.refunds,
            cut_key: vendor.cut_key.expect("five years have the week of the cut"),
            tree: vendor.tree,
        }
    }

    /// The proof of a token's minting, under the checkpoint of this week.
    pub(super) fn proof(&self, minted: &Minted, week: usize) -> Proof {
        let week = &self.weeks[week];
        let entry = log::base64(&log::entry(minted.index as u64));
        let head = format!(
            "c2sp.org/tlog-proof@v1\nextra {entry}\nindex {}\n",
            minted.index
        );
        let path = log::lines(&self.tree.path(minted.index, 0, week.size));
        Proof::parse(&(head + &path + &week.checkpoint)).unwrap()
    }

    /// The key of the status role under this root.
    pub(super) fn status_key(root_version: u64) -> SigningKey {
        key(if root_version == 1 { 30 } else { 31 })
    }

    /// The key of the keyset role under this root.
    pub(super) fn keyset_key(root_version: u64) -> SigningKey {
        key(if root_version < 3 { 20 } else { 21 })
    }
}

/// The vendor's desk in the middle of the five years.
struct Vendor {
    root: Root,
    root_keys: Vec<SigningKey>,
    roots: Vec<Vec<u8>>,
    keys: Vec<LicenseKey>,
    /// When the last license under a key ends that signs no more.
    over: BTreeMap<KeyId, UnixTime>,
    /// The number of each license key that there was.
    numbers: BTreeMap<KeyId, usize>,
    keyset: Option<Keyset>,
    status: Option<PayloadHash>,
    rules: Vec<Rule>,
    cut_key: Option<SigningKey>,
    minted: Vec<Vec<Minted>>,
    refunds: Vec<Refund>,
    tree: Tree,
}

impl Vendor {
    fn new(applications: usize) -> Self {
        let root_keys = vec![key(10), key(11), key(12)];
        let root = Root {
            root: role(&root_keys, 2),
            keyset: role(&[History::keyset_key(1)], 1),
            status: role(&[History::status_key(1)], 1),
            ledger: role(&[key(40)], 1),
            ..snakeoil::root()
        };
        let roots = vec![sign_all(&root.unsigned(), &root_keys[..2])];
        let mut vendor = Self {
            root,
            root_keys,
            roots,
            keys: Vec::new(),
            over: BTreeMap::new(),
            numbers: BTreeMap::new(),
            keyset: None,
            status: None,
            rules: Vec::new(),
            cut_key: None,
            minted: vec![Vec::new(); applications],
            refunds: Vec::new(),
            tree: Tree::default(),
        };
        vendor.new_key(START);
        vendor
    }

    fn work(&mut self, week: usize, plans: &[Plan]) -> Week {
        let now = week_begins(week);
        match week {
            SECOND_ROOT => self.second_root(week),
            THIRD_ROOT => self.third_root(week),
            CUT => self.cut(now),
            _ => {}
        }
        if week > 0 && week.is_multiple_of(MONTH) {
            self.rotate(now);
        }
        let over = |over: &UnixTime| *over < now;
        self.keys
            .retain(|entry| !self.over.get(&entry.key.id()).is_some_and(over));
        let keyset = self.publish_keyset(now);
        self.mint_all(week, plans);
        self.refund(week);
        let status = self.status_list(week, &keyset);
        let signer = [History::status_key(self.root.version)];
        let catalog = snakeoil::catalog();
        let keyset_signer = [History::keyset_key(self.root.version)];
        let mut documents = BundleBuilder::new();
        for document in self.roots.iter().cloned().chain([
            sign_all(&keyset.unsigned(), &keyset_signer),
            sign_all(&status, &signer),
            sign_all(&catalog.unsigned(), &keyset_signer),
        ]) {
            documents.document(&document).unwrap();
        }
        self.status = Some(status.payload_hash());
        let size = self.tree.len();
        Week {
            documents,
            root: self.roots.last().expect("there is a first").clone(),
            keyset,
            checkpoint: self.tree.checkpoint(size, &self.ledger_key()),
            size,
        }
    }

    fn ledger_key(&self) -> SigningKey {
        key(if self.root.version < 3 { 40 } else { 41 })
    }

    fn new_key(&mut self, from: UnixTime) {
        let number = self.numbers.len();
        let key = public(&license_key(number));
        self.numbers.insert(key.id(), number);
        self.keys.push(LicenseKey {
            key,
            state: KeyState::Active { from },
            scope: Scope {
                longest: Some(TERM + GRACE),
                ..Scope::default()
            },
        });
    }

    /// The key in use is to retire, and the next to begin, after due notice.
    fn rotate(&mut self, now: UnixTime) {
        let change = now.plus(NOTICE);
        let current = self.keys.last_mut().expect("there is a key in use");
        let KeyState::Active { from } = current.state else {
            panic!("the newest key is active");
        };
        let until = change;
        current.state = KeyState::Retired { from, until };
        self.over.insert(current.key.id(), until.plus(TERM + GRACE));
        self.new_key(change);
    }

    /// The key that signs today was stolen: what the ledger has until now stays good.
    fn cut(&mut self, now: UnixTime) {
        let cut = Some(self.tree.len() as u64);
        let (number, _) = self.signing(now);
        let stolen = license_key(number);
        let id = public(&stolen).id();
        for entry in &mut self.keys {
            if entry.key.id() == id {
                entry.state = KeyState::Revoked { cut };
            } else if matches!(entry.state, KeyState::Active { from } if from > now) {
                entry.state = KeyState::Active { from: now };
            }
        }
        self.over.insert(id, now.plus(TERM + GRACE));
        self.cut_key = Some(stolen);
        assert!(self.keys.iter().any(|entry| entry.state.signs_at(now)));
    }

    /// Number and entry of the key that signs at this time.
    fn signing(&self, now: UnixTime) -> (usize, &LicenseKey) {
        let mut entries = self.keys.iter().rev();
        let entry = entries.find(|entry| entry.state.signs_at(now)).unwrap();
        (self.numbers[&entry.key.id()], entry)
    }

    /// One root key and the stolen status key are replaced; no older list is taken any more.
    fn second_root(&mut self, week: usize) {
        let keys = vec![key(10), key(11), key(13)];
        self.root.status = role(&[History::status_key(2)], 1);
        self.root.floors.status = epoch(week);
        self.next_root(week, keys, &[key(10), key(11)]);
    }

    /// All root keys are replaced, and the keys of the keyset and the ledger.
    fn third_root(&mut self, week: usize) {
        let keys = vec![key(14), key(15), key(16)];
        self.root.keyset = role(&[History::keyset_key(3)], 1);
        self.root.ledger = role(&[key(41)], 1);
        let version = self.keyset.as_ref().expect("one was published").version;
        self.root.floors.keyset = version + 1;
        self.next_root(week, keys, &[key(10), key(13), key(14), key(16)]);
    }

    fn next_root(&mut self, week: usize, keys: Vec<SigningKey>, signers: &[SigningKey]) {
        self.root.version += 1;
        self.root.issued_at = week_begins(week);
        self.root.root = role(&keys, 2);
        self.root_keys = keys;
        self.roots.push(sign_all(&self.root.unsigned(), signers));
    }

    /// A keyset is made when there is something new in it.
    fn publish_keyset(&mut self, now: UnixTime) -> Keyset {
        let make = |version, at| {
            let (issuer, keys) = (ISSUER.into(), self.keys.clone());
            Keyset::new(issuer, version, at, self.root.version, keys).unwrap()
        };
        let keyset = match &self.keyset {
            Some(held) if make(held.version, held.issued_at) == *held => held.clone(),
            Some(held) => make(held.version + 1, now),
            None => make(1, now),
        };
        self.keyset = Some(keyset.clone());
        keyset
    }

    fn mint_all(&mut self, week: usize, plans: &[Plan]) {
        for (number, plan) in plans.iter().enumerate() {
            let due = week.checked_sub(plan.installed);
            if due.is_some_and(|weeks| weeks % RENEWAL == 0) {
                let minted = self.mint(week, &format!("app {number:04} {week:03}"));
                self.minted[number].push(minted);
            }
        }
    }

    fn mint(&mut self, week: usize, name: &str) -> Minted {
        let now = week_begins(week);
        let (number, entry) = self.signing(now);
        let key = entry.key.id();
        let keyset = self.keyset.as_ref().expect("one is published before");
        let claims = Claims {
            minimum: Minimum {
                keyset: keyset.version,
                status: epoch(week) - 1,
            },
            mint_epoch: epoch(week) - 1,
            ..claims(now, name)
        };
        let token = mint_under(&license_key(number), &claims);
        let index = self.tree.len();
        let subject = log::sha256(&[token.as_bytes()]);
        let leaf = log::leaf("token-minted", Some(subject), log::entry(index as u64));
        self.tree.push(log::sha256(&[&[0], &leaf]));
        Minted {
            week,
            token,
            key,
            index,
        }
    }

    fn refund(&mut self, week: usize) {
        if week % YEAR != REFUND {
            return;
        }
        let name = format!("refund {week}");
        let minted = self.mint(week, &name);
        self.rules.push(Rule {
            subject: Subject::License(claims(week_begins(week), &name).license_id),
            issued_before: None,
            reason: Reason::Refund,
            since: week_begins(week),
            ends: None,
        });
        self.refunds.push(Refund {
            token: minted.token,
            epoch: epoch(week),
        });
    }

    fn status_list(&self, week: usize, keyset: &Keyset) -> phi_verify::UnsignedDocument {
        let this_update = week_begins(week);
        let status = Status {
            issuer: ISSUER.into(),
            epoch: epoch(week),
            this_update,
            next_update: this_update.plus(NEXT_UPDATE),
            hard_expiry: this_update.plus(HARD_EXPIRY),
            keyset: (keyset.version, keyset.unsigned().payload_hash()),
            form: snakeoil::full(self.status),
            covered_keys: keyset.keys().iter().map(|entry| entry.key.id()).collect(),
            rules: self.rules.clone(),
            revoked: Sections::default(),
            unrevoked: Vec::new(),
        };
        status.unsigned()
    }
}

/// The epoch of a week's list.
fn epoch(week: usize) -> u64 {
    week as u64 + 1
}

/// What a license of this name says that is issued now.
pub(super) fn claims(now: UnixTime, name: &str) -> Claims {
    let digest = log::sha256(&[name.as_bytes()]);
    let part = |from: usize| digest[from..from + 8].try_into().unwrap();
    Claims {
        issued_at: now,
        expires: Some(now.plus(TERM)),
        grace: GRACE,
        token_id: TokenId::from_bytes(digest[..16].try_into().unwrap()),
        license_id: LicenseId::from_bytes(part(16)),
        ..snakeoil::claims()
    }
}

pub(super) fn mint_under(key: &SigningKey, claims: &Claims) -> String {
    let token = UnsignedToken::license(public(key).id(), claims).unwrap();
    token.sealed(&key.sign(&token.message()).to_bytes())
}

/// The ledger's tree: hashes of complete subtrees, by their height and place.
#[derive(Default)]
struct Tree(Vec<Vec<Hash>>);

impl Tree {
    fn len(&self) -> usize {
        self.0.first().map_or(0, Vec::len)
    }

    fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for height in 0.. {
            if self.0.len() == height {
                self.0.push(Vec::new());
            }
            self.0[height].push(hash);
            let level = &self.0[height];
            if level.len() % 2 == 1 {
                return;
            }
            hash = log::sha256(&[&[1], &level[level.len() - 2], &level[level.len() - 1]]);
        }
    }

    /// The root of `size` leaves from `start` on.
    fn root(&self, start: usize, size: usize) -> Hash {
        if size == 0 {
            return log::sha256(&[]);
        }
        if size.is_power_of_two() {
            let height = size.trailing_zeros();
            return self.0[height as usize][start >> height];
        }
        let left = size.next_power_of_two() / 2;
        let (left, right) = (self.root(start, left), self.root(start + left, size - left));
        log::sha256(&[&[1], &left, &right])
    }

    /// From the sibling upward.
    fn path(&self, index: usize, start: usize, size: usize) -> Vec<Hash> {
        if size == 1 {
            return Vec::new();
        }
        let left = size.next_power_of_two() / 2;
        let (mut path, sibling) = if index < start + left {
            let path = self.path(index, start, left);
            (path, self.root(start + left, size - left))
        } else {
            let path = self.path(index, start + left, size - left);
            (path, self.root(start, left))
        };
        path.push(sibling);
        path
    }

    fn checkpoint(&self, size: usize, key: &SigningKey) -> String {
        let root = log::base64(&self.root(0, size));
        let text = format!("{ORIGIN}\n{size}\n{root}\n");
        format!("{text}\n{}", log::signature_line(&text, ORIGIN, key))
    }
}
