//! Where a server is and how it is reached: a URL as libpq reads it, without a password.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio_postgres::{
    Config,
    config::{Host, SslMode, TargetSessionAttrs},
};

use super::{
    passfile,
    tls::{Identity, Tls, Trust},
};
use crate::error::{Fault, StoreError};

/// No server that is up takes as long to answer a newcomer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// After so long without a sign of life from its machine, the server is gone.
const SILENCE: Duration = Duration::from_secs(30);

/// A database on a server.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) config: Config,
    pub(super) tls: Tls,
    /// Host and database, for messages.
    pub(super) place: String,
}

impl Server {
    /// Reads the URL. `authority` is the certificate authority that signed the server's
    /// certificate, if it is none of the system's. An error never repeats the URL: there may be a
    /// password in it.
    pub(super) fn parse(url: &str, authority: Option<&Path>) -> Result<Self, StoreError> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(invalid("is no postgres:// URL"));
        }
        let (url, options) = TlsOptions::take(url)?;
        let mut config: Config = url
            .parse()
            .map_err(|error| invalid(&format!("is refused: {}", super::link::said(&error))))?;
        if config.get_password().is_some() {
            return Err(password());
        }
        let Some(database) = config.get_dbname().map(str::to_owned) else {
            return Err(invalid("names no database: postgres://USER@HOST/DATABASE"));
        };
        if config.get_hosts().is_empty() {
            return Err(invalid(
                "names no host; a server on this machine has a folder for its socket: \
                 postgres://USER@%2Fvar%2Frun%2Fpostgresql/DATABASE",
            ));
        }
        let place = format!("postgres://{}/{database}", hosts(&config));
        let (mode, trust) = options.protection(&config, authority)?;
        let tls = Tls {
            trust,
            authority: authority.map(Path::to_owned),
            identity: options.identity()?,
        };
        if config.get_hosts().len() > 1 {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        config
            .ssl_mode(mode)
            .application_name("phi-enforce")
            .keepalives_idle(SILENCE)
            .tcp_user_timeout(SILENCE)
            .connect_timeout(CONNECT_TIMEOUT);
        Ok(Self { config, tls, place })
    }

    /// The settings of a connection, with the password from the user's password file.
    pub(super) fn config(&self) -> Result<Config, StoreError> {
        let mut config = self.config.clone();
        if let Some(password) = passfile::password_for(&config)? {
            config.password(password);
        }
        Ok(config)
    }
}

/// What `sslmode` asks for, in libpq's words and with libpq's meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// What libpq knows and the driver does not.
#[derive(Debug, Default)]
struct TlsOptions {
    mode: Option<Mode>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

impl TlsOptions {
    /// Takes the options out of the URL's query.
    fn take(url: &str) -> Result<(String, Self), StoreError> {
        let mut options = Self::default();
        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        // Before anything else is looked at, which might be repeated in an error.
        let credentials = address.rsplit_once('@').map_or("", |(before, _)| before);
        if credentials.matches(':').count() > 1 || query.contains("password") {
            return Err(password());
        }
        if query.contains('@') {
            return Err(invalid("has an @ after its ?; write %40"));
        }
        let mut rest = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", mode)) => options.mode = Some(Mode::parse(mode)?),
                Some(("sslcert", path)) => options.certificate = Some(decoded(path)?.into()),
                Some(("sslkey", path)) => options.key = Some(decoded(path)?.into()),
                Some(("sslrootcert", _)) => {
                    return Err(invalid(
                        "has sslrootcert; name the authority beside the URL",
                    ));
                }
                _ => rest.push(pair),
            }
        }
        if rest.is_empty() {
            return Ok((address.into(), options));
        }
        Ok((format!("{address}?{}", rest.join("&")), options))
    }

    /// How the connection is protected. A server elsewhere is reached without encryption only if
    /// that was written out.
    fn protection(
        &self,
        config: &Config,
        authority: Option<&Path>,
    ) -> Result<(SslMode, Trust), StoreError> {
        let local = is_local(config);
        let default = if local {
            Mode::Prefer
        } else {
            Mode::VerifyFull
        };
        Ok(match self.mode.unwrap_or(default) {
            Mode::Disable => (SslMode::Disable, Trust::Name),
            Mode::Prefer if local => (SslMode::Prefer, Trust::Anyone),
            Mode::Prefer => {
                return Err(invalid(
                    "asks for encryption only where it is offered, on a way that others can see; \
                     leave sslmode out, or write sslmode=disable if the way is safe",
                ));
            }
            // As libpq has it: whoever names an authority means it.
            Mode::Require if authority.is_none() => (SslMode::Require, Trust::Anyone),
            Mode::Require | Mode::VerifyCa => (SslMode::Require, Trust::Authority),
            Mode::VerifyFull => (SslMode::Require, Trust::Name),
        })
    }

    fn identity(&self) -> Result<Option<Identity>, StoreError> {
        match (&self.certificate, &self.key) {
            (None, None) => Ok(None),
            (Some(certificate), Some(key)) => Ok(Some(Identity {
                certificate: certificate.clone(),
                key: key.clone(),
            })),
            _ => Err(invalid("has sslcert or sslkey without the other")),
        }
    }
}

impl Mode {
    fn parse(word: &str) -> Result<Self, StoreError> {
        Ok(match word {
            "disable" => Self::Disable,
            "allow" | "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => {
                return Err(invalid(
                    "has an unknown sslmode; disable, require, verify-ca and verify-full are known",
                ));
            }
        })
    }
}

/// Whether every host is this machine.
fn is_local(config: &Config) -> bool {
    let addresses = config.get_hostaddrs();
    if !addresses.is_empty() {
        return addresses.iter().all(IpAddr::is_loopback);
    }
    config.get_hosts().iter().all(|host| match host {
        #[cfg(unix)]
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost"
                || name
                    .parse()
                    .is_ok_and(|address: IpAddr| address.is_loopback())
        }
    })
}

/// The hosts as a URL has them.
fn hosts(config: &Config) -> String {
    let names = config.get_hosts().iter().map(|host| match host {
        #[cfg(unix)]
        Host::Unix(folder) => folder.display().to_string(),
        Host::Tcp(name) => name.clone(),
    });
    names.collect::<Vec<_>>().join(",")
}

/// Percent signs and what they stand for, RFC 3986 section 2.1.
fn decoded(text: &str) -> Result<String, StoreError> {
    let bad = || invalid("has a % that two hexadecimal digits do not follow");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first == b'%' {
            let (digits, tail) = rest.split_at_checked(2).ok_or_else(bad)?;
            let digits = str::from_utf8(digits).map_err(|_| bad())?;
            bytes.push(u8::from_str_radix(digits, 16).map_err(|_| bad())?);
            rest = tail;
        } else {
            bytes.push(first);
        }
    }
    String::from_utf8(bytes).map_err(|_| bad())
}

fn password() -> StoreError {
    invalid(
        "has a password in it, for everybody to see; change that password, and put the new one \
         into ~/.pgpass, a file for you alone, as host:port:database:user:password",
    )
}

fn invalid(problem: &str) -> StoreError {
    StoreError::new(Fault::Address, format!("the URL {problem}"))
}
