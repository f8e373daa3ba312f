//! Does one act on an issuer's folder, to be killed in the middle of it.
//!
//! `issuer-victim FOLDER ACT COUNT SECONDS` says `ready` before the act and prints each token after
//! the call that minted it has returned. Times count from the workshop's beginning. `STORE` may
//! follow, where the store of a new issuer is to be; or `POINT NUMBER`: it kills itself when it
//! comes to that fail point for the time of that number.

use std::{env, error::Error, path::Path};

use phi_issuer::{
    Amendment, ChangeRequest, Customer, Exported, Issuer, LicenseOrder, LicenseRecord, Older,
    Replace, RevokeRequest, Role, StoreOptions, Subject,
};
use phi_tests::{
    snakeoil::START,
    workshop::{self, at, passphrase},
};
use phi_verify::{Allowance, Reason, UnixTime};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [folder, act, count, seconds, rest @ ..] = &arguments[..] else {
        return Err("usage: issuer-victim FOLDER ACT COUNT SECONDS [STORE | POINT NUMBER]".into());
    };
    let folder = Path::new(folder);
    let (count, now) = (count.parse()?, START.plus(seconds.parse()?));
    println!("ready");
    if let [point, number] = rest {
        arm(point, number.parse()?)?;
    }
    match &**act {
        "init" => {
            let store = StoreOptions {
                url: rest.first().filter(|_| rest.len() == 1).cloned(),
                authority: None,
            };
            workshop::init_in(folder, store)?;
            return Ok(());
        }
        "restore" => {
            let backup = folder.join("backup.db");
            Issuer::restore(folder, &backup, Replace::MoveAside, Older::Refuse, |_| {})?;
            return Ok(());
        }
        "import" => {
            let export = folder.join("export");
            Issuer::import_ledger(folder, &export, Replace::MoveAside, Older::Refuse, |_| {})?;
            return Ok(());
        }
        _ => {}
    }
    let mut issuer = Issuer::open(folder)?;
    match &**act {
        "batch" => return batch(&mut issuer, "row", count, now),
        "batches" => return batch(&mut issuer, seconds, count, now),
        "backup" => {
            issuer.backup(&folder.join("made.db"), |_| {})?;
            return Ok(());
        }
        "export" => {
            issuer.export_ledger(&folder.join("made"), Exported::Whole, |_| {})?;
            return Ok(());
        }
        _ => {}
    }
    for round in 0..count {
        once(&mut issuer, act, now.plus(round))?;
    }
    Ok(())
}

/// Lets the process end at once when it comes to the point for the time of this number.
#[cfg(feature = "failpoints")]
fn arm(point: &str, number: u64) -> Result<(), Box<dyn Error>> {
    use std::sync::atomic::{AtomicU64, Ordering};

    use rustix::process::{Signal, getpid, kill_process};

    let visits = AtomicU64::new(0);
    let visit = move || {
        if visits.fetch_add(1, Ordering::Relaxed) + 1 == number {
            // Nothing is flushed, dropped or undone: as after a power cut, but for the disk.
            let _ = kill_process(getpid(), Signal::KILL);
        }
    };
    fail::cfg_callback(point, visit).map_err(Into::into)
}

#[cfg(not(feature = "failpoints"))]
fn arm(_: &str, _: u64) -> Result<(), Box<dyn Error>> {
    Err("built without the feature failpoints".into())
}

fn batch(
    issuer: &mut Issuer,
    prefix: &str,
    count: u64,
    now: UnixTime,
) -> Result<(), Box<dyn Error>> {
    for row in workshop::batch(issuer, prefix, usize::try_from(count)?, now, |_| {})? {
        println!("{}", row.outcome?.token);
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
            for minted in workshop::mint(issuer, license, 20, now)? {
                println!("{}", minted.token);
            }
        }
        "change" => {
            let license = issuer.licenses(None, None)?.swap_remove(0);
            issuer.change_license(&amendment(&license, now), &context)?;
        }
        "bulk" => {
            for _ in 0..10 {
                workshop::issue(issuer, now)?;
            }
            let orders = issuer.licenses(None, None)?;
            let orders: Vec<_> = orders.iter().map(|one| amendment(one, now)).collect();
            for outcome in issuer.change_licenses(&orders, &context)? {
                outcome?;
            }
        }
        "transfer" => {
            let license = workshop::issue(issuer, now)?;
            let customer = format!("customer-{}", now.seconds());
            let new = Customer {
                id: customer.clone(),
                ..workshop::customer()
            };
            issuer.add_customer(new, &context)?;
            issuer.transfer_license(license, 1, &customer, &context)?;
        }
        "revoke" => {
            let license = workshop::issue(issuer, now)?;
            let request = RevokeRequest {
                subject: Subject::License(license),
                issued_before: None,
                cut: None,
                reason: Reason::Refund,
            };
            issuer.revoke(&request, &context)?;
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
        "checkpoint" => {
            workshop::issue(issuer, now)?;
            issuer.checkpoint(&secret, &context)?;
        }
        "rebuild" => {
            issuer.rebuild()?;
        }
        "open" => {}
        other => return Err(format!("no act is called {other}").into()),
    }
    Ok(())
}

/// Another number of calls.
fn amendment(license: &LicenseRecord, now: UnixTime) -> LicenseOrder {
    let calls = Allowance::Limited(now.seconds());
    let amendment = Amendment {
        quotas: [("calls".into(), calls)].into(),
        ..Amendment::default()
    };
    LicenseOrder::new(
        license.id,
        license.revision,
        ChangeRequest::Amend(amendment),
    )
}
