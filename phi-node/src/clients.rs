//! Who may ask this node, and what each may ask for.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use phi_node::clients::{self, Clients, Right, Scopes};
//!
//! let folder = std::env::temp_dir().join(format!("phi-clients-{}", std::process::id()));
//! std::fs::create_dir_all(&folder)?;
//! let path = folder.join("clients.toml");
//!
//! // The key is shown once; the file has its hash.
//! let scopes = Scopes::new([Right::Check, Right::Take]);
//! let key = clients::add(&path, "web-1", &scopes)?;
//!
//! let clients = Clients::load(&path)?;
//! let web = clients.by_key(key.expose()).expect("the key was just made");
//! assert_eq!(web.name(), "web-1");
//! assert!(web.scopes().allow(Right::Take));
//! assert!(!web.scopes().allow(Right::Push));
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok(())
//! # }
//! ```
//!
//! What a request carries is read by the layer before all routes, and what a client asks for is compared with
//! its scopes by the service. Names of holders are the application's own words and mean nothing
//! here.

mod certificate;
mod error;
mod file;
mod key;

use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use arc_swap::ArcSwap;
use phi_enforce::MAX_NAME;
use phi_verify::LicenseId;
use subtle::ConstantTimeEq as _;

pub use self::{
    certificate::{CertificateName, PeerCertificate},
    error::ClientsError,
    file::{MAX_CLIENTS, MAX_FILE, add, add_certificate, add_key, remove, remove_old_keys},
    key::{BearerKey, KEY_PREFIX},
};
use self::{file::Row, key::KeyHash};

/// Who asks, as it was recognized. Clones share one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client(Arc<Known>);

#[derive(Debug, PartialEq, Eq)]
struct Known {
    name: String,
    scopes: Scopes,
}

impl Client {
    /// A client by this name, for programs that recognize theirs in another way.
    ///
    /// # Errors
    /// [`ClientsError::Name`] if this is no name of a client.
    pub fn new(name: &str, scopes: Scopes) -> Result<Self, ClientsError> {
        check_name(name)?;
        let name = name.to_owned();
        Ok(Self(Arc::new(Known { name, scopes })))
    }

    /// Its name: in records, logs and metrics.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What it may do.
    pub fn scopes(&self) -> &Scopes {
        &self.0.scopes
    }

    /// Whether it may claim seats for this holder: for itself, unless its scopes name others.
    pub fn may_hold_as(&self, holder: &str) -> bool {
        match &self.0.scopes.holders {
            None => holder == self.name(),
            Some(holders) => holders.iter().any(|pattern| pattern.fits(holder)),
        }
    }

    /// Whether it may claim seats as of this group: of its own, and of those that its scopes name.
    pub fn may_claim_of(&self, group: &str) -> bool {
        let scopes = &self.0.scopes;
        let own = scopes.group.as_ref().is_some_and(|own| own.0 == group);
        own || scopes.groups.iter().any(|pattern| pattern.fits(group))
    }
}

/// What a client may do, and with which licenses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scopes {
    rights: u16,
    /// Every license of the node without it.
    licenses: Option<Vec<LicenseId>>,
    /// Its own name without it.
    holders: Option<Vec<NamePattern>>,
    /// Of which group its claims are that name none.
    group: Option<GroupName>,
    /// The other groups that its claims may name.
    groups: Vec<NamePattern>,
}

impl Scopes {
    /// These rights, with every license of the node, for itself as the holder of seats.
    pub fn new(rights: impl IntoIterator<Item = Right>) -> Self {
        let bits = rights.into_iter().map(Right::bit);
        Self {
            rights: bits.fold(0, |all, bit| all | bit),
            licenses: None,
            holders: None,
            group: None,
            groups: Vec::new(),
        }
    }

    /// With these licenses and no others.
    #[must_use]
    pub fn with_licenses(mut self, licenses: impl IntoIterator<Item = LicenseId>) -> Self {
        self.licenses = Some(licenses.into_iter().collect());
        self
    }

    /// For these holders in place of the client itself.
    #[must_use]
    pub fn with_holders(mut self, holders: impl IntoIterator<Item = NamePattern>) -> Self {
        self.holders = Some(holders.into_iter().collect());
        self
    }

