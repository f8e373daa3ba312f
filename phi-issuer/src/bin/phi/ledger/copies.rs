//! `phi ledger backup`, `restore`, `export` and `import`: copies that check themselves.

use std::path::PathBuf;

use clap::Args;
use phi_issuer::{Context, Exported, Issuer, Older, Replace};
use schemars::JsonSchema;
use serde::Serialize;

use super::{VerifiedAnswer, bar, tell};
use crate::failure::Failure;
use crate::output::{Answer, Page, say};
use crate::session::Session;
use crate::view::shown;

/// Copy the store into a new file, while others go on working
#[derive(Debug, Args)]
#[command(
    long_about = "Copy the store as it is now into a new file, while others go on working.\n\n\
        Customers and tokens are in it: keep it as you keep the store. Keys are not in it: keep \
        copies of keys/ and of phi.toml apart from it.",
    after_help = "Example:\n  phi ledger backup /media/safe/phi-2026-06.db"
)]
pub(crate) struct Backup {
    /// The new file
    file: PathBuf,
}

/// Bring a backup back, after all of it was verified
#[derive(Debug, Args)]
#[command(
    long_about = "Bring a backup back, after all of it was verified. What happened since the \
        backup is not in it: tokens minted since are unknown to the restored ledger.\n\n\
        A backup that is older than what the folder has published is refused. With \
        --older-than-published the ledger takes up the published keyset and status list: the \
        next ones have higher numbers, and what they took back stays taken back: all but single \
        tokens that the backup lacks, which no list can name again. That is refused without --force \
        where the list shows that there are such, and where the cut of a key is beyond the backup's \
        checkpoints, so that tokens which it keeps would be lost.",
    after_help = "Examples:\n  \
        phi ledger restore /media/safe/phi-2026-06.db\n  \
        phi ledger restore /media/safe/phi-2026-06.db --replace\n  \
        phi ledger restore /media/safe/phi-2026-05.db --replace --older-than-published"
)]
pub(crate) struct Restore {
    /// The backup
    file: PathBuf,
    /// Move the store that is there aside, to phi.db.replaced-1 and so on
    #[arg(long)]
    replace: bool,
    /// Go on after what was published since, whose entries are lost
    #[arg(long)]
    older_than_published: bool,
    /// Go on although live tokens are lost that a published cut of their key keeps, or tokens count
    /// again that the published list revokes
    #[arg(long, requires = "older_than_published")]
    force: bool,
}

/// Write the ledger as static files that others can check
#[derive(Debug, Args)]
#[command(
    long_about = "Write the ledger, as far as the newest checkpoint covers it, into a new folder: \
        the checkpoint, the hashes (C2SP tlog-tiles) and the events themselves, from which phi \
        ledger import makes it again.\n\n\
        With --public the events are left out. What is left names nobody and may be published: \
        it lets everybody see that the ledger only grows.",
    after_help = "Examples:\n  \
        phi ledger export /media/usb/ledger\n  \
        phi ledger export --public /srv/www/ledger"
)]
pub(crate) struct Export {
    /// The new folder
    folder: PathBuf,
    /// Leave the events out
    #[arg(long)]
    public: bool,
}

/// Make the store again out of an export, after all of it was verified
#[derive(Debug, Args)]
#[command(
    long_about = "Make the store again out of an export, after all of it was verified against the \
        export's checkpoint. The folder is given with --dir; its keys are brought by hand.",
    after_help = "Example:\n  phi ledger import /media/usb/ledger --dir recovered"
)]
pub(crate) struct Import {
    /// The exported folder
    folder: PathBuf,
    /// Move the store that is there aside, to phi.db.replaced-1 and so on
    #[arg(long)]
    replace: bool,
    /// Go on after what was published since, whose entries are lost
    #[arg(long)]
    older_than_published: bool,
    /// Go on although live tokens are lost that a published cut of their key keeps, or tokens count
    /// again that the published list revokes
    #[arg(long, requires = "older_than_published")]
    force: bool,
}

const fn older(take_up: bool, lose: bool, context: &Context) -> Older<'_> {
    match (take_up, lose) {
        (false, _) => Older::Refuse,
        (true, false) => Older::TakeUp(context),
        (true, true) => Older::TakeUpAndLose(context),
    }
}

