//! What a node is told: by flags, and by a file in TOML that has the same names. A flag comes before
//! the file. Names that are not known are refused.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::{Args, ValueEnum};
use phi_enforce::{LONGEST_LEASE, SiteKey};
use phi_node::{
    clients::Clients,
    engine::{Address, History, Opening},
    entry::{Metrics, Who},
    licenses::{Policies, Terms},
    listener::Protection,
    server,
    tls::{ClientCertificates, Tls, TlsFiles},
    watch,
};
use phi_verify::{
    RevocationPolicy, armor,
    store::{Disk, Files as _},
};
use serde::Deserialize;

use super::failure::Failure;

/// Where a node listens unless it is told otherwise: on this machine alone.
pub(super) const LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8474);
/// A file of settings is a page or two.
const MAX_CONFIG: u64 = 1 << 20;
/// A root document is smaller by far.
const MAX_ANCHOR: u64 = 1 << 20;

/// Everything that a node is told.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command"
)]
#[derive(Clone, Debug, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Settings {
    /// The store: sqlite:FILE, or `postgres://USER@HOST/DATABASE` for several nodes
    #[arg(long, value_name = "STORE")]
    store: Option<String>,
    /// The certificate of the authority of the store's server [default: those of the system]
    #[arg(long, value_name = "FILE")]
    store_ca: Option<PathBuf>,
    /// The root document that is believed without proof
    #[arg(long, value_name = "FILE")]
    anchor: Option<PathBuf>,
    /// A bundle, a document or a license, or a folder of them; watched for changes
    #[arg(long, value_name = "PATH")]
    bundle: Vec<PathBuf>,
    /// A product whose licenses are taken [default: those that there are catalogs of]
    #[arg(long, value_name = "NAME")]
    product: Vec<String>,
    /// What a missing or an old status list means [default: balanced]
    #[arg(long, value_name = "POLICY")]
    revocation: Option<Revocation>,
    /// What is added to the terms of licenses, in TOML: overage, leases, seats for groups, borrowing
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The key of the site, with which seats are lent to machines without a network
    #[arg(long, value_name = "FILE")]
    site_key: Option<PathBuf>,
    /// The folder of what the node keeps between starts [default: beside the store]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Where to listen [default: 127.0.0.1:8474]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// The file of clients; without one, programs on this machine are let in and nobody else
    #[arg(long, value_name = "FILE")]
    clients: Option<PathBuf>,
    /// The certificate of this node, with its chain, in PEM
    #[arg(long, value_name = "FILE")]
    tls_certificate: Option<PathBuf>,
    /// The key of the certificate, in PEM
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// The authorities whose certificates clients may show
    #[arg(long, value_name = "FILE")]
    client_ca: Option<PathBuf>,
    /// Refuse connections without a client certificate
    #[arg(long)]
    require_client_certificate: bool,
    /// Listen without TLS where others can read along: behind a proxy that speaks TLS
    #[arg(long)]
    plaintext_anyway: bool,
    /// Let everybody read /metrics
    #[arg(long)]
    open_metrics: bool,
    /// The least that is logged [default: info]
    #[arg(long, value_name = "LEVEL")]
    log: Option<Level>,
    /// How lines of the log look [default: human]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
    /// A collector of traces that speaks OTLP over gRPC [default: as `OTEL_EXPORTER_OTLP_ENDPOINT` says]
    #[arg(long, value_name = "URL")]
    otlp: Option<String>,
    /// The name of this node, for people who read the store's tables [default: the machine's]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The longest lease of a seat, in seconds [default: 30]
    #[arg(long, value_name = "SECONDS")]
    longest_lease: Option<u64>,
    /// Take a disk that is in memory or on a network: limits are exceeded after a power cut
    #[arg(long)]
    dangerous_on_any_disk: bool,
    /// The store was brought back from a backup: learn what nodes hold before anything is given out
    #[arg(long)]
    #[serde(skip)]
    restored: bool,
}

/// The least that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Level {
    /// What failed
    Error,
    /// What somebody should look at
    Warn,
    /// What changed
    Info,
    /// Every request
    Debug,
    /// Everything
    Trace,
}

/// How lines of the log look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum LogFormat {
    /// For people
    Human,
    /// One JSON object in each line
    Json,
}

/// What a missing or an old status list means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Revocation {
    /// Only a license that a fresh list knows to be good is in force
    Strict,
    /// A list is needed and may be late, up to its hard expiry
    Balanced,
    /// Only what a list at hand revokes is refused; no list is needed
    Lenient,
}

