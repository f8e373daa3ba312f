//! The HTTP API as a client has it, and as the published document describes it.

use std::{
    collections::HashMap,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::LazyLock,
};

use serde_json::{Value, json};

use crate::process::LONG;

/// The document that is published.
pub(crate) const PUBLISHED: &str = include_str!("../../../docs/openapi.json");

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(PUBLISHED).unwrap());

/// A node, as one client has it.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    address: SocketAddr,
    key: Option<String>,
}

/// An answer, which is as the document says.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    #[track_caller]
    pub(crate) fn must_be_refused(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self.code()), (status, code), "{self:?}");
        self
    }

    pub(crate) fn text(&self, field: &str) -> String {
        self.body[field].as_str().unwrap().into()
    }
}

impl Api {
    pub(crate) const fn new(address: SocketAddr) -> Self {
        Self { address, key: None }
    }

    /// With this key.
    pub(crate) fn with(&self, key: &str) -> Self {
        Self {
            key: Some(key.into()),
            ..self.clone()
        }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, None, b"")
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.ask("DELETE", path, None, b"")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        let body = body.to_string();
        self.ask("POST", path, Some("application/json"), body.as_bytes())
    }

    pub(crate) fn push(&self, bytes: &[u8]) -> Answer {
        let kind = Some("application/octet-stream");
        self.ask("POST", "/v1/documents", kind, bytes)
    }

    pub(crate) fn take(&self, units: u64) -> Answer {
        let body = json!({"quota": "api_calls", "units": units});
        self.post("/v1/take", &body)
    }

    pub(crate) fn check(&self) -> Answer {
        self.post("/v1/check", &json!({"flag": "export"}))
    }

    pub(crate) fn claim(&self, holder: &str) -> Answer {
        let body = json!({"limit": "seats", "holder": holder, "session": "test"});
        self.post("/v1/seats", &body)
    }

    #[track_caller]
    pub(crate) fn ask(&self, method: &str, path: &str, kind: Option<&str>, body: &[u8]) -> Answer {
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        if let Some(key) = &self.key {
            head.extend([format!("Authorization: Bearer {key}\r\n")]);
        }
        if let Some(kind) = kind {
            head.extend([format!("Content-Type: {kind}\r\n")]);
        }
        head.extend([format!("Content-Length: {}\r\n\r\n", body.len())]);
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let answer = Answer::parse(&text);
        answer.check(method, path);
        answer
    }
}

impl Answer {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_ascii_lowercase(), value.into())
        });
        Self {
            status: status.parse().unwrap(),
            headers: headers.collect(),
            body: serde_json::from_str(body).unwrap_or(Value::Null),
        }
    }

    /// That the document has the answer.
    #[track_caller]
    fn check(&self, method: &str, path: &str) {
        let problem = "/components/schemas/Problem";
        let Some(responses) = responses(method, path) else {
            // What has no place there is refused like everything else.
            assert!(self.status >= 400, "{method} {path} is not documented");
            return self.fits(problem);
        };
        let status = self.status.to_string();
        let response = responses.get(&status).or_else(|| responses.get("default"));
        let Some(response) = response else {
            panic!("{method} {path} answers {status}, which is not documented");
        };
        let Some(content) = response.get("content") else {
            assert_eq!(self.body, Value::Null);
            return;
        };
        let kind = self.headers["content-type"].as_str();
        let content = content.get(kind);
        let content = content.unwrap_or_else(|| panic!("{method} {path}: {status} is {kind}"));
        match content["schema"]["$ref"].as_str() {
            Some(schema) => self.fits(schema.trim_start_matches('#')),
            None if kind == "application/json" => assert!(self.body.is_object(), "{self:?}"),
            None => assert_eq!(self.body, Value::Null, "{path} is text"),
        }
    }

    #[track_caller]
    fn fits(&self, schema: &str) {
        let schema = json!({
            "$ref": format!("#{schema}"),
            "components": DOCUMENT["components"],
        });
        let validator = jsonschema::validator_for(&schema).unwrap();
        let wrong: Vec<_> = validator
            .iter_errors(&self.body)
            .map(|e| e.to_string())
            .collect();
        assert!(wrong.is_empty(), "{wrong:?} in {self:?}");
    }
}

/// What a path and a method may answer.
fn responses(method: &str, path: &str) -> Option<&'static Value> {
    let path = path.split('?').next().unwrap();
    let parts: Vec<_> = path.split('/').collect();
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let fits = |pattern: &str| {
        let pattern: Vec<_> = pattern.split('/').collect();
        let same = |(known, part): (&&str, &&str)| known.starts_with('{') || known == part;
        pattern.len() == parts.len() && pattern.iter().zip(&parts).all(same)
    };
    let (_, item) = paths.iter().find(|(pattern, _)| fits(pattern))?;
    Some(&item.get(method.to_ascii_lowercase())?["responses"])
}

#[test]
fn the_published_document_is_the_one_that_is_served() {
    let served = phi_node::http::openapi::document();
    assert!(
        served == PUBLISHED,
        "run `phi-node openapi > docs/openapi.json`"
    );
    assert_eq!(DOCUMENT["openapi"], "3.1.0");
}

/// What a reader of the document relies on, as its specification has it: every reference leads
/// somewhere, every operation has a name of its own, and every part of a path is described.
#[test]
fn the_document_holds_together() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str));
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(all) => all.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    references(&DOCUMENT, &mut found);
    assert!(found.len() > 20);
    for reference in found {
        let place = reference.strip_prefix('#').unwrap();
        assert!(DOCUMENT.pointer(place).is_some(), "{reference}");
    }
    let mut names = Vec::new();
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            names.push(operation["operationId"].as_str().unwrap());
            let described = operation["parameters"].as_array().into_iter().flatten();
            let described: Vec<_> = described
                .map(|found| found["name"].as_str().unwrap())
                .collect();
            for part in path.split('/').filter_map(|part| part.strip_prefix('{')) {
                let name = part.strip_suffix('}').unwrap();
                assert!(described.contains(&name), "{path}");
            }
        }
    }
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    for schema in DOCUMENT["components"]["schemas"]
        .as_object()
        .unwrap()
        .values()
    {
        jsonschema::draft202012::meta::validate(schema).unwrap();
    }
}
