//! `phi unrevoke`: what should not have been revoked counts again.

use clap::Args;
use phi_issuer::{Context, Unrevoked};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{Answer, Page, say};
use crate::revoke::{Target, about, feature_name};
use crate::session::Session;
use crate::view::{Stamp, counted};

/// Take back the revocation of a token, a license, a customer or a feature
#[derive(Debug, Args)]
#[command(
    long_about = "Take back the revocation of a token, a license, a customer or a feature.\n\n\
        It is recorded at once, and applications learn of it from the next status document: phi \
        status publish. A license is again what it would be without the revocation: by now it may \
        have expired, and one that was suspended is suspended again. Tokens that a change of the \
        license replaced stay revoked, and so does a key, always.",
    after_help = "Examples:\n  \
        phi unrevoke license 6c6963656e736531 --reason \"case 12 was settled\" --dry-run\n  \
        phi unrevoke customer globex --reason \"invoice 118 was paid after all\"\n  \
        phi unrevoke feature sso"
)]
pub(crate) struct Unrevoke {
    #[command(flatten)]
    target: Target,
    /// What the ledger keeps as the reason, in your words
    #[arg(long, value_name = "TEXT", visible_alias = "note")]
    reason: Option<String>,
    /// Say what would count again, and record nothing
    #[arg(long)]
    dry_run: bool,
}

impl Unrevoke {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let mut issuer = session.issuer()?;
        let subject = self.target.subject(&mut issuer, session)?;
        let context = Context {
            reason: self.reason.clone(),
            ..session.context()
        };
        let unrevoked = if self.dry_run {
            issuer.preview_unrevoke(&subject, &context)?
        } else {
            issuer.unrevoke(&subject, &context)?
        };
        session.output().print(&UnrevokeAnswer {
            name: feature_name(&mut issuer, &subject)?,
            ..UnrevokeAnswer::new(self.dry_run, &unrevoked)
        })?;
        say(if self.dry_run {
            "phi: dry run: nothing was recorded"
        } else {
            "phi: next: phi status publish"
        });
        Ok(())
    }
}

/// The end of a revocation.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi unrevoke")]
pub(crate) struct UnrevokeAnswer {
    /// Whether nothing was recorded.
    dry_run: bool,
    /// `token`, `license`, `customer` or `feature`.
    class: String,
    /// Its id; of a feature `product/code`.
    subject: String,
    /// Of a feature: its name in the catalog.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Since when it was revoked.
    revoked_since: Stamp,
    /// Why it was revoked.
    revoked_for: String,
    /// When that ends.
    since: Stamp,
    /// Tokens that had not ended and that the revocation hit; of a feature those that grant it.
    live_tokens: u64,
    /// How many of them count again; the others are taken back by something else as well.
    restored_tokens: u64,
    /// Of a license whose tokens a change replaced: those issued before this time stay revoked.
    kept_before: Option<Stamp>,
    /// Of a license: the state in which it is now.
    state: Option<String>,
}

impl UnrevokeAnswer {
    fn new(dry_run: bool, unrevoked: &Unrevoked) -> Self {
        let revocation = &unrevoked.revocation;
        Self {
            dry_run,
            class: revocation.subject.class().name().to_owned(),
            subject: revocation.subject.id(),
            name: None,
            revoked_since: revocation.since.into(),
            revoked_for: revocation.reason.name().to_owned(),
            since: unrevoked.since.into(),
            live_tokens: unrevoked.live_tokens,
            restored_tokens: unrevoked.restored,
            kept_before: unrevoked.kept_before.map(Stamp::from),
            state: unrevoked.state.map(|state| state.name().to_owned()),
        }
    }

    /// The tokens that count again, as far as any were taken back.
    fn restores(&self) -> String {
        let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        if self.class == "feature" {
            let tokens = counted(count(self.live_tokens), "live token");
            return format!("the feature in {tokens}");
        }
        let all = counted(count(self.live_tokens), "live token");
        match self.live_tokens - self.restored_tokens.min(self.live_tokens) {
            0 => all,
            stay => format!("{} of {all}; {stay} stay revoked", self.restored_tokens),
        }
    }
}

impl Answer for UnrevokeAnswer {
    fn show(&self, page: &mut Page) {
        let about = about(&self.class, &self.subject, self.name.as_deref());
        page.field("unrevoked", about);
        page.field(
            "was revoked",
            format!("{}, {}", self.revoked_since, self.revoked_for),
        );
        if let Some(state) = &self.state {
            page.field("state", state);
        }
        page.field("restores", self.restores());
        if let Some(before) = &self.kept_before {
            let why = "a change replaced them";
            page.field(
                "stay revoked",
                format!("tokens issued before {before}: {why}"),
            );
        }
    }
}
