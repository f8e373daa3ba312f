//! One port for HTTP/1.1, HTTP/2 and gRPC: who connects, for how long, and how it ends.
//!
//! Every request goes through the [`Entry`] before it gets to a route. A connection is watched
//! beside the protocol it speaks: one that sends nothing, takes nothing or asks for nothing ends,
//! and nobody else waits for it.

mod connection;
mod places;
mod watched;

use std::{error::Error, fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout_at},
};
use tower::Layer as _;
use tracing::{info, warn};

use self::{connection::Doorway, places::Places};
use crate::{entry::Entry, tls::Tls};

/// How what is sent is protected.
#[derive(Clone, Debug)]
pub enum Protection {
    /// By TLS.
    Tls(Tls),
    /// Not at all, which is refused where others can listen in.
    PlaintextOnLoopback,
    /// Not at all, wherever it is: keys of clients are for all to read on the way. For nodes behind
    /// a proxy on the same machine or in the same pod.
    PlaintextAnywhere,
}

/// A port that is listened on.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    protection: Protection,
}

/// How serving came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Every request was answered.
    Wholly,
    /// So many connections were cut off when the time for it was over.
    CutOff(usize),
}

/// Connections that wait to be accepted: all of a fleet may come at once when a node starts.
const BACKLOG: u32 = 4096;
/// When the system has no descriptors left, it has some again when a connection ends.
const AFTER_A_FAILURE: Duration = Duration::from_millis(50);

impl Listener {
    /// Listens on this address; port 0 is any that is free.
    ///
    /// Called within a runtime of tokio.
    ///
    /// # Errors
    /// [`ListenError`].
    pub fn bind(address: SocketAddr, protection: Protection) -> Result<Self, ListenError> {
        let open = !address.ip().to_canonical().is_loopback();
        if open && matches!(protection, Protection::PlaintextOnLoopback) {
            return Err(ListenError::Plaintext { address });
        }
        let failed = |source| ListenError::Socket { address, source };
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        };
        let socket = socket.map_err(failed)?;
        // A node that is started again does not wait for connections of the one before.
        #[cfg(unix)]
        socket.set_reuseaddr(true).map_err(failed)?;
        socket.bind(address).map_err(failed)?;
        let socket = socket.listen(BACKLOG).map_err(failed)?;
        Ok(Self {
            address: socket.local_addr().map_err(failed)?,
            socket,
            protection,
        })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves these routes behind the entry until `stop` is ready. Then nobody new is let in,
    /// clients are told to go elsewhere, and requests that are under way are answered, for as long
    /// as [`Limits::drain`](crate::limits::Limits::drain) allows.
    pub async fn serve(
        self,
        entry: Entry,
        routes: Router,
        stop: impl Future<Output = ()> + Send,
    ) -> Drained {
        let limits = Arc::new(entry.limits().clone());
        let most = descriptors_for(limits.connections);
        let places = Places::new(most, limits.connections_each);
        let (stopping, stopped) = watch::channel(());
        let tls = match &self.protection {
            Protection::Tls(tls) => Some(tls.clone()),
            Protection::PlaintextOnLoopback | Protection::PlaintextAnywhere => None,
        };
        let doorway = Arc::new(Doorway::new(
            entry.layer(routes),
            Arc::clone(&limits),
            tls.clone(),
        ));
        let mut fresh = JoinSet::new();
        fresh.spawn(keep_fresh(entry, tls, limits.reload));
        let mut connections = JoinSet::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            let place = tokio::select! {
                biased;
                () = &mut stop => break,
                place = places.any() => place,
            };
            let (stream, peer) = tokio::select! {
                biased;
                () = &mut stop => break,
                accepted = accept(&self.socket) => accepted,
            };
            while connections.try_join_next().is_some() {}
            let Some(place) = place.at(peer.ip()) else {
                metrics::counter!("phi_node_connections_refused_total", "why" => "address")
                    .increment(1);
                continue;
            };
            let doorway = Arc::clone(&doorway);
            let stopped = stopped.clone();
            connections.spawn(async move {
                doorway.connection(stream, peer, stopped).await;
                drop(place);
            });
        }
        drop(self.socket);
        drop(stopping);
        drain(connections, limits.drain).await
    }
}

