//! `phi license history`: everything that happened to a license, and who did it and why.

use clap::Args;
use phi_issuer::{Happening, Moment, State, Waiting};
use phi_verify::LicenseId;
use schemars::JsonSchema;
use serde::Serialize;

use super::words;
use crate::failure::Failure;
use crate::output::{Answer, Page};
use crate::session::Session;
use crate::view::{Stamp, counted};

/// Show everything that happened to a license, who did it and why
#[derive(Debug, Args)]
#[command(
    long_about = "Show everything that happened to a license, who did it and why.\n\n\
        What time alone brought, an expiry or a change that had waited, has no actor. A change \
        that did not fit any more when its time came is void: it did nothing. A suspension voids \
        the reinstatements that were planned before it.",
    after_help = "Examples:\n  \
        phi license history 6c6963656e736531\n  \
        phi license history 6c6963656e736531 --tokens --json"
)]
pub(crate) struct History {
    /// The license's id
    license: LicenseId,
    /// Show the tokens that were minted of it as well
    #[arg(long)]
    tokens: bool,
}

impl History {
    pub(super) fn run(&self, session: &Session) -> Result<(), Failure> {
        let mut issuer = session.issuer()?;
        let moments = issuer.license_history(self.license, session.now())?;
        let shown =
            |moment: &&Moment| self.tokens || !matches!(moment.happening, Happening::Minted(_));
        session.output().print(&HistoryAnswer {
            license: self.license.to_string(),
            moments: moments.iter().filter(shown).map(MomentRow::new).collect(),
        })
    }
}

/// The history of a license.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi license history")]
pub(crate) struct HistoryAnswer {
    /// The license's id.
    license: String,
    /// In order.
    moments: Vec<MomentRow>,
}

/// One thing that happened.
#[derive(Debug, Serialize, JsonSchema)]
struct MomentRow {
    /// When.
    time: Stamp,
    /// The event's number in the ledger; null if time did it.
    event: Option<u64>,
    /// The license's revision after it.
    revision: u64,
    /// The event's word; `change-due`, `change-void`, `lapsed` or `expired` if time did it.
    what: String,
    /// What happened, in words.
    text: String,
    /// The state before; null is a license that was not there yet.
    before: Option<String>,
    /// The state after.
    after: String,
    /// When the change takes effect, if it was recorded ahead.
    effective: Option<Stamp>,
    /// The revision of the change whose time came, or that is void.
    due_revision: Option<u64>,
    /// Who did it; null if time did.
    actor: Option<String>,
    /// Why, in the actor's words.
    reason: Option<String>,
}

impl MomentRow {
    fn new(moment: &Moment) -> Self {
        let entry = moment.entry.as_ref();
        let (effective, due_revision) = match &moment.happening {
            Happening::Scheduled { effective, .. } => (Some(*effective), None),
            Happening::CameDue(settled) => (None, Some(settled.waited.revision)),
            Happening::Voided(waiting) => (None, Some(waiting.revision)),
            _ => (None, None),
        };
        Self {
            time: moment.time.into(),
            event: entry.map(|entry| entry.seq),
            revision: moment.revision,
            what: entry
                .map_or_else(|| by_time(&moment.happening), |entry| entry.event.name())
                .to_owned(),
            text: text(&moment.happening),
            before: moment.before.map(|state| state.name().to_owned()),
            after: moment.after.name().to_owned(),
            effective: effective.map(Stamp::from),
            due_revision,
            actor: entry.map(|entry| entry.actor.clone()),
            reason: entry.and_then(|entry| entry.reason.clone()),
        }
    }

    fn states(&self) -> String {
        match &self.before {
            Some(before) if *before == self.after => before.clone(),
            Some(before) => format!("{before} -> {}", self.after),
            None => format!("-> {}", self.after),
        }
    }
}

/// The word for what nobody did.
const fn by_time(happening: &Happening) -> &'static str {
    match happening {
        Happening::Lapsed => "lapsed",
        Happening::Voided(_) => "change-void",
        Happening::CameDue(settled) if settled.after.is_none() => "change-void",
        Happening::CameDue(_) => "change-due",
        _ => State::Expired.name(),
    }
}

/// What happened, in words.
pub(crate) fn text(happening: &Happening) -> String {
    let with = |what: String, detail: String| match detail.as_str() {
        "" => what,
        detail => format!("{what}: {detail}"),
    };
    match happening {
        Happening::Began(act) => words::done(*act).into(),
        Happening::Changed(change) => with(words::done(change.act()).into(), words::detail(change)),
        Happening::Scheduled { change, effective } => {
            let planned = format!("{} planned for {effective}", change.act());
            with(planned, words::detail(change))
        }
        Happening::CameDue(settled) => {
            let (waited, change) = (&settled.waited, &settled.waited.change);
            let act = match settled.after {
                Some(_) => words::done(change.act()).to_owned(),
                None => format!("void, {} was not possible any more", change.act()),
            };
            let act = format!("{act}, as planned in revision {}", waited.revision);
            with(act, words::detail(change))
        }
        Happening::Voided(waiting) => {
            let Waiting {
                revision,
                effective,
                change,
            } = waiting;
            let act = change.act();
            format!("void from now on: {act} planned for {effective} in revision {revision}")
        }
        Happening::Lapsed => "expired, and its grace began".into(),
        Happening::Expired => "expired for good".into(),
        Happening::Revoked(revocation) => {
            let reason = revocation.reason.name();
            match (&revocation.subject, revocation.issued_before) {
                (phi_issuer::Subject::Token(token), _) => {
                    format!("token {token} revoked: {reason}")
                }
                (phi_issuer::Subject::Customer(_), None) => {
                    format!("revoked with all of the customer's: {reason}")
                }
                (_, Some(before)) => format!("tokens issued before {before} cut: {reason}"),
                (_, None) => format!("revoked: {reason}"),
            }
        }
        Happening::Unrevoked(unrevocation) => match &unrevocation.subject {
            phi_issuer::Subject::Token(token) => format!("token {token} not revoked any more"),
            phi_issuer::Subject::Customer(_) => "not revoked any more with the customer".into(),
            _ => "not revoked any more".into(),
        },
        Happening::Minted(token) => format!("token {} minted", token.token_id),
        _ => "changed".into(),
    }
}

impl Answer for HistoryAnswer {
    fn show(&self, page: &mut Page) {
        let row = |moment: &MomentRow| {
            [
                moment.time.to_string(),
                moment.revision.to_string(),
                moment.text.clone(),
                moment.states(),
                moment.actor.clone().unwrap_or_else(|| "-".into()),
                moment.reason.clone().unwrap_or_default(),
            ]
        };
        let rows: Vec<_> = self.moments.iter().map(row).collect();
        let columns = ["TIME", "REVISION", "WHAT", "STATE", "ACTOR", "REASON"];
        page.table(columns, &rows);
        page.gap();
        page.line(&counted(rows.len(), "moment"));
    }
}
