//! Checks a license file when an application starts: `startup FILE`, such as `keys/demo/license.txt`.
#![expect(
    clippy::disallowed_methods,
    reason = "an application has the files and the clock that phi-verify has not"
)]

use std::{env, error::Error, fs, time::SystemTime};

use phi_verify::{RevocationPolicy, TrustState, Verifier, armor};

fn main() -> Result<(), Box<dyn Error>> {
    let mut trust = TrustState::from_anchor(include_bytes!("../../keys/demo/root-1.phi"))?;
    trust.import(include_bytes!("../../keys/demo/keyset.phi"))?;
    let file = env::args().nth(1).ok_or("usage: startup FILE")?;
    let token = armor::unwrap(&fs::read_to_string(file)?)?;
    let license = Verifier::new(&trust, "demo-app", RevocationPolicy::Lenient)
        .verify(&token, SystemTime::now().into())?;
    println!("plan {} for {}", license.plan(), license.customer());
    Ok(())
}
