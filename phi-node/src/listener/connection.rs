//! One connection, from its handshake to its end.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{Router, body::Body};
use http::Request;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::watch,
    time::{Instant, sleep_until, timeout},
};
use tokio_rustls::TlsAcceptor;
use tower::Service as _;
use tracing::debug;

use super::watched::{Activity, Verdict, Watched};
use crate::{
    clients::PeerCertificate,
    entry::{Guarded, Peer},
    limits::Limits,
    tls::Tls,
};

/// What all connections have in common.
#[derive(Debug)]
pub(super) struct Doorway {
    routes: Guarded<Router>,
    protocols: Builder<TokioExecutor>,
    tls: Option<Tls>,
    limits: Arc<Limits>,
    /// Connections so far.
    count: AtomicU64,
}

/// The least that hyper reads into; a smaller limit would be a panic.
const LEAST_BUFFER: usize = 8 << 10;

impl Doorway {
    pub(super) fn new(routes: Guarded<Router>, limits: Arc<Limits>, tls: Option<Tls>) -> Self {
        Self {
            routes,
            protocols: protocols(&limits),
            tls,
            limits,
            count: AtomicU64::new(0),
        }
    }

    /// Serves one connection to its end. When `stop` is, it ends as soon as it can.
    pub(super) async fn connection(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        mut stop: watch::Receiver<()>,
    ) {
        let open = metrics::gauge!("phi_node_connections");
        open.increment(1.0);
        if let Some(tls) = &self.tls {
            let handshake = TlsAcceptor::from(tls.config()).accept(stream);
            tokio::select! {
                _ = stop.changed() => {}
                shaken = timeout(self.limits.handshake_time, handshake) => match shaken {
                    Ok(Ok(stream)) => {
                        let shown = stream.get_ref().1.peer_certificates();
                        let certificate = shown.and_then(|chain| chain.first());
                        let certificate = certificate.map(PeerCertificate::of);
                        self.speak(stream, Peer { address, certificate }, stop).await;
                    }
                    Ok(Err(error)) => no_handshake(address, &error.to_string()),
                    Err(_) => no_handshake(address, "it took too long"),
                },
            }
        } else {
            let certificate = None;
            self.speak(
                stream,
                Peer {
                    address,
                    certificate,
                },
                stop,
            )
            .await;
        }
        open.decrement(1.0);
    }

    async fn speak<S>(&self, stream: S, peer: Peer, mut stop: watch::Receiver<()>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let limits = &*self.limits;
        let activity = Arc::new(Activity::new(self.age()));
        let stream = TokioIo::new(Watched::new(stream, Arc::clone(&activity)));
        let address = peer.address;
        let service = service_fn(|request: Request<Incoming>| {
            let running = activity.begin(limits.abandoned);
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer.clone());
            let answer = self.routes.clone().call(request);
            async {
                answer
                    .await
                    .map(|answer| answer.map(|body| running.answered(body)))
            }
        });
        let mut connection = std::pin::pin!(self.protocols.serve_connection(stream, service));
        let mut look_at = Instant::now();
        let mut ending = None;
        let cut = loop {
            tokio::select! {
                // What the peer did wrong is its own affair, and answered where that is possible.
                _ = connection.as_mut() => return,
                _ = stop.changed(), if ending.is_none() => {
                    connection.as_mut().graceful_shutdown();
                    ending = Some(Instant::now() + limits.drain);
                }
                () = activity.too_many_abandoned() => break "abandoned",
                () = sleep_until(ending.unwrap_or(look_at)) => {
                    if ending.is_some() {
                        break "late";
                    }
                    match activity.judge(limits) {
                        Verdict::GoesOn(until) => look_at = until,
                        Verdict::Close => {
                            connection.as_mut().graceful_shutdown();
                            ending = Some(Instant::now() + limits.drain);
                        }
                        Verdict::Cut(why) => break why,
                    }
                }
            }
        };
        metrics::counter!("phi_node_connections_cut_total", "why" => cut).increment(1);
        debug!(%address, why = cut, "a connection is cut off");
    }

    /// Connections that began together do not all end together.
    fn age(&self) -> Duration {
        let hundredths = u32::try_from(self.count.fetch_add(1, Relaxed) % 11).unwrap_or(0);
        self.limits.age / 100 * (100 - hundredths)
    }
}

fn no_handshake(address: SocketAddr, why: &str) {
    metrics::counter!("phi_node_handshakes_failed_total").increment(1);
    debug!(%address, why, "there is no TLS with a peer");
}

/// HTTP/1.1 and HTTP/2, whichever the peer begins with.
fn protocols(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    let header_bytes = usize::try_from(limits.header_bytes).unwrap_or(usize::MAX);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time)
        .max_buf_size(header_bytes.max(LEAST_BUFFER))
        .max_headers(limits.headers)
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_pending_accept_reset_streams(limits.resets)
        .max_header_list_size(limits.header_bytes)
        .keep_alive_interval(limits.ping)
        .keep_alive_timeout(limits.ping);
    builder
}
