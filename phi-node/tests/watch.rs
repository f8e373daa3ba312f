//! What operators see of a node that runs: numbers, lines of the log, traces, and no secret in any
//! of them.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps an error has failed"
)]

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    trace::v1::Span,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

/// Longer than anything here takes; only a test that fails waits for it.
const LONG: Duration = Duration::from_secs(20);
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn demo(name: &str) -> PathBuf {
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("../keys/demo");
    keys.join(name)
}

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_phi-node"));
    command.env_remove("OTEL_EXPORTER_OTLP_ENDPOINT");
    command
}

/// A node that runs, with one client that may do everything.
struct Node {
    process: Child,
    address: SocketAddr,
    key: String,
    folder: TempDir,
}

impl Node {
    fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let added = command()
            .args(["client", "add", "ann", "--json", "--scope"])
            .args(["check,take,seats,read,push,usage,metrics", "--clients"])
            .arg(at("clients.toml"))
            .output()
            .unwrap();
        let added: Value = serde_json::from_slice(&added.stdout).unwrap();
        let key = added["key"].as_str().unwrap().to_owned();
        let store = format!("sqlite:{}", at("usage.db").display());
        let log = fs::File::create(at("log")).unwrap();
        let mut process = command()
            .args([
                "run",
                "--json",
                "--store",
                &store,
                "--dangerous-on-any-disk",
            ])
            .args(["--listen", "127.0.0.1:0", "--revocation", "lenient"])
            .arg("--anchor")
            .arg(demo("root-1.phi"))
            .arg("--clients")
            .arg(at("clients.toml"))
            .args(
                ["keyset.phi", "catalog-demo-app.phi", "license.txt"]
                    .map(|name| format!("--bundle={}", demo(name).display())),
            )
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut greeting = String::new();
        let mut says = BufReader::new(process.stdout.take().unwrap());
        says.read_line(&mut greeting).unwrap();
        let log = || fs::read_to_string(at("log")).unwrap();
        assert!(!greeting.is_empty(), "it does not start: {}", log());
        let greeting: Value = serde_json::from_str(&greeting).unwrap();
        let url = greeting["url"].as_str().unwrap();
        let address = url.strip_prefix("http://").unwrap().parse().unwrap();
        Self {
            process,
            address,
            key,
            folder,
        }
    }

    /// One request over HTTP/1.1: the status, and the body.
    fn ask(&self, what: &str, headers: &str, body: &str) -> (u16, String) {
        self.ask_as(what, "application/json", headers, body)
    }

    fn ask_as(&self, what: &str, kind: &str, headers: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        write!(
            stream,
            "{what} HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\
             content-type: {kind}\r\ncontent-length: {}\r\n{headers}\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        (status, body.to_owned())
    }

    fn with_key(&self, what: &str, body: &str) -> (u16, String) {
        let headers = format!("authorization: Bearer {}\r\n", self.key);
        self.ask(what, &headers, body)
    }

    /// Stops it, and returns what it logged.
    fn log_at_the_end(mut self) -> String {
        kill_process(Pid::from_child(&self.process), Signal::TERM).unwrap();
        let ended = self.process.wait().unwrap();
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap();
        assert!(ended.success(), "{log}");
        log
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The series of a scrape by their names with labels, read as the text format is written down;
/// every one has a type.
fn parsed(scrape: &str) -> BTreeMap<String, f64> {
    let mut types = BTreeMap::new();
    let mut series = BTreeMap::new();
    for line in scrape.lines().filter(|line| !line.is_empty()) {
        if let Some(about) = line.strip_prefix("# TYPE ") {
            let (name, kind) = about.split_once(' ').unwrap();
            assert!(types.insert(name, kind).is_none(), "{name} has two types");
            continue;
        }
        if line.starts_with("# HELP ") {
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap();
        let value: f64 = value.parse().unwrap();
        let family = name.split('{').next().unwrap();
        let typed = types.iter().any(|(of, kind)| {
            let parts: &[&str] = match *kind {
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            parts.iter().any(|part| family == format!("{of}{part}"))
        });
        assert!(typed, "{line}");
        assert!(
            series.insert(name.to_owned(), value).is_none(),
            "{name} comes twice"
        );
    }
    series
}

#[test]
fn a_scrape_has_what_was_decided_and_how_the_node_is() {
    let node = Node::start(&[]);
    assert_eq!(node.with_key("POST /v1/check", r#"{"flag":"0"}"#).0, 200);
    assert_eq!(node.with_key("POST /v1/check", r#"{"flag":"9"}"#).0, 403);
    for units in [2, 3] {
        let take = format!(r#"{{"quota":"0","units":{units}}}"#);
        assert_eq!(node.with_key("POST /v1/take", &take).0, 200);
    }
    let seat = r#"{"limit":"0","session":"tab"}"#;
    let (status, answer) = node.with_key("POST /v1/seats", seat);
    assert_eq!(status, 201);
    for path in ["/one", "/two"] {
        assert_eq!(node.with_key(&format!("GET {path}"), "").0, 404);
    }
    assert_eq!(node.ask("GET /metrics", "", "").0, 401);
    let (status, scrape) = node.with_key("GET /metrics", "");
    assert_eq!(status, 200);
    let series = parsed(&scrape);
    for (name, value) in [
        (r#"phi_node_decisions_total{call="check",code="ok"}"#, 1.0),
        (
            r#"phi_node_decisions_total{call="check",code="not-granted"}"#,
            1.0,
        ),
        (r#"phi_node_decisions_total{call="take",code="ok"}"#, 2.0),
        (r#"phi_node_decisions_total{call="claim",code="ok"}"#, 1.0),
        ("phi_node_units_taken_total", 5.0),
        ("phi_node_seats_held", 1.0),
        (r#"phi_node_licenses{standing="in-force"}"#, 1.0),
        ("phi_node_ready", 1.0),
        ("phi_node_store_fault", 0.0),
        ("phi_node_store_failures_total", 0.0),
        ("phi_node_store_learning", 0.0),
        ("phi_node_store_epoch", 0.0),
        (r#"phi_node_trust{status_list="missing"}"#, 1.0),
        (r#"phi_node_trust_version{document="root"}"#, 1.0),
        (
            r#"phi_node_documents_imported_total{outcome="updated"}"#,
            3.0,
        ),
        (
            r#"phi_node_request_duration_seconds_count{route="/v1/take",protocol="http",status="200"}"#,
            2.0,
        ),
        (
            r#"phi_node_request_duration_seconds_count{route="none",protocol="http",status="404"}"#,
            2.0,
        ),
    ] {
        assert_eq!(series.get(name), Some(&value), "{name} in\n{scrape}");
    }
    assert!(series["phi_node_store_requests_total"] >= 3.0);
    // However a client spells a path, and whatever it says it sends, that makes no series.
    let seat: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let seat = seat["seat"].as_str().unwrap();
    for letters in 1..20 {
        let (coded, rest) = seat.split_at(letters);
        let spelled = |text, byte| format!("{text}%{byte:x}");
        let coded = coded.bytes().fold(String::new(), spelled);
        let renew = format!("POST /v1/seats/{coded}{rest}/renew");
        let headers = format!("authorization: Bearer {}\r\n", node.key);
        let text = node.ask_as(&renew, "application/grpc", &headers, "").1;
        assert!(text.contains("grpc") || text.contains(seat), "{text}");
        let made_up = format!("POST /phi.enforce.v1.Enforcement/Check{letters}");
        node.ask_as(&made_up, "application/grpc", &headers, "");
    }
    let (_, scrape) = node.with_key("GET /metrics", "");
    assert!(!scrape.contains(&seat[20..]) && !scrape.contains("Check1"));
    let more = parsed(&scrape).len() - series.len();
    assert!(more < 100, "{more} series more");
    assert!(series["phi_node_store_seconds_total"] > 0.0);
}

#[test]
fn no_key_and_no_token_is_in_the_log_however_much_is_logged() {
    let node = Node::start(&["--log=trace", "--log-format=json"]);
    let license = fs::read_to_string(demo("license.txt")).unwrap();
    let wrong = format!("{}x", &node.key[..node.key.len() - 1]);
    node.with_key("POST /v1/check", r#"{"flag":"0"}"#);
    node.with_key("POST /v1/documents", &license);
    node.with_key("POST /v1/documents", &license.replace('A', "B"));
    node.ask(
        "GET /v1/usage",
        &format!("authorization: Bearer {wrong}\r\n"),
        "",
    );
    node.ask(&format!("GET /v1/licenses?key={}", node.key), "", "");
    node.with_key(&format!("GET /v1/licenses/{}", node.key), "");
    let key = node.key.clone();
    let log = node.log_at_the_end();
    let lines: Vec<Value> = log
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let answered = lines.iter().filter(|line| line["message"] == "answered");
    assert!(answered.count() >= 4, "every request has its line: {log}");
    let secret = key.rsplit(['-', '_', '.']).next().unwrap();
    assert!(secret.len() >= 32, "the key has a secret part");
    let token = license.lines().max_by_key(|line| line.len()).unwrap();
    for kept in [&*key, secret, &wrong, &token[token.len() / 2..]] {
        assert!(!log.contains(kept), "{kept} is in the log:\n{log}");
    }
}

/// A collector that hands on what it is sent.
struct Collector(mpsc::Sender<Span>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for resource in request.into_inner().resource_spans {
            for span in resource
                .scope_spans
                .into_iter()
                .flat_map(|scope| scope.spans)
            {
                self.0.send(span).unwrap();
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// A collector on a port of its own, until the test ends.
fn collector() -> (SocketAddr, mpsc::Receiver<Span>) {
    let (spans, received) = mpsc::channel();
    let (tell, address) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            let service = TraceServiceServer::new(Collector(spans));
            let server = Server::builder().add_service(service);
            server
                .serve_with_incoming(TcpIncoming::from(listener))
                .await
        })
    });
    (address.recv().unwrap(), received)
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    digits.collect::<Vec<_>>().concat()
}

#[test]
fn a_request_is_part_of_the_trace_that_it_names() {
    let (collector, spans) = collector();
    let node = Node::start(&["--otlp", &format!("http://{collector}")]);
    let traceparent = format!("traceparent: 00-{TRACE}-{PARENT}-01\r\n");
    let headers = format!("authorization: Bearer {}\r\n{traceparent}", node.key);
    assert_eq!(
        node.ask("POST /v1/check", &headers, r#"{"flag":"0"}"#).0,
        200
    );
    let key = node.key.clone();
    // What was not sent is sent at the end.
    node.log_at_the_end();
    let span = loop {
        let span = spans.recv_timeout(LONG).unwrap();
        assert!(!format!("{span:?}").contains(&key), "{span:?}");
        if span.name == "/v1/check" {
            break span;
        }
    };
    assert_eq!(hex(&span.trace_id), TRACE);
    assert_eq!(hex(&span.parent_span_id), PARENT);
    let named = |key: &str| {
        let found = span.attributes.iter().find(|about| about.key == key);
        format!("{:?}", found.and_then(|about| about.value.as_ref()))
    };
    assert!(named("client").contains("ann"), "{span:?}");
    assert!(named("status").contains("200"), "{span:?}");
}

#[test]
fn a_collector_that_is_no_address_is_refused() {
    let out = command()
        .args([
            "run",
            "--store",
            "sqlite:unused.db",
            "--otlp",
            "not an address",
        ])
        .arg("--anchor")
        .arg(demo("root-1.phi"))
        .current_dir(tempfile::tempdir().unwrap().path())
        .output()
        .unwrap();
    assert!(!out.status.success());
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(said.contains("traces cannot be sent there"), "{said}");
}
