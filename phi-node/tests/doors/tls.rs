//! TLS of the port, and clients that are known by their certificates.

use std::{fs, path::Path, sync::Arc};

use phi_node::{
    clients::{self, Clients, Right, Scopes},
    entry::{Metrics, Who},
    listener::Protection,
    tls::{ClientCertificates, Tls, TlsFiles},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio_rustls::TlsConnector;

use crate::server::{Server, assert_status, limits, rest_of, within};

type Authority = CertifiedIssuer<'static, KeyPair>;

/// A certificate with its key, in PEM and as a client shows it.
pub(crate) struct Identity {
    pub(crate) certificate: rcgen::Certificate,
    pub(crate) key: KeyPair,
}

pub(crate) fn authority() -> Authority {
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
}

pub(crate) fn identity(of: &Authority, name: &str) -> Identity {
    identity_by(of, &CertificateParams::new(vec![name.to_owned()]).unwrap())
}

fn identity_by(of: &Authority, parameters: &CertificateParams) -> Identity {
    let key = KeyPair::generate().unwrap();
    let certificate = parameters.signed_by(&key, of).unwrap();
    Identity { certificate, key }
}

/// The files of a node called `localhost`, and the authority of both sides.
pub(crate) struct Files {
    pub(crate) folder: TempDir,
    pub(crate) authority: Authority,
}

impl Files {
    pub(crate) fn new() -> Self {
        let (folder, authority) = (tempfile::tempdir().unwrap(), authority());
        fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        let files = Self { folder, authority };
        files.put(&identity(&files.authority, "localhost"));
        files
    }

    pub(crate) fn put(&self, identity: &Identity) {
        let folder = self.folder.path();
        fs::write(folder.join("node.pem"), identity.certificate.pem()).unwrap();
        let key = folder.join("key.pem");
        fs::write(&key, identity.key.serialize_pem()).unwrap();
        private(&key);
    }

    pub(crate) fn tls(&self, clients: fn(std::path::PathBuf) -> ClientCertificates) -> TlsFiles {
        let folder = self.folder.path();
        TlsFiles {
            certificate: folder.join("node.pem"),
            key: folder.join("key.pem"),
            clients: clients(folder.join("ca.pem")),
        }
    }
}

fn private(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    #[cfg(not(unix))]
    let _ = path;
}

/// What a client believes and shows.
fn client(authority: &Authority, shown: Option<&Identity>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match shown {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain: Vec<CertificateDer<'static>> = vec![identity.certificate.der().clone()];
            let key = PrivateKeyDer::try_from(identity.key.serialize_der()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    TlsConnector::from(Arc::new(config))
}

/// The answer to a request over TLS; nothing if there is no TLS.
async fn ask(server: &Server, connector: &TlsConnector, headers: &str) -> Option<String> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = within(connector.connect(name, server.connect().await))
        .await
        .ok()?;
    let text = format!(
        "POST /v1/echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\
         Content-Length: 0\r\n\r\n"
    );
    stream.write_all(text.as_bytes()).await.ok()?;
    // Over TLS 1.3 a certificate is refused after the handshake.
    Some(rest_of(&mut stream).await).filter(|answer| !answer.is_empty())
}

#[tokio::test]
async fn keys_go_over_tls() {
    let files = Files::new();
    let tls = Tls::load(files.tls(|_| ClientCertificates::NotAsked)).unwrap();
    let server = Server::with(Protection::Tls(tls), limits());
    let bearer = format!("Authorization: Bearer {}\r\n", server.key.expose());
    let connector = client(&files.authority, None);
    let answer = ask(&server, &connector, &bearer).await.unwrap();
    assert!(answer.ends_with("web sent 0"), "{answer}");
    assert_status(&ask(&server, &connector, "").await.unwrap(), 401);
    // Another's authority does not know this node.
    assert_eq!(
        ask(&server, &client(&authority(), None), &bearer).await,
        None
    );
    // Plaintext gets an alert of TLS and nothing else.
    let answer = server
        .say(b"POST /v1/echo HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    assert!(!answer.contains("HTTP"), "{answer:?}");
}

#[tokio::test]
async fn certificates_are_their_clients() {
    let files = Files::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clients.toml");
    let scopes = Scopes::new(Right::ALL);
    clients::add_certificate(&path, "one", &"one.example".parse().unwrap(), &scopes).unwrap();
    let key = clients::add(&path, "two", &scopes).unwrap();
    let bearer = format!("Authorization: Bearer {}\r\n", key.expose());
    let start = |asked: fn(std::path::PathBuf) -> ClientCertificates| {
        let tls = Tls::load(files.tls(asked)).unwrap();
        let who = Who::Listed(Clients::load(&path).unwrap());
        let protection = Protection::Tls(tls);
        Server::letting(protection, limits(), Some(who), Metrics::ByRight)
    };
    let by = |identity: &Identity| client(&files.authority, Some(identity));
    let of = |authority: &Authority, name: &str| identity(authority, name);
    let one = by(&of(&files.authority, "one.example"));
    let stranger = by(&of(&files.authority, "stranger.example"));
    let foreign = by(&of(&authority(), "one.example"));
    let mut old = CertificateParams::new(vec!["one.example".to_owned()]).unwrap();
    old.not_before = rcgen::date_time_ymd(2020, 1, 1);
    old.not_after = rcgen::date_time_ymd(2021, 1, 1);
    let expired = by(&identity_by(&files.authority, &old));
    let none = client(&files.authority, None);

    let required = start(ClientCertificates::Required);
    let answer = ask(&required, &one, "").await.unwrap();
    assert!(answer.ends_with("one sent 0"), "{answer}");
    assert_status(&ask(&required, &stranger, "").await.unwrap(), 401);
    // With a certificate that is nobody's, a key counts; with another client's, nothing does.
    let answer = ask(&required, &stranger, &bearer).await.unwrap();
    assert!(answer.ends_with("two sent 0"), "{answer}");
    let answer = ask(&required, &one, &bearer).await.unwrap();
    assert!(answer.contains("credentials-conflict"), "{answer}");
    for refused in [&foreign, &expired, &none] {
        assert_eq!(ask(&required, refused, &bearer).await, None);
    }

    let optional = start(ClientCertificates::Optional);
    let answer = ask(&optional, &none, &bearer).await.unwrap();
    assert!(answer.ends_with("two sent 0"), "{answer}");
    assert_status(&ask(&optional, &none, "").await.unwrap(), 401);
    for refused in [&foreign, &expired] {
        assert_eq!(ask(&optional, refused, &bearer).await, None);
    }
}

#[tokio::test]
async fn files_that_change_are_read_again() {
    let files = Files::new();
    let tls = Tls::load(files.tls(|_| ClientCertificates::NotAsked)).unwrap();
    let server = Server::with(Protection::Tls(tls.clone()), limits());
    let bearer = format!("Authorization: Bearer {}\r\n", server.key.expose());
    assert!(
        ask(&server, &client(&files.authority, None), &bearer)
            .await
            .is_some()
    );
    // A half that does not fit changes nothing.
    let next = authority();
    let identity = identity(&next, "localhost");
    fs::write(
        files.folder.path().join("node.pem"),
        identity.certificate.pem(),
    )
    .unwrap();
    assert!(tls.reload().is_err());
    assert!(
        ask(&server, &client(&files.authority, None), &bearer)
            .await
            .is_some()
    );
    files.put(&identity);
    let connector = client(&next, None);
    let mut tries = 0;
    while ask(&server, &connector, &bearer).await.is_none() {
        tries += 1;
        assert!(tries < 1000, "the files are not read again");
    }
}

#[tokio::test]
async fn files_are_refused_by_name() {
    let files = Files::new();
    let load = || Tls::load(files.tls(ClientCertificates::Required));
    assert!(load().is_ok());
    let folder = files.folder.path();
    let whole = |name: &str| fs::read(folder.join(name)).unwrap();
    for (name, problem) in [
        ("node.pem", "there is no certificate in PEM in it"),
        ("key.pem", "there is no key in PEM in it"),
        ("ca.pem", "there is no certificate in PEM in it"),
    ] {
        let before = whole(name);
        fs::write(folder.join(name), "nothing").unwrap();
        let error = load().unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(problem), "{error}");
        fs::remove_file(folder.join(name)).unwrap();
        let error = load().unwrap_err().to_string();
        assert!(
            error.contains(name) && error.contains("No such file"),
            "{error}"
        );
        fs::write(folder.join(name), before).unwrap();
        private(&folder.join(name));
    }
    let other = identity(&files.authority, "localhost");
    fs::write(folder.join("key.pem"), other.key.serialize_pem()).unwrap();
    assert!(load().unwrap_err().to_string().contains("node.pem"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let open = fs::Permissions::from_mode(0o644);
        fs::set_permissions(folder.join("key.pem"), open).unwrap();
        let error = load().unwrap_err();
        assert!(error.to_string().contains("0644"), "{error}");
        assert!(error.hint().contains("chmod 600"), "{error}");
    }
}
