//! `phi key`: signing keys and their lives.

mod check;
mod escrow;
mod new;
mod plan;
mod revoke;
mod timeline;
mod tokens;

use std::collections::BTreeMap;
use std::fmt;

use clap::{Args, Subcommand};
use phi_issuer::custody::Place;
use phi_issuer::{Issuer, KeyRecord, NextRoot, Role};
use phi_verify::{KeyId, KeyState, UnixTime};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{Answer, Page, say};
use crate::root;
use crate::session::Session;
use crate::view::{ScopeView, Stamp, cell, shown};
use phi_issuer::when::When;

pub(crate) use check::CheckAnswer;
pub(crate) use escrow::EscrowAnswer;
pub(crate) use plan::{LISTED, OrphansView, PlanAnswer, would_orphan};
pub(crate) use timeline::TimelineAnswer;
pub(crate) use tokens::TokensAnswer;

/// Make, list, rotate and retire signing keys
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    New(new::New),
    List(List),
    Show(Show),
    Check(check::Check),
    Tokens(tokens::Tokens),
    Rotate(Rotate),
    Reschedule(Reschedule),
    Retire(Retire),
    Revoke(revoke::Revoke),
    Timeline(timeline::Timeline),
    Export(escrow::Export),
    Import(escrow::Import),
}

/// List the keys
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  phi key list")]
pub(crate) struct List {}

/// Show one key with its public half
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  phi key show 3q2-7wEjRWeJ")]
pub(crate) struct Show {
    /// The key's id
    #[arg(allow_hyphen_values = true)]
    key: KeyId,
}

/// Put another key in a role's place
#[derive(Debug, Args)]
#[command(
    long_about = "Put another key in a role's place.\n\n\
        The key that waits takes over, or else a new one. What an old license key signed stays \
        good. The other roles get a new root document at once; of several keys of such a role the \
        oldest is replaced.",
    after_help = "Examples:\n  \
        phi key rotate --from 2027-01-01 && phi keyset publish\n  \
        phi key rotate --from 2027-01-01 --plan\n  \
        phi key rotate --role status"
)]
pub(crate) struct Rotate {
    /// The role: license, keyset, status, ledger or root
    #[arg(long, default_value = "license", value_parser = role)]
    role: Role,
    /// When the new license key begins to sign [default: now]
    #[arg(long, value_name = "TIME")]
    from: Option<When>,
    /// A license key whose scope is meant [default: the keys without a scope]
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    like: Option<KeyId>,
    #[command(flatten)]
    accepted: AcceptedKeys,
    #[command(flatten)]
    plan: plan::Options,
    /// Say what would be recorded, and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// Keys that others made, for commands that publish a keyset or a root.
#[derive(Debug, Args)]
pub(crate) struct AcceptedKeys {
    /// A key to publish for the first time although it is not in keys/: who made it was asked
    #[arg(long = "accept-key", value_name = "KEY", allow_hyphen_values = true)]
    accept_key: Vec<KeyId>,
}

impl AcceptedKeys {
    /// Lets the issuer publish them.
    pub(crate) fn tell(&self, issuer: &mut Issuer) {
        issuer.accept_keys(self.accept_key.iter().copied());
    }
}

/// Put a scheduled rotation off, or bring it forward
#[derive(Debug, Args)]
#[command(
    long_about = "Put a scheduled rotation of license keys off, or bring it forward: the key that \
        is to take over does so at another time, and the one before it signs until then.\n\n\
        Publish the keyset before the old date: applications that have the keyset with that date \
        alone would refuse what the key before signs after it.",
    after_help = "Example:\n  phi key reschedule 3q2-7wEjRWeJ --from 2027-03-01 && phi keyset publish"
)]
pub(crate) struct Reschedule {
    /// The key that is to take over later
    #[arg(allow_hyphen_values = true)]
    key: KeyId,
    /// When it is to begin to sign instead
    #[arg(long, value_name = "TIME")]
    from: When,
}