const fn choice(replace: bool) -> Replace {
    if replace {
        Replace::MoveAside
    } else {
        Replace::Refuse
    }
}

const GO_ON: &str = "phi: next: look with phi audit query what was taken up, suspend again what was \
                     suspended since; if tokens were minted and revoked since, cut the keys that \
                     signed them (phi key revoke ID --cut newest); then phi keyset publish and \
                     phi status publish";

impl Backup {
    pub(super) fn run(&self, session: &Session) -> Result<(), Failure> {
        let bar = bar("events");
        let mut issuer = session.issuer()?;
        let events = issuer.backup(&self.file, |at| tell(&bar, at));
        bar.finish_and_clear();
        let events = events?;
        // The backup is there and good, whatever is remembered of it.
        if let Err(error) = issuer.note_backup(events, session.now()) {
            say(&format!(
                "phi: warning: phi doctor will not know of it: {error}"
            ));
        }
        let file = shown(&self.file);
        session.output().print(&BackupAnswer { events, file })
    }
}

impl Restore {
    pub(super) fn run(&self, session: &Session) -> Result<(), Failure> {
        let bar = bar("events");
        let (replace, context) = (choice(self.replace), session.context());
        let older = older(self.older_than_published, self.force, &context);
        let restored = Issuer::restore(session.dir(), &self.file, replace, older, |at| {
            tell(&bar, at);
        });
        bar.finish_and_clear();
        session.output().print(&VerifiedAnswer::new(&restored?))?;
        if self.older_than_published {
            say(GO_ON);
        }
        say("phi: next: bring the key files into keys/, if they are not there");
        Ok(())
    }
}

impl Export {
    pub(super) fn run(&self, session: &Session) -> Result<(), Failure> {
        let what = if self.public {
            Exported::Public
        } else {
            Exported::Whole
        };
        let bar = bar("events");
        let mut issuer = session.issuer()?;
        let export = issuer.export_ledger(&self.folder, what, |at| tell(&bar, at));
        bar.finish_and_clear();
        let export = export?;
        session.output().print(&ExportAnswer {
            events: export.checkpoint.size,
            tiles: export.files,
            left_out: export.left_out,
            public: self.public,
            folder: shown(&self.folder),
        })?;
        // The checkpoint's own event comes after what it covers.
        if export.left_out > 1 {
            say("phi: hint: phi ledger checkpoint covers the events that were left out");
        }
        Ok(())
    }
}

impl Import {
    pub(super) fn run(&self, session: &Session) -> Result<(), Failure> {
        let bar = bar("events");
        let (replace, context) = (choice(self.replace), session.context());
        let older = older(self.older_than_published, self.force, &context);
        let made = Issuer::import_ledger(session.dir(), &self.folder, replace, older, |at| {
            tell(&bar, at);
        });
        bar.finish_and_clear();
        session.output().print(&VerifiedAnswer::new(&made?))?;
        if self.older_than_published {
            say(GO_ON);
        }
        say("phi: next: bring the key files into keys/");
        Ok(())
    }
}

/// A backup.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi ledger backup")]
pub(crate) struct BackupAnswer {
    /// How many events are in it.
    events: u64,
    /// The file.
    file: String,
}

impl Answer for BackupAnswer {
    fn show(&self, page: &mut Page) {
        page.field("events", self.events);
        page.field("file", &self.file);
    }
}

/// An export.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi ledger export")]
pub(crate) struct ExportAnswer {
    /// How many events it covers.
    events: u64,
    /// How many files of hashes and leaves it has.
    tiles: u64,
    /// How many events came after the checkpoint and are not in it.
    left_out: u64,
    /// Whether the events were left out, so that it may be published.
    public: bool,
    /// The folder.
    folder: String,
}

impl Answer for ExportAnswer {
    fn show(&self, page: &mut Page) {
        page.field("events", self.events);
        page.field("tiles", self.tiles);
        page.field("left out", self.left_out);
        page.field("folder", &self.folder);
        if self.public {
            page.field("public", "yes: it names nobody");
        }
    }
}
