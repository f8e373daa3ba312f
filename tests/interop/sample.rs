//! Licenses minted by Phi, taken apart as the wire format describes them.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use phi_issuer::{Issuer, MintRequest, NewLicense, catalog::Overrides};
use phi_tests::snakeoil::{self, DAY, NOW, PRODUCT, START, Seed};
use phi_tests::workshop::{self, at, passphrase};
use phi_verify::{
    Allowance, Binding, Claims, Error, Fingerprint, FlagCode, LimitCode, Period, Quota, QuotaCode,
    RevocationPolicy, Verifier,
};
use serde_json::{Value, json};

use crate::pasetors::period;
use crate::peer::hex;

/// What a license token is signed under; never on the wire.
pub(crate) const ASSERTION: &str = "phi.license.v1";

/// A token, the key it is signed with, and the footer that is its last segment.
pub(crate) struct Sample {
    pub(crate) public_key: [u8; 32],
    pub(crate) footer: Vec<u8>,
    pub(crate) token: String,
}

impl Sample {
    /// A license under the snakeoil key.
    pub(crate) fn new() -> Self {
        let token = Seed::License.mint(&snakeoil::claims());
        Self::of(*Seed::License.public().as_bytes(), token)
    }

    fn of(public_key: [u8; 32], token: String) -> Self {
        let (_, footer) = token.rsplit_once('.').unwrap();
        Self {
            public_key,
            footer: URL_SAFE_NO_PAD.decode(footer).unwrap(),
            token,
        }
    }

    /// What a real issuer mints in its folder: a plain license and the largest one, bound to a
    /// machine.
    pub(crate) fn issued() -> [Self; 2] {
        let folder = tempfile::tempdir().unwrap();
        let mut issuer = workshop::init(folder.path()).unwrap();
        let context = at(START.plus(DAY));
        issuer
            .publish_catalog(&large_catalog(), &passphrase(), &context)
            .unwrap();
        issuer.add_customer(workshop::customer(), &context).unwrap();
        let plain = NewLicense::new("globex", workshop::PRODUCT, "free");
        let large = NewLicense {
            expires: Some(context.now.plus(365 * DAY)),
            grace: 14 * DAY,
            overrides: Overrides::default(),
            ..NewLicense::new("globex", workshop::PRODUCT, "ultimate")
        };
        let machine = machine(workshop::PRODUCT);
        [(plain, None), (large, Some((machine, 3)))].map(|(order, machine)| {
            let license = issuer.issue_license(order, &context).unwrap().id;
            let request = MintRequest {
                machine,
                ..MintRequest::new(license)
            };
            let minted = issuer.mint(&request, 1, &passphrase(), &context).unwrap();
            Self::of(license_key(&mut issuer), minted[0].token.clone())
        })
    }
}

fn license_key(issuer: &mut Issuer) -> [u8; 32] {
    let trust = issuer.trust_state().unwrap();
    *trust.keyset().unwrap().keys()[0].key.as_bytes()
}

/// 269 flags, four quotas and two limits in plan `ultimate`, and nothing but a flag in `free`.
fn large_catalog() -> String {
    let mut text = String::from("product = \"atlas\"\n[flags]\n");
    for flag in 0..269 {
        writeln!(text, "feature_{flag} = \"Feature {flag}\"").unwrap();
    }
    let flags: Vec<_> = (0..269).map(|flag| format!("\"feature_{flag}\"")).collect();
    let quotas = "calls = 50000000, minutes = 100000, storage = \"unlimited\", builds = 7";
    text.push_str("[quotas]\n");
    for (quota, period) in ["calls", "minutes", "storage", "builds"]
        .iter()
        .zip(["month", "day", "lifetime", "year"])
    {
        writeln!(
            text,
            "{quota} = {{ title = \"{quota}\", period = \"{period}\" }}"
        )
        .unwrap();
    }
    text.push_str("[limits]\nseats = \"Seats\"\nnodes = \"Nodes\"\n");
    text.push_str("[plans.free]\nflags = [\"feature_0\"]\n[plans.ultimate]\n");
    writeln!(text, "flags = [{}]", flags.join(", ")).unwrap();
    writeln!(
        text,
        "quotas = {{ {quotas} }}\nlimits = {{ seats = 2500, nodes = 64 }}"
    )
    .unwrap();
    text
}

