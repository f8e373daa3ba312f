//! What a ceremony shows: proposals as what they change, and who has signed.

use std::path::{Path, PathBuf};

use phi_issuer::{HolderFiles, Need, Proposal, Role, Tally, is_practice, spoken};
use phi_verify::{KeyId, PublicKey, RoleKeys, Root};
use schemars::JsonSchema;
use serde::Serialize;

use super::Followed;
use crate::failure::Failure;
use crate::output::{Answer, Page, Tone};
use crate::view::{RootView, Stamp, hex, shown};

const PRACTICE: &str = "throw-away keys: no real issuer and no application accepts any of this";

fn show_practice(practice: bool, page: &mut Page) {
    if practice {
        page.headline(Tone::Warn, "PRACTICE", PRACTICE);
        page.gap();
    }
}

/// A new holder.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi root holder new")]
pub(crate) struct HolderAnswer {
    /// Whether the key is one to throw away.
    practice: bool,
    /// The holder's name.
    holder: String,
    /// The key's id.
    key: String,
    /// The key file, which stays with the holder.
    file: String,
    /// The file with the public line.
    public_file: String,
    /// The public half, as PASERK `k4.public`.
    public: String,
}

impl HolderAnswer {
    pub(super) fn new(files: &HolderFiles) -> Self {
        let holder = &files.holder;
        Self {
            practice: is_practice(holder.name()),
            holder: holder.name().to_owned(),
            key: holder.key().id().to_string(),
            file: shown(&files.key),
            public_file: shown(&files.public),
            public: holder.key().to_paserk(),
        }
    }
}

impl Answer for HolderAnswer {
    fn show(&self, page: &mut Page) {
        show_practice(self.practice, page);
        page.field("holder", &self.holder);
        page.field("key", &self.key);
        page.field("key file", &self.file);
        page.field("public file", &self.public_file);
        page.field("public", &self.public);
    }
}

/// A proposal as what it changes.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ProposalView {
    /// Whether it is of a practice.
    practice: bool,
    /// The version of the root that it follows; null for a first root.
    follows: Option<u64>,
    /// The proposed root.
    root: RootView,
    /// Each role before and after.
    roles: Vec<RoleChangeView>,
    /// The keyset floor of the root before; 0 is no floor.
    keyset_floor_before: u64,
    /// The status floor of the root before; 0 is no floor.
    status_floor_before: u64,
    /// SHA-256 of what is signed, in hexadecimal.
    sha256: String,
    /// The same as holders read it to each other: each group is two bytes, in decimal.
    read_out: String,
    /// What the root before asks for, and then what the proposed one does.
    needs: Vec<NeedView>,
}

/// A role before and after.
#[derive(Debug, Serialize, JsonSchema)]
struct RoleChangeView {
    /// The role.
    role: String,
    /// How many keys had to sign; null for a first root.
    threshold_before: Option<usize>,
    /// Of how many; null for a first root.
    keys_before: Option<usize>,
    /// How many keys must sign.
    threshold: usize,
    /// The keys, those that go included.
    keys: Vec<KeyChangeView>,
}

/// A key of a role.
#[derive(Debug, Serialize, JsonSchema)]
struct KeyChangeView {
    /// Its id.
    key: String,
    /// Who holds it, as whoever proposed says.
    holder: Option<String>,
    /// `added`, `removed` or `kept`.
    change: String,
}

/// What a root asks for.
#[derive(Debug, Serialize, JsonSchema)]
struct NeedView {
    /// The root's version.
    root: u64,
    /// How many of its keys must sign.
    threshold: usize,
    /// Its keys.
    keys: Vec<SignedView>,
}

/// Whether a key has signed.
#[derive(Debug, Serialize, JsonSchema)]
struct SignedView {
    /// Its id.
    key: String,
    /// Who holds it, as whoever proposed says.
    holder: Option<String>,
    /// Whether its signature is there, and holds.
    signed: bool,
}

impl ProposalView {
    fn new(proposal: &Proposal, tally: &Tally) -> Self {
        let (root, before) = (proposal.root(), proposal.current());
        let roles = [Role::Root, Role::Keyset, Role::Status, Role::Ledger].map(|role| {
            let before = before.map(|root| keys_of(root, role));
            RoleChangeView::new(role, before, keys_of(root, role), proposal)
        });
        let floors = before.map(|root| root.floors).unwrap_or_default();
        Self {
            practice: proposal.is_practice(),
            follows: before.map(|root| root.version),
            root: RootView::new(root),
            roles: roles.into(),
            keyset_floor_before: floors.keyset,
            status_floor_before: floors.status,
            sha256: hex(&proposal.hash()),
            read_out: spoken(&proposal.hash()),
            needs: tally
                .needs
                .iter()
                .map(|need| NeedView::new(need, proposal))
                .collect(),
        }
    }
}

fn keys_of(root: &Root, role: Role) -> &RoleKeys {
    match role {
        Role::Keyset => &root.keyset,
        Role::Status => &root.status,
        Role::Ledger => &root.ledger,
        Role::Root | Role::License => &root.root,
    }
}

