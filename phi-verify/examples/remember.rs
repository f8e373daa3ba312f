//! Checks a license file with a trust state that is kept in a folder: `remember FILE FOLDER`. The
//! second run goes on from what the first has stored.
#![expect(
    clippy::disallowed_methods,
    reason = "an application has the files and the clock that phi-verify has not"
)]

use std::{env, error::Error, fs, path::PathBuf, time::SystemTime};

use phi_verify::{RevocationPolicy, Verifier, armor, store::Store};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let usage = "usage: remember FILE FOLDER";
    let file = arguments.next().ok_or(usage)?;
    let folder = PathBuf::from(arguments.next().ok_or(usage)?);
    let now = SystemTime::now().into();

    let anchor = include_bytes!("../../keys/demo/root-1.phi");
    let store = Store::new(anchor, folder.join("data"), folder.join("user"));
    let mut loaded = store.load()?;
    let mut trust = loaded.trust;
    trust.observe(now);
    // In an application: whatever arrived since the last run.
    trust.import(include_bytes!("../../keys/demo/keyset.phi"))?;
    trust.import(include_bytes!("../../keys/demo/status.phi"))?;

    let token = armor::unwrap(&fs::read_to_string(file)?)?;
    let verifier = Verifier::new(&trust, "demo-app", RevocationPolicy::Balanced);
    let license = verifier.verify(&token, now)?;
    trust.remember(&license)?;
    println!("plan {} for {}", license.plan(), license.customer());

    loaded.findings.extend(store.save(&mut trust));
    for finding in &loaded.findings {
        eprintln!("license trust: {finding}");
    }
    Ok(())
}
