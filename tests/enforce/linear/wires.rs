//! Ways to a store: one that is as bad as a network is, and some that are worse.

use std::sync::{Arc, Mutex};

use phi_enforce::{
    Ask, Caller, Done, Epoch, Fault, Grant, Held, Hello, Incarnation, Outcome, Return, SeatAnswer,
    SeatOp, Store, StoreError,
};

use phi_tests::proxy::{Cut, Proxy};

use crate::dice::Dice;

type Told<T> = Result<Outcome<T>, StoreError>;

/// A request that comes again when it is over.
type Late = Box<dyn Fn(&dyn Store) + Send>;

/// What goes through untouched.
macro_rules! untouched {
    (hello) => {
        fn hello(
            &self,
            incarnation: Incarnation,
            name: &str,
            seen: Option<(Epoch, u64)>,
        ) -> Result<Hello, StoreError> {
            self.store.hello(incarnation, name, seen)
        }
    };
    (grant) => {
        fn grant(&self, caller: Caller, asks: &[Ask]) -> Told<Vec<Grant>> {
            self.store.grant(caller, asks)
        }
    };
    (give_back) => {
        fn give_back(&self, caller: Caller, returns: &[Return]) -> Told<Vec<u64>> {
            self.store.give_back(caller, returns)
        }
    };
    (reassert) => {
        fn reassert(&self, caller: Caller, held: &[Held]) -> Told<()> {
            self.store.reassert(caller, held)
        }
    };
    (seats) => {
        fn seats(&self, caller: Caller, ops: &[SeatOp]) -> Told<Vec<SeatAnswer>> {
            self.store.seats(caller, ops)
        }
    };
}

/// Loses requests and answers, and delivers requests twice, and once more when they are long over.
pub(super) struct Bad {
    store: Arc<dyn Store>,
    dice: Mutex<Dice>,
    /// The request before: to be delivered again after the next.
    late: Mutex<Option<Late>>,
    /// On the way to a server.
    proxy: Option<Arc<Proxy>>,
}

impl Bad {
    pub(super) fn new(store: Arc<dyn Store>, seed: u64) -> Self {
        Self {
            store,
            dice: Mutex::new(Dice::new(seed)),
            late: Mutex::default(),
            proxy: None,
        }
    }

    /// The way leads through this proxy, which ends connections.
    pub(super) fn through(self, proxy: Arc<Proxy>) -> Self {
        Self {
            proxy: Some(proxy),
            ..self
        }
    }

    fn deliver<T>(&self, send: impl Fn(&dyn Store) -> Told<T> + Send + 'static) -> Told<T> {
        let falls = |thousandths| self.dice.lock().unwrap().falls(thousandths);
        if falls(100) {
            return Ok(Outcome::Unknown);
        }
        if let Some(proxy) = self.proxy.as_ref().filter(|_| falls(80)) {
            let cuts = [Cut::BeforeCommit, Cut::AfterCommit, Cut::AtBegin];
            let which = self.dice.lock().unwrap().below(3);
            proxy.cut(cuts[usize::try_from(which).unwrap()]);
        }
        let answer = send(&*self.store);
        let answer = if falls(100) {
            send(&*self.store)
        } else {
            answer
        };
        if falls(200) {
            // Answered already: it changes nothing, whenever it comes.
            if let Some(late) = self.late.lock().unwrap().take() {
                late(&*self.store);
            }
        }
        *self.late.lock().unwrap() = Some(Box::new(move |store| drop(send(store))));
        if falls(100) {
            return Ok(Outcome::Unknown);
        }
        answer
    }
}

impl Store for Bad {
    /// Whoever introduces itself says so until it is heard.
    fn hello(
        &self,
        incarnation: Incarnation,
        name: &str,
        seen: Option<(Epoch, u64)>,
    ) -> Result<Hello, StoreError> {
        loop {
            match self.store.hello(incarnation, name, seen) {
                Err(error) if error.fault() == Fault::Unreachable => {}
                told => return told,
            }
        }
    }

    untouched!(reassert);

