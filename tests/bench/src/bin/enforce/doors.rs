//! A whole node over HTTP and gRPC: decisions, claims and heartbeats of many clients, each with a
//! connection of its own, on the same machine.

use std::{
    error::Error,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use phi_enforce::{Clock, LONGEST_LEASE, Moment, Sqlite, SqliteOptions, SystemClock, Wall};
use phi_node::{
    clients::{self, BearerKey, Clients, Right, Scopes},
    engine::{Address, History, Opening},
    entry::{Entry, Metrics, Who},
    grpc::v1::{CheckRequest, TakeRequest, enforcement_client::EnforcementClient},
    licenses::{Policies, Terms},
    limits::Limits,
    listener::{Listener, Protection},
    server::{Server, Settings},
};
use phi_tests::snakeoil::{self, NOW, Seed};
use phi_verify::{Allowance, Claims, RevocationPolicy};
use serde_json::{Value, json};
use tokio::{net::TcpStream, runtime::Runtime, sync::oneshot, task::JoinSet};
use tonic::transport::{Channel, Endpoint};

use crate::{
    licenses::{SCARCE, terms},
    measure::Figures,
    seats::{ROOMY, records, row},
};

/// The most that a client has to wait at the end of a row.
const LAST_ANSWER: Duration = Duration::from_secs(30);

/// The machine's clock, as if it were within the license's life.
#[derive(Debug)]
struct Then {
    begun: Moment,
}

impl Clock for Then {
    fn now(&self) -> Moment {
        let now = SystemClock.now();
        let passed = now.boot.since(self.begun.boot).as_millis();
        let passed = u64::try_from(passed).expect("a run is short");
        Moment {
            boot: now.boot,
            wall: Wall::from_millis(Wall::from(NOW).millis() + passed),
        }
    }
}

/// A node with one license, and a client that may do everything.
struct Node {
    address: SocketAddr,
    key: BearerKey,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl Node {
    fn start(folder: &Path) -> Result<Self, Box<dyn Error>> {
        let clients = folder.join("clients.toml");
        let anyone = Scopes::new(Right::ALL).with_holders(["*".parse()?]);
        let key = clients::add(&clients, "bench", &anyone)?;
        let clock = Arc::new(Then {
            begun: SystemClock.now(),
        });
        let server = Server::open(settings(folder), clock)?;
        let license = Seed::License.mint(&Claims {
            terms: terms(Allowance::Unlimited, ROOMY),
            ..snakeoil::claims()
        });
        for document in [
            Seed::Keyset.sign(&snakeoil::keyset().unsigned()),
            Seed::Status.sign(&snakeoil::status().unsigned()),
            Seed::Keyset.sign(&snakeoil::catalog().unsigned()),
            license.into_bytes(),
        ] {
            let report = server.service().books().import(&document)?;
            assert!(report.is_good(), "{report:?}");
        }
        let entry = Entry::new(
            Who::Listed(Clients::load(&clients)?),
            Metrics::ByRight,
            Limits::default(),
        );
        let runtime = Runtime::new()?;
        let listener = {
            let _inside = runtime.enter();
            let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            Listener::bind(loopback, Protection::PlaintextOnLoopback)?
        };
        let address = listener.address();
        let (stop, stopped) = oneshot::channel();
        let served = thread::spawn(move || {
            let stopped = async {
                // Whoever drops the sender stops the node as well.
                let _ = stopped.await;
            };
            runtime.block_on(server.serve(listener, entry, stopped));
        });
        Ok(Self {
            address,
            key,
            stop,
            served,
        })
    }

    fn stop(self) {
        drop(self.stop);
        self.served.join().expect("a node does not panic");
    }
}

fn settings(folder: &Path) -> Settings {
    Settings {
        name: "bench".into(),
        opening: Opening {
            address: Address::Sqlite(folder.join("node.db")),
            authority: None,
            longest_lease: LONGEST_LEASE,
            history: History::Unbroken,
            any_disk: false,
        },
        terms: Terms {
            anchor: snakeoil::anchor(),
            state: folder.join("state"),
            products: Vec::new(),
            revocation: RevocationPolicy::Lenient,
            policies: Policies::default(),
        },
        watched: Vec::new(),
        site_key: None,
    }
}

/// What a client does again and again.
#[derive(Clone, Copy)]
enum Work {
    Check,
    Take,
    Claim,
    /// Of a seat that it claimed first.
    Renew,
    /// Waits for one of few seats, and gives it back at once.
    Share,
}

/// Decisions and seats of a node, and whether every seat has its record.
pub(crate) fn table(folder: &Path, seconds: f64) -> Result<(), Box<dyn Error>> {
    let node = Node::start(folder)?;
    let clients = Runtime::new()?;
    let sessions = Arc::new(AtomicU64::new(0));
    println!("\n| a node | by | clients | a second | p50, ms | p99, ms | p99.9, ms | failed |");
    println!("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for (what, work) in [("flag", Work::Check), ("quota", Work::Take)] {
        for count in [1, 16, 128] {
            let one = |_| http_client(node.address, bearer(&node), work, Arc::clone(&sessions));
            row(
                what,
                "HTTP",
                count,
                &clients.block_on(all(count, seconds, one)),
            );
            let one = |_| grpc_client(node.address, bearer(&node), work);
            row(
                what,
                "gRPC",
                count,
                &clients.block_on(all(count, seconds, one)),
            );
        }
    }
    let mut given = 0;
    for (what, work) in [
        ("claims", Work::Claim),
        ("heartbeats", Work::Renew),
        ("one of 100 seats, given back at once", Work::Share),
    ] {
        for count in [16, 128, 1024] {
            let one = |_| http_client(node.address, bearer(&node), work, Arc::clone(&sessions));
            let figures = clients.block_on(all(count, seconds, one));
            row(what, "HTTP", count, &figures);
            given += match work {
                Work::Claim | Work::Share => figures.done,
                _ => count as u64,
            };
        }
    }
    drop(clients);
    node.stop();
    let options = SqliteOptions::new(Arc::new(SystemClock));
    records(&Sqlite::open(&folder.join("node.db"), options)?, given)
}

fn bearer(node: &Node) -> String {
    format!("Bearer {}", node.key.expose())
}

/// A client: connected, and what it does each time.
trait Client: Send + 'static {
    /// Whether it was admitted.
    fn step(&mut self) -> impl Future<Output = bool> + Send;
}

/// Runs so many clients at once, each as fast as it is answered.
async fn all<C: Client, F: Future<Output = C> + Send + 'static>(
    count: usize,
    seconds: f64,
    make: impl Fn(usize) -> F,
) -> Figures {
    let mut connecting = JoinSet::new();
    for number in 0..count {
        connecting.spawn(make(number));
    }
    let clients = connecting.join_all().await;
    let begun = Instant::now();
    let until = begun + Duration::from_secs_f64(seconds);
    let mut working = JoinSet::new();
    for mut client in clients {
        working.spawn(async move {
            let mut figures = Figures::default();
            while Instant::now() < until {
                let sent = Instant::now();
                let admitted = tokio::time::timeout(LAST_ANSWER, client.step()).await;
                figures.note(sent.elapsed(), admitted.unwrap_or(false));
            }
            figures
        });
    }
    let mut figures = Figures::default();
    for one in working.join_all().await {
        figures.join(one);
    }
    figures.end(begun.elapsed());
    figures
}