/// Take a waiting or scheduled key back, or let a key that is being succeeded sign no more
#[derive(Debug, Args)]
#[command(
    long_about = "Take a key back that waits, or let a license key that is being succeeded sign no \
        more from now on.\n\n\
        A license key that is to take over later is dropped before it begins, and the one before it \
        goes on. Publish the keyset before that date.",
    after_help = "Example:\n  phi key retire 3q2-7wEjRWeJ && phi keyset publish"
)]
pub(crate) struct Retire {
    /// The key's id
    #[arg(allow_hyphen_values = true)]
    key: KeyId,
    /// Say what would be recorded, and do nothing
    #[arg(long)]
    dry_run: bool,
}

const PUBLISH: &str = "phi: next: phi keyset publish";

impl Command {
    pub(crate) fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::New(command) => command.run(session),
            Self::List(_) => list(session),
            Self::Show(command) => {
                let mut issuer = session.issuer()?;
                session
                    .output()
                    .print(&find(&mut issuer, command.key, session)?)
            }
            Self::Check(command) => command.run(session),
            Self::Tokens(command) => command.run(session),
            Self::Rotate(command) => command.run(session),
            Self::Reschedule(command) => command.run(session),
            Self::Retire(command) => command.run(session),
            Self::Revoke(command) => command.run(session),
            Self::Timeline(_) => timeline::run(session),
            Self::Export(command) => command.run(session),
            Self::Import(command) => command.run(session),
        }
    }
}

fn list(session: &Session) -> Result<(), Failure> {
    let mut issuer = session.issuer()?;
    let (keys, holders) = (issuer.keys()?, issuer.root_holders()?);
    let answer = |key| KeyAnswer::new(key, &holders, session.now());
    session.output().print(&KeyListAnswer {
        keys: keys.iter().map(answer).collect(),
    })
}

fn find(issuer: &mut Issuer, id: KeyId, session: &Session) -> Result<KeyAnswer, Failure> {
    let (keys, holders) = (issuer.keys()?, issuer.root_holders()?);
    let record = keys.iter().find(|record| record.public.id() == id);
    let answer = record.map(|record| KeyAnswer::new(record, &holders, session.now()));
    answer.ok_or_else(|| {
        Failure::new("not-found", format!("there is no key {id}")).hint("run `phi key list`")
    })
}

impl Rotate {
    fn run(self, session: &Session) -> Result<(), Failure> {
        let mut issuer = session.issuer()?;
        let now = session.now();
        let from = self.from.map(|from| from.beginning(now)).transpose()?;
        if self.like.is_some() && self.role != Role::License {
            let message = "only license keys have scopes: leave --like or --role out";
            return Err(Failure::new("input-invalid", message));
        }
        if self.plan.plan {
            let at = from.unwrap_or(now);
            return self
                .plan
                .run(self.role, self.like, at, &mut issuer, session);
        }
        if self.dry_run {
            session
                .output()
                .print(&self.dry(&mut issuer, from, session)?)?;
            say("phi: dry run: nothing was recorded");
            return Ok(());
        }
        self.accepted.tell(&mut issuer);
        let context = session.context();
        let rotation = match self.like {
            Some(key) => issuer.rotate_key_like(key, from, session, &context)?,
            None => issuer.rotate_key(self.role, from, session, &context)?,
        };
        let proposal = match &rotation.root {
            NextRoot::Proposed(proposal) => Some(root::write_proposal(session, proposal, None)?),
            _ => None,
        };
        let proofs = self.proofs(&mut issuer, session)?;
        let next = proofs.as_ref().map(ProofsView::next);
        session.output().print(&RotationAnswer {
            dry_run: false,
            role: self.role.to_string(),
            new: Some(rotation.new.to_string()),
            old: rotation.old.map(|key| key.to_string()),
            at: rotation.at.into(),
            root_version: match &rotation.root {
                NextRoot::NotNeeded => None,
                NextRoot::Published(root) => Some(root.version),
                NextRoot::Proposed(proposal) => Some(proposal.root().version),
            },
            proofs,
            proposal: proposal.as_deref().map(shown),
        })?;
        if let (Some(file), NextRoot::Proposed(proposal)) = (proposal, &rotation.root) {
            say(&format!("phi: next: {}", root::carry(proposal, &file)));
            return Ok(());
        }
        say(match self.role {
            Role::License => PUBLISH,
            Role::Keyset => "phi: next: phi keyset publish, then phi status publish",
            Role::Status => "phi: next: phi status publish",
            Role::Root | Role::Ledger => "phi: next: give applications the new root document",
        });
        if let Some(next) = next {
            say(&format!("phi: next: {next}"));
        }
        Ok(())
    }

