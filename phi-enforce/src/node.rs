//! A node: what the gates of a process share, and the thread that speaks with the store.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle, Thread},
    time::Duration,
};

use event_listener::{Event, EventListener, Listener as _};
use phi_verify::License;

use crate::{
    agent::{Agent, Names, Slot, Step},
    clock::{Boot, Clock, JumpWatch, Moment},
    error::{Fault, StoreError},
    gate::{Gate, Policy},
    request::{Answer, Request},
    store::{Incarnation, MAX_NAME, Store},
};

/// How long a node that is dropped tries to give back what it has: a store that is there answers
/// within it, and what stays out is charged and no more.
const DRAINED_WITHIN: Duration = Duration::from_secs(2);

/// What threads, gates and seats of a node share.
pub(crate) struct Hub {
    pub(crate) clock: Arc<dyn Clock>,
    watch: JumpWatch,
    agent: Mutex<Agent>,
    /// Tells threads and tasks that an answer has been taken, after it was counted.
    heard: Event,
    answers: AtomicU64,
    low: Arc<Mutex<Vec<usize>>>,
    courier: OnceLock<Thread>,
    counts: Tally,
}

/// What was carried to the store so far.
#[derive(Debug, Default)]
struct Tally {
    requests: AtomicU64,
    failures: AtomicU64,
    nanos: AtomicU64,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").finish_non_exhaustive()
    }
}

impl Hub {
    fn new(clock: Arc<dyn Clock>, name: &str, names: Names) -> Result<Self, StoreError> {
        if name.len() > MAX_NAME {
            let problem = format!("a node's name has {} bytes", name.len());
            return Err(StoreError::new(Fault::Request, problem));
        }
        let agent = Agent::new(name.into(), names)?;
        Ok(Self {
            watch: JumpWatch::new(clock.now()),
            low: Arc::clone(&agent.quotas.low),
            agent: Mutex::new(agent),
            heard: Event::new(),
            answers: AtomicU64::new(0),
            courier: OnceLock::new(),
            counts: Tally::default(),
            clock,
        })
    }

    pub(crate) fn agent(&self) -> MutexGuard<'_, Agent> {
        // Whoever panicked left counts that the store knows better; they are never too high here.
        self.agent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time, after whatever a jump of the clocks makes void is gone.
    pub(crate) fn now(&self) -> Moment {
        let now = self.clock.glance();
        if self.watch.is_steady(now) {
            return now;
        }
        self.look()
    }

    #[cold]
    fn look(&self) -> Moment {
        let now = self.clock.now();
        if self.watch.jumped(now) {
            let mut agent = self.agent();
            // Another thread may have dealt with it meanwhile.
            if self.watch.jumped(now) {
                agent.begin_again();
                self.watch.accept(now);
            }
            self.tell(agent);
        }
        now
    }

    /// Tells whoever carries requests that there may be one.
    pub(crate) fn wake(&self) {
        if let Some(courier) = self.courier.get() {
            courier.unpark();
        }
    }

    /// A slice runs low.
    pub(crate) fn refill(&self, slot: &Slot) {
        let mut low = self.low.lock().unwrap_or_else(PoisonError::into_inner);
        low.push(slot.index);
        drop(low);
        self.wake();
    }

    /// How many answers were taken.
    pub(crate) fn answers(&self) -> u64 {
        self.answers.load(Ordering::Acquire)
    }

    /// Waits for an answer after the one of this number, at most this long.
    pub(crate) fn wait(&self, known: u64, most: Duration) {
        if let Some(listener) = self.listen(known) {
            listener.wait_timeout(most);
        }
    }

    /// Listens for an answer after the one of this number, unless there was one.
    pub(crate) fn listen(&self, known: u64) -> Option<EventListener> {
        let listener = self.heard.listen();
        // Answers are counted before it is told: one that came unseen before the listening began
        // is seen here.
        (self.answers() == known).then_some(listener)
    }

    fn tell(&self, mut agent: MutexGuard<'_, Agent>) {
        self.answers.fetch_add(1, Ordering::Release);
        let told = agent.quotas.told();
        drop(agent);
        self.heard.notify(usize::MAX);
        for slot in told {
            slot.heard.notify(usize::MAX);
        }
    }

    fn stop(&self) {
        let mut agent = self.agent();
        agent.stop();
        self.tell(agent);
    }

    fn next(&self) -> Step {
        let now = self.now();
        self.agent().next(now)
    }

    fn answered(&self, request: &Request, answer: Result<Answer, StoreError>) {
        let now = self.now();
        let mut agent = self.agent();
        agent.answered(now, request, answer);
        self.tell(agent);
    }

    fn carry(&self, store: &dyn Store) {
        let mut deadline = None;
        loop {
            let agent = self.agent();
            if agent.is_stopping() {
                let now = self.clock.now().boot;
                let until = *deadline.get_or_insert(now.plus(DRAINED_WITHIN));
                if agent.is_idle() || now >= until {
                    return;
                }
            }
            drop(agent);
            match self.next() {
                Step::Send(request) => {
                    let sent = self.clock.now().boot;
                    let answer = request.send(store);
                    self.counts
                        .add(self.clock.now().boot.since(sent), answer.is_err());
                    self.answered(&request, answer);
                }
                Step::Rest(rest) => thread::park_timeout(rest),
            }
        }
    }
}