struct Http {
    sender: http1::SendRequest<Full<Bytes>>,
    bearer: String,
    work: Work,
    sessions: Arc<AtomicU64>,
    /// The path of a seat's heartbeats.
    seat: Option<String>,
}

async fn http_client(
    address: SocketAddr,
    bearer: String,
    work: Work,
    sessions: Arc<AtomicU64>,
) -> Http {
    let stream = TcpStream::connect(address).await.expect("the node listens");
    stream.set_nodelay(true).expect("a connection");
    let connected = http1::handshake(TokioIo::new(stream)).await;
    let (sender, connection) = connected.expect("a connection");
    tokio::spawn(connection);
    let mut client = Http {
        sender,
        bearer,
        work,
        sessions,
        seat: None,
    };
    if matches!(work, Work::Renew) {
        let seat = client.claim().await.expect("there is room");
        let id = seat["seat"].as_str().expect("a seat has a name");
        client.seat = Some(format!("/v1/seats/{id}/renew"));
    }
    client
}

impl Http {
    async fn ask(&mut self, path: &str, body: &Value) -> Option<Value> {
        let answer = self.send(Method::POST, path, body.to_string()).await?;
        serde_json::from_slice(&answer).ok()
    }

    async fn send(&mut self, method: Method, path: &str, body: String) -> Option<Bytes> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "localhost")
            .header(header::AUTHORIZATION, &self.bearer)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(body))
            .expect("a request");
        let answer = self.sender.send_request(request).await.ok()?;
        let admitted = answer.status().is_success();
        let body = answer.into_body().collect().await.ok()?.to_bytes();
        admitted.then_some(body)
    }

    async fn claim(&mut self) -> Option<Value> {
        let holder = self.sessions.fetch_add(1, Ordering::Relaxed).to_string();
        let claim = json!({ "limit": "0", "holder": holder, "session": "bench" });
        self.ask("/v1/seats", &claim).await
    }

    async fn share(&mut self) -> Option<Bytes> {
        let holder = self.sessions.fetch_add(1, Ordering::Relaxed).to_string();
        let limit = SCARCE.to_string();
        let claim =
            json!({ "limit": limit, "holder": holder, "session": "bench", "wait_ms": 20_000 });
        let seat = self.ask("/v1/seats", &claim).await?;
        let id = seat["seat"].as_str().expect("a seat has a name");
        let path = format!("/v1/seats/{id}");
        self.send(Method::DELETE, &path, String::new()).await
    }
}