    /// What the rotation costs in proofs that were given out.
    fn proofs(
        &self,
        issuer: &mut Issuer,
        session: &Session,
    ) -> Result<Option<ProofsView>, Failure> {
        match self.role {
            Role::Ledger => ProofsView::of(issuer, session.now()).map(Some),
            _ => Ok(None),
        }
    }

    /// What the rotation would do: which key goes, and which comes if it is there already.
    fn dry(
        &self,
        issuer: &mut Issuer,
        from: Option<UnixTime>,
        session: &Session,
    ) -> Result<RotationAnswer, Failure> {
        let at = from.unwrap_or_else(|| session.now());
        let (new, old) = issuer.plan_rotation(self.role, self.like, at, session.now())?;
        let root = match self.role {
            Role::License => None,
            _ => Some(issuer.trust_state()?.root().version + 1),
        };
        Ok(RotationAnswer {
            dry_run: true,
            role: self.role.to_string(),
            new: new.map(|key| key.to_string()),
            old: old.map(|key| key.to_string()),
            at: at.into(),
            root_version: root,
            proofs: self.proofs(issuer, session)?,
            proposal: match root {
                Some(version) if !issuer.root_is_at_hand()? => {
                    let file = session.dir().join(format!("root-{version}.proposal"));
                    Some(shown(&file))
                }
                _ => None,
            },
        })
    }
}

impl Reschedule {
    fn run(&self, session: &Session) -> Result<(), Failure> {
        let at = self.from.beginning(session.now())?;
        let mut issuer = session.issuer()?;
        let rotation = issuer.reschedule_key(self.key, at, &session.context())?;
        session.output().print(&RotationAnswer {
            dry_run: false,
            role: Role::License.to_string(),
            new: Some(rotation.new.to_string()),
            old: rotation.old.map(|key| key.to_string()),
            at: rotation.at.into(),
            root_version: None,
            proofs: None,
            proposal: None,
        })?;
        say(PUBLISH);
        Ok(())
    }
}

impl Retire {
    fn run(self, session: &Session) -> Result<(), Failure> {
        let mut issuer = session.issuer()?;
        let key = find(&mut issuer, self.key, session)?;
        if self.dry_run {
            session.output().print(&key)?;
            say("phi: dry run: the key above would sign no more from now on");
            return Ok(());
        }
        issuer.retire_key(self.key, &session.context())?;
        session
            .output()
            .print(&find(&mut issuer, self.key, session)?)?;
        if key.role == Role::License.name() {
            say(PUBLISH);
        }
        Ok(())
    }
}

/// A role by its word.
pub(crate) fn role(word: &str) -> Result<Role, String> {
    let names = Role::ALL.map(Role::name).join(", ");
    Role::from_name(word).ok_or_else(|| format!("roles are {names}"))
}

