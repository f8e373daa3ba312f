//! What a trust state holds, for a support ticket: versions, keys, ages, floors, and what is
//! stale. Everything in it is public; it names no customer and no license.

use alloc::{string::String, string::ToString as _, vec::Vec};
use core::fmt::{self, Write as _};

use crate::{
    ClockVerdict, Freshness, KeyId, KeyState, Keyset, RoleKeys, Sections, Status, StatusLists,
    TrustState, UnixTime,
};

/// What a trust state holds at a time. It prints as text, and with feature `serde` it serializes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(::serde::Serialize))]
pub struct TrustReport {
    /// The issuer.
    pub issuer: String,
    /// The id of this installation.
    pub installation: Option<String>,
    /// SHA-256 of the trust anchor that is compiled in, in hexadecimal. A patched application may
    /// say what it likes here.
    pub anchor_sha256: String,
    /// How often the state was stored.
    pub generation: u64,
    /// The documents at hand.
    pub documents: Vec<DocumentReport>,
    /// The keys of each role, as the root in force names them.
    pub roles: Vec<RoleReport>,
    /// The keys that sign licenses.
    pub keys: Vec<KeyReport>,
    /// The oldest keyset version that is still taken; 0 is no floor.
    pub keyset_floor: u64,
    /// The oldest status epoch that is still taken; 0 is no floor.
    pub status_floor: u64,
    /// How old the status list is: `fresh`, `stale`, `expired` or `missing`.
    pub status: String,
    /// What the status lists at hand are made of, if there are any.
    pub lists: Option<ListsReport>,
    /// The epoch of a newer status list, of which a license that was remembered tells.
    pub newer_list: Option<u64>,
    /// The machine's clock.
    pub clock: ClockReport,
    /// What is stale or wrong, the most pressing first: a code and a sentence for each.
    pub findings: Vec<FindingReport>,
}

/// A document at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(::serde::Serialize))]
pub struct DocumentReport {
    /// `root`, `keyset`, `status`, or `catalog` and its product.
    pub name: String,
    /// The version, epoch or revision.
    pub version: u64,
    /// When it was made.
    pub made: UnixTime,
    /// Whole days since then.
    pub age_days: u64,
    /// When the issuer means to have made the next, if it says so.
    pub next_due: Option<UnixTime>,
    /// When it is no longer good for anything but what it revokes, if it says so.
    pub expires: Option<UnixTime>,
}

/// The status lists at hand: a full one, or a full one and a delta to it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(::serde::Serialize))]
pub struct ListsReport {
    /// The newest epoch.
    pub epoch: u64,
    /// The epoch of the full list, if there is a delta.
    pub base: Option<u64>,
    /// How many bytes the documents have.
    pub bytes: usize,
    /// How many rules revoke something whole.
    pub rules: usize,
    /// How much was revoked by a rule once and is not any more.
    pub unrevoked: usize,
    /// What is revoked one by one.
    pub sections: Vec<SectionReport>,
}

/// A section of a status list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(::serde::Serialize))]
pub struct SectionReport {
    /// `full` or `delta`.
    pub list: &'static str,
    /// `tokens`, `licenses`, `tokens-removed` or `licenses-removed`.
    pub class: &'static str,
    /// The form of its filter: `exact`, `cascade` and so on.
    pub kind: &'static str,
    /// How many bytes the filter has.
    pub bytes: usize,
}

/// The keys of a role.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(::serde::Serialize))]
pub struct RoleReport {
    /// `root`, `keyset`, `status` or `ledger`.
    pub role: &'static str,
    /// How many must sign.
    pub threshold: usize,
    /// The ids of the keys.
    pub keys: Vec<KeyId>,
}

/// A key that signs licenses.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(::serde::Serialize))]
pub struct KeyReport {
    /// The id of the key.
    pub key: KeyId,
    /// `staged`, `active`, `retired` or `revoked`.
    pub state: &'static str,
    /// The first time of issue that is accepted.
    pub from: Option<UnixTime>,
    /// The first time of issue that is no longer accepted.
    pub until: Option<UnixTime>,
    /// The index in the ledger's log from which nothing under the key is accepted.
    pub cut: Option<u64>,
    /// The products for which alone the key may sign; empty is every one.
    pub products: Vec<String>,
    /// How many seconds a license may last.
    pub longest: Option<u64>,
}

/// The machine's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(::serde::Serialize))]
pub struct ClockReport {
    /// What it shows.
    pub now: UnixTime,
    /// The time by which licenses are judged.
    pub judged_at: UnixTime,
    /// `plausible`, `behind-signature`, `doubted` or `rolled-back`.
    pub verdict: &'static str,
    /// The newest time that a trusted signature proves to be past.
    pub signed_floor: UnixTime,
    /// The latest time that it has shown and that is believed.
    pub observed_floor: Option<UnixTime>,
    /// How far it has come by running, whatever date it showed: the time that whoever asks for a
    /// [`ClockReset`](crate::ClockReset) sends along.
    pub steady_floor: Option<UnixTime>,
}

/// Something that is stale or wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(::serde::Serialize))]
pub struct FindingReport {
    /// A stable word.
    pub code: String,
    /// A sentence for people.
    pub text: String,
}

