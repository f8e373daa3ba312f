//! A node with a license, and clients of several kinds.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use phi_enforce::{
    Clock, LONGEST_LEASE, Moment, Node, SiteKey, Sqlite, SqliteOptions, SystemClock, Wall,
};
use phi_node::{
    clients::{self, BearerKey, Clients, Right, Scopes},
    engine::Engine,
    entry::{Entry, Metrics, Who},
    grpc::{self, v1::enforcement_client::EnforcementClient},
    http,
    licenses::{Licenses, Policies, Terms},
    limits::Limits,
    listener::{Drained, Protection},
    service::{Running, Service},
};
use phi_tests::snakeoil::{self, NOW, Seed};
use phi_verify::{
    Allowance, Claims, LicenseId, LimitCode, Period, Quota, QuotaCode, RevocationPolicy,
};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};
use tonic::{
    Request, Status,
    metadata::MetadataValue,
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

use crate::server::{limits, serve, within};

/// The machine's clock, as if it were within the license's life.
#[derive(Debug)]
struct Then {
    since: Moment,
}

impl Clock for Then {
    fn now(&self) -> Moment {
        let now = SystemClock.now();
        let passed = now.boot.since(self.since.boot);
        Moment {
            boot: now.boot,
            wall: Wall::from_millis(
                Wall::from(NOW).millis() + u64::try_from(passed.as_millis()).unwrap(),
            ),
        }
    }
}

pub(crate) struct NodeRig {
    pub(crate) address: SocketAddr,
    pub(crate) service: Arc<Service>,
    pub(crate) clients: PathBuf,
    /// Everything, as itself.
    pub(crate) web: BearerKey,
    /// Seats, for `team-*`, as of the group `on-call` or `ops`.
    pub(crate) team: BearerKey,
    /// Reads, and nothing else.
    pub(crate) reader: BearerKey,
    /// Everything, with a license that is not there.
    pub(crate) other: BearerKey,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<Drained>,
    _folder: TempDir,
}

/// Ten calls each month, projects without end, and two seats.
pub(crate) fn license() -> String {
    let quotas = BTreeMap::from([
        (
            QuotaCode::new(0),
            Quota {
                allowance: Allowance::Limited(10),
                period: Period::Month,
            },
        ),
        (
            QuotaCode::new(1),
            Quota {
                allowance: Allowance::Unlimited,
                period: Period::Lifetime,
            },
        ),
    ]);
    let mut terms = snakeoil::terms();
    terms.flags = [0, 1].map(phi_verify::FlagCode::new).into_iter().collect();
    terms.quotas = quotas;
    terms.limits = BTreeMap::from([(LimitCode::new(0), Allowance::Limited(2))]);
    Seed::License.mint(&Claims {
        terms,
        ..snakeoil::claims()
    })
}

/// What a node has to have before a license is worth something.
pub(crate) fn documents() -> [Vec<u8>; 3] {
    [
        Seed::Keyset.sign(&snakeoil::keyset().unsigned()),
        Seed::Status.sign(&snakeoil::status().unsigned()),
        Seed::Keyset.sign(&snakeoil::catalog().unsigned()),
    ]
}

impl NodeRig {
    /// With the documents and the license.
    pub(crate) fn start() -> Self {
        Self::with_policy("")
    }

    /// And with these policies.
    pub(crate) fn with_policy(policy: &str) -> Self {
        let rig = Self::made(Protection::PlaintextOnLoopback, limits(), policy);
        for document in documents() {
            assert!(rig.service.books().import(&document).unwrap().is_good());
        }
        let report = rig.service.books().import(license().as_bytes()).unwrap();
        assert!(report.is_good(), "{report:?}");
        rig
    }

    /// With the anchor alone.
    pub(crate) fn empty(protection: Protection, limits: Limits) -> Self {
        Self::made(protection, limits, "")
    }

    fn made(protection: Protection, limits: Limits, policy: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clients = folder.path().join("clients.toml");
        let every = Scopes::new(Right::ALL);
        let teams = Scopes::new([Right::Seats]).with_holders(["team-*".parse().unwrap()]);
        let teams = teams.with_group("on-call".parse().unwrap());
        let teams = teams.with_groups(["ops".parse().unwrap()]);
        let absent = LicenseId::from_bytes([0; 8]);
        let web = clients::add(&clients, "web", &every).unwrap();
        let team = clients::add(&clients, "team", &teams).unwrap();
        let reader = clients::add(&clients, "reader", &Scopes::new([Right::Read])).unwrap();
        let absent = every.with_licenses([absent]);
        let other = clients::add(&clients, "other", &absent).unwrap();
        let service = service(&folder, policy);
        let routes = http::routes(Arc::clone(&service)).merge(grpc::routes(&service));
        let who = Who::Listed(Clients::load(&clients).unwrap());
        let entry = Entry::new(who, Metrics::ByRight, limits);
        let (address, stop, served) = serve(protection, entry, routes);
        Self {
            address,
            service,
            clients,
            web,
            team,
            reader,
            other,
            stop: Some(stop),
            served,
            _folder: folder,
        }
    }

    pub(crate) fn stop(&mut self) {
        self.stop
            .take()
            .expect("a node is stopped once")
            .send(())
            .unwrap();
    }

    pub(crate) async fn drained(self) -> Drained {
        within(self.served).await.unwrap()
    }

    pub(crate) fn channel(&self) -> Channel {
        let endpoint = Endpoint::try_from(format!("http://{}", self.address)).unwrap();
        endpoint.connect_lazy()
    }

    pub(crate) fn grpc(&self, key: &BearerKey) -> GrpcClient {
        EnforcementClient::with_interceptor(self.channel(), Bearer::of(key))
    }
}

pub(crate) type GrpcClient = EnforcementClient<InterceptedService<Channel, Bearer>>;

/// Shows a key with each call.
#[derive(Clone)]
pub(crate) struct Bearer(MetadataValue<tonic::metadata::Ascii>);

impl Bearer {
    pub(crate) fn of(key: &BearerKey) -> Self {
        Self(format!("Bearer {}", key.expose()).parse().unwrap())
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request
            .metadata_mut()
            .insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// The key of the site whose node it is.
pub(crate) fn site_key() -> SiteKey {
    SiteKey::from_seed(&[7; 32].into()).unwrap()
}

fn service(folder: &TempDir, policy: &str) -> Arc<Service> {
    let policies = Policies::parse(Path::new("policy.toml"), policy, LONGEST_LEASE);
    let clock: Arc<dyn Clock> = Arc::new(Then {
        since: SystemClock.now(),
    });
    let options = SqliteOptions::new(Arc::clone(&clock)).dangerous_on_any_disk();
    let store = Sqlite::open(&folder.path().join("usage.db"), options).unwrap();
    let engine = Engine::Sqlite(Arc::new(store));
    let node = Running::new(Node::start(engine.store(), Arc::clone(&clock), "here").unwrap());
    let terms = Terms {
        anchor: snakeoil::anchor(),
        state: folder.path().join("state"),
        products: Vec::new(),
        revocation: RevocationPolicy::Lenient,
        policies: policies.unwrap(),
    };
    let gates = node.clone();
    let gate = Box::new(move |license: &_, policy| gates.gate(license, policy));
    let (licenses, findings) = Licenses::open(terms, Arc::clone(&clock), gate).unwrap();
    assert!(findings.is_empty(), "{findings:?}");
    let service = Service::new(licenses, engine, node, clock);
    // Whoever says nothing about policies lends nothing.
    let key = (!policy.is_empty()).then(site_key);
    Arc::new(match key {
        Some(key) => service.with_site_key(Arc::new(key)),
        None => service,
    })
}
