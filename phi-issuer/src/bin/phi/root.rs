//! `phi root`: root documents by ceremony, with holders who are elsewhere.

mod view;

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use phi_issuer::durable::{self, Mode};
use phi_issuer::keyfile::{self, KdfStrength};
use phi_issuer::passphrase::Unlock as _;
use phi_issuer::when::When;
use phi_issuer::{
    Holder, MAX_CEREMONY_FILE, PRACTICE, Proposal, Role, RootChange, RootSignature, Tally,
    is_practice,
};
use phi_verify::KeyId;

pub(crate) use self::view::{AssembleAnswer, HolderAnswer, ProposalAnswer, ShowAnswer, SignAnswer};
use crate::failure::Failure;
use crate::input::{Object, read_text};
use crate::key::{ProofsView, role};
use crate::output::{Page, print_page, say};
use crate::session::Session;
use crate::view::shown;

/// Make root documents by ceremony: propose, sign elsewhere, assemble
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(subcommand)]
    Holder(HolderCommand),
    Init(Init),
    Propose(Propose),
    Show(Show),
    Sign(Sign),
    Assemble(Assemble),
}

/// Make the key of a holder, on a machine of theirs
#[derive(Debug, Subcommand)]
pub(crate) enum HolderCommand {
    New(NewHolder),
}

/// Make a holder's key: NAME.key to keep, and NAME.pub for whoever proposes roots
#[derive(Debug, Args)]
#[command(
    long_about = "Make a holder's key, on the holder's own machine, which needs no issuer: NAME.key \
        under a passphrase, which never leaves the holder, and NAME.pub, one public line for \
        whoever proposes roots.",
    after_help = "Examples:\n  \
        phi root holder new alice --out /media/alice\n  \
        phi root holder new alice --out /tmp/rehearsal --practice"
)]
pub(crate) struct NewHolder {
    /// The holder's name
    name: String,
    /// The folder for the two files, made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How hard the key file is to open by guessing: fast, standard or strong
    #[arg(long, value_name = "STRENGTH", default_value = "strong")]
    kdf: KdfStrength,
    /// Make a throw-away key for a practice, which no real issuer accepts
    #[arg(long)]
    practice: bool,
}

/// Propose a root of several holders: the issuer's first root, or the one after a single root key
#[derive(Debug, Args)]
#[command(
    long_about = "Propose a root whose role `root` is in the hands of several holders.\n\n\
        With an issuer made by `phi init --root-by-ceremony` this is root 1, the trust anchor. \
        Otherwise it is the next root, which the root key so far signs as well.",
    after_help = "Example:\n  \
        phi root init --threshold 2 --of 3 --holder alice.pub --holder bob.pub --holder carol.pub"
)]
pub(crate) struct Init {
    /// How many holders must sign
    #[arg(long, value_name = "NUMBER")]
    threshold: usize,
    /// How many holders there are: the number of --holder
    #[arg(long, value_name = "NUMBER")]
    of: usize,
    /// The public file of a holder; once for each
    #[arg(long = "holder", value_name = "FILE", required = true)]
    holders: Vec<PathBuf>,
    /// The new file for the proposal [default: root-N.proposal in the issuer's folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Propose the next root with changes
#[derive(Debug, Args)]
#[command(
    long_about = "Propose the next root with changes. A holder is replaced by removing the one and \
        adding the other. Nothing is recorded until the root is assembled.",
    after_help = "Examples:\n  \
        phi root propose --remove-holder bob --add-holder dave.pub\n  \
        phi root propose --threshold 3\n  \
        phi root propose --add-key 3q2-7wEjRWeJ --role-threshold status=2"
)]
pub(crate) struct Propose {
    /// The public file of a new holder
    #[arg(long = "add-holder", value_name = "FILE")]
    add_holders: Vec<PathBuf>,
    /// The name or key id of a holder who leaves
    #[arg(
        long = "remove-holder",
        value_name = "HOLDER",
        allow_hyphen_values = true
    )]
    remove_holders: Vec<String>,
    /// How many holders must sign roots
    #[arg(long, value_name = "NUMBER")]
    threshold: Option<usize>,
    /// A key that waits, of any role the root names: phi key new --role ROLE
    #[arg(long = "add-key", value_name = "KEY", allow_hyphen_values = true)]
    add_keys: Vec<KeyId>,
    /// A key that is to sign no more
    #[arg(long = "remove-key", value_name = "KEY", allow_hyphen_values = true)]
    remove_keys: Vec<KeyId>,
    /// How many keys of a role must sign, such as status=2
    #[arg(long = "role-threshold", value_name = "ROLE=NUMBER", value_parser = role_threshold)]
    role_thresholds: Vec<(Role, usize)>,
    /// The oldest keyset version that applications may still take
    #[arg(long, value_name = "VERSION")]
    keyset_floor: Option<u64>,
    /// The oldest status epoch that applications may still take
    #[arg(long, value_name = "EPOCH")]
    status_floor: Option<u64>,
    /// When the root after it should come; nothing is refused afterwards
    #[arg(long, value_name = "TIME")]
    refresh_by: Option<When>,
    /// The new file for the proposal [default: root-N.proposal in the issuer's folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Show what a proposal changes, and who has signed it