/// The next connection. Failures are of one that went away already, or of a system without
/// descriptors: no reason to stop.
async fn accept(socket: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match socket.accept().await {
            Ok((stream, peer)) => {
                // Answers are small and whole; waiting for more to send only delays them. Who is
                // gone by now is noticed when it is read from.
                let _ = stream.set_nodelay(true);
                return (stream, peer);
            }
            Err(error) => {
                warn!(%error, "a connection is not accepted");
                metrics::counter!("phi_node_connections_refused_total", "why" => "system")
                    .increment(1);
                sleep(AFTER_A_FAILURE).await;
            }
        }
    }
}

async fn drain(mut connections: JoinSet<()>, within: Duration) -> Drained {
    let until = Instant::now() + within;
    while !connections.is_empty() {
        if timeout_at(until, connections.join_next()).await.is_err() {
            let left = connections.len();
            warn!(left, "connections are cut off");
            connections.shutdown().await;
            return Drained::CutOff(left);
        }
    }
    Drained::Wholly
}

/// Looks at the files of clients and certificates again and again. What is wrong with them is said
/// once.
async fn keep_fresh(entry: Entry, tls: Option<Tls>, every: Duration) {
    let mut looks = interval(every);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut said = String::new();
    loop {
        looks.tick().await;
        let (entry, tls) = (entry.clone(), tls.clone());
        let look = move || reread(&entry, tls.as_ref()).err().unwrap_or_default();
        // Files may be on a disk that is slow or away.
        let Ok(wrong) = tokio::task::spawn_blocking(look).await else {
            return;
        };
        if wrong != said {
            if wrong.is_empty() {
                info!("the files of clients and certificates are read again");
            } else {
                warn!(wrong, "files are refused, and what they said before holds");
            }
            said = wrong;
        }
    }
}

/// Reads the files of clients and certificates again. It may block.
///
/// # Errors
/// What is wrong with them; what they said before holds.
pub fn reread(entry: &Entry, tls: Option<&Tls>) -> Result<(), String> {
    let mut wrong = Vec::new();
    wrong.extend(entry.reload().err().map(|error| error.to_string()));
    let tls = tls.map(Tls::reload).transpose();
    wrong.extend(tls.err().map(|error| error.to_string()));
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(wrong.join("; "))
    }
}

/// Asks the system for a descriptor for each connection, and for files beside them; how many
/// connections there is room for.
fn descriptors_for(connections: usize) -> usize {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        let wanted = u64::try_from(connections)
            .unwrap_or(u64::MAX)
            .saturating_add(OTHER_FILES);
        let allowed = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
        let current = limit.current.unwrap_or(u64::MAX);
        let raised = allowed > current
            && setrlimit(
                Resource::Nofile,
                Rlimit {
                    current: Some(allowed),
                    maximum: limit.maximum,
                },
            )
            .is_ok();
        let have = if raised { allowed } else { current };
        if have < wanted {
            let room = usize::try_from(have.saturating_sub(OTHER_FILES)).unwrap_or(connections);
            let room = room.clamp(1, connections);
            warn!(
                room,
                wanted = connections,
                "there are descriptors for fewer connections"
            );
            return room;
        }
    }
    connections
}

/// Descriptors for the store, the files and what else a process has open.
#[cfg(unix)]
const OTHER_FILES: u64 = 128;

/// Why an address is not listened on.
#[derive(Debug)]
#[non_exhaustive]
pub enum ListenError {
    /// What is sent there would be for all to read.
    Plaintext {
        /// The address.
        address: SocketAddr,
    },
    /// The system refuses it.
    Socket {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

impl ListenError {
    /// The stable code of the error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Plaintext { .. } => "listen-plaintext",
            Self::Socket { .. } => "listen-failed",
        }
    }

    /// What to do.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Plaintext { .. } => {
                "give a certificate and a key, listen on 127.0.0.1, or say that plaintext is meant"
            }
            Self::Socket { .. } => "choose an address of this machine and a port that is free",
        }
    }
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plaintext { address } => {
                write!(
                    f,
                    "without TLS, keys of clients would be for all to read on {address}"
                )
            }
            Self::Socket { address, .. } => write!(f, "cannot listen on {address}"),
        }
    }
}

impl Error for ListenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Plaintext { .. } => None,
            Self::Socket { source, .. } => Some(source),
        }
    }
}
