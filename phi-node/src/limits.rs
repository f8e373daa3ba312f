//! What one client, and all of them together, can make this node hold and wait for.
//!
//! Each limit has a reason beside it. Who reaches one is told so where that is possible, and
//! nothing else stops.

use std::time::Duration;

use phi_verify::MAX_BUNDLE;

/// The limits of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Connections at once. More wait in the system's queue until one ends: about 50 KB each, and
    /// a descriptor.
    pub connections: usize,
    /// Connections at once from one address (IPv6: one network of 64 bits), so that one machine
    /// does not take all. More are closed. A proxy in front counts as one address.
    pub connections_each: usize,
    /// Until TLS is agreed on: a slow line does it in two seconds.
    pub handshake_time: Duration,
    /// From the beginning of a connection, or the end of an answer over HTTP/1.1, to the end of
    /// the next request's headers: slow senders, and connections that are kept open for nothing.
    pub header_time: Duration,
    /// Bytes of one request's headers: a key, a trace and what proxies add is a kilobyte.
    pub header_bytes: u32,
    /// Headers of one request: browsers and proxies send thirty.
    pub headers: usize,
    /// Bytes of a request's body: names and numbers, a kilobyte.
    pub body_bytes: usize,
    /// Bytes of a body with signed documents, for clients that may push them: the largest bundle.
    pub document_bytes: usize,
    /// Bodies with documents at once: each is in memory while it is checked.
    pub documents: usize,
    /// From the headers of a request to the end of its body, so that slow senders give up their
    /// place.
    pub body_time: Duration,
    /// From the headers of a request to the beginning of its answer; longer than a claim waits.
    pub request_time: Duration,
    /// Without a byte in either direction while there is a request: nobody takes the answer.
    /// Longer than [`Limits::request_time`].
    pub stall: Duration,
    /// Without a request on a connection of HTTP/2.
    pub idle: Duration,
    /// A connection ends after this at the latest, so that load spreads over nodes again, and
    /// certificates that ended are asked for anew.
    pub age: Duration,
    /// Requests at once on one connection of HTTP/2.
    pub streams: u32,
    /// Requests of HTTP/2 that are reset before they are looked at; more end the connection
    /// (CVE-2023-44487, "rapid reset").
    pub resets: usize,
    /// Requests that are given up before their answer, beyond those that are not; more end the
    /// connection, because the work for each was done.
    pub abandoned: u64,
    /// Between questions whether a silent peer of HTTP/2 is still there, and until it answers.
    pub ping: Duration,
    /// How long requests that are under way may go on when the node stops.
    pub drain: Duration,
    /// Between looks at the files of clients and certificates.
    pub reload: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 8192,
            connections_each: 2048,
            handshake_time: Duration::from_secs(10),
            header_time: Duration::from_secs(30),
            header_bytes: 16 << 10,
            headers: 64,
            body_bytes: 64 << 10,
            document_bytes: MAX_BUNDLE + (1 << 10),
            documents: 4,
            body_time: Duration::from_secs(15),
            request_time: Duration::from_secs(75),
            stall: Duration::from_secs(90),
            idle: Duration::from_secs(5 * 60),
            age: Duration::from_secs(60 * 60),
            streams: 128,
            resets: 20,
            abandoned: 256,
            ping: Duration::from_secs(20),
            drain: Duration::from_secs(20),
            reload: Duration::from_secs(1),
        }
    }
}