#[derive(Debug, Args)]
#[command(
    long_about = "Show what a proposal changes, and who has signed it. It needs no issuer.\n\n\
        The root that a proposal follows comes with it, and so do the names of holders: neither is \
        signed. Hand in the root that you have, and compare keys. The groups of digits are \
        SHA-256 of what is signed: holders read them to each other.",
    after_help = "Examples:\n  \
        phi root show root-2.proposal --root root-1.phi\n  \
        phi root show root-2.proposal root-2.alice.sig root-2.bob.sig"
)]
pub(crate) struct Show {
    /// The proposal
    proposal: PathBuf,
    /// Signatures, which are checked
    signatures: Vec<PathBuf>,
    /// The root document that you kept, which the proposal must follow; then, each with its own
    /// --root, those that came since
    #[arg(long, value_name = "FILE")]
    root: Vec<PathBuf>,
}

/// Sign a proposal with a holder's key, into a file of its own
#[derive(Debug, Args)]
#[command(
    long_about = "Sign a proposal with a holder's key, into a file of its own. It needs no issuer. \
        What changes is shown first, and you are asked.\n\n\
        Without --key the issuer's own root keys at hand sign, if the proposal follows the newest \
        root of its ledger.",
    after_help = "Examples:\n  \
        phi root sign root-2.proposal --root root-1.phi --key alice.key\n  \
        phi root sign root-4.proposal --root root-2.phi --root root-3.phi --key alice.key\n  \
        phi root sign root-1.proposal --key alice.key --out /media/alice/root-1.sig --yes"
)]
pub(crate) struct Sign {
    /// The proposal
    proposal: PathBuf,
    /// The holder's key file
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The root document that you kept, which the proposal must follow; then, each with its own
    /// --root, those that came since. Only the first root follows none
    #[arg(long, value_name = "FILE")]
    root: Vec<PathBuf>,
    /// The new file for the signature [default: beside the proposal, named after it and the key]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Sign without being asked
    #[arg(long)]
    yes: bool,
}

/// Put a proposal and its signatures together: the next root is recorded and published
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
        phi root assemble root-2.proposal root-2.alice.sig root-2.bob.sig")]
pub(crate) struct Assemble {
    /// The proposal
    proposal: PathBuf,
    /// The signatures
    #[arg(required = true)]
    signatures: Vec<PathBuf>,
}

impl Command {
    pub(crate) fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::Holder(HolderCommand::New(command)) => command.run(session),
            Self::Init(command) => command.run(session),
            Self::Propose(command) => command.run(session),
            Self::Show(command) => command.run(session),
            Self::Sign(command) => command.run(session),
            Self::Assemble(command) => command.run(session),
        }
    }
}

impl NewHolder {
    fn run(self, session: &Session) -> Result<(), Failure> {
        let name = practice_name("a holder", &self.name, self.practice)?;
        durable::create_folders(&self.out, Mode::Private)?;
        let passphrase = session.new_passphrase()?;
        let files = Holder::make(&self.out, &name, &passphrase, self.kdf)?;
        session.output().print(&HolderAnswer::new(&files))?;
        say(&format!(
            "phi: next: keep {} to yourself, and hand {} to whoever proposes the root",
            shown(&files.key),
            shown(&files.public)
        ));
        Ok(())
    }
}

/// The name as it is given, or that of a practice.
pub(crate) fn practice_name(what: &str, name: &str, practice: bool) -> Result<String, Failure> {
    match (practice, is_practice(name)) {
        (false, true) => {
            let message = format!("{what} whose name begins with {PRACTICE} is one of a practice");
            Err(Failure::new("input-invalid", message)
                .hint("pass --practice, or choose another name"))
        }
        (true, false) => Ok(format!("{PRACTICE}{name}")),
        _ => Ok(name.to_owned()),
    }
}

