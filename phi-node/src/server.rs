//! A node from its start to its end: store, licenses, listener, and what goes on beside requests.

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use phi_enforce::{Clock, Node, SiteKey, StoreError};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use tracing::{info, warn};

use crate::{
    engine::{Engine, OpenError, Opening},
    entry::Entry,
    grpc, http,
    inbox::{Inbox, LOOK, News, Told},
    intake::Outcome,
    licenses::{self, Licenses, PolicyError, Terms},
    listener::{Drained, Listener},
    service::{Running, Service},
    sessions::SWEEP,
    watch,
};

/// The store is asked this often whether it is there: readiness is as old at the most.
const PROBE: Duration = Duration::from_secs(2);

/// What a node is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name, for people who read the store's tables.
    pub name: String,
    /// The store.
    pub opening: Opening,
    /// What licenses go by.
    pub terms: Terms,
    /// Files and folders that are watched.
    pub watched: Vec<PathBuf>,
    /// The key of the site, with which seats are lent.
    pub site_key: Option<Arc<SiteKey>>,
}

/// Why a node does not start.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartError {
    /// The store cannot be used.
    Store(StoreError),
    /// The program was built without stores on servers.
    NotBuilt,
    /// The anchor is refused.
    Anchor(Box<phi_verify::Error>),
    /// A policy is about nothing that there is.
    Policy(Box<PolicyError>),
}

impl StartError {
    /// The stable code of the error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::NotBuilt => "store-not-built",
            Self::Anchor(error) => error.code(),
            Self::Policy(error) => error.code(),
        }
    }

    /// What to do.
    pub fn hint(&self) -> String {
        match self {
            Self::Store(error) => error.hint().into(),
            Self::NotBuilt => "use a program that was built with the feature `postgres`".into(),
            Self::Anchor(_) => {
                "name the root document that the issuer published first: root-1.phi".into()
            }
            Self::Policy(error) => error.hint(),
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::NotBuilt => f.write_str("this program was built without stores on servers"),
            Self::Anchor(error) => write!(f, "the anchor is refused: {error}"),
            Self::Policy(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartError {}

impl From<OpenError> for StartError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Store(error) => Self::Store(error),
            OpenError::NotBuilt => Self::NotBuilt,
        }
    }
}

/// A node that has its store and its licenses, and does not listen yet.
#[derive(Debug)]
pub struct Server {
    service: Arc<Service>,
    inbox: Arc<Mutex<Inbox>>,
    /// What was found on the way.
    news: Vec<News>,
}

impl Server {
    /// Opens the store, takes up what the last run left, and takes the files that are watched.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn open(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let engine = Engine::open(&settings.opening, Arc::clone(&clock));
        let engine = engine.map_err(StartError::from)?;
        for finding in engine.findings() {
            warn!("{finding}");
        }
        let node = Node::start(engine.store(), Arc::clone(&clock), &settings.name);
        let node = Running::new(node.map_err(StartError::Store)?);
        let gates = node.clone();
        let gate = Box::new(move |license: &_, policy| gates.gate(license, policy));
        let opened = Licenses::open(settings.terms, Arc::clone(&clock), gate);
        let (licenses, findings) = opened.map_err(|error| StartError::Anchor(Box::new(error)))?;
        for finding in findings {
            warn!("{finding}");
        }
        let mut inbox = Inbox::new(settings.watched);
        let news = inbox.look(&licenses);
        let checked = licenses.check_policies();
        checked.map_err(|error| StartError::Policy(Box::new(error)))?;
        let mut service = Service::new(licenses, engine, node, clock);
        if let Some(key) = settings.site_key {
            service = service.with_site_key(key);
        }
        Ok(Self {
            service: Arc::new(service),
            inbox: Arc::new(Mutex::new(inbox)),
            news,
        })
    }

    /// What became of the files that are watched, at the start.
    pub fn news(&self) -> &[News] {
        &self.news
    }

    /// The calls of the node.
    pub const fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// Serves until `stop` is ready, and then until nobody relies on this node any more: it is not
    /// ready from then on, clients are told to go elsewhere, their seats are given up when they
    /// have stopped, requests that are under way are answered, and what was not spent goes back.
    pub async fn serve(
        self,
        listener: Listener,
        entry: Entry,
        stop: impl Future<Output = ()> + Send,
    ) -> Drained {
        tell(&self.news);
        let mut chores = self.chores();
        let service = Arc::clone(&self.service);
        let stopped = async {
            stop.await;
            info!("stopping: seats of clients are waited for");
            service.drain();
            emptied(&service).await;
        };
        let routes = http::routes(Arc::clone(&self.service))
            .merge(grpc::routes(&self.service))
            .merge(watch::routes(Arc::clone(&self.service)));
        let routes = watch::watched(routes);
        let drained = listener.serve(entry, routes, stopped).await;
        chores.shutdown().await;
        let service = Arc::clone(&self.service);
        // It waits for the store, and says nothing if that is away: what is charged stays charged.
        let _ = tokio::task::spawn_blocking(move || service.close()).await;
        drained
    }

    /// What goes on beside requests.
    fn chores(&self) -> JoinSet<()> {
        let mut chores = JoinSet::new();
        let service = Arc::clone(&self.service);
        chores.spawn(every(SWEEP, move || service.sessions().sweep()));
        let service = Arc::clone(&self.service);
        chores.spawn(every(PROBE, move || service.probe()));
        let service = Arc::clone(&self.service);
        chores.spawn(every(licenses::AGAIN, move || {
            for problem in service.books().look_again() {
                warn!("{problem}");
            }
        }));
        let (service, inbox) = (Arc::clone(&self.service), Arc::clone(&self.inbox));
        chores.spawn(every(LOOK, move || {
            let mut inbox = inbox.lock().unwrap_or_else(PoisonError::into_inner);
            tell(&inbox.look(service.books()));
        }));
        chores
    }
}

/// Does something that may block, again and again.
async fn every(pause: Duration, work: impl Fn() + Send + Sync + 'static) {
    let work = Arc::new(work);
    let mut ticks = interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let work = Arc::clone(&work);
        if let Err(error) = tokio::task::spawn_blocking(move || work()).await
            && error.is_panic()
        {
            // The chore is done again; whatever was wrong with it has been printed.
            warn!("a chore panicked");
        }
    }
}

/// Waits until no client can be on a seat of this node. The chores give up who is silent.
async fn emptied(service: &Service) {
    let mut ticks = interval(SWEEP);
    while !service.sessions().is_empty() {
        ticks.tick().await;
    }
}

/// Puts what became of files into the log.
fn tell(news: &[News]) {
    for News { path, told } in news {
        let path = path.display();
        match told {
            Told::Taken(report) => {
                for part in &report.parts {
                    match &part.outcome {
                        Outcome::Updated => info!("{path}: {} is in force", part.name),
                        Outcome::Unchanged | Outcome::Passed => {}
                        Outcome::Waiting(error) => warn!("{path}: {} waits: {error}", part.name),
                        Outcome::Refused(error) => {
                            warn!("{path}: {} is refused: {error}", part.name);
                        }
                        Outcome::NoRoom => warn!("{path}: no room for {}", part.name),
                    }
                }
                for problem in &report.unkept {
                    warn!("{problem}");
                }
            }
            Told::NotAnObject(error) => warn!("{path}: {error}"),
            Told::Unread(problem) => warn!("{path}: {problem}"),
        }
    }
}
