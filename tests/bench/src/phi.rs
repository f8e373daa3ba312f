//! Phi: the whole check of a license that is bound to this machine, under a status list.

use phi_tests::snakeoil::{self, PRODUCT, Seed};
use phi_verify::{
    Allowance, Binding, Claims, Fingerprint, FlagCode, LimitCode, Period, Quota, QuotaCode,
    RevocationPolicy, Terms, TokenId, TrustState, UnixTime, UnsignedToken, Verifier,
};

use crate::harness::Candidate;
use crate::sample;

pub(crate) fn candidate() -> Candidate {
    let token = token();
    let trust = trust();
    let machine = machine();
    Candidate {
        name: "**Phi** `Verifier::verify`, machine and revocation included",
        token_chars: Some(token.len()),
        check: Box::new(move || {
            let verifier = Verifier::new(&trust, PRODUCT, RevocationPolicy::Balanced);
            let license = verifier.on_machine(&machine).verify(&token, snakeoil::NOW);
            assert_eq!(license.expect("the license is valid").plan(), sample::PLAN);
        }),
    }
}

/// The license as a Phi token.
pub(crate) fn token() -> String {
    Seed::License.seal(&unsigned())
}

/// What the signature of [`token`] covers.
pub(crate) fn signed_bytes() -> Vec<u8> {
    unsigned().message()
}

fn unsigned() -> UnsignedToken {
    UnsignedToken::license(Seed::License.id(), &claims()).expect("the claims keep the rules")
}

fn trust() -> TrustState {
    let mut trust = snakeoil::trust();
    let status = Seed::Status.sign(&snakeoil::status().unsigned());
    trust.import(&status).expect("the status is signed");
    trust
}

fn machine() -> Fingerprint {
    let components = ["machine-id", "board", "disk", "network"];
    components
        .iter()
        .fold(Fingerprint::new(PRODUCT), |machine, kind| {
            machine.with(kind, "7d2f3a90")
        })
}

fn claims() -> Claims {
    let time = |seconds| UnixTime::new(seconds).expect("before the year 10000");
    Claims {
        customer: sample::CUSTOMER.into(),
        issued_at: time(sample::ISSUED_AT),
        expires: Some(time(sample::EXPIRES_AT)),
        token_id: TokenId::from_bytes(sample::TOKEN_ID),
        plan: sample::PLAN.into(),
        terms: terms(),
        binding: Some(Binding::new(&machine(), 2).expect("two of four")),
        ..snakeoil::claims()
    }
}

fn terms() -> Terms {
    let quotas = sample::QUOTAS.map(|quota| {
        let allowance = Allowance::Limited(quota.limit);
        let period = Period::from_name(quota.period).expect("a period of the format");
        (QuotaCode::new(quota.code), Quota { allowance, period })
    });
    let limits = [(0, sample::SEATS), (1, sample::NODES)];
    let limits = limits.map(|(code, limit)| (LimitCode::new(code), Allowance::Limited(limit)));
    Terms {
        flags: sample::FLAGS
            .iter()
            .map(|(code, _)| FlagCode::new(*code))
            .collect(),
        quotas: quotas.into(),
        limits: limits.into(),
    }
}