impl Init {
    fn run(self, session: &Session) -> Result<(), Failure> {
        if self.holders.len() != self.of {
            let message = format!(
                "--of is {}, and there are {} --holder",
                self.of,
                self.holders.len()
            );
            return Err(Failure::new("input-invalid", message));
        }
        let changes = [
            RootChange::Holders(holders(&self.holders)?),
            RootChange::Threshold(Role::Root, self.threshold),
        ];
        let mut issuer = session.issuer()?;
        let named = issuer.root_holders()?;
        if !named.is_empty() {
            let message = "the root is in the hands of several holders already";
            return Err(
                Failure::new("not-allowed", message).hint("change them with phi root propose")
            );
        }
        propose(session, &mut issuer, &changes, self.out)
    }
}

impl Propose {
    fn run(self, session: &Session) -> Result<(), Failure> {
        let mut changes = Vec::new();
        changes.extend(
            self.remove_holders
                .into_iter()
                .map(RootChange::RemoveHolder),
        );
        let added = holders(&self.add_holders)?.into_iter();
        changes.extend(added.map(|holder| RootChange::AddHolder(Box::new(holder))));
        changes.extend(self.remove_keys.into_iter().map(RootChange::RemoveKey));
        changes.extend(self.add_keys.into_iter().map(RootChange::AddKey));
        let thresholds = self.role_thresholds.into_iter();
        let thresholds = thresholds.chain(self.threshold.map(|number| (Role::Root, number)));
        changes.extend(thresholds.map(|(role, number)| RootChange::Threshold(role, number)));
        changes.extend(self.keyset_floor.map(RootChange::KeysetFloor));
        changes.extend(self.status_floor.map(RootChange::StatusFloor));
        if let Some(time) = self.refresh_by {
            changes.push(RootChange::RefreshBy(time.beginning(session.now())?));
        }
        propose(session, &mut session.issuer()?, &changes, self.out)
    }
}

fn propose(
    session: &Session,
    issuer: &mut phi_issuer::Issuer,
    changes: &[RootChange],
    out: Option<PathBuf>,
) -> Result<(), Failure> {
    let proposal = issuer.propose_root(changes, session.now())?;
    let file = write_proposal(session, &proposal, out)?;
    session
        .output()
        .print(&ProposalAnswer::new(&proposal, &file)?)?;
    if let Some(warning) = lonely(&proposal) {
        say(&format!("phi: warning: {warning}"));
    }
    say(&format!("phi: next: {}", carry(&proposal, &file)));
    Ok(())
}

/// What is to be done with a proposal.
pub(crate) fn carry(proposal: &Proposal, file: &Path) -> String {
    let name = file.file_name().unwrap_or(file.as_os_str()).display();
    let stem = file.file_stem().unwrap_or(file.as_os_str()).display();
    let root = match proposal.root().version {
        0 | 1 => String::new(),
        version => format!(" --root root-{}.phi", version - 1),
    };
    format!(
        "each holder runs phi root sign {name}{root} --key NAME.key, and you phi root assemble \
         {name} {stem}.NAME.sig, with the signature of each"
    )
}

/// What there is to say of a threshold at either end.
fn lonely(proposal: &Proposal) -> Option<&'static str> {
    let holders = &proposal.root().root;
    match (holders.threshold(), holders.keys().len()) {
        (_, 1) => None,
        (1, _) => Some(
            "one holder alone signs roots: whoever has one of the keys has them all; two or more \
             are better",
        ),
        (threshold, count) if threshold == count => Some(
            "every holder must sign: when one key is lost, no root can follow; a threshold below \
             the number of holders is better",
        ),
        _ => None,
    }
}

/// Writes a proposal to a new file.
pub(crate) fn write_proposal(
    session: &Session,
    proposal: &Proposal,
    out: Option<PathBuf>,
) -> Result<PathBuf, Failure> {
    let name = format!("root-{}.proposal", proposal.root().version);
    let file = out.unwrap_or_else(|| session.dir().join(name));
    durable::create_new(&file, proposal.to_text().as_bytes(), Mode::Public)?;
    Ok(file)
}

impl Show {
    fn run(self, session: &Session) -> Result<(), Failure> {
        let (proposal, followed) = read_proposal(&self.proposal, &self.root)?;
        let tally = Tally::of(&proposal, &signatures(&self.signatures)?)?;
        warn_if_ahead(session, &proposal);
        session
            .output()
            .print(&ShowAnswer::new(&proposal, &tally, followed))
    }
}