/// Everything that a node is made of.
pub(super) struct Made {
    pub(super) server: server::Settings,
    pub(super) listen: SocketAddr,
    pub(super) protection: Protection,
    pub(super) who: Who,
    pub(super) metrics: Metrics,
    pub(super) watch: watch::Options,
}

impl Settings {
    /// Reads a file of settings. Its paths are from where the file is.
    ///
    /// # Errors
    /// `file-failed` or `config-invalid`.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let bytes = Disk.read(path, MAX_CONFIG);
        let bytes = bytes.map_err(|error| Failure::unread(path, &error))?;
        let invalid = |problem: &dyn std::fmt::Display| {
            let message = format!("{}: {problem}", path.display());
            Failure::input("config-invalid", message)
                .hint("`phi-node run --help` has every name; write it without the dashes before it")
        };
        let text = String::from_utf8(bytes).map_err(|_| invalid(&"is not UTF-8 text"))?;
        let settings: Self = toml::from_str(&text).map_err(|error| invalid(&error))?;
        Ok(settings.under(path.parent().unwrap_or(Path::new(""))))
    }

    fn under(mut self, folder: &Path) -> Self {
        let from = |path: &mut PathBuf| *path = folder.join(&*path);
        let paths = [
            &mut self.store_ca,
            &mut self.anchor,
            &mut self.policy,
            &mut self.site_key,
            &mut self.state,
            &mut self.clients,
            &mut self.tls_certificate,
            &mut self.tls_key,
            &mut self.client_ca,
        ];
        paths.into_iter().flatten().for_each(from);
        self.bundle.iter_mut().for_each(from);
        if let Some(file) = self
            .store
            .as_deref()
            .and_then(|store| store.strip_prefix("sqlite:"))
        {
            self.store = Some(format!("sqlite:{}", folder.join(file).display()));
        }
        self
    }

    /// These, and for what they do not say those of a file.
    #[must_use]
    pub(super) fn over(self, file: Self) -> Self {
        let either = |flag: Vec<PathBuf>, file| if flag.is_empty() { file } else { flag };
        Self {
            store: self.store.or(file.store),
            store_ca: self.store_ca.or(file.store_ca),
            anchor: self.anchor.or(file.anchor),
            bundle: either(self.bundle, file.bundle),
            product: if self.product.is_empty() {
                file.product
            } else {
                self.product
            },
            revocation: self.revocation.or(file.revocation),
            policy: self.policy.or(file.policy),
            site_key: self.site_key.or(file.site_key),
            state: self.state.or(file.state),
            listen: self.listen.or(file.listen),
            clients: self.clients.or(file.clients),
            tls_certificate: self.tls_certificate.or(file.tls_certificate),
            tls_key: self.tls_key.or(file.tls_key),
            client_ca: self.client_ca.or(file.client_ca),
            require_client_certificate: self.require_client_certificate
                || file.require_client_certificate,
            plaintext_anyway: self.plaintext_anyway || file.plaintext_anyway,
            open_metrics: self.open_metrics || file.open_metrics,
            log: self.log.or(file.log),
            log_format: self.log_format.or(file.log_format),
            otlp: self.otlp.or(file.otlp),
            name: self.name.or(file.name),
            longest_lease: self.longest_lease.or(file.longest_lease),
            dangerous_on_any_disk: self.dangerous_on_any_disk || file.dangerous_on_any_disk,
            restored: self.restored,
        }
    }

    /// Reads what they name.
    ///
    /// # Errors
    /// What is missing or cannot be used.
    pub(super) fn make(self) -> Result<Made, Failure> {
        let address = self.address()?;
        let anchor = self.anchor()?;
        let state = match &self.state {
            Some(state) => state.clone(),
            None => beside(&address),
        };
        let longest_lease = self
            .longest_lease
            .map_or(LONGEST_LEASE, Duration::from_secs);
        Ok(Made {
            listen: self.listen.unwrap_or(LISTEN),
            protection: self.protection()?,
            who: match &self.clients {
                Some(path) => Who::Listed(Clients::load(path)?),
                None => Who::AnyoneOnLoopback,
            },
            metrics: if self.open_metrics {
                Metrics::Anyone
            } else {
                Metrics::ByRight
            },
            watch: self.watch(),
            server: server::Settings {
                name: self.name.clone().unwrap_or_else(machine),
                opening: Opening {
                    address,
                    authority: self.store_ca.clone(),
                    longest_lease,
                    history: if self.restored {
                        History::Restored
                    } else {
                        History::Unbroken
                    },
                    any_disk: self.dangerous_on_any_disk,
                },
                terms: Terms {
                    anchor,
                    state,
                    products: self.product.clone(),
                    revocation: match self.revocation {
                        Some(Revocation::Strict) => RevocationPolicy::Strict,
                        Some(Revocation::Balanced) | None => RevocationPolicy::Balanced,
                        Some(Revocation::Lenient) => RevocationPolicy::Lenient,
                    },
                    policies: match &self.policy {
                        Some(path) => Policies::load(path, longest_lease)?,
                        None => Policies::default(),
                    },
                },
                site_key: match &self.site_key {
                    Some(path) => Some(Arc::new(SiteKey::open(path)?)),
                    None => None,
                },
                watched: self.bundle,
            },
        })
    }

    fn watch(&self) -> watch::Options {
        watch::Options {
            level: match self.log {
                Some(Level::Error) => tracing::Level::ERROR,
                Some(Level::Warn) => tracing::Level::WARN,
                Some(Level::Info) | None => tracing::Level::INFO,
                Some(Level::Debug) => tracing::Level::DEBUG,
                Some(Level::Trace) => tracing::Level::TRACE,
            },
            format: match self.log_format {
                Some(LogFormat::Human) | None => watch::Format::Human,
                Some(LogFormat::Json) => watch::Format::Json,
            },
            traces: watch::Destination::of(self.otlp.clone()),
        }
    }

    fn address(&self) -> Result<Address, Failure> {
        let hint = "pass --store sqlite:usage.db, or --store postgres://USER@HOST/DATABASE";
        let Some(store) = &self.store else {
            let message = "no store was named";
            return Err(Failure::input("store-address", message).hint(hint));
        };
        let address = store.parse::<Address>();
        // The text is not repeated: a password may stand in it.
        address.map_err(|error| Failure::input("store-address", error.to_string()).hint(hint))
    }

    fn anchor(&self) -> Result<Vec<u8>, Failure> {
        let hint = "pass --anchor root-1.phi, the root document that the issuer published first";
        let Some(path) = &self.anchor else {
            let message = "no anchor was named";
            return Err(Failure::input("anchor-missing", message).hint(hint));
        };
        let bytes = Disk.read(path, MAX_ANCHOR);
        let bytes = bytes.map_err(|error| Failure::unread(path, &error).hint(hint))?;
        // As bytes, or where files must be text, as a word or armored.
        let Some(text) = String::from_utf8(bytes.clone()).ok() else {
            return Ok(bytes);
        };
        let word = armor::unwrap(&text).and_then(|word| armor::document_from_text(&word));
        word.map_err(|error| {
            let message = format!("{}: {error}", path.display());
            Failure::input(error.code(), message).hint(hint)
        })
    }

    fn protection(&self) -> Result<Protection, Failure> {
        let (certificate, key) = match (&self.tls_certificate, &self.tls_key) {
            (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
            (None, None) => {
                if self.client_ca.is_some() || self.require_client_certificate {
                    let message = "client certificates need TLS";
                    return Err(Failure::input("tls-incomplete", message)
                        .hint("pass --tls-certificate and --tls-key"));
                }
                return Ok(if self.plaintext_anyway {
                    Protection::PlaintextAnywhere
                } else {
                    Protection::PlaintextOnLoopback
                });
            }
            _ => {
                let message = "a certificate and its key go together";
                return Err(Failure::input("tls-incomplete", message)
                    .hint("pass both --tls-certificate and --tls-key"));
            }
        };
        let clients = match (&self.client_ca, self.require_client_certificate) {
            (Some(authority), true) => ClientCertificates::Required(authority.clone()),
            (Some(authority), false) => ClientCertificates::Optional(authority.clone()),
            (None, false) => ClientCertificates::NotAsked,
            (None, true) => {
                let message = "client certificates need an authority that speaks for them";
                return Err(Failure::input("tls-incomplete", message).hint("pass --client-ca FILE"));
            }
        };
        let files = TlsFiles {
            certificate,
            key,
            clients,
        };
        Ok(Protection::Tls(Tls::load(files)?))
    }
}

/// The state's folder where none is named.
fn beside(address: &Address) -> PathBuf {
    match address {
        Address::Sqlite(path) => {
            let mut name = path.clone().into_os_string();
            name.push(".state");
            name.into()
        }
        Address::Postgres(_) => "phi-node.state".into(),
    }
}

/// The machine's name, or one that says nothing.
fn machine() -> String {
    let name: io::Result<String> = fs::read_to_string("/proc/sys/kernel/hostname");
    let name = name.unwrap_or_default();
    match name.trim() {
        "" => "phi-node".into(),
        name => name.into(),
    }
}
