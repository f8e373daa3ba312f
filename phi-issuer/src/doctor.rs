//! A check-up: what of the trust documents, keys and signatures is wrong, or runs out soon.
//!
//! It reads the store and the published folder and opens no key. What the ledger itself is worth
//! is `phi ledger verify`'s to find out.

use phi_verify::{DocumentKind, KeyId, KeyState, Keyset, RuleClass, Status, TrustState, UnixTime};

use crate::{
    Issuer, durable,
    error::Error,
    issuer::CHECKPOINT,
    keys::{KeyScope, Role},
    ledger, root, status,
    store::{KeyRow, Query},
};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Something is wrong now.
    Wrong,
    /// Something runs out within the days that were asked for.
    Soon,
    /// Worth knowing; nothing needs to be done.
    Note,
}

impl Urgency {
    /// Its word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wrong => "wrong",
            Self::Soon => "soon",
            Self::Note => "note",
        }
    }
}

/// Something that the check-up found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// A stable word for what it is.
    pub code: &'static str,
    /// How much it matters.
    pub urgency: Urgency,
    /// What it is, in a phrase.
    pub what: String,
    /// When it runs out, or when it did.
    pub due: Option<UnixTime>,
    /// The next step.
    pub next: String,
}

/// A ledger of which the newest week is in no checkpoint could be changed there unseen.
const CHECKPOINT_AFTER: u64 = 7 * 24 * 60 * 60;

/// What a disk that breaks takes with it is the tokens of a month at most: they can be revoked by
/// their time, and minted again.
const BACKUP_AFTER: u64 = 30 * 24 * 60 * 60;

/// A list is made again when a third of its time is left: nobody is asked for the next one on the
/// day on which one was published, however far ahead is looked.
const LAST_PART: u64 = 3;

impl Issuer {
    /// Everything that is wrong now, or runs out before `horizon`; the most urgent first.
    ///
    /// # Errors
    /// If the store cannot be read, or holds documents that do not verify.
    pub fn check_up(&mut self, horizon: UnixTime, now: UnixTime) -> Result<Vec<Finding>, Error> {
        let mut check_up = CheckUp {
            now,
            horizon,
            findings: Vec::new(),
        };
        let (trust, rows) = self
            .store
            .read(|query| Ok((imported(query)?, query.keys()?)))?;
        match &trust {
            None => check_up.wrong(
                "root-missing",
                "there is no root document yet: nothing can be published or minted",
                "phi root init, then phi keyset publish and phi status publish",
            ),
            Some(trust) => {
                check_up.root(trust);
                check_up.license_keys(&rows, trust.keyset());
                check_up.status(trust.status());
                self.keys_at_hand(trust, &rows, &mut check_up);
                self.store.read(|query| check_up.ledger(query, trust))?;
            }
        }
        self.files(&mut check_up)?;
        self.backup_at_hand(&mut check_up)?;
        let mut findings = check_up.findings;
        findings.sort_by_key(|finding| (finding.urgency, finding.due));
        Ok(findings)
    }

    /// Whether the keys that sign now are here.
    fn keys_at_hand(&self, trust: &TrustState, rows: &[KeyRow], check_up: &mut CheckUp) {
        let now = check_up.now;
        for row in rows.iter().filter(|row| row.role == Role::License) {
            if signs(row, now) && !self.is_at_hand(Role::License, row.public.id()) {
                check_up.key_away(Role::License, &row.public.id().to_string(), None);
            }
        }
        for role in [Role::Keyset, Role::Status, Role::Ledger] {
            let Some(keys) = root::of(trust.root(), role) else {
                continue;
            };
            let here = keys.keys().iter();
            let here = here.filter(|key| self.is_at_hand(role, key.id())).count();
            if here < keys.threshold() {
                let ids: Vec<_> = keys.keys().iter().map(|key| key.id().to_string()).collect();
                // Of all that is signed, lists alone are due by the calendar.
                let list = trust.status().filter(|_| role == Role::Status);
                check_up.key_away(role, &ids.join(", "), list.map(|list| list.next_update));
            }
        }
    }