/// How the root is known that a proposal follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Followed {
    /// It came with the proposal.
    Said,
    /// It is the one that was handed in.
    HandedIn,
    /// It is the last of those that were handed in, each signed by the one before.
    Chain,
    /// It is the newest in the issuer's own ledger.
    Ledger,
}

impl Sign {
    fn run(self, session: &Session) -> Result<(), Failure> {
        let (proposal, mut followed) = read_proposal(&self.proposal, &self.root)?;
        if self.key.is_none() {
            own_issuer(session)?.check_proposal(&proposal, session.now())?;
            if proposal.current().is_some() {
                followed = Followed::Ledger;
            }
        } else if followed == Followed::Said && proposal.root().version > 1 {
            return Err(unfounded(&proposal));
        }
        warn_if_ahead(session, &proposal);
        if !self.yes {
            // Seen before it is signed, also where the answer is for a program.
            let mut page = Page::default();
            ShowAnswer::new(&proposal, &Tally::of(&proposal, &[])?, followed).show_on(&mut page);
            print_page(page)?;
            confirm(&proposal)?;
        }
        let made = self.sign(session, &proposal)?;
        let mut files = Vec::new();
        for (signature, file) in &made {
            durable::create_new(file, signature.to_text().as_bytes(), Mode::Public)?;
            files.push((signature.key_id(), file.clone()));
        }
        session
            .output()
            .print(&SignAnswer::new(&proposal, &files, followed))?;
        say("phi: next: hand the signature to whoever assembles the root");
        Ok(())
    }

    fn sign(
        &self,
        session: &Session,
        proposal: &Proposal,
    ) -> Result<Vec<(RootSignature, PathBuf)>, Failure> {
        let Some(path) = &self.key else {
            let mut issuer = own_issuer(session)?;
            let made = issuer.sign_proposal(proposal, session, session.now())?;
            if self.out.is_some() && made.len() > 1 {
                let message = format!("--out is one file, and {} keys at hand sign", made.len());
                return Err(Failure::new("input-invalid", message));
            }
            let named = |signature: RootSignature| {
                let file = self.file(&signature.key_id().to_string());
                (signature, file)
            };
            return Ok(made.into_iter().map(named).collect());
        };
        check_no_public(path)?;
        let key = keyfile::load(path, session.passphrase()?)?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        Ok(vec![(proposal.sign(&key)?, self.file(&stem))])
    }

    /// The file that was named, or one beside the proposal.
    fn file(&self, who: &str) -> PathBuf {
        let beside = || {
            let stem = self.proposal.file_stem().unwrap_or_default();
            let name = format!("{}.{who}.sig", stem.to_string_lossy());
            self.proposal.with_file_name(name)
        };
        self.out.clone().unwrap_or_else(beside)
    }
}

/// The issuer whose own root keys sign.
fn own_issuer(session: &Session) -> Result<phi_issuer::Issuer, Failure> {
    let hint = "name a holder's key file with --key NAME.key; without it the root keys of the \
                issuer in this folder sign";
    session.issuer().map_err(|failure| failure.hint(hint))
}

/// The public file of a holder stands beside the key, and signs nothing.
fn check_no_public(path: &Path) -> Result<(), Failure> {
    // What is no file is told so where keys are read.
    if path.exists() && !path.is_file() {
        return Ok(());
    }
    let text = read_text(path, MAX_CEREMONY_FILE as u64)?;
    if Holder::from_line(&text).is_err() {
        return Ok(());
    }
    let message = format!("{} is a holder's public file, not the key", shown(path));
    let key = path.with_extension("key");
    Err(Failure::new("wrong-kind", message).hint(format!("pass --key {}", shown(&key))))
}

/// A proposal carries the root that it says it follows: a forged one would be shown as it is, and
/// the keys in it as if they had been there before.
fn unfounded(proposal: &Proposal) -> Failure {
    let before = proposal.root().version - 1;
    let message = format!(
        "the proposal says that it follows root {before}, and nothing shows that it is yours"
    );
    Failure::new("input-invalid", message).hint(format!(
        "pass --root with the root document that you kept, such as root-{before}.phi"
    ))
}

/// A holder's machine may be one whose clock nobody sets: it is told, and the holder decides.
fn warn_if_ahead(session: &Session, proposal: &Proposal) {
    if let Err(error) = proposal.check_made(session.now()) {
        say(&format!("phi: warning: {error}"));
    }
}