/// A key.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi key show")]
pub(crate) struct KeyAnswer {
    /// Its id.
    key: String,
    /// What it signs.
    role: String,
    /// `staged`, `scheduled`, `active`, `retired`, `revoked` or `dropped`, as of now.
    state: String,
    /// The first time at which it signs.
    from: Option<Stamp>,
    /// The time from which it signs no more.
    until: Option<Stamp>,
    /// What it may sign; null is everything.
    scope: Option<ScopeView>,
    /// Whether it was revoked with a cut: how many events of the ledger keep its tokens valid.
    cut: Option<u64>,
    /// Who holds it, elsewhere; null if that is not known.
    holder: Option<String>,
    /// When it was made.
    added: Stamp,
    /// Its file, or the one that says where its signer is; null if neither is in the folder.
    file: Option<String>,
    /// Where its signer is; null if that is not known here.
    signer: Option<SignerAnswer>,
    /// Its public half, as PASERK `k4.public`.
    public: String,
}

/// What a key does now; the keyset's own words say what was announced.
fn state_at(state: Option<KeyState>, now: UnixTime) -> &'static str {
    match state {
        None => "dropped",
        Some(KeyState::Active { from } | KeyState::Retired { from, .. }) if from > now => {
            "scheduled"
        }
        Some(KeyState::Retired { until, .. }) if until > now => "active",
        Some(state) => state.name(),
    }
}

impl KeyAnswer {
    fn new(record: &KeyRecord, holders: &BTreeMap<KeyId, String>, now: UnixTime) -> Self {
        let (from, until) = match record.state {
            None | Some(KeyState::Staged | KeyState::Revoked { .. }) => (None, None),
            Some(KeyState::Active { from }) => (Some(from), None),
            Some(KeyState::Retired { from, until }) => (Some(from), Some(until)),
        };
        Self {
            key: record.public.id().to_string(),
            role: record.role.to_string(),
            state: state_at(record.state, now).to_owned(),
            from: from.map(Stamp::from),
            until: until.map(Stamp::from),
            scope: record.scope.as_ref().map(ScopeView::new),
            cut: record.state.and_then(KeyState::cut),
            holder: holders.get(&record.public.id()).cloned(),
            added: record.added.into(),
            file: record.file.as_deref().map(shown),
            signer: SignerAnswer::of(record),
            public: record.public.to_paserk(),
        }
    }
}

/// Where a key's signer is.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SignerAnswer {
    /// `file`, `token`, `program`, or `unreadable` if the file that says it does not read.
    kind: String,
    /// The token's label, or the program.
    name: Option<String>,
}

impl SignerAnswer {
    fn of(record: &KeyRecord) -> Option<Self> {
        let file = record.file.as_ref()?;
        let (kind, name) = match &record.place {
            Some(Place::Pkcs11(key)) => ("token", Some(key.token.clone())),
            Some(Place::Exec(program)) => ("program", program.argv.first().cloned()),
            None if file.extension().is_some_and(|extension| extension == "key") => ("file", None),
            None => ("unreadable", None),
        };
        let kind = kind.to_owned();
        Some(Self { kind, name })
    }
}

impl fmt::Display for SignerAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        match &self.name {
            Some(name) => write!(f, " {name}"),
            None => Ok(()),
        }
    }
}

impl Answer for KeyAnswer {
    fn show(&self, page: &mut Page) {
        page.field("key", &self.key);
        page.field("role", &self.role);
        page.field("state", &self.state);
        if let Some(from) = &self.from {
            page.field("signs from", from);
        }
        if let Some(until) = &self.until {
            page.field("signs until", until);
        }
        if let Some(cut) = self.cut {
            page.field(
                "cut",
                format!("its tokens of the first {cut} events count, with a proof"),
            );
        }
        if let Some(scope) = &self.scope {
            page.field("scope", &scope.words);
        }
        if let Some(holder) = &self.holder {
            page.field("holder", holder);
        }
        page.field("made", &self.added);
        page.field("file", self.file.as_deref().unwrap_or("not in the folder"));
        if let Some(signer) = &self.signer
            && signer.name.is_some()
        {
            page.field("signer", signer);
        }
        page.field("public", &self.public);
    }
}

