//! Publishing out of a real store: tokens that are minted and revoked one by one as an issuer does,
//! then a list and a delta, while another issuer waits for its turn.

use std::{
    error::Error,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use phi_issuer::{Issuer, RevokeRequest, StatusPublished, StatusRequest, Subject};
use phi_tests::{
    snakeoil::START,
    workshop::{self, at, passphrase},
};
use phi_verify::{Reason, TokenId};

use crate::memory;

/// Tokens of a license, and of one minting.
const OF_A_LICENSE: usize = 1000;
/// The most that are revoked before the first list: they are revoked one by one.
const MOST_REVOKED: usize = 10_000;
/// Revoked between the first list and the second.
const CHANGES: usize = 1000;

/// Fills a store with so many tokens, of which one in a hundred is revoked, and publishes.
pub(crate) fn measure(count: usize) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let mut issuer = workshop::furnished(folder.path())?;
    let started = Instant::now();
    let ids = mint(&mut issuer, count)?;
    let minted = started.elapsed();
    let revoked = (count / 100).min(MOST_REVOKED);
    let started = Instant::now();
    // Spread over all that there are.
    let every = count / (revoked + CHANGES);
    let mut spread = ids.iter().step_by(every.max(1));
    revoke(&mut issuer, spread.by_ref().take(revoked))?;
    println!("\nA store of {count} tokens, {revoked} of them revoked.\n");
    println!(
        "Minted in {:.0} s, revoked one by one in {:.0} s.\n",
        minted.as_secs_f64(),
        started.elapsed().as_secs_f64()
    );
    println!("| publication | bytes | took, s | another waited, s | memory, MiB |");
    println!("| --- | ---: | ---: | ---: | ---: |");
    let first = publish(folder.path(), &mut issuer, "the list", &[])?;
    revoke(&mut issuer, spread.take(CHANGES))?;
    let base = [first.list.version];
    publish(folder.path(), &mut issuer, "the next, and a delta", &base)?;
    Ok(())
}

fn mint(issuer: &mut Issuer, count: usize) -> Result<Vec<TokenId>, Box<dyn Error>> {
    let mut ids = Vec::new();
    while ids.len() < count {
        let license = workshop::issue(issuer, START)?;
        let wanted = (count - ids.len()).min(OF_A_LICENSE);
        let minted = workshop::mint(issuer, license, wanted, START)?;
        ids.extend(minted.into_iter().map(|token| token.token_id));
    }
    Ok(ids)
}

fn revoke<'a>(
    issuer: &mut Issuer,
    ids: impl Iterator<Item = &'a TokenId>,
) -> Result<(), Box<dyn Error>> {
    for id in ids {
        let request = RevokeRequest {
            subject: Subject::Token(*id),
            issued_before: None,
            cut: None,
            reason: Reason::Refund,
        };
        issuer.revoke(&request, &at(START.plus(60)))?;
    }
    Ok(())
}

/// Publishes, and says how long it took and how long another issuer waited the longest.
fn publish(
    folder: &Path,
    issuer: &mut Issuer,
    name: &str,
    deltas_from: &[u64],
) -> Result<StatusPublished, Box<dyn Error>> {
    let request = StatusRequest {
        deltas_from: deltas_from.to_vec(),
        ..StatusRequest::of(issuer.settings())
    };
    let done = AtomicBool::new(false);
    let mut other = Issuer::open(folder)?;
    let before = memory::begin();
    let (published, took, waited) = thread::scope(|scope| {
        let waiting = scope.spawn(|| longest_wait(&mut other, &done));
        let started = Instant::now();
        let published =
            issuer.publish_status_as(&request, &passphrase(), &at(START.plus(120)), |_| {});
        let took = started.elapsed();
        done.store(true, Ordering::Relaxed);
        (published, took, waiting.join())
    });
    let published = published?;
    let waited = waited.map_err(|_| "the other issuer panicked")??;
    let memory = memory::peak().saturating_sub(before) >> 20;
    let deltas = published.deltas.iter().map(|delta| delta.document.len());
    let bytes: Vec<_> = [published.list.document.len()]
        .into_iter()
        .chain(deltas)
        .map(|bytes| bytes.to_string())
        .collect();
    println!(
        "| {name} | {} | {:.2} | {:.2} | {memory} |",
        bytes.join(", "),
        took.as_secs_f64(),
        waited.as_secs_f64(),
    );
    Ok(published)
}

/// Issues licenses until it is done; says how long the slowest took.
fn longest_wait(issuer: &mut Issuer, done: &AtomicBool) -> Result<Duration, phi_issuer::Error> {
    let mut longest = Duration::ZERO;
    while !done.load(Ordering::Relaxed) {
        let started = Instant::now();
        workshop::issue(issuer, START.plus(120))?;
        longest = longest.max(started.elapsed());
    }
    Ok(longest)
}
