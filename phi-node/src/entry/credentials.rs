//! What a request shows of who sent it.

use std::net::{IpAddr, SocketAddr};

use axum::body::Body;
use http::{HeaderMap, Request, header, uri::Authority};

use super::answer::Answer;
use crate::clients::{Client, Clients, PeerCertificate};

/// Who is at the other end of a connection, in the extensions of its requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// From where it connected.
    pub address: SocketAddr,
    /// The certificate that it proved to be its own, to an authority of this node's.
    pub certificate: Option<PeerCertificate>,
}

/// The client of a file that sent this. It is looked up for each request.
pub(super) fn listed(clients: &Clients, request: &Request<Body>) -> Result<Client, Answer> {
    let certificate = request.extensions().get::<Peer>();
    let certificate = certificate.and_then(|peer| peer.certificate.as_ref());
    let by_certificate = certificate.and_then(|certificate| clients.by_certificate(certificate));
    match (bearer(request.headers())?, by_certificate) {
        // Who shows a key is asked for no other proof, but must not be two.
        (Some(key), by_certificate) => {
            let client = clients.by_key(key).ok_or(Answer::UnknownCredentials)?;
            match by_certificate {
                Some(other) if other != client => Err(Answer::ConflictingCredentials),
                _ => Ok(client),
            }
        }
        (None, Some(client)) => Ok(client),
        (None, None) if certificate.is_some() => Err(Answer::UnknownCredentials),
        (None, None) => Err(Answer::NoCredentials),
    }
}

/// The bearer key, RFC 6750, section 2.1.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Answer> {
    let mut shown = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = shown.next() else {
        return Ok(None);
    };
    if shown.next().is_some() {
        return Err(Answer::ConflictingCredentials);
    }
    let parts = value.to_str().ok().and_then(|value| value.split_once(' '));
    match parts {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => {
            Ok(Some(key.trim_start_matches(' ')))
        }
        _ => Err(Answer::UnknownCredentials),
    }
}

/// Headers that programs do not send of their own accord: browsers do (Fetch Metadata), and proxies.
const FROM_ELSEWHERE: [&str; 5] = [
    "origin",
    "sec-fetch-site",
    "forwarded",
    "x-forwarded-for",
    "via",
];

/// A program on this machine.
///
/// A page in a browser on this machine could send requests too: those say where they come from, or
/// name a host that only led here (DNS rebinding), and are refused. So is what a proxy on this machine
/// hands on from elsewhere.
pub(super) fn anyone_on_loopback(
    anonymous: &Client,
    request: &Request<Body>,
) -> Result<Client, Answer> {
    let peer = request.extensions().get::<Peer>();
    let here = peer.is_some_and(|peer| peer.address.ip().to_canonical().is_loopback());
    let elsewhere = FROM_ELSEWHERE
        .iter()
        .any(|name| request.headers().contains_key(*name));
    if here && !elsewhere && host(request).is_some_and(|host| is_loopback(&host)) {
        return Ok(anonymous.clone());
    }
    Err(Answer::NotFromHere)
}

fn host(request: &Request<Body>) -> Option<Authority> {
    if let Some(authority) = request.uri().authority() {
        return Some(authority.clone());
    }
    let host = request.headers().get(header::HOST)?;
    Authority::try_from(host.as_bytes()).ok()
}

fn is_loopback(host: &Authority) -> bool {
    let name = host.host().trim_start_matches('[').trim_end_matches(']');
    let address = name.parse::<IpAddr>();
    address.map_or_else(
        |_| name.eq_ignore_ascii_case("localhost"),
        |ip| ip.is_loopback(),
    )
}