fn holder(proposal: &Proposal, key_id: KeyId) -> Option<String> {
    proposal.holders().get(&key_id).cloned()
}

impl RoleChangeView {
    fn new(role: Role, before: Option<&RoleKeys>, after: &RoleKeys, proposal: &Proposal) -> Self {
        let had = |key: &PublicKey| before.is_some_and(|before| before.contains(key));
        let view = |key: &PublicKey, change: &str| KeyChangeView {
            key: key.id().to_string(),
            holder: holder(proposal, key.id()),
            change: change.to_owned(),
        };
        let gone = before.into_iter().flat_map(RoleKeys::keys);
        let gone = gone.filter(|key| !after.contains(key));
        let now = after.keys().iter();
        let now = now.map(|key| view(key, if had(key) { "kept" } else { "added" }));
        Self {
            role: role.to_string(),
            threshold_before: before.map(RoleKeys::threshold),
            keys_before: before.map(|before| before.keys().len()),
            threshold: after.threshold(),
            keys: now.chain(gone.map(|key| view(key, "removed"))).collect(),
        }
    }

    /// The threshold, and what it was if the role changes.
    fn line(&self) -> String {
        let kept = self
            .keys
            .iter()
            .filter(|key| key.change != "removed")
            .count();
        let line = format!("{} of {kept}", self.threshold);
        let same_keys = self.keys.iter().all(|key| key.change == "kept");
        match (self.threshold_before, self.keys_before) {
            (Some(threshold), Some(_)) if same_keys && threshold == self.threshold => {
                format!("{line}, unchanged")
            }
            (Some(threshold), Some(keys)) => format!("{line}, before {threshold} of {keys}"),
            _ => line,
        }
    }
}

impl NeedView {
    fn new(need: &Need, proposal: &Proposal) -> Self {
        let view = |signed: bool| {
            move |key_id: &KeyId| SignedView {
                key: key_id.to_string(),
                holder: holder(proposal, *key_id),
                signed,
            }
        };
        let present = need.present.iter().map(view(true));
        Self {
            root: need.version,
            threshold: need.threshold,
            keys: present
                .chain(need.missing.iter().map(view(false)))
                .collect(),
        }
    }
}

impl ProposalView {
    fn show(&self, page: &mut Page) {
        show_practice(self.practice, page);
        let root = &self.root;
        let about = match self.follows {
            None => format!("root {} of {}, the first", root.version, root.issuer),
            Some(before) => format!(
                "root {} of {}, after root {before}",
                root.version, root.issuer
            ),
        };
        page.headline(Tone::Warn, "PROPOSAL", &about);
        page.gap();
        page.field("made", &root.issued_at);
        for role in &self.roles {
            page.field(&format!("{} keys", role.role), role.line());
        }
        let floor = |before: u64, now: u64| match (before, now) {
            (_, 0) => "none".to_owned(),
            (before, now) if before == now => format!("{now}, unchanged"),
            (0, now) => format!("{now}, before none"),
            (before, now) => format!("{now}, before {before}"),
        };
        page.field(
            "keyset floor",
            floor(self.keyset_floor_before, root.keyset_floor),
        );
        page.field(
            "status floor",
            floor(self.status_floor_before, root.status_floor),
        );
        if let Some(time) = &root.refresh_by {
            page.field("refresh by", time);
        }
        self.show_keys(page);
        self.show_needs(page);
        page.gap();
        page.field("sha256", &self.sha256);
        page.each("read out", self.read_out.split("  ").map(str::to_owned));
    }

    fn show_keys(&self, page: &mut Page) {
        let mut rows = Vec::new();
        for role in &self.roles {
            for key in &role.keys {
                let mark = match key.change.as_str() {
                    "added" => "+",
                    "removed" => "-",
                    _ => "",
                };
                rows.push([
                    mark.to_owned(),
                    role.role.clone(),
                    key.key.clone(),
                    key.holder.clone().unwrap_or_default(),
                ]);
            }
        }
        page.gap();
        page.table(["", "ROLE", "KEY", "HOLDER"], &rows);
    }

    fn show_needs(&self, page: &mut Page) {
        let mut rows = Vec::new();
        for need in &self.needs {
            for key in &need.keys {
                rows.push([
                    format!("root {}", need.root),
                    format!("{} of {}", need.threshold, need.keys.len()),
                    key.key.clone(),
                    key.holder.clone().unwrap_or_default(),
                    if key.signed { "signed" } else { "missing" }.to_owned(),
                ]);
            }
        }
        page.gap();
        page.table(["ASKS", "NEEDS", "KEY", "HOLDER", "SIGNATURE"], &rows);
    }
}

/// A new proposal.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi root init and phi root propose")]
pub(crate) struct ProposalAnswer {
    /// Its file.
    file: String,
    /// What it changes.
    proposal: ProposalView,
}

impl ProposalAnswer {
    pub(super) fn new(proposal: &Proposal, file: &Path) -> Result<Self, Failure> {
        Ok(Self {
            file: shown(file),
            proposal: ProposalView::new(proposal, &Tally::of(proposal, &[])?),
        })
    }
}