impl Tally {
    fn add(&self, took: Duration, failed: bool) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.failures
            .fetch_add(u64::from(failed), Ordering::Relaxed);
    }
}

/// What a node asked of its store since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that were carried, those that were repeated each time.
    pub requests: u64,
    /// How many of them the store did not answer.
    pub failures: u64,
    /// How long they took, together.
    pub took: Duration,
    /// How often the store went back to an earlier state, if the node has heard of it.
    pub restores: Option<u64>,
}

/// What stands between a node and its store, as of the store's last answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// What is wrong with the store, if it said so or did not answer.
    pub fault: Option<Fault>,
    /// How long the store still learns what nodes hold.
    pub learning: Option<Duration>,
}

/// A node: it speaks with a store for the gates of a process.
///
/// It has one thread, which carries the requests of all callers at once. Dropped, it gives back
/// what nobody spent.
#[derive(Debug)]
pub struct Node {
    hub: Arc<Hub>,
    courier: Option<JoinHandle<()>>,
}

impl Node {
    /// Starts a node on a store. The name is for people who read the store's tables.
    ///
    /// # Errors
    /// If the name is too long, or the system has no random bytes or no thread.
    pub fn start(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        name: &str,
    ) -> Result<Self, StoreError> {
        let names = Names(Box::new(Incarnation::random));
        let hub = Arc::new(Hub::new(clock, name, names)?);
        let carrier = Arc::clone(&hub);
        let courier = thread::Builder::new()
            .name("phi-enforce-node".into())
            .spawn(move || carrier.carry(&*store))
            .map_err(|error| StoreError::unusable(&error))?;
        // It is set once, here.
        let _ = hub.courier.set(courier.thread().clone());
        Ok(Self {
            hub,
            courier: Some(courier),
        })
    }

    /// A gate for the license. Gates of one license share what the node has of it, whatever
    /// revision of it each was made with.
    pub fn gate(&self, license: &License, policy: Policy) -> Gate {
        Gate::new(Arc::clone(&self.hub), license, policy)
    }

    /// What stands between this node and its store. A store that nothing was wanted of lately is
    /// not asked for this.
    pub fn health(&self) -> Health {
        let now = self.hub.now().boot;
        let agent = self.hub.agent();
        Health {
            fault: agent.fault(),
            learning: agent.learning(now),
        }
    }

    /// What this node asked of its store, for whoever watches it.
    pub fn counts(&self) -> Counts {
        let tally = &self.hub.counts;
        Counts {
            requests: tally.requests.load(Ordering::Relaxed),
            failures: tally.failures.load(Ordering::Relaxed),
            took: Duration::from_nanos(tally.nanos.load(Ordering::Relaxed)),
            restores: self.hub.agent().epoch().map(|epoch| epoch.restores),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.hub.stop();
        self.hub.wake();
        if let Some(courier) = self.courier.take() {
            // A thread that panicked has said so.
            let _ = courier.join();
        }
    }
}

/// A node without a thread: whoever has it carries its requests, in a runtime of one's own or in a
/// simulation. Calls of its gates that wait do not return before that is done elsewhere; those that
/// do not wait begin with `try_`.
#[derive(Debug)]
pub struct ManualNode {
    hub: Arc<Hub>,
}

impl ManualNode {
    /// A node that takes the names of its runs from here: one now, and one whenever the clocks
    /// jumped. No two runs of any nodes may have the same.
    ///
    /// # Errors
    /// If the name is too long, or there is none for the run.
    pub fn new(
        clock: Arc<dyn Clock>,
        name: &str,
        names: impl FnMut() -> Result<Incarnation, StoreError> + Send + 'static,
    ) -> Result<Self, StoreError> {
        let hub = Hub::new(clock, name, Names(Box::new(names)))?;
        Ok(Self { hub: Arc::new(hub) })
    }

    /// What to do next. A request that was not answered for a second comes again.
    pub fn next(&self) -> Step {
        self.hub.next()
    }

    /// Takes the answer to a request, in any order and any number of times.
    pub fn answered(&self, request: &Request, answer: Result<Answer, StoreError>) {
        self.hub.answered(request, answer);
    }

    /// As [`Node::gate`].
    pub fn gate(&self, license: &License, policy: Policy) -> Gate {
        Gate::new(Arc::clone(&self.hub), license, policy)
    }

    /// From here on everything goes back, and nothing is admitted.
    pub fn stop(&self) {
        self.hub.stop();
    }

    /// Whether nothing is on its way any more, after [`ManualNode::stop`].
    pub fn is_stopped(&self) -> bool {
        let agent = self.hub.agent();
        agent.is_stopping() && agent.is_idle()
    }

    /// The time on the node's clock.
    pub fn now(&self) -> Boot {
        self.hub.clock.now().boot
    }
}