    /// Of this group, for which a policy may keep seats.
    #[must_use]
    pub fn with_group(mut self, group: GroupName) -> Self {
        self.group = Some(group);
        self
    }

    /// And of these groups, where a claim names one.
    #[must_use]
    pub fn with_groups(mut self, groups: impl IntoIterator<Item = NamePattern>) -> Self {
        self.groups = groups.into_iter().collect();
        self
    }

    /// Whether it may do this.
    pub fn allow(&self, right: Right) -> bool {
        self.rights & right.bit() != 0
    }

    /// Whether it may do what it may do with this license.
    pub fn cover(&self, license: LicenseId) -> bool {
        let named = self.licenses.as_ref();
        named.is_none_or(|licenses| licenses.contains(&license))
    }

    /// What it may do, in the order of [`Right::ALL`].
    pub fn rights(&self) -> impl Iterator<Item = Right> {
        Right::ALL.into_iter().filter(|right| self.allow(*right))
    }

    /// The licenses that it is confined to, if it is.
    pub fn licenses(&self) -> Option<&[LicenseId]> {
        self.licenses.as_deref()
    }

    /// The holders that it may claim seats for, if it is not itself alone.
    pub fn holders(&self) -> Option<&[NamePattern]> {
        self.holders.as_deref()
    }

    /// The group that its claims are of, unless they name another.
    pub fn group(&self) -> Option<&str> {
        self.group.as_ref().map(|group| group.0.as_str())
    }

    /// The other groups that its claims may name.
    pub fn groups(&self) -> &[NamePattern] {
        &self.groups
    }
}

/// One kind of thing that a client may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Right {
    /// Ask whether a flag is on.
    Check,
    /// Take units of a quota.
    Take,
    /// Claim, renew and give up seats.
    Seats,
    /// Take seats along, for machines without a network, and hand them back.
    Borrow,
    /// See what licenses there are, what is left of them, and who is on which seat.
    Read,
    /// Hand in signed documents.
    Push,
    /// Read the usage log and its sums.
    Usage,
    /// Read the metrics.
    Metrics,
}

impl Right {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Check,
        Self::Take,
        Self::Seats,
        Self::Borrow,
        Self::Read,
        Self::Push,
        Self::Usage,
        Self::Metrics,
    ];

    /// Its word in the file of clients.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Take => "take",
            Self::Seats => "seats",
            Self::Borrow => "borrow",
            Self::Read => "read",
            Self::Push => "push",
            Self::Usage => "usage",
            Self::Metrics => "metrics",
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Right {
    type Err = ClientsError;

    fn from_str(text: &str) -> Result<Self, ClientsError> {
        let mut all = Self::ALL.into_iter();
        all.find(|right| right.name() == text)
            .ok_or_else(|| ClientsError::Right { text: text.into() })
    }
}

/// Holders that a client may claim seats for, or groups: one name, or every name that begins so
/// (`team-*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern {
    /// The name, or its beginning.
    text: String,
    rest: Rest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    Nothing,
    Anything,
}

impl NamePattern {
    fn fits(&self, name: &str) -> bool {
        match self.rest {
            Rest::Nothing => name == self.text,
            Rest::Anything => name.starts_with(&self.text),
        }
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        f.write_str(match self.rest {
            Rest::Nothing => "",
            Rest::Anything => "*",
        })
    }
}

impl FromStr for NamePattern {
    type Err = ClientsError;

    fn from_str(text: &str) -> Result<Self, ClientsError> {
        let (name, rest) = match text.strip_suffix('*') {
            Some(name) => (name, Rest::Anything),
            None => (text, Rest::Nothing),
        };
        let empty = text.is_empty();
        // A star elsewhere would be taken for a pattern by people, and for a letter here.
        if empty || text.len() > MAX_NAME || name.contains(|c: char| c == '*' || c.is_control()) {
            return Err(ClientsError::Pattern { text: text.into() });
        }
        let text = name.to_owned();
        Ok(Self { text, rest })
    }
}

/// The group that a client is of: a word of the operator's, as in the file of policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupName(String);

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for GroupName {
    type Err = ClientsError;

    fn from_str(text: &str) -> Result<Self, ClientsError> {
        // A star would be taken for a pattern by people, and for a letter here.
        let strange = |c: char| c == '*' || c.is_control();
        if text.is_empty() || text.len() > MAX_NAME || text.contains(strange) {
            return Err(ClientsError::Group { text: text.into() });
        }
        Ok(Self(text.into()))
    }
}

