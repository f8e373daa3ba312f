//! TLS of the listener: who this node is, and which authorities speak for its clients.
//!
//! The files are read again when they change, for the connections that come then. A file that is
//! broken changes nothing. Which client a certificate stands for is [`crate::clients`]' to say.

use std::{
    error::Error,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{self, CryptoProvider},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{
    clients::Reload,
    files::{self, FileProblem, Secrecy},
};

/// A certificate with its chain, and a key, is a few kilobytes; a bundle of every authority a few
/// hundred.
const MAX_PEM: u64 = 4 << 20;
/// The protocols that are spoken, the better one first.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Where the certificate, the key and the authorities are: files in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The node's certificate, followed by the chain to its authority.
    pub certificate: PathBuf,
    /// The key of the certificate, for its owner alone to read.
    pub key: PathBuf,
    /// Whether clients show certificates.
    pub clients: ClientCertificates,
}

/// Whether clients show certificates, and whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientCertificates {
    /// They need one of an authority in this file.
    Required(PathBuf),
    /// They may have one of an authority in this file, or a bearer key instead.
    Optional(PathBuf),
    /// They are not asked for one.
    NotAsked,
}

impl ClientCertificates {
    fn authorities(&self) -> Option<&Path> {
        match self {
            Self::Required(path) | Self::Optional(path) => Some(path),
            Self::NotAsked => None,
        }
    }
}

/// What connections are protected with, as the files were when they were last read. Clones share
/// it.
#[derive(Clone, Debug)]
pub struct Tls {
    files: Arc<TlsFiles>,
    state: Arc<ArcSwap<State>>,
}

#[derive(Debug)]
struct State {
    config: Arc<ServerConfig>,
    /// Of everything that was read.
    digest: [u8; 32],
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`]: which file is refused, and why.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let state = Pem::read(&files)?.state(&files)?;
        Ok(Self {
            files: Arc::new(files),
            state: Arc::new(ArcSwap::from_pointee(state)),
        })
    }

    /// Reads the files again; what they say holds for connections that come from now on.
    ///
    /// # Errors
    /// [`TlsError`], and everything is as before.
    pub fn reload(&self) -> Result<Reload, TlsError> {
        let pem = Pem::read(&self.files)?;
        if pem.digest() == self.state.load().digest {
            return Ok(Reload::Same);
        }
        self.state.store(Arc::new(pem.state(&self.files)?));
        Ok(Reload::Changed)
    }

    /// What the next connection is protected with.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.state.load().config)
    }
}

/// What is in the files.
struct Pem {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    authorities: Option<Vec<u8>>,
}

impl Pem {
    fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let read = |path: &Path, secrecy| {
            let bytes = files::read(path, MAX_PEM, secrecy);
            bytes.map_err(|problem| TlsError::unread(path, problem))
        };
        let authorities = files.clients.authorities();
        Ok(Self {
            certificate: read(&files.certificate, Secrecy::Public)?,
            key: read(&files.key, Secrecy::Secret)?.into(),
            authorities: authorities
                .map(|path| read(path, Secrecy::Public))
                .transpose()?,
        })
    }

    fn digest(&self) -> [u8; 32] {
        let none = Vec::new();
        let parts = [
            &self.certificate,
            &*self.key,
            self.authorities.as_ref().unwrap_or(&none),
        ];
        // Each part by its own digest, so that no two files run into each other.
        let each = parts.map(Sha256::digest);
        Sha256::digest(each.map(<[u8; 32]>::from).concat()).into()
    }

    fn state(&self, files: &TlsFiles) -> Result<State, TlsError> {
        let provider = Arc::new(crypto::ring::default_provider());
        let chain = certificates(&files.certificate, &self.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| TlsError::refused(&files.key, "there is no key in PEM in it"))?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("the provider speaks TLS 1.2 and 1.3");
        let builder = match self.verifier(files, provider)? {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let config = builder.with_single_cert(chain, key);
        let mut config =
            config.map_err(|error| TlsError::refused(&files.certificate, &error.to_string()))?;
        config.alpn_protocols = ALPN.map(<[u8]>::to_vec).into();
        if self.authorities.is_some() {
            // A session that is resumed does not look at the certificate again, which may have
            // ended by then, or have lost its authority.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(State {
            config: Arc::new(config),
            digest: self.digest(),
        })
    }

    fn verifier(
        &self,
        files: &TlsFiles,
        provider: Arc<CryptoProvider>,
    ) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
        let (Some(path), Some(pem)) = (files.clients.authorities(), &self.authorities) else {
            return Ok(None);
        };
        let refused = |error: &dyn fmt::Display| TlsError::refused(path, &error.to_string());
        let mut roots = RootCertStore::empty();
        for certificate in certificates(path, pem)? {
            roots.add(certificate).map_err(|error| refused(&error))?;
        }
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let builder = match files.clients {
            ClientCertificates::Optional(_) => builder.allow_unauthenticated(),
            ClientCertificates::Required(_) | ClientCertificates::NotAsked => builder,
        };
        let verifier = builder.build().map_err(|error| refused(&error))?;
        Ok(Some(verifier))
    }
}

/// The certificates in a file, at least one.
fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.ok().filter(|found| !found.is_empty());
    found.ok_or_else(|| TlsError::refused(path, "there is no certificate in PEM in it"))
}

/// Why there is no TLS with these files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsError {
    path: PathBuf,
    problem: String,
    hint: &'static str,
}

impl TlsError {
    fn unread(path: &Path, problem: FileProblem) -> Self {
        let (problem, hint) = match problem {
            FileProblem::TooOpen(mode) => (
                format!("others may do something with it (mode {mode:04o})"),
                "run `chmod 600` on it if it is the key, else `chmod go-w`",
            ),
            FileProblem::NotOurs(owner) => (
                format!("it belongs to user {owner}"),
                "give it to the user of this process, or to root",
            ),
            FileProblem::Io(error) => (
                error.to_string(),
                "name a file in PEM that this user can read",
            ),
        };
        let path = path.to_owned();
        Self {
            path,
            problem,
            hint,
        }
    }

    fn refused(path: &Path, problem: &str) -> Self {
        Self {
            path: path.into(),
            problem: problem.into(),
            hint: "the certificate with its chain, and the key that belongs to it, in PEM",
        }
    }

    /// The stable code of the error.
    pub const fn code(&self) -> &'static str {
        "tls-files"
    }

    /// What to do.
    pub const fn hint(&self) -> &'static str {
        self.hint
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TLS: {}: {}", self.path.display(), self.problem)
    }
}

impl Error for TlsError {}
