//! A node's side of the store: one request after the other, each in a transaction of its own.
//!
//! An answer is known when its commit is. A transaction that was never told to commit is undone
//! whatever happened to it, and may be run again; what became of the others is unknown, and is
//! asked by the same number again.

use super::{
    Findings, PostgresOptions, Wallclock,
    link::{Commit, Trouble},
    open::{self, VERSION},
    server::Server,
    sheet::{Head, Sheet},
    wanted::Wanted,
};
use crate::{
    desk::{self, History},
    error::{Fault, StoreError},
    ledger::Meta,
    store::{Epoch, Incarnation},
};

pub(super) type Desk = desk::Desk<Sheet>;

/// How often a transaction is run that gave way to another, or whose connection was gone before it
/// began.
const TRIES: usize = 3;

#[derive(Debug)]
pub(super) struct Session {
    server: Server,
    options: PostgresOptions,
    desk: Desk,
    /// The server's name for its data.
    system: i64,
    findings: Findings,
}

/// How one try ended.
enum Tried<T> {
    Answer(Result<T, StoreError>),
    Again(StoreError),
    /// It may be recorded or not.
    Unknown,
}

impl Session {
    /// Connects, and makes the tables if there are none.
    pub(super) fn open(
        server: Server,
        options: PostgresOptions,
        findings: Findings,
    ) -> Result<Self, StoreError> {
        let nothing = Meta {
            epoch: Epoch {
                store: [0; 16],
                restores: 0,
            },
            seq: 0,
            learning: false,
            longest_lease: options.longest_lease,
        };
        let clock = options.clock.clone();
        let mut session = Self {
            desk: Desk::new(Sheet::new(), clock, options.longest_lease, nothing),
            server,
            options,
            system: 0,
            findings,
        };
        session.connect()?;
        let link = session.desk.ledger.link().map_err(Trouble::into_error)?;
        open::make_tables(link, session.system)?;
        let restored = session.options.history == History::Restored;
        let begun = session.run(NOBODY, &Wanted::default(), |desk| {
            if restored {
                desk.raise_epoch()?;
            }
            Ok(())
        })?;
        begun.map_or_else(|| Err(unknown()), |()| Ok(session))
    }

    fn connect(&mut self) -> Result<(), StoreError> {
        let (link, found) = open::connect(&self.server, self.options.within)?;
        self.system = found.system;
        self.findings.set(found.findings);
        self.desk.ledger.use_link(Some(link));
        Ok(())
    }

    /// Runs a request in a transaction; `None` if it may be recorded or not.
    pub(super) fn run<T>(
        &mut self,
        node: Incarnation,
        wanted: &Wanted,
        work: impl Fn(&mut Desk) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut last = None;
        for _ in 0..TRIES {
            if !self.desk.ledger.is_linked() {
                self.connect()?;
            }
            match self.once(node, wanted, &work) {
                Tried::Answer(answer) => return answer.map(Some),
                Tried::Again(error) => last = Some(error),
                Tried::Unknown => return Ok(None),
            }
        }
        Err(last.unwrap_or_else(unknown))
    }

    fn once<T>(
        &mut self,
        node: Incarnation,
        wanted: &Wanted,
        work: impl Fn(&mut Desk) -> Result<T, StoreError>,
    ) -> Tried<T> {
        let head = match self.desk.ledger.begin(node, wanted) {
            Ok(head) => head,
            Err(trouble) => return self.undone(trouble),
        };
        failpoint!("enforce-before-work");
        let answer = self.know(head).and_then(|()| work(&mut self.desk));
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                self.abandon();
                return Tried::Answer(Err(error));
            }
        };
        failpoint!("enforce-before-commit");
        let meta = self.desk.meta();
        let ended = self
            .desk
            .ledger
            .commit(meta, self.system, head.timeline_now);
        failpoint!("enforce-after-commit");
        match ended {
            Commit::Done => Tried::Answer(Ok(answer)),
            Commit::Undone(trouble) => self.undone(trouble),
            Commit::Unknown => {
                self.desk.ledger.use_link(None);
                Tried::Unknown
            }
        }
    }

    /// Where the store is now, and whether its past is what it was.
    fn know(&mut self, head: Head) -> Result<(), StoreError> {
        if head.version != VERSION {
            let version = head.version;
            let problem = format!("it has version {version}, and {VERSION} is what is known here");
            return Err(StoreError::new(Fault::Newer, problem));
        }
        self.desk.know(head.meta);
        let wall = match self.options.wallclock {
            Wallclock::Servers => Some(head.wall),
            Wallclock::Own => None,
        };
        self.desk.set_wall(wall);
        if (head.system, head.timeline) != (self.system, head.timeline_now) {
            self.desk.raise_epoch()?;
        }
        Ok(())
    }

    /// Nothing was told to commit, or the server says that it did not.
    fn undone<T>(&mut self, trouble: Trouble) -> Tried<T> {
        match trouble {
            Trouble::Lost(error) => {
                self.desk.ledger.use_link(None);
                Tried::Again(error)
            }
            Trouble::Silent(error) => {
                self.desk.ledger.use_link(None);
                Tried::Answer(Err(error))
            }
            Trouble::Refused(_, _) if trouble.gave_way() => {
                self.abandon();
                Tried::Again(trouble.into_error())
            }
            Trouble::Refused(_, error) => {
                self.abandon();
                Tried::Answer(Err(error))
            }
        }
    }

    /// Undoes what has no commit. Where the connection is gone the server does it.
    fn abandon(&mut self) {
        if self.desk.ledger.abandon().is_err() {
            self.desk.ledger.use_link(None);
        }
    }
}

/// The node of a transaction that is the store's own.
pub(super) const NOBODY: Incarnation = Incarnation::from_bytes([0; 16]);

pub(super) fn unknown() -> StoreError {
    let problem = "the connection ended in the commit: try again";
    StoreError::new(Fault::Unreachable, problem)
}
