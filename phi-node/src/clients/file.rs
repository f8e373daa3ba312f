//! The file of clients: strict TOML that people may write, changed in place with their comments.
//!
//! ```toml
//! [[client]]
//! name = "web-1"
//! keys = ["sha256:2c26…"]             # SHA-256 of its bearer keys; two while one is replaced
//! certificates = ["web-1.example"]    # names in its certificate, or sha256: and its digest
//! may = ["check", "take", "seats"]
//! licenses = ["a1b2c3d4e5f60718"]     # every license of the node without it
//! holders = ["team-*"]                # whom it claims seats for: itself without it
//! group = "ops"                       # of which group its claims are that name none
//! groups = ["support-*"]              # the other groups that its claims may name
//! ```
//!
//! There is no secret in it: a key has 256 random bits, which nobody finds from the hash. Whoever
//! can write it lets in whom they like, so it is its owner's alone to write.

use std::{
    collections::HashSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use phi_verify::{
    LicenseId,
    store::{Disk, Files as _},
};
use serde::Deserialize;
use toml::Spanned;
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table};

use super::{
    BearerKey, CertificateName, Client, ClientsError, Right, Scopes,
    key::{KeyHash, push_hex, read_hex},
};
use crate::files::{self, FileProblem, Secrecy};

/// A node serves a fleet; who has more clients than this gives one key to a group of them.
pub const MAX_CLIENTS: usize = 10_000;
/// Ten thousand clients with two keys and a few scopes each.
pub const MAX_FILE: u64 = 8 << 20;
/// One in use, one to come, and as many for somebody who replaces them by hand.
const MAX_NAMES_EACH: usize = 8;
/// Licenses or patterns of one client.
const MAX_SCOPES_EACH: usize = 1000;
const HASH: &str = "sha256:";

/// One client of the file.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) client: Client,
    pub(super) keys: Vec<KeyHash>,
    pub(super) certificates: Vec<CertificateName>,
}

/// Reads the file: its text, and the clients in it.
pub(super) fn read(path: &Path) -> Result<(String, Vec<Row>), ClientsError> {
    let text = read_text(path)?;
    let rows = parse(path, &text)?;
    Ok((text, rows))
}

/// Adds a client that shows a bearer key, and makes the key. The file is made if there is none.
///
/// # Errors
/// [`ClientsError`]; the file is as it was.
pub fn add(path: &Path, name: &str, scopes: &Scopes) -> Result<BearerKey, ClientsError> {
    let key = BearerKey::generate()?;
    let hash = written(key.hash());
    change(path, |document| {
        append(document, name, "keys", &hash, scopes)
    })?;
    Ok(key)
}

/// Adds a client that shows a certificate. The file is made if there is none.
///
/// # Errors
/// [`ClientsError`]; the file is as it was.
pub fn add_certificate(
    path: &Path,
    name: &str,
    certificate: &CertificateName,
    scopes: &Scopes,
) -> Result<(), ClientsError> {
    let certificate = certificate.to_string();
    change(path, |document| {
        append(document, name, "certificates", &certificate, scopes)
    })
}

/// Gives a client one more bearer key, so that the one in use can be replaced while it is.
/// [`remove_old_keys`] ends the old ones.
///
/// # Errors
/// [`ClientsError`]; the file is as it was.
pub fn add_key(path: &Path, name: &str) -> Result<BearerKey, ClientsError> {
    let key = BearerKey::generate()?;
    let hash = written(key.hash());
    change(path, |document| {
        let client = find(document, name)?;
        let keys = client["keys"].or_insert(Array::new().into());
        if let Some(keys) = keys.as_array_mut() {
            keys.push(&*hash);
        }
        Ok(())
    })?;
    Ok(key)
}

/// Takes a client's bearer keys away, but for the newest.
///
/// # Errors
/// [`ClientsError`]; the file is as it was.
pub fn remove_old_keys(path: &Path, name: &str) -> Result<(), ClientsError> {
    change(path, |document| {
        let client = find(document, name)?;
        if let Some(keys) = client.get_mut("keys").and_then(Item::as_array_mut) {
            while keys.len() > 1 {
                keys.remove(0);
            }
        }
        Ok(())
    })
}

/// Removes a client, with all its keys.
///
/// # Errors
/// [`ClientsError`]; the file is as it was.
pub fn remove(path: &Path, name: &str) -> Result<(), ClientsError> {
    change(path, |document| {
        find(document, name)?;
        if let Some(clients) = document
            .get_mut("client")
            .and_then(Item::as_array_of_tables_mut)
        {
            clients.retain(|client| !is_named(client, name));
        }
        Ok(())
    })
}