/// Asks whether the proposal is to be signed.
fn confirm(proposal: &Proposal) -> Result<(), Failure> {
    let refused = |message: &str| Err(Failure::new("not-confirmed", message));
    if !io::stdin().is_terminal() {
        return refused("nobody can be asked: standard input is no terminal");
    }
    let version = proposal.root().version;
    let _ = write!(io::stderr(), "phi: sign root {version}? Type yes: ");
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    match read {
        Ok(_) if answer.trim() == "yes" => Ok(()),
        _ => refused("nothing was signed"),
    }
}

impl Assemble {
    fn run(self, session: &Session) -> Result<(), Failure> {
        let (proposal, _) = read_proposal(&self.proposal, &[])?;
        let signatures = signatures(&self.signatures)?;
        let mut issuer = session.issuer()?;
        let assembled = issuer.assemble_root(&proposal, &signatures, &session.context())?;
        let file = issuer.published_folder().join(assembled.root.file_name());
        let answer = AssembleAnswer::new(&proposal, &assembled.tally, &file);
        session.output().print(&answer)?;
        say(match proposal.current() {
            None => {
                "phi: next: phi keyset publish, then phi status publish; applications embed root-1.phi"
            }
            Some(before) => next_after(before, proposal.root()),
        });
        let ledger = |before: &phi_verify::Root| before.ledger != proposal.root().ledger;
        if proposal.current().is_some_and(ledger) {
            let next = ProofsView::of(&mut issuer, session.now())?.next();
            say(&format!("phi: next: {next}"));
        }
        Ok(())
    }
}

/// What is to be published under a new root.
fn next_after(before: &phi_verify::Root, root: &phi_verify::Root) -> &'static str {
    if before.keyset != root.keyset {
        "phi: next: phi keyset publish, then phi status publish; applications need the new root"
    } else if before.status != root.status {
        "phi: next: phi status publish; applications need the new root"
    } else {
        "phi: next: give applications the new root document"
    }
}

/// Reads a proposal, and says how the root that it follows is known.
fn read_proposal(path: &Path, roots: &[PathBuf]) -> Result<(Proposal, Followed), Failure> {
    let about = |error: phi_issuer::Error| Failure::from(error).about(shown(path));
    let text = read_text(path, MAX_CEREMONY_FILE as u64)?;
    let proposal = Proposal::from_text(&text).map_err(|error| {
        if RootSignature::from_text(&text).is_ok() {
            return swapped(path, "a signature, and the proposal comes first");
        }
        about(error)
    })?;
    let roots = roots.iter().map(|root| read_root(root));
    let roots = roots.collect::<Result<Vec<_>, _>>()?;
    let Some((kept, since)) = roots.split_first() else {
        return Ok((proposal, Followed::Said));
    };
    proposal.check_follows(kept, since).map_err(about)?;
    let followed = match since {
        [] => Followed::HandedIn,
        _ => Followed::Chain,
    };
    Ok((proposal, followed))
}

fn read_root(path: &Path) -> Result<Vec<u8>, Failure> {
    match Object::read(path.as_os_str())? {
        Object::Document(document) => Ok(document),
        _ => Err(Failure::new(
            "wrong-kind",
            format!("{} is no root document", shown(path)),
        )),
    }
}

fn swapped(path: &Path, what: &str) -> Failure {
    let message = format!("{} is {what}", shown(path));
    Failure::new("ceremony-file", message)
        .hint("the order is PROPOSAL, then SIGNATURES, as in: root-2.proposal root-2.alice.sig")
}

fn signatures(paths: &[PathBuf]) -> Result<Vec<RootSignature>, Failure> {
    let read = |path: &PathBuf| {
        let text = read_text(path, MAX_CEREMONY_FILE as u64)?;
        RootSignature::from_text(&text).map_err(|error| {
            if Proposal::from_text(&text).is_ok() {
                return swapped(path, "a proposal, and there is one, which comes first");
            }
            Failure::from(error).about(shown(path))
        })
    };
    paths.iter().map(read).collect()
}

fn holders(paths: &[PathBuf]) -> Result<Vec<Holder>, Failure> {
    let read = |path: &PathBuf| {
        let line = read_text(path, MAX_CEREMONY_FILE as u64)?;
        Holder::from_line(&line).map_err(|error| Failure::from(error).about(shown(path)))
    };
    paths.iter().map(read).collect()
}

/// `ROLE=NUMBER`.
fn role_threshold(text: &str) -> Result<(Role, usize), String> {
    let (name, number) = text
        .split_once('=')
        .ok_or("write ROLE=NUMBER, such as status=2")?;
    let number = number
        .parse()
        .map_err(|_| format!("{number:?} is no number"))?;
    Ok((role(name)?, number))
}