/// Names stand in logs, metrics and file names: lowercase letters, digits, `.`, `-` and `_`.
const MAX_CLIENT_NAME: usize = 64;

fn check_name(name: &str) -> Result<(), ClientsError> {
    let letter = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let fits = |byte: u8| letter(&byte) || b".-_".contains(&byte);
    let begins = name.as_bytes().first().is_some_and(letter);
    if begins && name.len() <= MAX_CLIENT_NAME && name.bytes().all(fits) {
        return Ok(());
    }
    Err(ClientsError::Name { name: name.into() })
}

/// The clients of a file, as it was when it was last read. Clones share one table.
///
/// A client is looked up again for each request, so that one who is removed is refused from the
/// next one on, on connections that are open too.
#[derive(Clone, Debug)]
pub struct Clients {
    path: Arc<Path>,
    table: Arc<ArcSwap<Table>>,
}

impl Clients {
    /// Reads the file.
    ///
    /// # Errors
    /// [`ClientsError`]: what is wrong, and in which line.
    pub fn load(path: &Path) -> Result<Self, ClientsError> {
        let (text, rows) = file::read(path)?;
        Ok(Self {
            path: path.into(),
            table: Arc::new(ArcSwap::from_pointee(Table::of(text, rows))),
        })
    }

    /// Reads the file again; the clients in it are those from now on.
    ///
    /// # Errors
    /// [`ClientsError`], and the clients are those from before: a slip of the hand locks nobody
    /// out, and lets nobody in.
    pub fn reload(&self) -> Result<Reload, ClientsError> {
        let (text, rows) = file::read(&self.path)?;
        if self.table.load().text == text {
            return Ok(Reload::Same);
        }
        self.table.store(Arc::new(Table::of(text, rows)));
        Ok(Reload::Changed)
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        self.path.to_path_buf()
    }

    /// The client with this bearer key.
    ///
    /// Digests are compared, never keys. An eighth of the digest leads to the candidates, and the
    /// whole is compared in constant time: what the time of a look-up gives away is about a
    /// digest, from which no key follows.
    pub fn by_key(&self, key: &str) -> Option<Client> {
        let hash = KeyHash::of_key(key)?;
        let table = self.table.load();
        let candidates = table.keys.get(&hash.beginning())?;
        let mut found = None;
        for (known, client) in candidates {
            if bool::from(known.as_bytes().ct_eq(hash.as_bytes())) {
                found = Some(client.clone());
            }
        }
        found
    }

    /// The client with this certificate, whose chain was verified before: the one that its
    /// fingerprint stands for, else the one that its names do. Nobody, if they stand for several.
    pub fn by_certificate(&self, certificate: &PeerCertificate) -> Option<Client> {
        let table = self.table.load();
        if let Some(client) = table.certificates.get(certificate.fingerprint()) {
            return Some(client.clone());
        }
        let names = certificate.names().iter();
        let mut found = names.filter_map(|name| table.certificates.get(name));
        let first = found.next()?;
        found.all(|other| other == first).then(|| first.clone())
    }

    /// Every client, in the order of the file.
    pub fn all(&self) -> Vec<Client> {
        self.table.load().all.clone()
    }
}

/// What came of reading the file again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// It is as it was.
    Same,
    /// Its clients are in force.
    Changed,
}

#[derive(Debug, Default)]
struct Table {
    text: String,
    all: Vec<Client>,
    keys: HashMap<[u8; 4], Vec<(KeyHash, Client)>>,
    certificates: HashMap<CertificateName, Client>,
}

impl Table {
    fn of(text: String, rows: Vec<Row>) -> Self {
        let mut table = Self {
            text,
            ..Self::default()
        };
        for row in rows {
            let client = row.client;
            table.all.push(client.clone());
            for hash in row.keys {
                let candidates = table.keys.entry(hash.beginning()).or_default();
                candidates.push((hash, client.clone()));
            }
            for name in row.certificates {
                table.certificates.insert(name, client.clone());
            }
        }
        table
    }
}

#[cfg(test)]
mod tests;