fn append(
    document: &mut DocumentMut,
    name: &str,
    proof: &str,
    value: &str,
    scopes: &Scopes,
) -> Result<(), ClientsError> {
    super::check_name(name)?;
    if find(document, name).is_ok() {
        return Err(ClientsError::Exists { name: name.into() });
    }
    let mut client = Table::new();
    let mut list = |key: &str, values: Vec<String>| {
        client[key] = values.into_iter().collect::<Array>().into();
    };
    list(proof, vec![value.into()]);
    list(
        "may",
        scopes.rights().map(|right| right.to_string()).collect(),
    );
    if let Some(licenses) = scopes.licenses() {
        list(
            "licenses",
            licenses.iter().map(LicenseId::to_string).collect(),
        );
    }
    if let Some(holders) = scopes.holders() {
        list("holders", holders.iter().map(ToString::to_string).collect());
    }
    if !scopes.groups().is_empty() {
        let groups = scopes.groups().iter().map(ToString::to_string);
        list("groups", groups.collect());
    }
    if let Some(group) = scopes.group() {
        client.insert("group", group.into());
    }
    client.insert("name", name.into());
    client.sort_values_by(|a, _, b, _| order(a.get()).cmp(&order(b.get())));
    let clients = document["client"].or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
    if let Some(clients) = clients.as_array_of_tables_mut() {
        clients.push(client);
    }
    Ok(())
}

/// Where a key stands in a client that is written here.
fn order(key: &str) -> usize {
    let keys = [
        "name",
        "keys",
        "certificates",
        "may",
        "licenses",
        "holders",
        "group",
        "groups",
    ];
    keys.iter()
        .position(|other| *other == key)
        .unwrap_or(keys.len())
}

fn find<'d>(document: &'d mut DocumentMut, name: &str) -> Result<&'d mut Table, ClientsError> {
    let clients = document
        .get_mut("client")
        .and_then(Item::as_array_of_tables_mut);
    let mut clients = clients.into_iter().flat_map(ArrayOfTables::iter_mut);
    clients
        .find(|client| is_named(client, name))
        .ok_or_else(|| ClientsError::Unknown { name: name.into() })
}

fn is_named(client: &Table, name: &str) -> bool {
    client.get("name").and_then(Item::as_str) == Some(name)
}

fn written(hash: KeyHash) -> String {
    let mut text = HASH.to_owned();
    push_hex(&mut text, hash.as_bytes());
    text
}

/// Changes the file by itself: what is not changed stays as people wrote it.
fn change(
    path: &Path,
    change: impl FnOnce(&mut DocumentMut) -> Result<(), ClientsError>,
) -> Result<(), ClientsError> {
    // A link is followed, so that its target is changed and it stays one.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let beside = |ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let lock = Disk.lock(&beside(".lock"));
    let _lock = lock.map_err(failed(path, "lock"))?;
    let text = match read_text(path) {
        Err(ClientsError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            String::new()
        }
        text => text?,
    };
    parse(path, &text)?;
    let document = text.parse::<DocumentMut>();
    let mut document = document.map_err(|error| refused(path, &text, None, error.message()))?;
    change(&mut document)?;
    let text = document.to_string();
    // What is written here is read by the rules that everything is read by.
    parse(path, &text)?;
    replace(path, &beside(".tmp"), text.as_bytes())
}

fn replace(path: &Path, temporary: &Path, bytes: &[u8]) -> Result<(), ClientsError> {
    let wrong = |source| failed(path, "write")(source);
    let mut file = Disk.create(temporary).map_err(wrong)?;
    keep_owner(path, &file).map_err(wrong)?;
    Disk.write(&mut file, bytes).map_err(wrong)?;
    Disk.sync(&file).map_err(wrong)?;
    drop(file);
    // From here on readers see the new clients, whole.
    Disk.rename(temporary, path).map_err(wrong)?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    Disk.sync_folder(folder).map_err(wrong)
}

/// The new file is whose the old one was: an administrator changes it for a node that runs as
/// somebody else.
fn keep_owner(old: &Path, new: &File) -> io::Result<()> {
    #[cfg(unix)]
    if let Ok(old) = fs::metadata(old) {
        use std::os::unix::fs::{MetadataExt as _, fchown};
        let ours = new.metadata()?;
        if (old.uid(), old.gid()) != (ours.uid(), ours.gid()) {
            fchown(new, Some(old.uid()), Some(old.gid()))?;
        }
        new.set_permissions(old.permissions())?;
    }
    #[cfg(not(unix))]
    let _ = (old, new);
    Ok(())
}

fn read_text(path: &Path) -> Result<String, ClientsError> {
    let bytes = files::read(path, MAX_FILE, Secrecy::Public);
    let bytes = bytes.map_err(|problem| match problem {
        FileProblem::TooOpen(mode) => ClientsError::TooOpen {
            path: path.into(),
            mode,
        },
        FileProblem::NotOurs(owner) => ClientsError::NotOurs {
            path: path.into(),
            owner,
        },
        FileProblem::Io(source) => failed(path, "read")(source),
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(&error.as_bytes()[..at]);
        refused(path, &before, Some(at), "this is not UTF-8")
    })
}

