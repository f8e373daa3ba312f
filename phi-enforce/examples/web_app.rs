//! A web application with its enforcement inside: one process, one file beside it.
//!
//! `web_app LICENSE USAGE-FILE [ADDRESS]`, such as `web_app keys/demo/license.txt usage.db`.
//! It reads the license again when it is told to (SIGHUP), and gives back what it did not spend when
//! it stops (SIGTERM, or Ctrl-C).

use std::{env, error::Error, fs, future::ready, path::Path, sync::Arc, time::SystemTime};

use axum::{Extension, Router, routing::get};
use phi_enforce::{
    Admitted, Demand, Gate, GateLayer, Needs, Node, Occupant, Policy, Sqlite, SqliteOptions,
    SystemClock,
};
use phi_verify::{
    FlagCode, License, LimitCode, QuotaCode, RevocationPolicy, TrustState, Verifier, armor,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

/// What the catalog of the product calls them: `phi catalog codegen` writes such a file.
const EXPORT: FlagCode = FlagCode::new(0);
const API_CALLS: QuotaCode = QuotaCode::new(0);
const SEATS: LimitCode = LimitCode::new(0);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let usage = "usage: web_app LICENSE USAGE-FILE [ADDRESS]";
    let license = arguments.next().ok_or(usage)?;
    let counts = arguments.next().ok_or(usage)?;
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:0".into());

    // The store is opened before there is a runtime: it waits for the disk.
    let clock = Arc::new(SystemClock);
    let store = Sqlite::open(Path::new(&counts), SqliteOptions::new(clock.clone()))?;
    let node = Node::start(Arc::new(store), clock, "web_app")?;
    let gate = node.gate(&verified(&license)?, Policy::default());

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(&address, &license, gate))?;
    // Requests are over, and with them their seats. What nobody spent goes back with the node,
    // which waits for the store: not in a task.
    drop(runtime);
    drop(node);
    Ok(())
}

/// The license, if it holds now.
fn verified(file: &str) -> Result<License, Box<dyn Error>> {
    let mut trust = TrustState::from_anchor(include_bytes!("../../keys/demo/root-1.phi"))?;
    trust.import(include_bytes!("../../keys/demo/keyset.phi"))?;
    let token = armor::unwrap(&fs::read_to_string(file)?)?;
    let verifier = Verifier::new(&trust, "demo-app", RevocationPolicy::Lenient);
    Ok(verifier.verify(&token, SystemTime::now().into())?)
}

async fn serve(address: &str, license: &str, gate: Gate) -> Result<(), Box<dyn Error>> {
    let app = Router::new()
        .route("/health", get(|| ready("fine")))
        .route("/export", get(|| ready("a file")))
        .route("/api/search", get(|| ready("results")))
        .route("/desk", get(desk));
    // Around the finished router: nothing is beside it, and what is added later is refused until
    // it is declared.
    let app = Router::new().fallback_service(tower::Layer::layer(&layer(&gate), app));
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let license = license.to_owned();
    let reload =
        tokio::spawn(async move { reload(&license, &gate).await.map_err(|e| e.to_string()) });
    axum::serve(listener, app)
        .with_graceful_shutdown(stopped())
        .await?;
    reload.abort();
    Ok(())
}

/// What each request needs.
fn layer(gate: &Gate) -> GateLayer {
    let gate = gate.clone();
    GateLayer::new(move |head| {
        let needs = Needs::of(&gate);
        match head.uri.path() {
            "/health" => Demand::Nothing,
            "/export" => needs.flag(EXPORT).units(API_CALLS, "api-calls", 10).into(),
            path if path.starts_with("/api/") => needs.units(API_CALLS, "api-calls", 1).into(),
            // Who the user is, an application knows from its own log-in.
            "/desk" => match head.headers.get("user").and_then(|user| user.to_str().ok()) {
                Some(user) => needs.seat(SEATS, at_desk(user)).into(),
                None => Demand::Undeclared,
            },
            _ => Demand::Undeclared,
        }
    })
}

/// A user has one seat, in however many tabs.
fn at_desk(user: &str) -> Occupant {
    Occupant {
        holder: user.into(),
        session: format!("web_app {}", std::process::id()),
    }
}

async fn desk(Extension(admitted): Extension<Admitted>) -> String {
    let fence = admitted.seat(SEATS).map(phi_enforce::Lease::fence);
    format!("seat {}", fence.unwrap_or_default())
}

/// Takes another license, or the news that it does not hold any more. Counts go on.
async fn reload(file: &str, gate: &Gate) -> Result<(), Box<dyn Error>> {
    let mut asked = signal(SignalKind::hangup())?;
    while asked.recv().await.is_some() {
        match verified(file) {
            Ok(license) => match gate.replace(&license) {
                Ok(()) => println!("license {}", license.claims().license_id),
                Err(other) => println!("license {other} is another one: restart to use it"),
            },
            Err(error) => {
                let refused = error.downcast_ref::<phi_verify::Error>();
                gate.refuse(refused.map_or("unreadable", phi_verify::Error::code));
                println!("no license: {error}");
            }
        }
    }
    Ok(())
}

async fn stopped() {
    let mut term = signal(SignalKind::terminate()).expect("a process may listen for signals");
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = term.recv() => {}
    }
}
