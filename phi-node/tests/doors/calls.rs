//! The same call over HTTP and over gRPC.

use std::net::SocketAddr;

use phi_enforce::{borrowed_from_text, borrowed_to_text};
use phi_node::{clients::BearerKey, grpc::v1};
use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{
    node::{GrpcClient, NodeRig, license},
    server::say,
};

/// A call, in the words of both.
pub(crate) enum Call {
    Check(&'static str),
    CheckOf(&'static str, &'static str),
    Take(&'static str, u64),
    /// Under a key.
    TakeOnce(&'static str, u64, &'static str),
    Claim(&'static str, Option<&'static str>, &'static str),
    ClaimFor(&'static str, u64),
    ClaimOf(&'static str, &'static str),
    /// The body of the one is the message of the other.
    Borrow(Value),
    HandBack(String),
    Renew(String),
    Release(String),
    Seats(&'static str),
    Licenses,
    License(&'static str),
    Import(Vec<u8>),
    Usage,
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Outcome {
    Done(Value),
    Refused(Refused),
}

/// A refusal, as far as both say it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) code: String,
    /// Seconds.
    retry_after: Option<u64>,
    pub(crate) detail: String,
    hint: Option<String>,
    left: Option<u64>,
    pub(crate) status: Told,
}

/// The status, which each says in its own way.
#[derive(Debug)]
pub(crate) enum Told {
    Http(u16),
    Grpc(Code),
}

/// They are compared by the table of the test.
impl PartialEq for Told {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl Eq for Told {}

impl Call {
    fn http(&self) -> (&'static str, String, Vec<u8>) {
        let post =
            |path: &str, body: Value| ("POST", path.to_owned(), body.to_string().into_bytes());
        let get = |path: String| ("GET", path, Vec::new());
        match self {
            Self::Check(flag) => post("/v1/check", json!({ "flag": flag })),
            Self::CheckOf(license, flag) => {
                post("/v1/check", json!({ "license": license, "flag": flag }))
            }
            Self::Take(quota, units) | Self::TakeOnce(quota, units, _) => {
                post("/v1/take", json!({ "quota": quota, "units": units }))
            }
            Self::Claim(limit, holder, session) => {
                let mut claim = json!({ "limit": limit, "session": session });
                if let Some(holder) = holder {
                    claim["holder"] = (*holder).into();
                }
                post("/v1/seats", claim)
            }
            Self::ClaimFor(session, wait) => post(
                "/v1/seats",
                json!({ "limit": "seats", "session": session, "wait_ms": wait }),
            ),
            Self::ClaimOf(holder, group) => post(
                "/v1/seats",
                json!({ "limit": "seats", "holder": holder, "session": "1", "group": group }),
            ),
            Self::Borrow(body) => post("/v1/seats/borrow", body.clone()),
            Self::HandBack(word) => post("/v1/seats/hand-back", json!({ "document": word })),
            Self::Renew(seat) => ("POST", format!("/v1/seats/{seat}/renew"), Vec::new()),
            Self::Release(seat) => ("DELETE", format!("/v1/seats/{seat}"), Vec::new()),
            Self::Seats(limit) => get(format!("/v1/seats?limit={limit}")),
            Self::Licenses => get("/v1/licenses".into()),
            Self::License(id) => get(format!("/v1/licenses/{id}")),
            Self::Import(bytes) => ("POST", "/v1/documents".into(), bytes.clone()),
            Self::Usage => get("/v1/usage".into()),
        }
    }

    pub(crate) async fn over_http(&self, address: SocketAddr, key: &BearerKey) -> Outcome {
        let (method, path, body) = self.http();
        let kind = match self {
            Self::Import(_) => "application/octet-stream",
            _ => "application/json",
        };
        let once = match self {
            Self::TakeOnce(_, _, key) => format!("Idempotency-Key: {key:?}\r\n"),
            _ => String::new(),
        };
        let mut text = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Authorization: Bearer {}\r\nContent-Type: {kind}\r\n{once}Content-Length: {}\r\n\r\n",
            key.expose(),
            body.len()
        )
        .into_bytes();
        text.extend(body);
        let answer = say(address, &text).await;
        let (head, body) = answer.split_once("\r\n\r\n").expect(&answer);
        let status: u16 = head[9..12].parse().unwrap();
        if status < 300 {
            return Outcome::Done(serde_json::from_str(body).unwrap_or_default());
        }
        let problem: Value = serde_json::from_str(body).expect(&answer);
        let after = head
            .lines()
            .find_map(|line| line.strip_prefix("retry-after: "));
        let word = |name: &str| problem[name].as_str().map(str::to_owned);
        assert_eq!(problem["status"], status, "{answer}");
        Outcome::Refused(Refused {
            code: word("code").expect(&answer),
            retry_after: after.map(|seconds| seconds.parse().unwrap()),
            detail: word("detail").expect(&answer),
            hint: word("hint"),
            left: problem["left"].as_u64(),
            status: Told::Http(status),
        })
    }

    pub(crate) async fn over_grpc(&self, client: &mut GrpcClient) -> Outcome {
        match self.message(client).await {
            Ok(done) => Outcome::Done(done),
            Err(status) => Outcome::Refused(refused(&status)),
        }
    }

    /// The answer over gRPC, by the names of the one over HTTP.
    #[expect(clippy::too_many_lines, reason = "one arm for each call")]
    async fn message(&self, client: &mut GrpcClient) -> Result<Value, Status> {
        let seat = |seat: Option<v1::Seat>| {
            let seat = seat.unwrap();
            json!({
                "seat": seat.seat, "license": seat.license, "limit": seat.limit,
                "holder": seat.holder, "session": seat.session, "fence": seat.fence,
            })
        };
        let claim = |limit: &str, holder: Option<&str>, session: &str, wait_ms| v1::ClaimRequest {
            license: None,
            limit: limit.into(),
            holder: holder.map(str::to_owned),
            session: session.into(),
            wait_ms,
            group: None,
        };
        Ok(match self {
            Self::Check(flag) => {
                let (license, flag) = (None, (*flag).into());
                let done = client
                    .check(v1::CheckRequest { license, flag })
                    .await?
                    .into_inner();
                json!({ "license": done.license, "flag": done.flag, "code": done.code })
            }
            Self::CheckOf(license, flag) => {
                let (license, flag) = (Some((*license).into()), (*flag).into());
                let done = client
                    .check(v1::CheckRequest { license, flag })
                    .await?
                    .into_inner();
                json!({ "license": done.license, "flag": done.flag, "code": done.code })
            }
            Self::Take(quota, units) | Self::TakeOnce(quota, units, _) => {
                let (license, quota, units) = (None, (*quota).into(), *units);
                let key = match self {
                    Self::TakeOnce(_, _, key) => Some((*key).into()),
                    _ => None,
                };
                let request = v1::TakeRequest {
                    license,
                    quota,
                    units,
                    idempotency_key: key,
                };
                let done = client.take(request).await?;
                assert!(done.metadata().contains_key("ratelimit") || done.get_ref().code == 1);
                let done = done.into_inner();
                let mut taken = json!({
                    "license": done.license, "quota": done.quota, "code": done.code,
                    "units": done.units, "resets": done.resets,
                });
                // Taken by both doors in turn, there is less left each time.
                if matches!(self, Self::TakeOnce(..)) {
                    taken["left"] = done.left.into();
                }
                taken
            }
            Self::Claim(limit, holder, session) => {
                let request = claim(limit, *holder, session, None);
                seat(client.claim(request).await?.into_inner().seat)
            }
            Self::ClaimFor(session, wait) => {
                let request = claim("seats", None, session, Some(*wait));
                seat(client.claim(request).await?.into_inner().seat)
            }
            Self::ClaimOf(holder, group) => {
                let request = v1::ClaimRequest {
                    group: Some((*group).into()),
                    ..claim("seats", Some(holder), "1", None)
                };
                seat(client.claim(request).await?.into_inner().seat)
            }
            Self::Borrow(body) => {
                let text = |name: &str| body[name].as_str().map(str::to_owned);
                let request = v1::BorrowRequest {
                    license: text("license"),
                    limit: text("limit").unwrap(),
                    holder: text("holder"),
                    group: text("group"),
                    session: text("session").unwrap(),
                    machine: text("machine").unwrap(),
                    required: body["required"]
                        .as_u64()
                        .map(|count| count.try_into().unwrap()),
                    for_s: body["for_s"].as_u64(),
                };
                let lent = client.borrow(request).await?.into_inner();
                json!({
                    "document": borrowed_to_text(&lent.document), "license": lent.license,
                    "limit": lent.limit, "holder": lent.holder, "session": lent.session,
                    "fence": lent.fence, "from": lent.from, "until": lent.until,
                })
            }
            Self::HandBack(word) => {
                let document = borrowed_from_text(word).unwrap_or_default();
                client.hand_back(v1::HandBackRequest { document }).await?;
                Value::Null
            }
            Self::Renew(name) => {
                let request = v1::RenewRequest { seat: name.clone() };
                seat(client.renew(request).await?.into_inner().seat)
            }
            Self::Release(name) => {
                client
                    .release(v1::ReleaseRequest { seat: name.clone() })
                    .await?;
                Value::Null
            }
            Self::Seats(limit) => {
                let (license, limit) = (None, (*limit).into());
                let request = v1::ListSeatsRequest { license, limit };
                let seats = client.list_seats(request).await?.into_inner().seats;
                let seats = seats.into_iter().map(|seat| {
                    json!({
                        "holder": seat.holder, "client": seat.client, "session": seat.session,
                        "group": seat.group,
                        "fence": seat.fence, "lease_ms": seat.lease_ms,
                        "place": if seat.place() == v1::Place::Seat { "seat" } else { "queue" },
                    })
                });
                json!({ "seats": seats.collect::<Vec<_>>() })
            }
            Self::Licenses => {
                let done = client
                    .list_licenses(v1::ListLicensesRequest {})
                    .await?
                    .into_inner();
                let trust = done.trust.unwrap();
                json!({
                    "trust": {
                        "root": trust.root, "keyset": trust.keyset, "status": trust.status,
                        "freshness": trust.freshness,
                    },
                    "licenses": done.licenses.iter().map(license_of).collect::<Vec<_>>(),
                })
            }
            Self::License(id) => {
                let request = v1::GetLicenseRequest {
                    license: (*id).into(),
                };
                license_of(
                    &client
                        .get_license(request)
                        .await?
                        .into_inner()
                        .license
                        .unwrap(),
                )
            }
            Self::Import(bytes) => {
                let request = v1::ImportDocumentRequest {
                    document: bytes.clone(),
                };
                let done = client.import_document(request).await?.into_inner();
                let parts = done.parts.into_iter().map(|part| {
                    json!({
                        "kind": part.kind, "name": part.name, "license": part.license,
                        "outcome": part.outcome,
                    })
                });
                json!({ "good": done.good, "parts": parts.collect::<Vec<_>>() })
            }
            Self::Usage => {
                let done = client.get_usage(v1::GetUsageRequest {}).await?.into_inner();
                let quotas = done.quotas.into_iter().map(|used| {
                    json!({
                        "license": used.license, "quota": used.quota, "ends": used.ends,
                        "charged": used.charged, "granted": used.granted,
                        "returned": used.returned,
                    })
                });
                let seats = done.seats.into_iter().map(|day| {
                    json!({
                        "license": day.license, "limit": day.limit, "day": day.day,
                        "peak": day.peak, "acquired": day.acquired,
                    })
                });
                json!({ "quotas": quotas.collect::<Vec<_>>(), "seats": seats.collect::<Vec<_>>() })
            }
        })
    }
}

fn license_of(license: &v1::License) -> Value {
    let period = |quota: &v1::Quota| match quota.period() {
        v1::Period::Month => "month",
        v1::Period::Lifetime => "lifetime",
        other => panic!("the license has no such period: {other:?}"),
    };
    let quotas = license.quotas.iter().map(|quota| {
        json!({
            "quota": quota.quota, "code": quota.code, "limit": quota.limit,
            "period": period(quota),
        })
    });
    let limits = license
        .limits
        .iter()
        .map(|limit| json!({ "limit": limit.limit, "code": limit.code, "seats": limit.seats }));
    json!({
        "license": license.license, "product": license.product, "revision": license.revision,
        "in_force": license.in_force, "customer": license.customer, "plan": license.plan,
        "expires": license.expires, "ends": license.ends, "flags": license.flags,
        "quotas": quotas.collect::<Vec<_>>(), "limits": limits.collect::<Vec<_>>(),
    })
}

fn refused(status: &Status) -> Refused {
    let word = |name: &str| {
        status
            .metadata()
            .get(name)
            .map(|value| value.to_str().unwrap())
    };
    let pushback: i64 = word("grpc-retry-pushback-ms")
        .expect("it says when")
        .parse()
        .unwrap();
    let retry_after = u64::try_from(pushback).ok().map(|millis| millis / 1000);
    let details = status.get_error_details();
    let info = details.error_info().expect("it says what");
    let code = word("phi-code").expect("it has a code").to_owned();
    assert_eq!(info.reason.to_lowercase().replace('_', "-"), code);
    assert_eq!(info.domain, "phi.enforce");
    let delay = details.retry_info().and_then(|retry| retry.retry_delay);
    assert_eq!(delay.map(|delay| delay.as_secs()), retry_after);
    Refused {
        code,
        retry_after,
        detail: status.message().into(),
        hint: info.metadata.get("hint").cloned(),
        left: info.metadata.get("left").map(|left| left.parse().unwrap()),
        status: Told::Grpc(status.code()),
    }
}

/// What the answer over gRPC has, as the one over HTTP says it: a field that is left out there is
/// null here.
#[track_caller]
pub(crate) fn assert_same(http: &Value, grpc: &Value) {
    match grpc {
        Value::Object(fields) => {
            for (name, value) in fields {
                assert_same(&http[name], value);
            }
        }
        Value::Array(items) => {
            let http = http.as_array().expect("it is a list");
            assert_eq!(http.len(), items.len(), "{http:?} {items:?}");
            for (http, grpc) in http.iter().zip(items) {
                assert_same(http, grpc);
            }
        }
        value => assert_eq!(http, value),
    }
}

#[tokio::test]
async fn both_doors_give_the_same_answers() {
    let rig = NodeRig::start();
    let mut grpc = rig.grpc(&rig.web);
    let id = "6c6963656e736531";
    for call in [
        Call::Check("export"),
        Call::Check("1"),
        Call::CheckOf(id, "sso"),
        Call::Take("api_calls", 1),
        Call::Take("projects", 1000),
        // The same seat, whichever way it is claimed.
        Call::Claim("seats", None, "one"),
        Call::Claim("seats", Some("web"), "one"),
        Call::ClaimFor("one", 1000),
        Call::Seats("seats"),
        Call::Licenses,
        Call::License(id),
        Call::Import(license().into_bytes()),
        Call::Usage,
    ] {
        let Outcome::Done(http) = call.over_http(rig.address, &rig.web).await else {
            panic!("it is refused over HTTP: {:?}", call.http());
        };
        match call.over_grpc(&mut grpc).await {
            Outcome::Done(grpc) => assert_same(&http, &grpc),
            Outcome::Refused(refused) => panic!("{:?}: {refused:?}", call.http()),
        }
    }
    // What one door gave, the other takes back.
    let claim = Call::Claim("seats", None, "one");
    let Outcome::Done(seat) = claim.over_http(rig.address, &rig.web).await else {
        panic!("a seat is claimed again");
    };
    let seat = seat["seat"].as_str().unwrap().to_owned();
    let renewed = Call::Renew(seat.clone()).over_grpc(&mut grpc).await;
    assert!(
        matches!(&renewed, Outcome::Done(done) if done["seat"] == *seat),
        "{renewed:?}"
    );
    let released = Call::Release(seat.clone())
        .over_http(rig.address, &rig.web)
        .await;
    assert!(matches!(released, Outcome::Done(_)), "{released:?}");
    let again = Call::Release(seat).over_grpc(&mut grpc).await;
    assert!(matches!(&again, Outcome::Refused(refused) if refused.code == "seat-unknown"));
}

/// Two seats, one of which is kept for a group.
#[tokio::test]
async fn seats_are_kept_for_groups_at_both_doors() {
    let rig = NodeRig::with_policy("[seats.seats]\nreserved = { ops = 1 }\n");
    let (mut web, mut team) = (rig.grpc(&rig.web), rig.grpc(&rig.team));
    let one = Call::Claim("seats", None, "one").over_grpc(&mut web).await;
    assert!(matches!(one, Outcome::Done(_)), "{one:?}");
    // The other one is not for whoever is of no group, and of this group is nobody by saying so.
    let open = Call::Claim("seats", Some("team-a"), "1");
    let own = Call::ClaimOf("team-a", "on-call");
    let kept = Call::ClaimOf("team-a", "ops");
    for refused in [&open, &own] {
        let http = refused.over_http(rig.address, &rig.team).await;
        let grpc = refused.over_grpc(&mut team).await;
        match (http, grpc) {
            (Outcome::Refused(http), Outcome::Refused(grpc)) => {
                assert_eq!(http, grpc);
                assert_eq!(http.code, "seats-full");
            }
            other => panic!("{other:?}"),
        }
    }
    let Outcome::Done(seat) = kept.over_http(rig.address, &rig.team).await else {
        panic!("the seat is kept for it");
    };
    let Outcome::Done(same) = kept.over_grpc(&mut team).await else {
        panic!("it has the seat");
    };
    assert_same(&seat, &same);
    let list = Call::Seats("seats");
    let (http, grpc) = (
        list.over_http(rig.address, &rig.web).await,
        list.over_grpc(&mut web).await,
    );
    let (Outcome::Done(http), Outcome::Done(grpc)) = (http, grpc) else {
        panic!("seats are listed");
    };
    assert_same(&http, &grpc);
    let of = |holder: &str| {
        let seats = http["seats"].as_array().unwrap();
        let seat = seats.iter().find(|seat| seat["holder"] == holder).unwrap();
        seat["group"].clone()
    };
    assert_eq!((of("web"), of("team-a")), (Value::Null, json!("ops")));
}

#[expect(clippy::too_many_lines, reason = "one line for each refusal")]
#[tokio::test]
async fn both_doors_refuse_alike() {
    let rig = NodeRig::start();
    let seat = |key, session| async move {
        let holder = Some("team-a").filter(|_| session == "team");
        let claim = Call::Claim("seats", holder, session);
        match claim.over_http(rig_address(key), key_of(key)).await {
            Outcome::Done(seat) => seat["seat"].as_str().unwrap().to_owned(),
            Outcome::Refused(refused) => panic!("{refused:?}"),
        }
    };
    let (one, _) = (
        seat((&rig, &rig.web), "one").await,
        seat((&rig, &rig.team), "team").await,
    );
    let long = "x".repeat(300).leak();
    let cases = [
        (
            &rig.web,
            Call::Check("audit"),
            "not-granted",
            403,
            Code::PermissionDenied,
        ),
        (&rig.web, Call::Check("fly"), "unknown", 404, Code::NotFound),
        (&rig.web, Call::Check(""), "unknown", 404, Code::NotFound),
        (
            &rig.web,
            Call::CheckOf("0000000000000001", "sso"),
            "unknown",
            404,
            Code::NotFound,
        ),
        (
            &rig.web,
            Call::CheckOf("../../etc/passwd", "sso"),
            "unknown",
            404,
            Code::NotFound,
        ),
        (
            &rig.other,
            Call::Check("sso"),
            "no-license",
            404,
            Code::NotFound,
        ),
        (
            &rig.other,
            Call::CheckOf("6c6963656e736531", "sso"),
            "unknown",
            404,
            Code::NotFound,
        ),
        (
            &rig.reader,
            Call::Check("sso"),
            "scope",
            403,
            Code::PermissionDenied,
        ),
        (
            &rig.web,
            Call::Take("api_calls", 11),
            "quota-exhausted",
            429,
            Code::ResourceExhausted,
        ),
        (
            &rig.web,
            Call::Take("api_calls", 0),
            "invalid",
            400,
            Code::InvalidArgument,
        ),
        (
            &rig.web,
            Call::Take("api_calls", u64::MAX),
            "invalid",
            400,
            Code::InvalidArgument,
        ),
        (
            &rig.web,
            Call::Take("calls", 1),
            "unknown",
            404,
            Code::NotFound,
        ),
        (
            &rig.reader,
            Call::Take("api_calls", 1),
            "scope",
            403,
            Code::PermissionDenied,
        ),
        (
            &rig.team,
            Call::Take("api_calls", 1),
            "scope",
            403,
            Code::PermissionDenied,
        ),
        // Both seats are taken, by the two holders.
        (
            &rig.team,
            Call::Claim("seats", Some("team-b"), "b"),
            "seats-full",
            429,
            Code::ResourceExhausted,
        ),
        (
            &rig.web,
            Call::Claim("seats", Some("team-a"), "x"),
            "holder-not-allowed",
            403,
            Code::PermissionDenied,
        ),
        (
            &rig.web,
            Call::Claim("seats", Some("web2"), "x"),
            "holder-not-allowed",
            403,
            Code::PermissionDenied,
        ),
        (
            &rig.team,
            Call::Claim("seats", None, "x"),
            "holder-not-allowed",
            403,
            Code::PermissionDenied,
        ),
        (
            &rig.web,
            Call::ClaimOf("web", "ops"),
            "group-not-allowed",
            403,
            Code::PermissionDenied,
        ),
        (
            &rig.team,
            Call::ClaimOf("team-a", "ops2"),
            "group-not-allowed",
            403,
            Code::PermissionDenied,
        ),
        (
            &rig.team,
            Call::ClaimOf("team-a", ""),
            "invalid",
            400,
            Code::InvalidArgument,
        ),
        (
            &rig.web,
            Call::Claim("seats", Some(""), "x"),
            "invalid",
            400,
            Code::InvalidArgument,
        ),
        (
            &rig.web,
            Call::Claim("seats", None, ""),
            "invalid",
            400,
            Code::InvalidArgument,
        ),
        (
            &rig.web,
            Call::Claim("seats", None, "a\nb"),
            "invalid",
            400,
            Code::InvalidArgument,
        ),
        (
            &rig.web,
            Call::Claim("seats", None, long),
            "invalid",
            400,
            Code::InvalidArgument,
        ),
        (
            &rig.web,
            Call::Claim("chairs", None, "x"),
            "unknown",
            404,
            Code::NotFound,
        ),
        (
            &rig.web,
            Call::ClaimFor("x", 3_600_000),
            "invalid",
            400,
            Code::InvalidArgument,
        ),
        (
            &rig.reader,
            Call::Claim("seats", None, "x"),
            "scope",
            403,
            Code::PermissionDenied,
        ),
        // A seat of another's is none.
        (
            &rig.team,
            Call::Renew(one.clone()),
            "seat-unknown",
            404,
            Code::NotFound,
        ),
        (
            &rig.team,
            Call::Release(one.clone()),
            "seat-unknown",
            404,
            Code::NotFound,
        ),
        (
            &rig.web,
            Call::Renew("0".repeat(32)),
            "seat-unknown",
            404,
            Code::NotFound,
        ),
        (
            &rig.reader,
            Call::Renew(one.clone()),
            "scope",
            403,
            Code::PermissionDenied,
        ),
        (
            &rig.reader,
            Call::Release(one.clone()),
            "scope",
            403,
            Code::PermissionDenied,
        ),
        (
            &rig.team,
            Call::Seats("seats"),
            "scope",
            403,
            Code::PermissionDenied,
        ),
        (
            &rig.web,
            Call::Seats("chairs"),
            "unknown",
            404,
            Code::NotFound,
        ),
        (
            &rig.team,
            Call::Licenses,
            "scope",
            403,
            Code::PermissionDenied,
        ),
        (
            &rig.team,
            Call::License("6c6963656e736531"),
            "scope",
            403,
            Code::PermissionDenied,
        ),
        (
            &rig.other,
            Call::License("6c6963656e736531"),
            "unknown",
            404,
            Code::NotFound,
        ),
        (
            &rig.reader,
            Call::Import(license().into_bytes()),
            "scope",
            403,
            Code::PermissionDenied,
        ),
        (
            &rig.web,
            Call::Import(b"two words".to_vec()),
            "armor-invalid",
            422,
            Code::InvalidArgument,
        ),
        (
            &rig.reader,
            Call::Usage,
            "scope",
            403,
            Code::PermissionDenied,
        ),
    ];
    for (key, call, code, status, number) in cases {
        let about = format!("{code}: {:?}", call.http().1);
        let (http, grpc) = (
            call.over_http(rig.address, key).await,
            call.over_grpc(&mut rig.grpc(key)).await,
        );
        match (http, grpc) {
            (Outcome::Refused(http), Outcome::Refused(grpc)) => {
                assert_eq!(http, grpc, "{about}");
                assert_eq!(http.code, code, "{about}: {}", http.detail);
                assert!(
                    matches!(http.status, Told::Http(is) if is == status),
                    "{about}: {http:?}"
                );
                assert!(
                    matches!(grpc.status, Told::Grpc(is) if is == number),
                    "{about}: {grpc:?}"
                );
            }
            other => panic!("{about}: {other:?}"),
        }
    }
    // None of it did anything.
    let Outcome::Done(seats) = Call::Seats("seats").over_http(rig.address, &rig.web).await else {
        panic!("seats are listed");
    };
    assert_eq!(seats["seats"].as_array().unwrap().len(), 2, "{seats}");
    let renewed = Call::Renew(one).over_http(rig.address, &rig.web).await;
    assert!(matches!(renewed, Outcome::Done(_)), "{renewed:?}");
}

fn rig_address((rig, _): (&NodeRig, &BearerKey)) -> SocketAddr {
    rig.address
}

fn key_of<'k>((_, key): (&NodeRig, &'k BearerKey)) -> &'k BearerKey {
    key
}
