//! One application: what it imports and when, what its clock shows, and whether its license works.

use phi_tests::snakeoil::{DAY, ISSUER, PRODUCT, sign_all};
use phi_verify::{
    Bundle, CLOCK_TOLERANCE, ClockPolicy, ClockReset, DocumentKind, Error, InstallationId,
    KeyState, PartOutcome, ProofPolicy, RevocationPolicy, TrustState, UnixTime, Verifier,
};

use super::{
    Dice, Tally, thief,
    vendor::{History, Minted, RENEWAL, SECOND_ROOT, STATUS_THEFT, WEEK, WEEKS, week_begins},
};

/// What kind of application and customer it is.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    seed: u64,
    pub(super) number: usize,
    /// The week in which it is installed.
    pub(super) installed: usize,
    /// Least and most weeks between imports; `None` imports with renewals only.
    cadence: Option<(u64, u64)>,
    clock: ClockPolicy,
    proofs: ProofPolicy,
    revocation: RevocationPolicy,
}

impl Plan {
    pub(super) fn new(seed: u64, number: usize) -> Self {
        let mut dice = Dice::new(seed, number as u64);
        let installed = if dice.once_in(2) { 0 } else { dice.below(156) };
        let cadence = match number % 50 {
            0 => Some((1, 2)),
            1..=3 => Some((3, 6)),
            4..=16 => Some((9, 17)),
            _ => None,
        };
        Self {
            seed,
            number,
            installed: usize::try_from(installed).unwrap(),
            cadence,
            clock: match dice.below(3) {
                0 => ClockPolicy::Warn,
                1 => ClockPolicy::Grace { seconds: 60 * DAY },
                _ => ClockPolicy::Deny,
            },
            proofs: match dice.below(5) {
                0 => ProofPolicy::Required,
                _ => ProofPolicy::WhereCut,
            },
            revocation: match (number % 50, dice.below(4)) {
                (0, _) => RevocationPolicy::Strict,
                (_, 0) => RevocationPolicy::Lenient,
                _ => RevocationPolicy::Balanced,
            },
        }
    }
}

/// How a clock goes wrong for some days of a week.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// So many seconds ahead.
    Ahead(u64),
    /// So many seconds back.
    Back(u64),
    /// At the beginning of time: an empty battery.
    Epoch,
}

impl Fault {
    fn throw(dice: &mut Dice) -> Self {
        match dice.below(5) {
            0 => Self::Ahead(dice.between(2, 34) * DAY),
            // Beyond what is believed at once, up to three generations.
            1 => Self::Ahead(dice.between(37, 90 * 365) * DAY),
            2 => Self::Back(dice.between(1, 23) * 3600),
            3 => Self::Back(dice.between(2, 10 * 365) * DAY),
            _ => Self::Epoch,
        }
    }

    const fn shows(self, truth: UnixTime) -> UnixTime {
        match self {
            Self::Ahead(seconds) => truth.plus(seconds),
            Self::Back(seconds) => truth.minus(seconds),
            Self::Epoch => UnixTime::EPOCH,
        }
    }

    /// Whether the clock is to be believed after so many days of this: a wild date is not before
    /// the third.
    const fn believed(self, days: u64) -> bool {
        match self {
            Self::Ahead(seconds) => seconds < 37 * DAY || days >= 3,
            Self::Back(_) | Self::Epoch => true,
        }
    }
}

pub(super) struct Application<'a> {
    pub(super) plan: &'a Plan,
    pub(super) history: &'a History,
    anchor: &'a [u8],
    pub(super) trust: TrustState,
    /// The license, and its proof if the bundle had one.
    license: &'a Minted,
    proof: Option<String>,
    /// The latest week whose bundle was imported.
    pub(super) imported: usize,
    /// The thief's list is believed.
    pub(super) poisoned: bool,
    /// The latest time that the clock was to be believed to show, since the last news or reset:
    /// after that it is held to the true time that has passed, and to no other.
    shown: Option<UnixTime>,
    /// Seconds that the clock is ahead of (or behind) the truth after five years.
    drift: (bool, u64),
    resets: u64,
    pub(super) dice: Dice,
    pub(super) tally: Tally,
}

impl<'a> Application<'a> {
    /// Installed with the root of its week compiled in, or still with the first.
    pub(super) fn install(plan: &'a Plan, history: &'a History) -> Self {
        let mut dice = Dice::new(plan.seed, 1000 + plan.number as u64);
        let built = if dice.once_in(2) { 0 } else { plan.installed };
        let anchor = history.weeks[built].root.as_slice();
        let mut id = [0; 16];
        id[..8].copy_from_slice(&(plan.number as u64).to_be_bytes());
        Self {
            plan,
            history,
            anchor,
            trust: TrustState::from_anchor(anchor)
                .unwrap()
                .with_installation(InstallationId::from_bytes(id)),
            license: &history.minted[plan.number][0],
            proof: None,
            imported: plan.installed,
            poisoned: false,
            shown: None,
            drift: (dice.once_in(2), dice.below(12 * 3600)),
            resets: 0,
            dice,
            tally: Tally::default(),
        }
    }