fn failed(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> ClientsError {
    let path = path.to_owned();
    move |source| ClientsError::File {
        path,
        doing,
        source,
    }
}

fn refused(path: &Path, text: &str, at: Option<usize>, problem: &str) -> ClientsError {
    ClientsError::Refused {
        path: path.into(),
        line: files::line(text, at.unwrap_or(0)),
        problem: problem.lines().next().unwrap_or_default().to_owned(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    client: Vec<Written>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: Spanned<String>,
    #[serde(default)]
    keys: Vec<Spanned<String>>,
    #[serde(default)]
    certificates: Vec<Spanned<String>>,
    may: Spanned<Vec<Spanned<String>>>,
    licenses: Option<Vec<Spanned<String>>>,
    holders: Option<Vec<Spanned<String>>>,
    group: Option<Spanned<String>>,
    #[serde(default)]
    groups: Vec<Spanned<String>>,
}

fn parse(path: &Path, text: &str) -> Result<Vec<Row>, ClientsError> {
    let document: Document = toml::from_str(text).map_err(|error| {
        let at = error.span().map(|span| span.start);
        refused(path, text, at, error.message())
    })?;
    if document.client.len() > MAX_CLIENTS {
        return Err(ClientsError::TooMany {
            what: "clients",
            most: MAX_CLIENTS,
        });
    }
    let mut check = Check {
        path,
        text,
        names: HashSet::new(),
        proofs: HashSet::new(),
    };
    let rows = document.client.iter().map(|client| check.row(client));
    rows.collect()
}

struct Check<'t> {
    path: &'t Path,
    text: &'t str,
    names: HashSet<String>,
    /// What clients show, each of which stands for one.
    proofs: HashSet<String>,
}

impl Check<'_> {
    fn row(&mut self, written: &Written) -> Result<Row, ClientsError> {
        let name = written.name.get_ref();
        if !self.names.insert(name.clone()) {
            return Err(self.wrong(&written.name, &format!("{name} is there twice")));
        }
        let keys = self.each("keys", &written.keys, MAX_NAMES_EACH, hash_of)?;
        let certificates =
            self.each("certificates", &written.certificates, MAX_NAMES_EACH, says)?;
        if keys.is_empty() && certificates.is_empty() {
            return Err(self.wrong(
                &written.name,
                &format!("{name} has no key and no certificate"),
            ));
        }
        for proof in written.keys.iter().chain(&written.certificates) {
            if !self.proofs.insert(proof.get_ref().to_ascii_lowercase()) {
                return Err(self.wrong(proof, "this is there twice"));
            }
        }
        let client = Client::new(name, self.scopes(written)?)
            .map_err(|error| self.wrong(&written.name, &error.to_string()))?;
        Ok(Row {
            client,
            keys,
            certificates,
        })
    }

    fn scopes(&self, written: &Written) -> Result<Scopes, ClientsError> {
        let rights: Vec<Right> = self.each("may", written.may.get_ref(), MAX_SCOPES_EACH, says)?;
        if rights.is_empty() {
            let problem = format!(
                "name what it may do: {}",
                Right::ALL.map(Right::name).join(", ")
            );
            return Err(self.wrong(&written.may, &problem));
        }
        let mut scopes = Scopes::new(rights);
        if let Some(licenses) = &written.licenses {
            let read = |text: &str| text.parse().map_err(|error| format!("{error}"));
            let licenses: Vec<LicenseId> =
                self.each("licenses", licenses, MAX_SCOPES_EACH, read)?;
            scopes = scopes.with_licenses(licenses);
        }
        if let Some(holders) = &written.holders {
            scopes = scopes.with_holders(self.each("holders", holders, MAX_SCOPES_EACH, says)?);
        }
        if let Some(group) = &written.group {
            let name = says(group.get_ref());
            scopes = scopes.with_group(name.map_err(|problem| self.wrong(group, &problem))?);
        }
        let groups = self.each("groups", &written.groups, MAX_SCOPES_EACH, says)?;
        Ok(scopes.with_groups(groups))
    }

    fn each<T>(
        &self,
        what: &'static str,
        texts: &[Spanned<String>],
        most: usize,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Vec<T>, ClientsError> {
        if let Some(beyond) = texts.get(most) {
            return Err(self.wrong(beyond, &format!("there are more than {most} {what}")));
        }
        let each = texts.iter().map(|text| {
            let value = read(text.get_ref());
            value.map_err(|problem| self.wrong(text, &problem))
        });
        each.collect()
    }

    fn wrong<T>(&self, at: &Spanned<T>, problem: &str) -> ClientsError {
        refused(self.path, self.text, Some(at.span().start), problem)
    }
}

fn says<T: std::str::FromStr<Err = ClientsError>>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|error: ClientsError| error.to_string())
}

fn hash_of(text: &str) -> Result<KeyHash, String> {
    let mut bytes = [0; 32];
    let digits = text.strip_prefix(HASH);
    let read = digits.and_then(|digits| read_hex(digits, &mut bytes));
    // Whoever wrote the key itself here is told so, and not shown it in a log.
    read.ok_or("a key is written as sha256: and the 64 lowercase digits of its hash")?;
    Ok(KeyHash::from_bytes(bytes))
}
