//! A listener with a few routes, and peers that speak to it byte by byte.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    body::Bytes,
    routing::{get, post},
};
use phi_node::{
    clients::{self, BearerKey, Client, Clients, Right, Scopes},
    entry::{Entry, Metrics, Who},
    limits::Limits,
    listener::{Drained, Listener, Protection},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::{Semaphore, oneshot},
    task::JoinHandle,
};

/// Longer than anything here takes; only a test that fails waits for it.
pub(crate) const LONG: Duration = Duration::from_secs(20);

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// `/v1/wait` is answered when there is one for it.
    pub(crate) answers: Arc<Semaphore>,
    /// One for each request that came to `/v1/wait`.
    pub(crate) waiting: Arc<Semaphore>,
    pub(crate) clients: PathBuf,
    pub(crate) key: BearerKey,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<Drained>,
    _folder: TempDir,
}

pub(crate) fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.reload = Duration::from_millis(20);
    limits
}

impl Server {
    /// On loopback, without TLS, with one client that may do everything.
    pub(crate) fn start(limits: Limits) -> Self {
        Self::with(Protection::PlaintextOnLoopback, limits)
    }

    pub(crate) fn with(protection: Protection, limits: Limits) -> Self {
        Self::letting(protection, limits, None, Metrics::ByRight)
    }

    pub(crate) fn letting(
        protection: Protection,
        limits: Limits,
        who: Option<Who>,
        metrics: Metrics,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clients = folder.path().join("clients.toml");
        let key = clients::add(&clients, "web", &Scopes::new(Right::ALL)).unwrap();
        let who = who.unwrap_or_else(|| Who::Listed(Clients::load(&clients).unwrap()));
        let entry = Entry::new(who, metrics, limits);
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), protection).unwrap();
        let address = listener.address();
        let (answers, waiting) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let (stop, stopped) = oneshot::channel();
        let routes = routes(Arc::clone(&answers), Arc::clone(&waiting));
        let served = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            listener.serve(entry, routes, stopped).await
        });
        Self {
            address,
            answers,
            waiting,
            clients,
            key,
            stop: Some(stop),
            served,
            _folder: folder,
        }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends these bytes on a connection of their own; what comes back until it ends.
    pub(crate) async fn say(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        // Who is refused early may be cut off while it sends.
        let _ = stream.write_all(bytes).await;
        rest_of(&mut stream).await
    }

    /// A request with the key, and the connection closed after it.
    pub(crate) async fn ask(&self, request: &str, body: &str) -> String {
        let key = self.key.expose();
        self.ask_with(request, &format!("Authorization: Bearer {key}\r\n"), body)
            .await
    }

    pub(crate) async fn ask_with(&self, request: &str, headers: &str, body: &str) -> String {
        let length = body.len();
        let text = format!(
            "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Length: {length}\r\n{headers}\r\n{body}"
        );
        self.say(text.as_bytes()).await
    }

    pub(crate) fn stop(&mut self) {
        self.stop
            .take()
            .expect("a server is stopped once")
            .send(())
            .unwrap();
    }

    pub(crate) async fn drained(self) -> Drained {
        within(self.served).await.unwrap()
    }
}

fn routes(answers: Arc<Semaphore>, waiting: Arc<Semaphore>) -> Router {
    let echo = async |Extension(client): Extension<Client>, body: Bytes| {
        format!("{} sent {}", client.name(), body.len())
    };
    let wait = async move || {
        waiting.add_permits(1);
        answers.acquire().await.unwrap().forget();
        "waited"
    };
    Router::new()
        .route("/v1/echo", post(echo))
        .route("/v1/documents", post(echo))
        .route("/v1/wait", get(wait))
        .route("/livez", get(async || "alive"))
        .route("/metrics", get(async || "counted"))
}

pub(crate) async fn rest_of(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    // A connection that is reset has said what it had to say.
    let _ = within(stream.read_to_end(&mut bytes)).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, future)
        .await
        .expect("it takes too long")
}

#[track_caller]
pub(crate) fn assert_status(answer: &str, status: u16) {
    let expected = format!("HTTP/1.1 {status} ");
    assert!(
        answer.starts_with(&expected),
        "{status} is expected: {answer:?}"
    );
}

impl Server {
    /// With another key to ask with.
    pub(crate) fn keyed(mut self, key: BearerKey) -> Self {
        self.key = key;
        self
    }
}
