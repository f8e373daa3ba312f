//! `phi-node run`: a node, until it is told to stop.

use std::{path::PathBuf, sync::Arc};

use clap::Args;
use phi_enforce::SystemClock;
use phi_node::{
    entry::{Entry, Who},
    inbox::{News, Told},
    intake::Outcome,
    licenses::Standing,
    limits::Limits,
    listener::{Drained, Listener, Protection, reread},
    server::Server,
    tls::Tls,
    watch::Watch,
};
use tokio::{
    runtime,
    signal::unix::{Signal, SignalKind, signal},
    task::JoinSet,
};
use tracing::{info, warn};

use super::{
    exit_code::ExitCode,
    failure::Failure,
    output,
    settings::{Made, Settings},
};

/// Run a node until it is told to stop (SIGTERM, or Ctrl-C); SIGHUP reads its clients and
/// certificates again
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  phi-node run --store sqlite:usage.db --anchor root-1.phi --bundle acme.bundle\n  phi-node run --config /etc/phi/node.toml"
)]
pub(super) struct Run {
    /// A file of settings in TOML, by the names of these options; what is said here comes first
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

impl Run {
    pub(super) fn run(self, json: bool) -> Result<(), Failure> {
        let settings = match &self.config {
            Some(path) => self.settings.over(Settings::read(path)?),
            None => self.settings,
        };
        let made = settings.make()?;
        let runtime = runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|error| unexpected("runtime-failed", &error))?;
        runtime.block_on(serve(made, json))
    }
}

fn unexpected(code: &'static str, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(ExitCode::UNEXPECTED, code, error.to_string())
}

async fn serve(made: Made, json: bool) -> Result<(), Failure> {
    // Told to stop from here on, a node stops as it should, however far it is.
    let signals = |error| unexpected("signals-failed", &error);
    let stop = Stop::new().map_err(signals)?;
    let hangup = signal(SignalKind::hangup()).map_err(signals)?;
    let watch = Watch::start(&made.watch)?;
    let store = made.server.opening.address.to_string();
    let opening = tokio::task::spawn_blocking(|| Server::open(made.server, Arc::new(SystemClock)));
    let opened = opening
        .await
        .map_err(|error| unexpected("start-failed", &error))?;
    let server = opened?;
    server.news().iter().for_each(complain);
    let listener = Listener::bind(made.listen, made.protection.clone())?;
    greet(
        &server,
        &listener,
        &made.protection,
        &made.who,
        &store,
        json,
    )?;
    let entry = Entry::new(made.who, made.metrics, Limits::default());
    let tls = match made.protection {
        Protection::Tls(tls) => Some(tls),
        Protection::PlaintextOnLoopback | Protection::PlaintextAnywhere => None,
    };
    let mut asides = JoinSet::new();
    asides.spawn(reread_when_told(hangup, entry.clone(), tls));
    let drained = server.serve(listener, entry, stop.told()).await;
    // The collector may be slow or away.
    let _ = tokio::task::spawn_blocking(|| watch.stop()).await;
    match drained {
        Drained::Wholly => {
            output::say("phi-node: stopped, and everything was given back");
            Ok(())
        }
        Drained::CutOff(connections) => {
            let message = format!("{connections} connections were cut off");
            Err(Failure::new(ExitCode::CUT_OFF, "cut-off", message))
        }
    }
}

/// Reads the files of clients and certificates again with each hangup. They are looked at each second
/// too; whoever tells a node to wants to know what came of it.
async fn reread_when_told(mut hangup: Signal, entry: Entry, tls: Option<Tls>) {
    while hangup.recv().await.is_some() {
        let (entry, tls) = (entry.clone(), tls.clone());
        match tokio::task::spawn_blocking(move || reread(&entry, tls.as_ref())).await {
            Ok(Ok(())) => info!("told to: the files of clients and certificates are read again"),
            Ok(Err(wrong)) => {
                warn!(
                    wrong,
                    "told to read files again: what they said before holds"
                );
            }
            Err(_) => return,
        }
    }
}

/// Says where the node is, and what it serves.
fn greet(
    server: &Server,
    listener: &Listener,
    protection: &Protection,
    who: &Who,
    store: &str,
    json: bool,
) -> Result<(), Failure> {
    let scheme = match protection {
        Protection::Tls(_) => "https",
        Protection::PlaintextOnLoopback | Protection::PlaintextAnywhere => "http",
    };
    let url = format!("{scheme}://{}", listener.address());
    let shelf = server.service().books().shelf();
    if json {
        let licenses: Vec<_> = shelf.licenses.keys().map(ToString::to_string).collect();
        let greeting = serde_json::json!({"url": url, "store": store, "licenses": licenses});
        return output::print(&format!("{greeting}\n"));
    }
    let mut text = format!("phi-node: listening on {url}, with its store in {store}\n");
    for entry in shelf.licenses.values() {
        let standing = match &entry.standing {
            Standing::InForce(license) => {
                let ends = license.expires();
                let ends = ends.map_or_else(|| "for good".into(), |ends| format!("until {ends}"));
                format!("{} of {}, {ends}", license.plan(), license.customer())
            }
            Standing::Refused(error) => format!("not in force: {error}"),
        };
        text.extend([format!(
            "phi-node: license {} for {}: {standing}\n",
            entry.id, entry.product
        )]);
    }
    if shelf.licenses.is_empty() {
        text.push_str("phi-node: there is no license yet: POST one to /v1/documents\n");
    }
    if matches!(who, Who::AnyoneOnLoopback) {
        text.push_str(
            "phi-node: every program on this machine is let in; `phi-node client add` and \
             --clients change that\n",
        );
    }
    output::print(&output::clean(&text))
}

/// What is wrong with the files at the start.
fn complain(news: &News) {
    let path = news.path.display();
    match &news.told {
        Told::Taken(report) => {
            for part in &report.parts {
                match &part.outcome {
                    Outcome::Refused(error) => {
                        output::say(&format!(
                            "phi-node: {path}: {} is refused: {error}",
                            part.name
                        ));
                    }
                    Outcome::NoRoom => {
                        output::say(&format!("phi-node: {path}: no room for {}", part.name));
                    }
                    _ => {}
                }
            }
        }
        Told::NotAnObject(error) => output::say(&format!("phi-node: {path}: {error}")),
        Told::Unread(problem) => output::say(&format!("phi-node: {path}: {problem}")),
    }
}

/// The signals that tell a program to stop.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn told(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