    fn grant(&self, caller: Caller, asks: &[Ask]) -> Told<Vec<Grant>> {
        let asks = asks.to_vec();
        self.deliver(move |store| store.grant(caller, &asks))
    }

    fn give_back(&self, caller: Caller, returns: &[Return]) -> Told<Vec<u64>> {
        let returns = returns.to_vec();
        self.deliver(move |store| store.give_back(caller, &returns))
    }

    fn seats(&self, caller: Caller, ops: &[SeatOp]) -> Told<Vec<SeatAnswer>> {
        let ops = ops.to_vec();
        self.deliver(move |store| store.seats(caller, &ops))
    }
}

/// Answers from what it remembers, and commits later.
pub(super) struct Hasty {
    store: Arc<dyn Store>,
    known: Mutex<Option<Grant>>,
    promised: Mutex<Vec<(Caller, Vec<Ask>)>>,
}

impl Hasty {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        let (known, promised) = Default::default();
        Self {
            store,
            known,
            promised,
        }
    }

    pub(super) fn commit(&self) {
        for (caller, asks) in self.promised.lock().unwrap().drain(..) {
            self.store.grant(caller, &asks).unwrap();
        }
    }
}

impl Store for Hasty {
    untouched!(hello);
    untouched!(give_back);
    untouched!(reassert);
    untouched!(seats);

    fn grant(&self, caller: Caller, asks: &[Ask]) -> Told<Vec<Grant>> {
        let mut known = self.known.lock().unwrap();
        let units = asks[0].at_least;
        if let Some(grant) = known.as_mut().filter(|grant| grant.remaining >= units) {
            (grant.units, grant.remaining) = (units, grant.remaining - units);
            let promised = (caller, asks.to_vec());
            self.promised.lock().unwrap().push(promised);
            let (seq, value) = (caller.seen, vec![*grant]);
            return Ok(Outcome::Done(Done { seq, value }));
        }
        let told = self.store.grant(caller, asks)?;
        if let Outcome::Done(done) = &told {
            *known = Some(done.value[0]);
        }
        Ok(told)
    }
}

/// Repeats requests under numbers of its own.
pub(super) struct Doubling {
    store: Arc<dyn Store>,
}

impl Doubling {
    pub(super) const fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }
}

impl Store for Doubling {
    untouched!(hello);
    untouched!(give_back);
    untouched!(reassert);
    untouched!(seats);

    fn grant(&self, caller: Caller, asks: &[Ask]) -> Told<Vec<Grant>> {
        let numbered = |request| Caller { request, ..caller };
        self.store.grant(numbered(2 * caller.request), asks)?;
        self.store.grant(numbered(2 * caller.request + 1), asks)
    }
}

/// Evicts whoever is there, without a look at when it was heard of.
pub(super) struct Negligent {
    store: Arc<dyn Store>,
}

impl Negligent {
    pub(super) const fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    fn now(&self, caller: Caller, op: &SeatOp) -> SeatOp {
        let SeatOp::Evict { pool, seen } = *op else {
            return op.clone();
        };
        let list = [SeatOp::List { pool }];
        let Ok(Outcome::Done(done)) = self.store.seats(caller, &list) else {
            return op.clone();
        };
        let SeatAnswer::Listed { occupants, .. } = &done.value[0] else {
            return op.clone();
        };
        let same = occupants.iter().find(|there| there.seen.id == seen.id);
        let seen = same.map_or(seen, |there| there.seen);
        SeatOp::Evict { pool, seen }
    }
}

impl Store for Negligent {
    untouched!(hello);
    untouched!(grant);
    untouched!(give_back);
    untouched!(reassert);

    fn seats(&self, caller: Caller, ops: &[SeatOp]) -> Told<Vec<SeatAnswer>> {
        let numbered = |request| Caller { request, ..caller };
        let first = numbered(2 * caller.request);
        let ops: Vec<SeatOp> = ops.iter().map(|op| self.now(first, op)).collect();
        self.store.seats(numbered(2 * caller.request + 1), &ops)
    }
}