/// The keys.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi key list")]
pub(crate) struct KeyListAnswer {
    /// In the order in which they were made.
    keys: Vec<KeyAnswer>,
}

impl Answer for KeyListAnswer {
    fn show(&self, page: &mut Page) {
        let row = |key: &KeyAnswer| {
            [
                key.key.clone(),
                key.role.clone(),
                key.state.clone(),
                cell(key.from.as_ref()),
                cell(key.until.as_ref()),
                match (&key.signer, &key.holder) {
                    (Some(signer), _) => signer.to_string(),
                    (None, Some(holder)) => format!("{holder}'s"),
                    (None, None) => "away".to_owned(),
                },
            ]
        };
        let rows: Vec<_> = self.keys.iter().map(row).collect();
        page.table(["KEY", "ROLE", "STATE", "FROM", "UNTIL", "SIGNER"], &rows);
    }
}

/// A rotation.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi key rotate")]
pub(crate) struct RotationAnswer {
    /// Whether nothing was done.
    dry_run: bool,
    /// The role.
    role: String,
    /// The key that takes over; null in a dry run that would make one.
    new: Option<String>,
    /// The key that is succeeded.
    old: Option<String>,
    /// When the new key takes over.
    at: Stamp,
    /// The version of the new root document, if there is one.
    root_version: Option<u64>,
    /// Of the ledger's key: the proofs that customers hold, which count no more under that root.
    #[serde(skip_serializing_if = "Option::is_none")]
    proofs: Option<ProofsView>,
    /// The proposal of that root, if its holders are elsewhere: it takes over when they signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    proposal: Option<String>,
}

/// Proofs that customers need, and that a new ledger key makes worthless: each is to be made again.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ProofsView {
    /// Live tokens that are good with a proof alone.
    live_tokens: u64,
    /// The keys under which they are, which were cut.
    keys: Vec<String>,
}

impl ProofsView {
    pub(crate) fn of(issuer: &mut Issuer, now: UnixTime) -> Result<Self, Failure> {
        let kept = issuer.tokens_by_proof(now)?;
        Ok(Self {
            live_tokens: kept.iter().map(|(_, live)| live).sum(),
            keys: kept.iter().map(|(key, _)| key.to_string()).collect(),
        })
    }

    fn line(&self) -> String {
        let given_out = "those that were given out count no more under the new root";
        match self.live_tokens {
            0 => format!("{given_out}; no live token needs one"),
            1 => format!("{given_out}; 1 live token is refused until it has a new one"),
            live => format!("{given_out}; {live} live tokens are refused until each has a new one"),
        }
    }

    /// What is to be done once the new root is published.
    pub(crate) fn next(&self) -> String {
        let prove = |key: &String| format!("phi ledger prove --kept-by {key} --folder FOLDER");
        let mut steps = vec!["phi ledger checkpoint".to_owned()];
        steps.extend(self.keys.iter().map(prove));
        let steps = steps.join(", then ");
        match self.live_tokens {
            0 => format!("{steps}; who keeps a proof needs a new one"),
            _ => format!("{steps}; send the proofs with the new root"),
        }
    }
}

impl Answer for RotationAnswer {
    fn show(&self, page: &mut Page) {
        page.field("role", &self.role);
        page.field("old key", self.old.as_deref().unwrap_or("none"));
        page.field("new key", self.new.as_deref().unwrap_or("one to be made"));
        if self.proposal.is_none() {
            page.field("takes over", &self.at);
        }
        if let Some(version) = self.root_version {
            page.field("root", format!("version {version}"));
        }
        if let Some(proofs) = &self.proofs {
            page.field("proofs", proofs.line());
        }
        match &self.proposal {
            Some(file) if self.dry_run => page.field(
                "proposal",
                format!("{file} would be written, for the holders of the root to sign"),
            ),
            Some(file) => page.field("proposal", file),
            None => {}
        }
    }
}
