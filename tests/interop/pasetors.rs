//! pasetors, in this process.

use pasetors::Public;
use pasetors::errors::Error;
use pasetors::keys::{AsymmetricPublicKey, AsymmetricSecretKey};
use pasetors::paserk::{FormatAsPaserk, Id};
use pasetors::token::UntrustedToken;
use pasetors::version4::{PublicToken, V4};

use ciborium::Value;
use phi_tests::snakeoil::Seed;
use phi_verify::{Allowance, Claims, Period, UnixTime};

use crate::sample::{ASSERTION, Sample, snakeoil_key_id};

pub(crate) fn verify(sample: &Sample, token: &str, assertion: &str) -> Result<(), Error> {
    let key = AsymmetricPublicKey::<V4>::from(&sample.public_key)?;
    let token = UntrustedToken::<Public, V4>::try_from(token)?;
    let assertion = Some(assertion.as_bytes());
    let trusted = PublicToken::verify(&key, &token, Some(&sample.footer), assertion)?;
    assert_eq!(trusted.payload(), "{}");
    assert_eq!(trusted.footer(), sample.footer);
    Ok(())
}

pub(crate) fn sign(footer: &[u8]) -> String {
    let (seed, public) = (Seed::License.signing_key(), Seed::License.public());
    let pair = [seed.to_bytes(), *public.as_bytes()].concat();
    let key = AsymmetricSecretKey::<V4>::from(&pair).unwrap();
    PublicToken::sign(&key, b"{}", Some(footer), Some(ASSERTION.as_bytes())).unwrap()
}

/// The footer of a license as docs/spec.md describes it, written with ciborium alone.
pub(crate) fn footer(claims: &Claims) -> Vec<u8> {
    let key_id = Value::Bytes(snakeoil_key_id());
    let mut bytes = Vec::new();
    ciborium::into_writer(&Value::Array(vec![key_id, body(claims)]), &mut bytes).unwrap();
    bytes
}

fn body(claims: &Claims) -> Value {
    let mut flags = Vec::new();
    for flag in claims
        .terms
        .flags
        .iter()
        .map(|flag| usize::from(flag.get()))
    {
        flags.resize(flags.len().max(flag / 8 + 1), 0_u8);
        flags[flag / 8] |= 1 << (flag % 8);
    }
    let amount = |allowance: Allowance| match allowance {
        Allowance::Limited(amount) => Value::from(amount),
        Allowance::Unlimited => Value::Bool(true),
    };
    let quotas = claims.terms.quotas.iter().map(|(code, quota)| {
        let pair = vec![amount(quota.allowance), Value::from(period(quota.period))];
        (Value::from(code.get()), Value::Array(pair))
    });
    let limits = claims.terms.limits.iter();
    let limits = limits.map(|(code, limit)| (Value::from(code.get()), amount(*limit)));
    let binding = claims.binding.as_ref().map(|binding| {
        let components = Value::Bytes(binding.components().concat());
        Value::Array(vec![Value::from(binding.required() as u64), components])
    });
    let license = vec![
        Value::Bytes(claims.license_id.as_bytes().to_vec()),
        claims.license_revision.into(),
    ];
    let time = |time: UnixTime| Value::from(time.seconds());
    let fields = [
        (0, Some(Value::from(1))),
        (1, Some(Value::from(&*claims.issuer))),
        (2, Some(Value::from(&*claims.customer))),
        (4, claims.expires.map(time)),
        (5, claims.not_before.map(time)),
        (6, Some(time(claims.issued_at))),
        (7, Some(Value::Bytes(claims.token_id.as_bytes().to_vec()))),
        (8, Some(Value::from(&*claims.product))),
        (9, Some(Value::from(&*claims.plan))),
        (10, Some(Value::Bytes(flags))),
        (11, Some(Value::Map(quotas.collect()))),
        (12, Some(Value::Map(limits.collect()))),
        (13, binding),
        (14, Some(Value::from(claims.grace))),
        (15, Some(Value::Array(license))),
        (16, Some(Value::from(claims.catalog_revision))),
        (19, Some(Value::from(claims.mint_epoch))),
    ];
    let present = fields.into_iter();
    let present = present.filter_map(|(key, value)| Some((Value::from(key), value?)));
    Value::Map(present.collect())
}

/// The number of a period, by docs/spec.md.
pub(crate) fn period(period: Period) -> u64 {
    match period {
        Period::Lifetime => 0,
        Period::Hour => 1,
        Period::Day => 2,
        Period::Month => 3,
        Period::Year => 4,
    }
}

/// The key's PASERK id, `k4.pid.` and 44 characters.
pub(crate) fn paserk_id(public_key: &[u8; 32]) -> String {
    let key = AsymmetricPublicKey::<V4>::from(public_key).unwrap();
    let mut id = String::new();
    Id::from(&key).fmt(&mut id).unwrap();
    id
}