    /// Whether there is a backup of what the ledger has now.
    fn backup_at_hand(&mut self, check_up: &mut CheckUp) -> Result<(), Error> {
        const NEXT: &str = "phi ledger backup FILE, on another disk";
        let Some(newest) = self.noted_backup()? else {
            let what = "this folder knows of no backup of its ledger";
            check_up.note("backups-unknown", what, NEXT);
            return Ok(());
        };
        let size = self.store.read(|query| query.size())?;
        let since = size.saturating_sub(newest.events);
        if since == 0 {
            return Ok(());
        }
        let what = format!("events since the newest backup: {since}");
        let urgency = if newest.made.plus(BACKUP_AFTER) <= check_up.now {
            Urgency::Wrong
        } else {
            Urgency::Note
        };
        check_up.add("backup-behind", urgency, what, Some(newest.made), NEXT);
        Ok(())
    }

    /// Whether the published folder has what the ledger says is published.
    fn files(&mut self, check_up: &mut CheckUp) -> Result<(), Error> {
        let (documents, checkpoint) = self
            .store
            .read(|query| Ok((query.published()?, query.newest_checkpoint()?)))?;
        let documents = documents.into_iter();
        let mut expected: Vec<(String, Vec<u8>)> = documents
            .map(|document| (document.file_name(), document.document))
            .collect();
        expected.extend(checkpoint.map(|newest| (CHECKPOINT.into(), newest.note.into_bytes())));
        for (name, bytes) in expected {
            let path = self.published_folder().join(&name);
            let held = durable::read_regular(&path, bytes.len() as u64);
            if held.is_ok_and(|held| held == bytes) {
                continue;
            }
            let what = format!("published/{name} is not what the ledger says was published");
            // A publication writes every file again.
            let next = if name.starts_with("status") {
                "phi status publish"
            } else {
                "phi keyset publish"
            };
            check_up.wrong("file-behind", what, next);
        }
        Ok(())
    }
}

/// A check-up on its way.
struct CheckUp {
    now: UnixTime,
    horizon: UnixTime,
    findings: Vec<Finding>,
}

impl CheckUp {
    fn add(
        &mut self,
        code: &'static str,
        urgency: Urgency,
        what: impl Into<String>,
        due: Option<UnixTime>,
        next: impl Into<String>,
    ) {
        self.findings.push(Finding {
            code,
            urgency,
            what: what.into(),
            due,
            next: next.into(),
        });
    }

    fn wrong(&mut self, code: &'static str, what: impl Into<String>, next: impl Into<String>) {
        self.add(code, Urgency::Wrong, what, None, next);
    }

    fn note(&mut self, code: &'static str, what: impl Into<String>, next: impl Into<String>) {
        self.add(code, Urgency::Note, what, None, next);
    }

    /// Something with an end, if that is over or near.
    fn ends(&mut self, code: &'static str, what: [&str; 2], due: UnixTime, next: &str) {
        let [past, ahead] = what;
        if due <= self.now {
            self.add(code, Urgency::Wrong, past, Some(due), next);
        } else if due <= self.horizon {
            self.add(code, Urgency::Soon, ahead, Some(due), next);
        }
    }

    /// What of a document that is made again and again has an end.
    fn expires(&mut self, code: &'static str, what: [&str; 2], made: UnixTime, due: UnixTime) {
        const NEXT: &str = "phi status publish";
        let last_part = due.seconds().saturating_sub(made.seconds()) / LAST_PART;
        if due <= self.now || due.minus(last_part) <= self.now {
            self.ends(code, what, due, NEXT);
        } else if due <= self.horizon {
            self.add(code, Urgency::Note, what[1], Some(due), NEXT);
        }
    }

    fn key_away(&mut self, role: Role, ids: &str, due: Option<UnixTime>) {
        let what = format!("the {role} role cannot sign here: {ids}");
        let next = "bring its key into keys/ before the next publication";
        let urgency = match due {
            None => Urgency::Note,
            Some(_) => Urgency::Soon,
        };
        self.add("key-away", urgency, what, due, next);
    }

    fn root(&mut self, trust: &TrustState) {
        if let Some(due) = trust.root().refresh_by {
            let what = [
                "the next root document is overdue",
                "the next root document is due",
            ];
            self.ends("root-refresh", what, due, "hold a root ceremony");
        }
    }

    fn status(&mut self, status: Option<&Status>) {
        const NEXT: &str = "phi status publish";
        let Some(status) = status else {
            let what = "no status list is published that goes with the root and the keyset";
            return self.wrong("status-missing", what, NEXT);
        };
        let what = ["the status list is overdue", "the next status list is due"];
        self.expires("status-due", what, status.this_update, status.next_update);
        let what = [
            "the status list expired: licenses that ask for a fresh one are refused",
            "the status list expires",
        ];
        self.expires(
            "status-expires",
            what,
            status.this_update,
            status.hard_expiry,
        );
    }