impl Client for Http {
    async fn step(&mut self) -> bool {
        if matches!(self.work, Work::Share) {
            return self.share().await.is_some();
        }
        let answer = match self.work {
            Work::Check => self.ask("/v1/check", &json!({ "flag": "1" })).await,
            Work::Take => {
                let take = json!({ "quota": "0", "units": 1 });
                self.ask("/v1/take", &take).await
            }
            Work::Claim | Work::Share => self.claim().await,
            Work::Renew => {
                let path = self.seat.clone().expect("it was claimed first");
                self.ask(&path, &Value::Null).await
            }
        };
        answer.is_some()
    }
}

struct Grpc {
    client: EnforcementClient<Channel>,
    bearer: tonic::metadata::MetadataValue<tonic::metadata::Ascii>,
    work: Work,
}

async fn grpc_client(address: SocketAddr, bearer: String, work: Work) -> Grpc {
    let endpoint = Endpoint::try_from(format!("http://{address}")).expect("an address");
    let channel = endpoint.connect().await.expect("the node listens");
    Grpc {
        client: EnforcementClient::new(channel),
        bearer: bearer.parse().expect("a key is ASCII"),
        work,
    }
}

impl Grpc {
    fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        let metadata = request.metadata_mut();
        metadata.insert("authorization", self.bearer.clone());
        request
    }
}

impl Client for Grpc {
    async fn step(&mut self) -> bool {
        if matches!(self.work, Work::Check) {
            let check = self.request(CheckRequest {
                license: None,
                flag: "1".into(),
            });
            return self.client.check(check).await.is_ok();
        }
        let take = self.request(TakeRequest {
            quota: "0".into(),
            units: 1,
            ..TakeRequest::default()
        });
        self.client.take(take).await.is_ok()
    }
}