    pub(super) fn live(mut self) -> Tally {
        self.import(self.plan.installed, week_begins(self.plan.installed));
        let mut next = self.next_import(self.plan.installed);
        let mut renewals = self.renewals().into_iter().peekable();
        for week in self.plan.installed..WEEKS {
            let truth = week_begins(week).plus(self.dice.below(3 * DAY));
            if self.dice.once_in(128) {
                self.restart();
            }
            if (STATUS_THEFT..SECOND_ROOT).contains(&week) && self.plan.number % 7 == 1 {
                thief::give_list(&mut self, week);
            }
            if let Some((_, minted)) = renewals.next_if(|(arrives, _)| *arrives == week) {
                self.import(minted, truth);
                self.check_by_drift(truth);
            }
            if next == Some(week) {
                // Carried by hand: what arrives may be two weeks old.
                let late = usize::try_from(self.dice.below(3)).unwrap();
                let carried = week.saturating_sub(late);
                self.import(carried.max(self.imported), truth);
                self.check_by_drift(truth);
                next = self.next_import(week);
            }
            if self.dice.once_in(40) {
                self.suffer(week, truth);
            } else if self.dice.once_in(6) {
                self.check_by_drift(truth);
            }
            if self.dice.once_in(24) {
                thief::try_all(&mut self, week, truth);
            }
        }
        self.tally
    }

    /// When renewals arrive, and the week in which they were minted: up to three weeks before.
    fn renewals(&mut self) -> Vec<(usize, usize)> {
        let minted = (self.plan.installed + RENEWAL..WEEKS).step_by(RENEWAL);
        let arrive = |week| (week + usize::try_from(self.dice.below(4)).unwrap(), week);
        minted.map(arrive).collect()
    }

    fn next_import(&mut self, week: usize) -> Option<usize> {
        let (least, most) = self.plan.cadence?;
        Some(week + usize::try_from(self.dice.between(least, most)).unwrap())
    }

    /// What a clock shows that merely drifts.
    fn clock(&self, truth: UnixTime) -> UnixTime {
        let (ahead, seconds) = self.drift;
        let passed = truth.seconds() - week_begins(0).seconds();
        let drift = seconds * passed / (WEEK * WEEKS as u64);
        if ahead {
            truth.plus(drift)
        } else {
            truth.minus(drift)
        }
    }

    /// Imports the customer's bundle of a week, of which nothing may be refused.
    fn import(&mut self, week: usize, truth: UnixTime) {
        let history = self.history;
        let published = &history.weeks[week];
        let minted = &history.minted[self.plan.number];
        let newest = minted.iter().rev().find(|minted| minted.week <= week);
        let license = newest.expect("an application is installed with a license");
        let entry = published.keyset.key(license.key);
        let cut = entry.is_some_and(|entry| matches!(entry.state, KeyState::Revoked { .. }));
        let wanted = cut || self.plan.proofs == ProofPolicy::Required;
        let proof = wanted.then(|| history.proof(license, week));
        let mut builder = published.documents.clone();
        builder.token(&license.token, proof.as_ref());
        let bytes = builder.build().unwrap();
        let bundle = Bundle::parse(&bytes).unwrap();
        let reports = self.trust.import_bundle(&bundle);
        if self.trust.root().version > 1 {
            self.poisoned = false;
        }
        for report in reports {
            let list = report.part.kind == DocumentKind::Status;
            match report.outcome {
                PartOutcome::Updated if list => self.shown = None,
                PartOutcome::Updated | PartOutcome::Unchanged | PartOutcome::Passed => {}
                PartOutcome::Refused(Error::Rollback { .. }) if list && self.poisoned => {}
                // Carried for longer than one that came in another way, and passed it by.
                PartOutcome::Refused(Error::Rollback { .. } | Error::SignaturesMissing { .. })
                    if week < self.imported => {}
                PartOutcome::Refused(error) => {
                    self.wrong(truth, &format!("{} was refused: {error}", report.part));
                }
            }
        }
        if license.week >= self.license.week && week >= self.imported {
            self.license = license;
            self.proof = bundle.tokens()[0].proof().map(String::from);
        }
        self.imported = self.imported.max(week);
        self.tally.count("bundle imported");
    }

    /// The application ends and starts again from what it stored.
    fn restart(&mut self) {
        let bytes = self.trust.to_bytes();
        let restored = TrustState::from_bytes(self.anchor, &bytes).unwrap();
        assert_eq!(restored.refused, []);
        assert!(restored.trust == self.trust, "a restart changes the state");
        self.trust = restored.trust;
        self.tally.count("state restored");
    }

    pub(super) fn is_strict(&self) -> bool {
        self.plan.revocation == RevocationPolicy::Strict
    }

    pub(super) const fn proofs(&self) -> ProofPolicy {
        self.plan.proofs
    }