    fn license_keys(&mut self, rows: &[KeyRow], keyset: Option<&Keyset>) {
        let mut rows: Vec<_> = rows.iter().collect();
        rows.retain(|row| row.role == Role::License && row.state().is_some());
        let signing = |time: UnixTime, scope: Option<&KeyScope>| {
            let mut rows = rows.iter();
            rows.any(|row| {
                row.scope.as_ref() == scope && row.state().is_some_and(|state| state.signs_at(time))
            })
        };
        if !rows.iter().any(|row| signs(row, self.now)) {
            let what = "no license key signs now: nothing can be minted";
            self.wrong(
                "no-license-key",
                what,
                "phi key rotate, then phi keyset publish",
            );
        }
        for row in &rows {
            let id = row.public.id();
            if let Some(KeyState::Retired { until, .. }) = row.state()
                && until > self.now
                && until <= self.horizon
                && !signing(until, row.scope.as_ref())
            {
                let what =
                    format!("license key {id} signs no more, and none of its scope succeeds it");
                let next = format!("phi key rotate --like {id}");
                self.add("key-ends", Urgency::Soon, what, Some(until), next);
            }
        }
        let Some(keyset) = keyset else {
            let what = "no keyset is published that the root's keys signed";
            return self.wrong("keyset-missing", what, "phi keyset publish");
        };
        let is_published = |row: &&&KeyRow| {
            let entry = keyset.key(row.public.id());
            entry.is_some_and(|entry| row.state() == Some(entry.state))
        };
        for row in rows.iter().filter(|row| !is_published(row)) {
            let id = row.public.id();
            let what = format!("the published keyset does not say what license key {id} is now");
            self.wrong(
                "keyset-behind",
                what,
                "phi keyset publish, then phi status publish",
            );
        }
        let waits = |row: &&KeyRow| matches!(row.state(), Some(KeyState::Staged));
        let now = self.now;
        for row in rows.iter().filter(|row| signs(row, now)) {
            let followed = rows.iter().any(|other| {
                other.scope == row.scope
                    && (waits(other) || other.from.is_some_and(|from| from > now))
            });
            let ends = matches!(row.state(), Some(KeyState::Retired { .. }));
            if !followed && !ends {
                let what = format!("no key waits to succeed license key {}", row.public.id());
                self.note("no-successor", what, "phi key new, then phi keyset publish");
            }
        }
    }

    fn ledger(&mut self, query: &Query<'_>, trust: &TrustState) -> Result<(), Error> {
        let status = trust.status();
        if let (Some(status), Some(keyset)) = (status, trust.keyset())
            && status.keyset.0 != keyset.version
        {
            let what = "the status list goes with an older keyset";
            self.wrong("status-behind", what, "phi status publish");
        }
        let revocations = query.revocations()?.into_iter();
        let unpublished = revocations
            .filter(|revocation| status.is_none_or(|list| revocation.since > list.this_update))
            .count();
        if unpublished > 0 {
            let what = format!("revocations that applications were not told of: {unpublished}");
            self.wrong("status-behind", what, "phi status publish");
        }
        self.lists(query)?;
        self.rows(query)?;
        for row in query.keys()?.iter().filter(|row| row.role == Role::License) {
            self.tokens_under(query, row)?;
        }
        self.checkpoint(query)
    }

    /// Whether what lists are made of is what the events say.
    fn rows(&mut self, query: &Query<'_>) -> Result<(), Error> {
        match status::facts::check(query, self.now) {
            Err(Error::Diverged(divergence)) => {
                let what = format!("the store was changed from outside: {divergence}");
                let next =
                    "phi ledger verify; phi ledger rebuild makes the rows of the events again";
                self.wrong("rows-changed", what, next);
                Ok(())
            }
            checked => checked,
        }
    }

    /// Revocations that ended since the newest list, and deltas to lists that are long past.
    fn lists(&mut self, query: &Query<'_>) -> Result<(), Error> {
        if let Some(newest) = query.newest(DocumentKind::Status, "")? {
            let ended = query
                .unrevoked_since(query.seq_of_list(newest.version)?)?
                .len();
            if ended > 0 {
                let what = format!("revocations taken back, and applications not told: {ended}");
                self.wrong("status-behind", what, "phi status publish");
            }
        }
        for epoch in query.deltas()?.iter().filter_map(|delta| delta.base) {
            let base = query.full_list(epoch)?;
            let base = base.as_ref().map(status::decoded).transpose()?;
            if base.is_some_and(|base| base.hard_expiry <= self.now) {
                let what = format!("deltas still lead from list {epoch}, which is long past");
                let next = "give those who have it the full list, and make deltas from that";
                self.note("base-old", what, next);
            }
        }
        Ok(())
    }