impl TrustState {
    /// What the state holds when the clock shows this time.
    pub fn report(&self, now: UnixTime) -> TrustReport {
        let verdict = self.clock(now);
        let judged_at = self.effective_time(now);
        let root = self.root();
        let roles = [
            ("root", &root.root),
            ("keyset", &root.keyset),
            ("status", &root.status),
            ("ledger", &root.ledger),
        ];
        let status = self.status().map(|status| status.freshness(judged_at));
        let floors = self.floors();
        let mut report = TrustReport {
            issuer: root.issuer.clone(),
            installation: self.installation().map(|id| id.to_string()),
            anchor_sha256: hex(&self.anchor_hash()),
            generation: self.generation(),
            documents: self.document_reports(judged_at),
            roles: roles.map(|(role, keys)| RoleReport::new(role, keys)).into(),
            keys: self.keyset().map(key_reports).unwrap_or_default(),
            keyset_floor: floors.keyset,
            status_floor: floors.status,
            status: status.unwrap_or(Freshness::Missing).to_string(),
            lists: self.lists().map(|lists| self.lists_report(lists)),
            newer_list: self.newer_list(),
            clock: ClockReport {
                now,
                judged_at,
                verdict: verdict.name(),
                signed_floor: self.signed_floor(),
                observed_floor: self.observed_floor(),
                steady_floor: self.steady_floor(),
            },
            findings: Vec::new(),
        };
        self.find(judged_at, verdict, &mut report);
        report
    }

    fn document_reports(&self, now: UnixTime) -> Vec<DocumentReport> {
        let document = |name: &str, version, made: UnixTime| DocumentReport {
            name: name.into(),
            version,
            made,
            age_days: (now.seconds().saturating_sub(made.seconds())) / DAY,
            next_due: None,
            expires: None,
        };
        let root = self.root();
        let mut documents = Vec::from([DocumentReport {
            next_due: root.refresh_by,
            ..document("root", root.version, root.issued_at)
        }]);
        documents.extend(
            self.keyset()
                .map(|keyset| document("keyset", keyset.version, keyset.issued_at)),
        );
        documents.extend(self.status().map(|status| DocumentReport {
            next_due: Some(status.next_update),
            expires: Some(status.hard_expiry),
            ..document("status", status.epoch, status.this_update)
        }));
        documents.extend(self.catalogs().map(|catalog| {
            let name = alloc::format!("catalog {}", catalog.product);
            document(&name, catalog.revision, catalog.issued_at)
        }));
        documents
    }

    fn lists_report(&self, lists: StatusLists<'_>) -> ListsReport {
        let newest = lists.newest();
        let mut sections: Vec<_> = section_reports("full", lists.base()).collect();
        sections.extend(
            lists
                .delta()
                .into_iter()
                .flat_map(|delta| section_reports("delta", delta)),
        );
        ListsReport {
            epoch: newest.epoch,
            base: newest.base().map(|base| base.epoch),
            bytes: self.bytes_of_lists(),
            rules: newest.rules.len(),
            unrevoked: newest.unrevoked.len(),
            sections,
        }
    }

    /// What is stale or wrong, the most pressing first.
    fn find(&self, now: UnixTime, verdict: ClockVerdict, report: &mut TrustReport) {
        if verdict != ClockVerdict::Plausible {
            let code = alloc::format!("clock-{}", verdict.name());
            report.add(&code, &alloc::format!("the machine's clock is {verdict}"));
        }
        if self.keyset().is_none() {
            report.add("keyset-missing", "no keyset was imported");
        }
        match self.status() {
            None => report.add("status-missing", "no status list was imported"),
            Some(status) => match status.freshness(now) {
                Freshness::Expired => {
                    let text = alloc::format!("the status list expired at {}", status.hard_expiry);
                    report.add("status-expired", &text);
                }
                Freshness::Stale => {
                    let due = status.next_update;
                    let text = alloc::format!("a newer status list was due at {due}");
                    report.add("status-stale", &text);
                }
                Freshness::Fresh | Freshness::Missing => {}
            },
        }
        if let Some(epoch) = report.newer_list {
            let text =
                alloc::format!("there is a status list of epoch {epoch}, by a license's word");
            report.add("status-behind", &text);
        }
        if let Some(due) = self.root().refresh_by.filter(|due| *due <= now) {
            let text = alloc::format!("a newer root was due at {due}");
            report.add("root-stale", &text);
        }
        let signs = |keyset: &Keyset| keyset.keys().iter().any(|key| key.state.signs_at(now));
        if self.keyset().is_some_and(|keyset| !signs(keyset)) {
            report.add(
                "keyset-stale",
                "no key of the keyset signs licenses at this time",
            );
        }
    }
}

const DAY: u64 = 24 * 60 * 60;

impl TrustReport {
    /// The report with something more that was found, such as by a store.
    #[must_use]
    pub fn with_finding(mut self, code: &str, text: impl fmt::Display) -> Self {
        self.add(code, &text.to_string());
        self
    }

