//! A gRPC service with its enforcement inside: the layer asks for what the head of a call tells, and
//! the call itself for what only its message tells.
//!
//! `grpc_service LICENSE USAGE-FILE [ADDRESS]`, such as
//! `grpc_service keys/demo/license.txt usage.db`. It stops by SIGTERM or Ctrl-C.

#[expect(clippy::pedantic, unreachable_pub, reason = "it is generated")]
mod reports {
    include!("reports.v1.rs");
}

use std::{env, error::Error, fs, path::Path, sync::Arc, time::SystemTime};

use phi_enforce::{
    Clock, Demand, Gate, GateLayer, Needs, Node, Policy, Rejection, Sqlite, SqliteOptions,
    SystemClock,
};
use phi_verify::{FlagCode, License, QuotaCode, RevocationPolicy, TrustState, Verifier, armor};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tonic::{
    Code, Request, Response, Status,
    metadata::MetadataMap,
    transport::{Server, server::TcpIncoming},
};

use reports::{
    RenderReply, RenderRequest,
    reports_server::{Reports, ReportsServer},
};

const EXPORT: FlagCode = FlagCode::new(0);
const PAGES: QuotaCode = QuotaCode::new(0);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let usage = "usage: grpc_service LICENSE USAGE-FILE [ADDRESS]";
    let license = arguments.next().ok_or(usage)?;
    let counts = arguments.next().ok_or(usage)?;
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:0".into());

    let clock = Arc::new(SystemClock);
    let store = Sqlite::open(Path::new(&counts), SqliteOptions::new(clock.clone()))?;
    let node = Node::start(Arc::new(store), clock, "grpc_service")?;
    let gate = node.gate(&verified(&license)?, Policy::default());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(&address, gate))?;
    drop(runtime);
    drop(node);
    Ok(())
}

/// The license, if it holds now.
fn verified(file: &str) -> Result<License, Box<dyn Error>> {
    let mut trust = TrustState::from_anchor(include_bytes!("../../../keys/demo/root-1.phi"))?;
    trust.import(include_bytes!("../../../keys/demo/keyset.phi"))?;
    let token = armor::unwrap(&fs::read_to_string(file)?)?;
    let verifier = Verifier::new(&trust, "demo-app", RevocationPolicy::Lenient);
    Ok(verifier.verify(&token, SystemTime::now().into())?)
}

async fn serve(address: &str, gate: Gate) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    Server::builder()
        .layer(layer(&gate))
        .add_service(ReportsServer::new(Desk { gate }))
        .serve_with_incoming_shutdown(TcpIncoming::from(listener), stopped())
        .await?;
    Ok(())
}

/// What each call needs, by its method.
fn layer(gate: &Gate) -> GateLayer {
    let gate = gate.clone();
    GateLayer::new(move |head| match head.uri.path() {
        "/reports.v1.Reports/Render" => Needs::of(&gate).flag(EXPORT).into(),
        _ => Demand::Undeclared,
    })
}

struct Desk {
    gate: Gate,
}

#[tonic::async_trait]
impl Reports for Desk {
    async fn render(
        &self,
        request: Request<RenderRequest>,
    ) -> Result<Response<RenderReply>, Status> {
        let RenderRequest { title, pages } = request.into_inner();
        // How many pages there are, only the message tells.
        let answer = self.gate.take_async(PAGES, pages.into()).await;
        let limit = self.gate.rate_limit(PAGES, "pages", &answer);
        let taken = answer.map_err(|refusal| {
            let now = SystemClock.wall().second();
            status(&Rejection::new(refusal, now).with_rate_limit(limit))
        })?;
        let text = format!("{title}, {pages} pages");
        let left = taken.left;
        Ok(Response::new(RenderReply { text, left }))
    }
}

/// The same answer that the layer gives.
fn status(rejection: &Rejection) -> Status {
    Status::with_metadata(
        Code::from_i32(rejection.grpc().number()),
        rejection.refusal().to_string(),
        MetadataMap::from_headers(rejection.metadata()),
    )
}

async fn stopped() {
    let mut term = signal(SignalKind::terminate()).expect("a process may listen for signals");
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = term.recv() => {}
    }
}
