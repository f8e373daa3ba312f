//! The examples, as processes: what they admit and refuse, that another license is taken, and that
//! they give back what they did not spend.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps an error has failed"
)]

#[expect(clippy::pedantic, unreachable_pub, reason = "it is generated")]
mod reports {
    include!("../examples/grpc_service/reports.v1.rs");
}

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
};

use phi_enforce::{PeriodUsage, Sqlite, SqliteOptions, SystemClock};
use reports::{RenderRequest, reports_client::ReportsClient};
use rustix::process::{Pid, Signal, kill_process};
use tonic::{Code, transport::Endpoint};

const LICENSE: &str = include_str!("../../keys/demo/license.txt");
const LIMIT: u64 = 100_000;

/// An example that runs.
struct Example {
    process: Child,
    says: BufReader<ChildStdout>,
    address: String,
    folder: tempfile::TempDir,
}

impl Example {
    fn start(name: &str) -> Self {
        // Cargo puts examples beside the folder of the tests.
        let tests = env::current_exe().unwrap();
        let program = tests
            .ancestors()
            .nth(2)
            .unwrap()
            .join("examples")
            .join(name);
        assert!(program.exists(), "{}: run all targets", program.display());
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("license.txt"), LICENSE).unwrap();
        let mut process = Command::new(program)
            .arg(folder.path().join("license.txt"))
            .arg(folder.path().join("usage.db"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut says = BufReader::new(process.stdout.take().unwrap());
        let line = next_line(&mut says);
        let address = line.strip_prefix("listening on ").unwrap().to_owned();
        Self {
            process,
            says,
            address,
            folder,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// Stops it, and counts what its store has as used.
    fn charged_at_the_end(mut self) -> u64 {
        self.signal(Signal::TERM);
        assert!(self.process.wait().unwrap().success());
        let options = SqliteOptions::new(Arc::new(SystemClock)).dangerous_on_any_disk();
        let store = Sqlite::open(&self.file("usage.db"), options).unwrap();
        assert_eq!(store.audit().unwrap(), Vec::<String>::new());
        let usage = store.period_usage().unwrap();
        usage.iter().map(PeriodUsage::charged).sum()
    }

    /// One request over HTTP/1.1: the status, and all that came.
    fn get(&self, path: &str, headers: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: example\r\nconnection: close\r\n{headers}\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer)
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn next_line(says: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    says.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

#[test]
fn a_web_application_enforces_its_license() {
    let mut app = Example::start("web_app");
    assert_eq!(app.get("/health", "").0, 200);
    let (status, answer) = app.get("/export", "");
    assert_eq!(status, 200);
    let policy = format!("\r\nratelimit-policy: \"api-calls\";q={LIMIT};w=");
    assert!(answer.contains(&policy), "{answer}");
    for _ in 0..3 {
        assert_eq!(app.get("/api/search", "").0, 200);
    }
    let (status, answer) = app.get("/desk", "user: ann\r\n");
    assert!(status == 200 && answer.contains("seat "), "{answer}");
    let (status, answer) = app.get("/admin", "");
    assert!(
        status == 403 && answer.contains("\"undeclared\""),
        "{answer}"
    );
    assert_eq!(app.get("/desk", "").0, 403);

    fs::write(app.file("license.txt"), LICENSE.replace("PHI", "")).unwrap();
    app.signal(Signal::HUP);
    assert!(next_line(&mut app.says).starts_with("no license: "));
    let (status, answer) = app.get("/api/search", "");
    assert!(
        status == 403 && answer.contains("\"unlicensed\""),
        "{answer}"
    );
    assert_eq!(app.get("/health", "").0, 200);
    fs::write(app.file("license.txt"), LICENSE).unwrap();
    app.signal(Signal::HUP);
    assert!(next_line(&mut app.says).starts_with("license "));
    let (_, answer) = app.get("/api/search", "");
    let left = format!("\"api-calls\";r={};", LIMIT - 14);
    assert!(answer.contains(&left), "no counter is reset: {answer}");
    assert_eq!(app.charged_at_the_end(), 14);
}

#[test]
fn a_grpc_service_enforces_its_license() {
    let service = Example::start("grpc_service");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let address = format!("http://{}", service.address);
    runtime.block_on(async {
        let channel = Endpoint::from_shared(address).unwrap().connect().await;
        let mut client = ReportsClient::new(channel.unwrap());
        let report = |pages| RenderRequest {
            title: "year".into(),
            pages,
        };
        let answer = client.render(report(30)).await.unwrap().into_inner();
        assert_eq!((&*answer.text, answer.left), ("year, 30 pages", LIMIT - 30));
        let refused = client.render(report(LIMIT.try_into().unwrap())).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        let said = refused.metadata().get("phi-code").unwrap();
        assert_eq!(said, "quota-exhausted");
        assert!(refused.metadata().contains_key("ratelimit"));
    });
    // A connection that nobody tends is closed with its runtime.
    drop(runtime);
    assert_eq!(service.charged_at_the_end(), 30);
}

/// What is in the tree is what the tools make of the protocol.
#[test]
fn the_code_of_the_protocol_is_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/grpc_service");
    let protocol = protox::compile(["reports.proto"], [&folder]).unwrap();
    let made = tempfile::tempdir().unwrap();
    tonic_prost_build::configure()
        .out_dir(made.path())
        .compile_fds(protocol)
        .unwrap();
    let made = fs::read_to_string(made.path().join("reports.v1.rs")).unwrap();
    let kept = folder.join("reports.v1.rs");
    if fs::read_to_string(&kept).unwrap() != made {
        fs::write(&kept, made).unwrap();
        panic!("{} is written again: review what changed", kept.display());
    }
}