    /// Keys that sign no more and that live tokens still need.
    fn tokens_under(&mut self, query: &Query<'_>, row: &KeyRow) -> Result<(), Error> {
        let id = row.public.id();
        let (live, last) = query.live_under(id, u64::MAX, self.now)?;
        let last = last.map_or("never".to_owned(), |last| last.to_string());
        match row.state() {
            _ if live == 0 => {}
            Some(KeyState::Retired { .. }) => {
                let what = format!(
                    "live tokens under license key {id}, which is retired: {live}; the last ends {last}"
                );
                let next =
                    format!("nothing: the key stays in the keyset; never phi key revoke {id}");
                self.note("tokens-under-retired", what, next);
            }
            Some(KeyState::Revoked { cut: Some(cut) }) => {
                let kept = query.live_tokens_under(id, Some(cut), self.now)?.len();
                if kept > 0 {
                    let since = ledger_keys_since(query, id)?;
                    let since = since.map(|since| format!(" that was made since {since}"));
                    let since = since.unwrap_or_default();
                    let what =
                        format!("live tokens that are good only with a proof{since}: {kept}");
                    let next = format!("phi ledger prove --kept-by {id} --folder FOLDER");
                    self.note("proofs-needed", what, next);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn checkpoint(&mut self, query: &Query<'_>) -> Result<(), Error> {
        const NEXT: &str = "phi ledger checkpoint";
        let Some(newest) = query.newest_checkpoint()? else {
            let what = "the ledger was never signed: no proof can be made, and no key cut";
            let begun = query.entry(1)?.map(|(entry, _)| entry.time);
            if begun.is_some_and(|begun| begun.plus(CHECKPOINT_AFTER) <= self.now) {
                self.wrong("checkpoint-missing", what, NEXT);
            } else {
                self.note("checkpoint-missing", what, NEXT);
            }
            return Ok(());
        };
        if !ledger::is_in_force(query, &newest)? {
            let what = "the newest checkpoint is of ledger keys that the root names no more: no \
                        proof that was made until now counts";
            let next = "phi ledger checkpoint, then make the proofs again that customers hold";
            self.wrong("checkpoint-foreign", what, next);
        }
        // The event of the checkpoint itself comes after what it covers.
        let first_after = newest.size + 2;
        let Some((entry, _)) = query.entry(first_after)? else {
            return Ok(());
        };
        let events = query.size()? - newest.size - 1;
        let what = format!("events that no checkpoint covers: {events}");
        if entry.time.plus(CHECKPOINT_AFTER) <= self.now {
            self.add(
                "checkpoint-behind",
                Urgency::Wrong,
                what,
                Some(entry.time),
                NEXT,
            );
        } else {
            self.note("checkpoint-behind", what, NEXT);
        }
        Ok(())
    }
}

/// What an application believes that took everything published which it can take: what does not
/// fit together any more is a finding. `None` before the first root.
fn imported(query: &Query<'_>) -> Result<Option<TrustState>, Error> {
    let Some(mut trust) = root::chain(query)? else {
        return Ok(None);
    };
    let documents = query.published()?.into_iter();
    for held in documents.filter(|held| held.kind != DocumentKind::Root) {
        let _ = trust.import(&held.document);
    }
    Ok(Some(trust))
}

/// When the newest ledger key took over, if that was after this key was revoked: proofs of before
/// are worth nothing.
fn ledger_keys_since(query: &Query<'_>, cut: KeyId) -> Result<Option<UnixTime>, Error> {
    let revoked = query.revocation(RuleClass::Key, &cut.to_string())?;
    let revoked = revoked.map(|revocation| revocation.since);
    let named = root::named(query, Role::Ledger)?;
    let rows = query.keys()?.into_iter();
    let from = rows
        .filter(|row| named.contains(&row.public))
        .filter_map(|row| row.from);
    Ok(from.max().filter(|from| Some(*from) > revoked))
}

fn signs(row: &KeyRow, now: UnixTime) -> bool {
    row.state().is_some_and(|state| state.signs_at(now))
}
