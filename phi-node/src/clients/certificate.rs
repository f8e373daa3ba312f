//! What a client's certificate says about who it is.
//!
//! That its chain leads to an authority that this node believes, and that it is in date, is
//! checked by TLS before.

use std::{fmt, str::FromStr};

use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};

use super::{
    ClientsError,
    key::{push_hex, read_hex},
};

/// A certificate has one or two names; one with a thousand is made to keep a node busy.
const MAX_NAMES: usize = 32;
const FINGERPRINT: &str = "sha256:";
/// A DNS name has at most 253 bytes, an identity of SPIFFE 2,048.
const MAX_CERTIFICATE_NAME: usize = 2048;

/// A name by which a client's certificate is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CertificateName {
    /// SHA-256 of the whole certificate: `sha256:` and 64 digits, as `openssl x509 -fingerprint`
    /// has it, in lowercase and without colons.
    Fingerprint([u8; 32]),
    /// One of its alternative names of the kind DNS.
    Dns(String),
    /// One of its alternative names of the kind URI, such as `spiffe://example.org/web`.
    Uri(String),
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fingerprint(bytes) => {
                let mut text = FINGERPRINT.to_owned();
                push_hex(&mut text, bytes);
                f.write_str(&text)
            }
            Self::Dns(name) | Self::Uri(name) => f.write_str(name),
        }
    }
}

impl FromStr for CertificateName {
    type Err = ClientsError;

    fn from_str(text: &str) -> Result<Self, ClientsError> {
        let refused = || ClientsError::Certificate { text: text.into() };
        if let Some(digits) = text.strip_prefix(FINGERPRINT) {
            let mut bytes = [0; 32];
            read_hex(digits, &mut bytes).ok_or_else(refused)?;
            return Ok(Self::Fingerprint(bytes));
        }
        let printed = text.bytes().all(|byte| byte.is_ascii_graphic());
        if text.is_empty() || text.len() > MAX_CERTIFICATE_NAME || !printed {
            return Err(refused());
        }
        if text.contains("://") {
            return Ok(Self::Uri(text.into()));
        }
        // A pattern would let in whoever has any name of a zone.
        let of_a_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        if !text.bytes().all(of_a_name) {
            return Err(refused());
        }
        Ok(Self::Dns(text.to_ascii_lowercase()))
    }
}

/// The names of a certificate that a peer has shown and proved to be its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    fingerprint: CertificateName,
    names: Vec<CertificateName>,
}

impl PeerCertificate {
    /// What a verified certificate says. One that cannot be read has its fingerprint alone.
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        let digest = Sha256::digest(certificate.as_ref());
        Self {
            fingerprint: CertificateName::Fingerprint(digest.into()),
            names: names(certificate).unwrap_or_default(),
        }
    }

    pub(super) const fn fingerprint(&self) -> &CertificateName {
        &self.fingerprint
    }

    pub(super) fn names(&self) -> &[CertificateName] {
        &self.names
    }
}

fn names(certificate: &CertificateDer<'_>) -> Option<Vec<CertificateName>> {
    let read = webpki::EndEntityCert::try_from(certificate).ok()?;
    let dns = read.valid_dns_names();
    let dns = dns.map(|name| CertificateName::Dns(name.to_ascii_lowercase()));
    let uri = read.valid_uri_names();
    let uri = uri.map(|name| CertificateName::Uri(name.to_owned()));
    Some(dns.chain(uri).take(MAX_NAMES).collect())
}
