//! Where a server is and how it is reached, as `store` in phi.toml says it: a URL as libpq reads
//! it, without a password.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use postgres::{
    Config,
    config::{Host, SslMode, TargetSessionAttrs},
};

use super::{
    passfile,
    tls::{Identity, Tls, Trust},
};
use crate::error::Error;

/// No server that is up takes as long to answer a newcomer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// After so long without a sign of life from its machine, the server is gone.
const SILENCE: Duration = Duration::from_secs(30);

/// A database on a server.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(super) config: Config,
    pub(super) tls: Tls,
    /// Host and database, for messages.
    pub(super) place: String,
}

impl Server {
    /// Reads the URL. Files that it names are relative to the issuer's folder; `authority` is the
    /// certificate authority that signed the server's certificate, if it is none of the system's.
    ///
    /// # Errors
    /// [`Error::Invalid`], which never repeats the URL: there may be a password in it.
    pub(crate) fn parse(url: &str, authority: Option<&Path>, folder: &Path) -> Result<Self, Error> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(invalid("is no postgres:// URL"));
        }
        let (url, options) = TlsOptions::take(url)?;
        let mut config: Config = url
            .parse()
            .map_err(|error| invalid(&format!("is refused: {}", super::said(&error))))?;
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
            authority: authority.map(|path| folder.join(path)),
            identity: options.identity(folder)?,
        };
        if config.get_hosts().len() > 1 {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        config
            .ssl_mode(mode)
            .application_name("phi")
            .keepalives_idle(SILENCE)
            .tcp_user_timeout(SILENCE)
            .connect_timeout(CONNECT_TIMEOUT);
        Ok(Self { config, tls, place })
    }

    /// The settings of a connection, with the password from the user's password file.
    pub(super) fn config(&self) -> Result<Config, Error> {
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
    fn take(url: &str) -> Result<(String, Self), Error> {
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
                    return Err(invalid("has sslrootcert; set store_ca in phi.toml"));
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
    ) -> Result<(SslMode, Trust), Error> {
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

    fn identity(&self, folder: &Path) -> Result<Option<Identity>, Error> {
        match (&self.certificate, &self.key) {
            (None, None) => Ok(None),
            (Some(certificate), Some(key)) => Ok(Some(Identity {
                certificate: folder.join(certificate),
                key: folder.join(key),
            })),
            _ => Err(invalid("has sslcert or sslkey without the other")),
        }
    }
}

impl Mode {
    fn parse(word: &str) -> Result<Self, Error> {
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
fn decoded(text: &str) -> Result<String, Error> {
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

fn password() -> Error {
    invalid(
        "has a password in it, for everybody to see; change that password, and put the new one \
         into ~/.pgpass, a file for you alone, as host:port:database:user:password",
    )
}

fn invalid(problem: &str) -> Error {
    Error::Invalid {
        what: "the URL of the store",
        problem: problem.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str, authority: Option<&str>) -> Result<Server, Error> {
        Server::parse(url, authority.map(Path::new), Path::new("/issuer"))
    }

    #[track_caller]
    fn check(url: &str, mode: SslMode, trust: Trust) {
        let server = parse(url, None).unwrap();
        assert_eq!(server.config.get_ssl_mode(), mode, "{url}");
        assert_eq!(server.tls.trust, trust, "{url}");
    }

    #[track_caller]
    fn check_refused(url: &str, part: &str) {
        let error = parse(url, None).unwrap_err();
        let text = format!("{error} {error:?} {:?}", error.hint());
        assert!(text.contains(part), "{url}: {text}");
        assert!(!text.contains("hunter"), "{text}");
    }

    #[test]
    fn a_server_elsewhere_proves_who_it_is() {
        check(
            "postgres://phi@db.example/phi",
            SslMode::Require,
            Trust::Name,
        );
        check(
            "postgresql://db.example:5433/phi",
            SslMode::Require,
            Trust::Name,
        );
        check("postgres://192.0.2.1/phi", SslMode::Require, Trust::Name);
        // One of two is elsewhere.
        check(
            "postgres://localhost,db.example/phi",
            SslMode::Require,
            Trust::Name,
        );
        check(
            "postgres://localhost/phi?hostaddr=192.0.2.1",
            SslMode::Require,
            Trust::Name,
        );
    }

    #[test]
    fn a_server_here_needs_no_certificate() {
        for host in [
            "localhost",
            "127.0.0.1",
            "127.9.9.9",
            "[::1]",
            "%2Frun%2Fpostgresql",
        ] {
            let url = format!("postgres://{host}/phi");
            check(&url, SslMode::Prefer, Trust::Anyone);
        }
    }

    #[test]
    fn sslmode_means_what_it_means_to_libpq() {
        let url = |mode: &str| format!("postgres://db.example/phi?sslmode={mode}");
        check(&url("disable"), SslMode::Disable, Trust::Name);
        check(&url("require"), SslMode::Require, Trust::Anyone);
        check(&url("verify-ca"), SslMode::Require, Trust::Authority);
        check(&url("verify-full"), SslMode::Require, Trust::Name);
        check_refused(&url("prefer"), "only where it is offered");
        check_refused(&url("allow"), "only where it is offered");
        check_refused(&url("never"), "unknown sslmode");
        let named = parse(&url("require"), Some("ca.pem")).unwrap();
        assert_eq!(named.tls.trust, Trust::Authority);
        assert_eq!(named.tls.authority, Some("/issuer/ca.pem".into()));
    }

    #[test]
    fn a_password_is_refused_and_not_repeated() {
        check_refused("postgres://phi:hunter2@db.example/phi", "~/.pgpass");
        check_refused("postgres://db.example/phi?password=hunter2", "~/.pgpass");
        check_refused("postgres://db.example/phi?pass%77ord=hunter2", "~/.pgpass");
        check_refused("postgres://db.example/phi?user=a@hunter", "%40");
        check_refused("postgres://phi:hunter2@db.example:x/phi", "~/.pgpass");
        check_refused("postgres://phi:hunter2/@db.example/phi", "~/.pgpass");
        check_refused("host=db.example password=hunter2", "postgres://");
    }

    #[test]
    fn a_url_names_host_and_database() {
        check_refused("postgres://db.example", "no database");
        check_refused("postgres:///phi", "no host");
        check_refused("postgres://db.example/phi?nonsense=1", "nonsense");
        check_refused("postgres://db.example/phi?sslcert=a.pem", "sslkey");
        check_refused(
            "postgres://db.example/phi?sslcert=%4&sslkey=b",
            "hexadecimal",
        );
        check_refused("postgres://db.example/phi?sslrootcert=a.pem", "store_ca");
    }

    #[test]
    fn a_client_certificate_is_found_beside_the_settings() {
        let url = "postgres://db.example/phi?sslcert=my%20own.pem&sslkey=%2Fetc%2Fkey.pem";
        let identity = parse(url, None).unwrap().tls.identity.unwrap();
        assert_eq!(identity.certificate, Path::new("/issuer/my own.pem"));
        assert_eq!(identity.key, Path::new("/etc/key.pem"));
    }

    #[test]
    fn other_options_reach_the_driver() {
        let url = "postgres://db.example/phi?sslmode=disable&options=-c%20search_path%3Dours";
        let server = parse(url, None).unwrap();
        assert_eq!(server.config.get_options(), Some("-c search_path=ours"));
        assert_eq!(server.place, "postgres://db.example/phi");
    }
}