fn machine(product: &str) -> Fingerprint {
    ["machine-id", "board", "disk", "network"]
        .iter()
        .fold(Fingerprint::new(product), |machine, kind| {
            machine.with(kind, "7d2f3a90")
        })
}

/// The claims of a license with every claim that a peer is asked to write.
pub(crate) fn large_claims() -> Claims {
    let quota = |(code, allowance, period)| (QuotaCode::new(code), Quota { allowance, period });
    let quotas = [
        (0, Allowance::Limited(50_000_000), Period::Month),
        (1, Allowance::Limited(0), Period::Hour),
        (23, Allowance::Limited(u64::MAX), Period::Day),
        (24, Allowance::Unlimited, Period::Lifetime),
    ];
    let mut claims = snakeoil::claims();
    claims.terms.flags = (0..269).map(FlagCode::new).collect();
    claims.terms.quotas = quotas.map(quota).into();
    claims.terms.limits = [
        (LimitCode::new(0), Allowance::Limited(2500)),
        (LimitCode::new(255), Allowance::Unlimited),
    ]
    .into();
    claims.binding = Some(Binding::new(&machine(PRODUCT), 3).unwrap());
    claims.mint_epoch = 70_000;
    claims
}

/// The claims in JSON, for peers that write the CBOR themselves.
pub(crate) fn description(claims: &Claims) -> Value {
    let amount = |allowance| match allowance {
        Allowance::Limited(amount) => Value::from(amount.to_string()),
        Allowance::Unlimited => Value::Bool(true),
    };
    let quotas =
        claims.terms.quotas.iter().map(|(code, quota)| {
            json!([code.get(), amount(quota.allowance), period(quota.period)])
        });
    let limits = claims.terms.limits.iter();
    let limits = limits.map(|(code, limit)| json!([code.get(), amount(*limit)]));
    let flags = claims.terms.flags.iter().map(FlagCode::get);
    let binding = claims.binding.as_ref().map(|binding| {
        json!({
            "required": binding.required(),
            "components_hex": hex(&binding.components().concat()),
        })
    });
    json!({
        "issuer": claims.issuer,
        "customer": claims.customer,
        "expires": claims.expires.map(phi_verify::UnixTime::seconds),
        "issued_at": claims.issued_at.seconds(),
        "token_id_hex": claims.token_id.to_string(),
        "product": claims.product,
        "plan": claims.plan,
        "flags": flags.collect::<Vec<_>>(),
        "quotas": quotas.collect::<Vec<_>>(),
        "limits": limits.collect::<Vec<_>>(),
        "binding": binding,
        "grace": claims.grace,
        "license_id_hex": claims.license_id.to_string(),
        "license_revision": claims.license_revision,
        "catalog_revision": claims.catalog_revision,
        "mint_epoch": claims.mint_epoch,
    })
}

/// The id of the snakeoil license key as it stands in a footer.
pub(crate) fn snakeoil_key_id() -> Vec<u8> {
    let text = Seed::License.id().to_string();
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// Phi's verdict on a token that may come from anywhere, and what it says.
pub(crate) fn phi_reads(token: &str) -> Result<Claims, Error> {
    let (trust, machine) = (snakeoil::trust(), machine(PRODUCT));
    let verifier = Verifier::new(&trust, PRODUCT, RevocationPolicy::Lenient);
    let license = verifier.on_machine(&machine).verify(token, NOW)?;
    Ok(license.claims().clone())
}
