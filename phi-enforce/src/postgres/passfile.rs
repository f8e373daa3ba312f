//! The user's password file, as libpq keeps it: lines of host, port, database, user and password.
//!
//! Passwords come from there and from nowhere else: not from the URL, which is in a file for all
//! to read, not from the command line, and not from the environment.
//! <https://www.postgresql.org/docs/current/libpq-pgpass.html>

use std::{
    env,
    path::{Path, PathBuf},
};

use tokio_postgres::{Config, config::Host};
use zeroize::Zeroizing;

use super::files;
use crate::error::{Fault, StoreError};

/// A file that people write.
const MAX_FILE: u64 = 1 << 20;
/// libpq matches a socket in any folder by this name too.
const LOCALHOST: &str = "localhost";

/// The password for the database, if the file has one.
///
/// # Errors
/// If the file may be read by others, or the hosts of the URL have different ones.
pub(super) fn password_for(config: &Config) -> Result<Option<Zeroizing<String>>, StoreError> {
    match path() {
        Some(path) if path.exists() => read(&path, config),
        _ => Ok(None),
    }
}

fn path() -> Option<PathBuf> {
    if let Some(path) = env::var_os("PGPASSFILE") {
        return Some(path.into());
    }
    if cfg!(windows) {
        return Some(PathBuf::from(env::var_os("APPDATA")?).join("postgresql/pgpass.conf"));
    }
    Some(env::home_dir()?.join(".pgpass"))
}

fn read(path: &Path, config: &Config) -> Result<Option<Zeroizing<String>>, StoreError> {
    let bytes = Zeroizing::new(files::read_private(path, MAX_FILE)?);
    let invalid = |problem: &str| {
        let problem = format!("the password file {} {problem}", path.display());
        StoreError::new(Fault::Address, problem)
    };
    let text = str::from_utf8(&bytes).map_err(|_| invalid("is not UTF-8"))?;
    let hosts = config.get_hosts().iter().enumerate();
    let mut found = hosts.map(|(index, host)| find(text, &names(host), &Rest::of(config, index)));
    let first = found.next().flatten();
    if found.any(|other| other != first) {
        return Err(invalid(
            "has different passwords for the hosts of the store; name one host",
        ));
    }
    Ok(first)
}

/// What a line is matched with, besides the host.
struct Rest<'c> {
    port: String,
    database: &'c str,
    user: String,
}

impl<'c> Rest<'c> {
    fn of(config: &'c Config, index: usize) -> Self {
        let ports = config.get_ports();
        // One port is for all hosts.
        let port = ports.get(index).or(ports.first()).copied();
        Self {
            port: port.unwrap_or(5432).to_string(),
            database: config.get_dbname().unwrap_or_default(),
            user: config.get_user().map_or_else(system_user, str::to_owned),
        }
    }
}

/// Who the driver says it is where the URL names nobody.
fn system_user() -> String {
    let mut names = ["USER", "LOGNAME", "USERNAME"].into_iter();
    names
        .find_map(|name| env::var(name).ok())
        .unwrap_or_default()
}

/// The names under which a line may have the host.
fn names(host: &Host) -> Vec<String> {
    match host {
        #[cfg(unix)]
        Host::Unix(folder) => vec![folder.display().to_string(), LOCALHOST.into()],
        Host::Tcp(name) => vec![name.clone()],
    }
}

/// The password of the first line that fits.
fn find(text: &str, hosts: &[String], rest: &Rest<'_>) -> Option<Zeroizing<String>> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    for line in lines {
        let Some([host, port, database, user, password]) = fields(line) else {
            continue;
        };
        let fits = |field: &str, value: &str| field == "*" || field == value;
        if hosts.iter().any(|name| fits(&host, name))
            && fits(&port, &rest.port)
            && fits(&database, rest.database)
            && fits(&user, &rest.user)
        {
            return Some(password);
        }
    }
    None
}

/// The fields of a line. A backslash takes the next character as it is.
fn fields(line: &str) -> Option<[Zeroizing<String>; 5]> {
    let mut fields: [Zeroizing<String>; 5] = Default::default();
    let mut index = 0;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            ':' if index < 4 => index += 1,
            '\\' => fields[index].push(characters.next()?),
            other => fields[index].push(other),
        }
    }
    (index == 4).then_some(fields)
}