    /// A newer list lets the state forget what the clock has shown.
    pub(super) const fn news_came(&mut self) {
        self.shown = None;
    }

    pub(super) fn verifier(&self) -> Verifier<'_> {
        Verifier::new(&self.trust, PRODUCT, self.plan.revocation)
            .with_clock_policy(self.plan.clock)
            .with_proof_policy(self.plan.proofs)
    }

    /// Checks the license while the clock merely drifts.
    fn check_by_drift(&mut self, truth: UnixTime) {
        let clock = self.clock(truth);
        self.check(clock, truth);
        self.shown = self.shown.max(Some(clock));
    }

    /// Checks the license: whether a refusal came that the clock excuses.
    fn check(&mut self, clock: UnixTime, truth: UnixTime) -> bool {
        self.trust.observe(clock);
        let token = &self.license.token;
        let result = match &self.proof {
            Some(proof) => self.verifier().verify_with_proof(token, proof, clock),
            None => self.verifier().verify(token, clock),
        };
        match result {
            Ok(license) => {
                let key = license.key_id();
                self.trust.remember(&license).unwrap();
                let entry = self.trust.keyset().and_then(|keyset| keyset.key(key));
                self.tally.count("license accepted");
                if entry.is_some_and(|entry| entry.state.cut().is_some()) {
                    self.tally
                        .count("license accepted with a proof, under the key with a cut");
                }
                if clock < truth.minus(2 * DAY) {
                    self.tally
                        .count("license accepted under a clock that was set back");
                }
                false
            }
            Err(error) => {
                match self.excuse(&error, clock, truth) {
                    Some(excuse) => self.tally.count(excuse),
                    None => self.wrong(truth, &format!("license was refused: {error}")),
                }
                true
            }
        }
    }

    fn excuse(&self, error: &Error, clock: UnixTime, truth: UnixTime) -> Option<&'static str> {
        let ran_out = |end: UnixTime| clock >= end && truth < end;
        match *error {
            Error::Expired {
                expires,
                grace_ends,
                ..
            } => ran_out(grace_ends.unwrap_or(expires)).then_some("excused: expired"),
            Error::StatusTooOld { limit, .. } => {
                ran_out(limit).then_some("excused: status-too-old")
            }
            Error::ClockRolledBack { .. } => {
                let shown = self.shown.max(Some(truth));
                let behind = shown > Some(clock.plus(CLOCK_TOLERANCE));
                let excused = behind && self.plan.clock == ClockPolicy::Deny;
                excused.then_some("excused: clock-rolled-back")
            }
            _ => None,
        }
    }

    /// The clock is wrong for up to six days, and is then put right.
    fn suffer(&mut self, week: usize, truth: UnixTime) {
        let fault = Fault::throw(&mut self.dice);
        let days = self.dice.between(1, 6);
        let import = self.dice.once_in(4).then(|| self.dice.below(days));
        for day in 0..days {
            let truth = truth.plus(day * DAY / 2);
            let clock = fault.shows(truth);
            if import == Some(day) {
                self.import(week, truth);
            }
            self.check(clock, truth);
            if fault.believed(day + 1) {
                self.shown = self.shown.max(Some(clock));
            }
        }
        let truth = truth.plus(days * DAY / 2);
        let clock = self.clock(truth);
        let refused = self.check(clock, truth);
        if refused || (self.shown > Some(clock) && self.plan.clock != ClockPolicy::Warn) {
            self.help(week, clock, truth);
            if self.check(clock, truth) {
                self.wrong(truth, "license was refused after help came");
            }
        }
        self.shown = self.shown.max(Some(clock));
    }

    /// Support sends the newest bundle; or a reset, if the bundle has no news for this machine.
    fn help(&mut self, week: usize, clock: UnixTime, truth: UnixTime) {
        if self.dice.once_in(2) {
            self.import(week, truth);
            if self.shown.is_none() {
                return self.tally.count("helped by a bundle");
            }
        }
        self.resets += 1;
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&self.resets.to_be_bytes());
        let reset = ClockReset {
            issuer: ISSUER.into(),
            installation: self.trust.installation().unwrap(),
            nonce,
            not_after: truth.plus(7 * DAY),
            to: None,
            // What the machine's report says, and a week.
            steady: self.trust.steady_floor().unwrap().plus(7 * DAY),
        };
        let signer = History::status_key(self.trust.root().version);
        let document = sign_all(&reset.unsigned(), &[signer]);
        match self.trust.reset_clock(&document, clock) {
            Ok(_) => self.tally.count("helped by a reset"),
            Err(error) => self.wrong(truth, &format!("a clock reset was refused: {error}")),
        }
        self.shown = None;
    }

    pub(super) fn wrong(&mut self, truth: UnixTime, what: &str) {
        let plan = self.plan;
        self.tally.wrong.push(format!(
            "{plan:?} at {truth}, imported week {}: {what}",
            self.imported
        ));
    }
}
