//! The license as a Biscuit: facts in the authority block, judged by a Datalog authorizer.

use std::time::Duration;

use biscuit_auth::builder::{Algorithm, AuthorizerBuilder, BiscuitBuilder};
use biscuit_auth::{AuthorizerLimits, Biscuit, KeyPair, PrivateKey};

use crate::harness::Candidate;
use crate::sample;

/// Parse, verify and authorize; the authorizer's Datalog is parsed beforehand.
pub(crate) fn candidate() -> Candidate {
    let pair = key_pair();
    let token = token(&pair);
    let key = pair.public();
    let authorizer = authorizer();
    Candidate {
        name: "biscuit-auth 6 parse + authorize, facts",
        token_chars: Some(token.len()),
        check: Box::new(move || {
            let biscuit = Biscuit::from_base64(&token, key).expect("the token is valid");
            let mut judge = authorizer.clone().build(&biscuit).expect("within limits");
            judge.authorize().expect("the policy allows it");
        }),
    }
}

fn key_pair() -> KeyPair {
    let seed = sample::signing_key().to_bytes();
    let private = PrivateKey::from_bytes(&seed, Algorithm::Ed25519).expect("32 bytes");
    KeyPair::from(&private)
}

fn token(pair: &KeyPair) -> String {
    let builder = BiscuitBuilder::new()
        .code(facts())
        .expect("the facts are Datalog");
    builder
        .build(pair)
        .and_then(|token| token.to_base64())
        .expect("the token is within limits")
}

fn facts() -> String {
    let text = |name: &str, value: &str| format!("{name}(\"{value}\");");
    let mut facts = vec![
        text("issuer", sample::ISSUER),
        text("customer", sample::CUSTOMER),
        text("product", sample::PRODUCT),
        text("plan", sample::PLAN),
        format!(
            "issued_at({}); expires_at({});",
            sample::ISSUED_AT,
            sample::EXPIRES_AT
        ),
        format!(
            "limit(\"seats\", {}); limit(\"nodes\", {});",
            sample::SEATS,
            sample::NODES
        ),
        text("fingerprint", &sample::base64url(&sample::FINGERPRINT)),
        text("id", &sample::base64url(&sample::TOKEN_ID)),
    ];
    facts.extend(sample::FLAGS.iter().map(|(_, flag)| text("flag", flag)));
    facts.extend(sample::QUOTAS.map(|quota| {
        format!(
            "quota(\"{}\", {}, \"{}\");",
            quota.name, quota.limit, quota.period
        )
    }));
    facts.concat()
}

fn authorizer() -> AuthorizerBuilder {
    let now = sample::ISSUED_AT + 86_400;
    let code = format!(
        "now({now}); allow if product(\"{}\"), issued_at($from), expires_at($to), now($now), \
         $from <= $now, $now < $to;",
        sample::PRODUCT
    );
    // The default of a millisecond is passed when a busy machine interrupts a check.
    let limits = AuthorizerLimits {
        max_time: Duration::from_secs(1),
        ..AuthorizerLimits::default()
    };
    AuthorizerBuilder::new()
        .code(code)
        .expect("the policy is Datalog")
        .set_limits(limits)
}