    fn add(&mut self, code: &str, text: &str) {
        self.findings.push(FindingReport {
            code: code.into(),
            text: text.into(),
        });
    }
}

impl RoleReport {
    fn new(role: &'static str, keys: &RoleKeys) -> Self {
        Self {
            role,
            threshold: keys.threshold(),
            keys: keys.keys().iter().map(|key| key.id()).collect(),
        }
    }
}

fn section_reports<'a>(
    list: &'static str,
    status: &'a Status,
) -> impl Iterator<Item = SectionReport> + 'a {
    let sections = |[tokens, licenses]: [&'static str; 2], of: &'a Sections| {
        [
            (tokens, of.tokens.as_ref()),
            (licenses, of.licenses.as_ref()),
        ]
    };
    let revoked = sections(["tokens", "licenses"], &status.revoked);
    let removed = status.removed().into_iter();
    let removed = removed.flat_map(move |of| sections(["tokens-removed", "licenses-removed"], of));
    revoked
        .into_iter()
        .chain(removed)
        .filter_map(move |(class, filter)| {
            let filter = filter?;
            Some(SectionReport {
                list,
                class,
                kind: filter.kind().name(),
                bytes: filter.body().len(),
            })
        })
}

fn key_reports(keyset: &Keyset) -> Vec<KeyReport> {
    let report = |entry: &crate::LicenseKey| {
        let (from, until) = match entry.state {
            KeyState::Active { from } => (Some(from), None),
            KeyState::Retired { from, until } => (Some(from), Some(until)),
            KeyState::Staged | KeyState::Revoked { .. } => (None, None),
        };
        KeyReport {
            key: entry.key.id(),
            state: entry.state.name(),
            from,
            until,
            cut: entry.state.cut(),
            products: entry.scope.products.keys().cloned().collect(),
            longest: entry.scope.longest,
        }
    };
    keyset.keys().iter().map(report).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl fmt::Display for TrustReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "issuer        {}", self.issuer)?;
        if let Some(id) = &self.installation {
            writeln!(f, "installation  {id}")?;
        }
        writeln!(f, "anchor        sha256 {}", self.anchor_sha256)?;
        writeln!(f, "generation    {}", self.generation)?;
        for document in &self.documents {
            writeln!(f, "{document}")?;
        }
        writeln!(
            f,
            "floors        keyset {}, status {}",
            self.keyset_floor, self.status_floor
        )?;
        if let Some(lists) = &self.lists {
            writeln!(f, "{lists}")?;
        }
        for role in &self.roles {
            write!(f, "{:<13} ", alloc::format!("{} keys", role.role))?;
            write!(f, "{} of {}:", role.threshold, role.keys.len())?;
            role.keys.iter().try_for_each(|id| write!(f, " {id}"))?;
            writeln!(f)?;
        }
        for key in &self.keys {
            writeln!(f, "{key}")?;
        }
        writeln!(f, "{}", self.clock)?;
        for finding in &self.findings {
            writeln!(f, "finding       {}: {}", finding.code, finding.text)?;
        }
        if self.findings.is_empty() {
            writeln!(f, "finding       none")?;
        }
        Ok(())
    }
}

impl fmt::Display for DocumentReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<13} version {} of {}, {} days old",
            self.name, self.version, self.made, self.age_days
        )?;
        if let Some(due) = self.next_due {
            write!(f, ", next due {due}")?;
        }
        if let Some(expires) = self.expires {
            write!(f, ", expires {expires}")?;
        }
        Ok(())
    }
}

impl fmt::Display for ListsReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (epoch, rules, unrevoked) = (self.epoch, self.rules, self.unrevoked);
        write!(f, "status list   epoch {epoch}")?;
        if let Some(base) = self.base {
            write!(f, ", a delta to epoch {base}")?;
        }
        let bytes = self.bytes;
        write!(f, ", {bytes} bytes, rules {rules}, taken back {unrevoked}")?;
        for section in &self.sections {
            let SectionReport {
                list,
                class,
                kind,
                bytes,
            } = section;
            write!(
                f,
                "\nsection       {class} of the {list} list: {kind}, {bytes} bytes"
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for KeyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "license key   {} {}", self.key, self.state)?;
        if let Some(from) = self.from {
            write!(f, " from {from}")?;
        }
        if let Some(until) = self.until {
            write!(f, " until {until}")?;
        }
        if let Some(cut) = self.cut {
            write!(f, " from index {cut} of the ledger on")?;
        }
        if !self.products.is_empty() {
            write!(f, ", for {}", self.products.join(", "))?;
        }
        match self.longest {
            Some(seconds) => write!(f, ", for at most {} days", seconds / DAY),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ClockReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "clock         {}, {}", self.now, self.verdict)?;
        writeln!(f, "judged at     {}", self.judged_at)?;
        writeln!(f, "signed floor  {}", self.signed_floor)?;
        match self.observed_floor {
            Some(floor) => write!(f, "observed      {floor}")?,
            None => f.write_str("observed      nothing yet that is believed")?,
        }
        match self.steady_floor {
            Some(floor) => write!(f, "\nsteady floor  {floor}"),
            None => Ok(()),
        }
    }
}
