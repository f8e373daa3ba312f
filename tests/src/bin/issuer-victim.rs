//! Does one act on an issuer's folder, to be killed in the middle of it.
//!
//! `issuer-victim FOLDER ACT COUNT SECONDS` says `ready` before the act and prints each token
//! after the call that minted it has returned. Times count from the workshop's beginning.

use std::{env, error::Error, path::Path};

use phi_issuer::{Issuer, Role};
use phi_tests::{
    snakeoil::START,
    workshop::{self, at, passphrase},
};
use phi_verify::UnixTime;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [folder, act, count, seconds] = &arguments[..] else {
        return Err("usage: issuer-victim FOLDER ACT COUNT SECONDS".into());
    };
    let folder = Path::new(folder);
    let (count, now) = (count.parse()?, START.plus(seconds.parse()?));
    if act == "init" {
        println!("ready");
        workshop::init(folder)?;
        return Ok(());
    }
    let mut issuer = Issuer::open(folder)?;
    println!("ready");
    for round in 0..count {
        once(&mut issuer, act, now.plus(round))?;
    }
    if act == "batch" {
        let rows = usize::try_from(count)?;
        for row in workshop::batch(&mut issuer, "row", rows, now, |_| {})? {
            println!("{}", row.outcome?.token);
        }
    }
    Ok(())
}

fn once(issuer: &mut Issuer, act: &str, now: UnixTime) -> Result<(), Box<dyn Error>> {
    let (secret, context) = (passphrase(), at(now));
    match act {
        "issue" => {
            workshop::issue(issuer, now)?;
        }
        "mint" => {
            let license = issuer.licenses(None, None)?[0].id;
            for minted in workshop::mint(issuer, license, 50, now)? {
                println!("{}", minted.token);
            }
        }
        "keyset" => {
            issuer.rotate_key(Role::License, None, &secret, &context)?;
            issuer.publish_keyset(&secret, &context)?;
        }
        "status" => {
            issuer.publish_status(&secret, &context)?;
        }
        "catalog" => {
            let calls = format!("calls = {}", now.seconds());
            let text = workshop::CATALOG.replace("calls = 1000", &calls);
            issuer.publish_catalog(&text, &secret, &context)?;
        }
        "rotate" => {
            issuer.rotate_key(Role::Keyset, None, &secret, &context)?;
            issuer.publish_keyset(&secret, &context)?;
            issuer.publish_status(&secret, &context)?;
        }
        "batch" => {}
        other => return Err(format!("no act is called {other}").into()),
    }
    Ok(())
}
