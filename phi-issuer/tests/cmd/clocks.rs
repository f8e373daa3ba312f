//! A machine with a wrong clock, from the refusal of its license to the reset that heals it.

use std::fs;

use phi_verify::{
    ClockVerdict, InstallationId, License, RevocationPolicy, TrustState, UnixTime, Verifier, armor,
};

use crate::run::Folder;

const DAY: u64 = 24 * 60 * 60;
const INSTALLATION: InstallationId = InstallationId::from_bytes(*b"installation one");

/// When everything is published, and when the machine shows the right time again.
fn published() -> UnixTime {
    phi_issuer::when::instant("2026-06-01").unwrap()
}

/// An application that has imported everything, and whose clock ran ahead until it was believed.
struct Application {
    trust: TrustState,
    token: String,
}

impl Application {
    fn new(folder: &Folder, license: &str) -> Self {
        let read = |name: &str| fs::read(folder.path("published").join(name)).unwrap();
        let mut trust = TrustState::from_anchor(&read("root-1.phi"))
            .unwrap()
            .with_installation(INSTALLATION);
        trust.import(&read("keyset.phi")).unwrap();
        trust.import(&read("status.phi")).unwrap();
        let token = folder.ok(&format!("mint {license}")).trim().to_owned();
        let mut application = Self { trust, token };
        application.verify(published()).unwrap();
        for day in 60..63 {
            application.trust.observe(published().plus(day * DAY));
        }
        application
    }

    fn verify(&mut self, now: UnixTime) -> Result<License, phi_verify::Error> {
        self.trust.observe(now);
        Verifier::new(&self.trust, "atlas", RevocationPolicy::Balanced).verify(&self.token, now)
    }

    #[track_caller]
    fn is_refused(&mut self) {
        let refused = self.verify(published()).unwrap_err();
        assert_eq!(refused.code(), "clock-rolled-back");
    }

    fn reset(&mut self, document: &[u8]) -> Result<(), phi_verify::Error> {
        self.trust.reset_clock(document, published()).map(drop)
    }
}

#[test]
fn a_license_that_a_wrong_clock_cost_is_good_again_after_a_reset_once() {
    let (folder, license) = Folder::with_license();
    let mut application = Application::new(&folder, &license);
    application.is_refused();

    let issue = format!("clock-reset issue --installation {INSTALLATION} --valid-for 2d");
    let steady = |application: &Application| {
        let floor = application.trust.steady_floor().unwrap();
        format!("--steady {floor}")
    };
    let issued = steady(&application);
    let answer = folder.json(
        "clock-reset-issue",
        &format!("{issue} {issued} --out reset.phi"),
    );
    assert_eq!(answer["reset"]["not_after"], "2026-06-03T00:00:00Z");
    assert_eq!(answer["reset"]["installation"], INSTALLATION.to_string());
    let reset = fs::read(folder.path("reset.phi")).unwrap();
    application.reset(&reset).unwrap();
    let license = application.verify(published()).unwrap();
    assert_eq!(license.clock(), ClockVerdict::Plausible);

    // The machine runs ahead once more: what was used is used.
    for day in 60..63 {
        application.trust.observe(published().plus(day * DAY));
    }
    application.is_refused();
    let again = application.reset(&reset).unwrap_err();
    assert_eq!(again.code(), "clock-reset-used");
    application.is_refused();
    let again = steady(&application);
    folder.ok(&format!(
        "{issue} {again} --format armor --out reset.txt --to now"
    ));
    let text = fs::read_to_string(folder.path("reset.txt")).unwrap();
    let word = armor::unwrap(&text).unwrap();
    let another = armor::document_from_text(&word).unwrap();
    application.reset(&another).unwrap();
    application.verify(published()).unwrap();
    assert_eq!(application.trust.observed_floor(), Some(published()));
}

#[test]
fn a_reset_is_of_one_installation_and_in_the_ledger() {
    let (folder, license) = Folder::with_license();
    let mut application = Application::new(&folder, &license);
    let other = "00112233445566778899aabbccddeeff";
    folder.ok(&format!(
        "clock-reset issue --installation {other} --steady now --out reset.phi --reason ticket-512"
    ));
    let reset = fs::read(folder.path("reset.phi")).unwrap();
    let refused = application.reset(&reset).unwrap_err();
    assert_eq!(refused.code(), "installation-mismatch");
    application.is_refused();
    let trail = folder.json("audit-query", "audit query --event clock-reset-issued");
    let [event] = trail["events"].as_array().unwrap().as_slice() else {
        panic!("{trail}");
    };
    assert_eq!(event["reason"], "ticket-512");
    assert_eq!(event["actor"], "alice");
    assert_eq!(event["details"]["installation"], other);
    let found = folder.json("audit-query", &format!("audit query --text {other}"));
    assert_eq!(found["events"], trail["events"]);
    folder.ok("ledger checkpoint");
    folder.json("ledger-verify", "ledger verify");
}
