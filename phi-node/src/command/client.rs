//! `phi-node client`: who may ask a node, and what each may do.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use phi_node::clients::{
    self, CertificateName, Client, Clients, ClientsError, GroupName, NamePattern, Right, Scopes,
};
use phi_verify::LicenseId;
use serde::Serialize;

use super::{failure::Failure, output};

/// Add, list and remove clients of a node
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Add(Box<Add>),
    List(List),
    Remove(Remove),
}

#[derive(Debug, Args)]
struct File {
    /// The file of clients; a node that runs reads it again within a second
    #[arg(long, value_name = "FILE", default_value = "clients.toml")]
    clients: PathBuf,
}

/// Add a client; its key is printed once, and kept as a hash
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  phi-node client add web-1 --scope check,take --scope seats --holder 'team-*'"
)]
pub(super) struct Add {
    /// Its name: lowercase letters, digits, `.`, `-` and `_`
    name: String,
    /// What it may do: check, take, seats, borrow, read, push, usage, metrics
    #[arg(
        long = "scope",
        value_name = "SCOPE",
        required = true,
        value_delimiter = ','
    )]
    scopes: Vec<Right>,
    /// Whose seats it may claim: a name, or a beginning with a star [default: its own name]
    #[arg(long = "holder", value_name = "HOLDER")]
    holders: Vec<NamePattern>,
    /// Its group, for which a policy may keep seats: of which its claims are that name none
    #[arg(long, value_name = "GROUP")]
    group: Option<GroupName>,
    /// Another group that its claims may name, or a beginning with a star
    #[arg(long = "also-group", value_name = "GROUP")]
    groups: Vec<NamePattern>,
    /// Which licenses it may use [default: every one of the node]
    #[arg(long = "license", value_name = "ID", value_parser = license)]
    licenses: Vec<LicenseId>,
    /// Recognize it by a certificate in place of a key: sha256:HEX, a DNS name or a URI
    #[arg(long, value_name = "NAME")]
    certificate: Option<CertificateName>,
    #[command(flatten)]
    file: File,
}

/// List the clients
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  phi-node client list")]
pub(super) struct List {
    #[command(flatten)]
    file: File,
}

/// Remove a client, with all its keys
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  phi-node client remove web-1")]
pub(super) struct Remove {
    /// Its name
    name: String,
    #[command(flatten)]
    file: File,
}

fn license(text: &str) -> Result<LicenseId, String> {
    let id = text.parse::<LicenseId>();
    id.map_err(|error| error.to_string())
}

#[derive(Serialize)]
struct Added<'a> {
    client: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
}

#[derive(Serialize)]
struct Listed {
    clients: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    client: String,
    scopes: Vec<&'static str>,
    holders: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    licenses: Option<Vec<LicenseId>>,
}

impl Command {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        match self {
            Self::Add(command) => command.run(json),
            Self::List(command) => command.run(json),
            Self::Remove(command) => command.run(),
        }
    }
}

impl Add {
    fn scopes(&self) -> Scopes {
        let mut scopes = Scopes::new(self.scopes.iter().copied());
        if !self.holders.is_empty() {
            scopes = scopes.with_holders(self.holders.iter().cloned());
        }
        if !self.licenses.is_empty() {
            scopes = scopes.with_licenses(self.licenses.iter().copied());
        }
        if let Some(group) = &self.group {
            scopes = scopes.with_group(group.clone());
        }
        scopes.with_groups(self.groups.iter().cloned())
    }

    fn run(&self, json: bool) -> Result<(), Failure> {
        let path = &self.file.clients;
        let key = match &self.certificate {
            Some(certificate) => {
                clients::add_certificate(path, &self.name, certificate, &self.scopes())?;
                None
            }
            None => Some(clients::add(path, &self.name, &self.scopes())?),
        };
        let (client, key) = (&*self.name, key.as_ref().map(|key| key.expose()));
        if json {
            return output::print_json(&Added { client, key });
        }
        match key {
            Some(key) => {
                output::print(&format!("{key}\n"))?;
                output::say("phi-node: this key is shown once: hand it to the client");
            }
            None => output::say(&format!("phi-node: added {client}")),
        }
        Ok(())
    }
}

impl List {
    fn run(&self, json: bool) -> Result<(), Failure> {
        let clients = Clients::load(&self.file.clients)?.all();
        let rows: Vec<Row> = clients.iter().map(Row::of).collect();
        if json {
            return output::print_json(&Listed { clients: rows });
        }
        let mut table = vec![
            ["CLIENT", "SCOPES", "HOLDERS", "GROUPS", "LICENSES"]
                .map(String::from)
                .to_vec(),
        ];
        table.extend(rows.iter().map(|row| {
            let licenses = row.licenses.as_ref();
            let licenses =
                licenses.map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>());
            let groups: Vec<_> = row.group.iter().chain(&row.groups).cloned().collect();
            let groups = if groups.is_empty() {
                "none".into()
            } else {
                groups.join(",")
            };
            vec![
                row.client.clone(),
                row.scopes.join(","),
                row.holders.join(","),
                groups,
                licenses.map_or_else(|| "all".into(), |all| all.join(",")),
            ]
        }));
        output::print(&output::table(&table))
    }
}

impl Row {
    fn of(client: &Client) -> Self {
        let scopes = client.scopes();
        let holders = scopes.holders();
        let holders = holders.map(|all| all.iter().map(ToString::to_string).collect());
        Self {
            client: client.name().into(),
            scopes: scopes.rights().map(Right::name).collect(),
            holders: holders.unwrap_or_else(|| vec![client.name().into()]),
            group: scopes.group().map(str::to_owned),
            groups: scopes.groups().iter().map(ToString::to_string).collect(),
            licenses: scopes.licenses().map(<[LicenseId]>::to_vec),
        }
    }
}

impl Remove {
    fn run(&self) -> Result<(), Failure> {
        let removed: Result<(), ClientsError> = clients::remove(&self.file.clients, &self.name);
        removed?;
        output::say(&format!("phi-node: removed {}", self.name));
        Ok(())
    }
}
