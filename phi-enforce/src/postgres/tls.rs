//! TLS to a server: whom it is trusted to be, and how it knows us.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore,
    SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{self, CryptoProvider},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
};
use tokio_postgres_rustls::MakeRustlsConnect;
use zeroize::Zeroizing;

use super::files;
use crate::error::{Fault, StoreError};

/// A certificate with its chain, and a key, is a few kilobytes; a bundle of every authority a few
/// hundred.
const MAX_PEM: u64 = 4 << 20;

/// How a connection is protected.
#[derive(Clone, Debug)]
pub(super) struct Tls {
    pub(super) trust: Trust,
    /// The file with the authority's certificate; the system's authorities without it.
    pub(super) authority: Option<PathBuf>,
    pub(super) identity: Option<Identity>,
}

/// Whom the server may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// Whoever has a certificate with the name of the host.
    Name,
    /// Whoever has a certificate of the authority's.
    Authority,
    /// Anyone: nobody can listen in, but nobody proves who answers.
    Anyone,
}

/// What proves who we are: files in PEM.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

impl Tls {
    /// What the driver makes connections with.
    pub(super) fn connector(&self) -> Result<MakeRustlsConnect, StoreError> {
        let provider = Arc::new(crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("the provider speaks TLS 1.2 and 1.3");
        let builder = match self.trust {
            Trust::Anyone => {
                let verifier = Arc::new(AnyoneVerifier(provider));
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(verifier)
            }
            Trust::Authority | Trust::Name => {
                let roots = Arc::new(self.roots()?);
                let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider)
                    .build()
                    .map_err(|error| invalid(&format!("no certificate to trust: {error}")))?;
                if self.trust == Trust::Name {
                    builder.with_webpki_verifier(verifier)
                } else {
                    let verifier = Arc::new(AuthorityVerifier(verifier));
                    builder
                        .dangerous()
                        .with_custom_certificate_verifier(verifier)
                }
            }
        };
        let config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let (chain, key) = identity.read()?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| invalid(&format!("sslcert and sslkey do not fit: {error}")))?
            }
        };
        Ok(MakeRustlsConnect::new(config))
    }

    /// The authorities that are believed.
    fn roots(&self) -> Result<RootCertStore, StoreError> {
        let mut roots = RootCertStore::empty();
        if let Some(path) = &self.authority {
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| {
                    let path = path.display();
                    invalid(&format!("{path} is no authority's certificate: {error}"))
                })?;
            }
        } else {
            // Systems have a few that nobody reads; without any, nothing is trusted.
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
        }
        Ok(roots)
    }
}

impl Identity {
    fn read(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), StoreError> {
        let key = &self.key;
        let text = Zeroizing::new(files::read_private(key, MAX_PEM)?);
        let secret = PrivateKeyDer::from_pem_slice(&text)
            .map_err(|_| invalid(&format!("{} is no key in PEM", key.display())))?;
        Ok((certificates(&self.certificate)?, secret))
    }
}

/// The certificates in a file, at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, StoreError> {
    let text = files::read_bounded(path, MAX_PEM)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    found
        .ok()
        .filter(|found| !found.is_empty())
        .ok_or_else(|| invalid(&format!("{} has no certificate in PEM", path.display())))
}

fn invalid(problem: &str) -> StoreError {
    StoreError::new(Fault::Address, format!("TLS to the store: {problem}"))
}

/// `sslmode=verify-ca`: the chain counts, the name does not.
#[derive(Debug)]
struct AuthorityVerifier(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AuthorityVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let verified =
            self.0
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // Names are looked at last: the chain holds.
            Err(TlsError::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// `sslmode=require` without an authority: encryption to whoever answers, as libpq has it.
#[derive(Debug)]
struct AnyoneVerifier(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyoneVerifier {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let known = &self.0.signature_verification_algorithms;
        crypto::verify_tls12_signature(message, cert, dss, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let known = &self.0.signature_verification_algorithms;
        crypto::verify_tls13_signature(message, cert, dss, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