impl Answer for ProposalAnswer {
    fn show(&self, page: &mut Page) {
        self.proposal.show(page);
        page.field("file", &self.file);
    }
}

/// A proposal and who has signed it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi root show")]
pub(crate) struct ShowAnswer {
    /// Whether it follows the roots that were handed in; false if none was.
    compared: bool,
    /// How the root is known that it follows.
    #[serde(skip)]
    followed: Followed,
    /// Whether enough have signed.
    enough: bool,
    /// What it changes.
    proposal: ProposalView,
}

impl ShowAnswer {
    pub(crate) fn new(proposal: &Proposal, tally: &Tally, followed: Followed) -> Self {
        Self {
            compared: followed != Followed::Said,
            followed,
            enough: tally.is_enough(),
            proposal: ProposalView::new(proposal, tally),
        }
    }

    pub(crate) fn show_on(&self, page: &mut Page) {
        self.proposal.show(page);
        page.field("follows", follows(self.followed, self.proposal.follows));
        page.field("signatures", if self.enough { "enough" } else { "too few" });
    }
}

impl Answer for ShowAnswer {
    fn show(&self, page: &mut Page) {
        self.show_on(page);
    }
}

fn follows(followed: Followed, version: Option<u64>) -> String {
    let Some(version) = version else {
        return "nothing: applications will believe this root without proof".into();
    };
    match followed {
        Followed::Said => {
            format!(
                "a root {version} that came with the proposal: compare it with yours, --root FILE"
            )
        }
        Followed::HandedIn => "the root that you handed in".into(),
        Followed::Chain => "the last root that you handed in, and it the ones before".into(),
        Followed::Ledger => "the newest root of this issuer's ledger".into(),
    }
}

/// Signatures.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi root sign")]
pub(crate) struct SignAnswer {
    /// Whether it is of a practice.
    practice: bool,
    /// The version of the proposed root.
    version: u64,
    /// Whether the proposal follows the roots that were handed in, or the newest of the issuer's
    /// own ledger; false for a first root of which there is none.
    compared: bool,
    /// SHA-256 of what was signed, as holders read it to each other.
    read_out: String,
    /// The signatures.
    signatures: Vec<SignatureView>,
}

/// A signature.
#[derive(Debug, Serialize, JsonSchema)]
struct SignatureView {
    /// The key that signed.
    key: String,
    /// Who holds it, as whoever proposed says.
    holder: Option<String>,
    /// Its file.
    file: String,
}

impl SignAnswer {
    pub(super) fn new(proposal: &Proposal, files: &[(KeyId, PathBuf)], followed: Followed) -> Self {
        let view = |(key_id, file): &(KeyId, PathBuf)| SignatureView {
            key: key_id.to_string(),
            holder: holder(proposal, *key_id),
            file: shown(file),
        };
        Self {
            practice: proposal.is_practice(),
            version: proposal.root().version,
            compared: followed != Followed::Said,
            read_out: spoken(&proposal.hash()),
            signatures: files.iter().map(view).collect(),
        }
    }
}

impl Answer for SignAnswer {
    fn show(&self, page: &mut Page) {
        show_practice(self.practice, page);
        page.field("signed", format!("root {}", self.version));
        for signature in &self.signatures {
            let holder = signature.holder.as_ref().map(|name| format!(" of {name}"));
            page.field(
                "key",
                format!("{}{}", signature.key, holder.unwrap_or_default()),
            );
            page.field("file", &signature.file);
        }
        page.each("read out", self.read_out.split("  ").map(str::to_owned));
    }
}

/// A root that was put together.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi root assemble")]
pub(crate) struct AssembleAnswer {
    /// Whether it is of a practice.
    practice: bool,
    /// The issuer's name.
    issuer: String,
    /// The root's version.
    version: u64,
    /// When it was proposed.
    issued_at: Stamp,
    /// Its file.
    file: String,
    /// The keys that signed.
    signers: Vec<String>,
    /// SHA-256 of what was signed, in hexadecimal.
    sha256: String,
}

impl AssembleAnswer {
    pub(super) fn new(proposal: &Proposal, tally: &Tally, file: &Path) -> Self {
        let root = proposal.root();
        let name = |key_id: KeyId| match holder(proposal, key_id) {
            Some(name) => format!("{key_id} {name}"),
            None => key_id.to_string(),
        };
        Self {
            practice: proposal.is_practice(),
            issuer: root.issuer.clone(),
            version: root.version,
            issued_at: root.issued_at.into(),
            file: shown(file),
            signers: tally.signers().map(name).collect(),
            sha256: hex(&proposal.hash()),
        }
    }
}

impl Answer for AssembleAnswer {
    fn show(&self, page: &mut Page) {
        show_practice(self.practice, page);
        page.field(
            "root",
            format!("version {} of {}", self.version, self.issuer),
        );
        page.field("made", &self.issued_at);
        page.field("file", &self.file);
        page.each("signed by", self.signers.iter().cloned());
        page.field("sha256", &self.sha256);
    }
}
