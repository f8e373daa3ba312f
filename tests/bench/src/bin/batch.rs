//! How fast an issuer mints: rows of a batch into a fresh folder, each a license with its token.
//!
//! Beside the whole it measures what a row cannot do without, on the same tokens: the signature
//! with the check that it holds, and the whole verification. The rest is the store's and the
//! library's.

use std::{
    error::Error,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use clap::Parser;
use phi_issuer::{BatchMode, Issuer, MintedToken, RowFormat, StoreOptions, read_rows};
use phi_tests::{
    snakeoil::START,
    workshop::{self, PRODUCT, at, passphrase},
};
use phi_verify::{PublicKey, RevocationPolicy, Verifier};

#[derive(Parser)]
#[command(name = "batch", about = "Measure the minting of a batch")]
struct Options {
    /// Rows of the batch
    #[arg(long, default_value_t = 100_000)]
    rows: usize,
    /// Tokens on which signing and verification are measured alone
    #[arg(long, default_value_t = 2_000)]
    sample: usize,
    /// An empty database for the store, as `phi init --store` takes it
    #[arg(long, value_name = "URL")]
    store: Option<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let folder = tempfile::tempdir()?;
    let store = StoreOptions {
        url: options.store,
        authority: None,
    };
    let mut issuer = workshop::furnish(workshop::init_in(folder.path(), store)?)?;
    let now = START.plus(60);
    let text = csv(options.rows);

    let begun = Instant::now();
    let rows = read_rows(RowFormat::Csv, text.as_bytes(), now)?;
    let reading = begun.elapsed();
    let begun = Instant::now();
    let (secret, context) = (passphrase(), at(now));
    let results = issuer.mint_batch(&rows, BatchMode::Mint, &secret, &context, |_| {})?;
    let minting = begun.elapsed();
    let tokens = results.into_iter().map(|row| row.outcome);
    let tokens: Vec<MintedToken> = tokens.collect::<Result<_, _>>()?;
    drop(issuer);

    let begun = Instant::now();
    let again = run_again(folder.path(), &rows)?;
    let repeating = begun.elapsed();
    assert_eq!(again, tokens.len(), "every row is answered, and none twice");

    let sample = &tokens[..options.sample.min(tokens.len())];
    let signing = signing(sample)?;
    let verifying = verifying(folder.path(), sample)?;
    let count = u32::try_from(tokens.len())?;
    let row = minting / count;
    println!("| part | {count} rows | a row, us | share |");
    println!("| --- | ---: | ---: | ---: |");
    print_part("read the file", reading / count, None, count);
    print_part("mint", row, Some(row), count);
    print_part("- sign and check the signature", signing, Some(row), count);
    print_part(
        "- verify as an application does",
        verifying,
        Some(row),
        count,
    );
    let rest = row.saturating_sub(signing + verifying);
    print_part("- terms, events and store", rest, Some(row), count);
    print_part("run it again", repeating / count, None, count);
    let rate = f64::from(count) / minting.as_secs_f64();
    println!("\n{rate:.0} rows/s");
    if let Ok(file) = fs::metadata(folder.path().join("phi.db")) {
        let size = file.len();
        println!("phi.db has {size} bytes, {} a row", size / u64::from(count));
    }
    Ok(())
}

fn print_part(name: &str, each: Duration, whole: Option<Duration>, count: u32) {
    let share = whole.map_or_else(
        || "-".to_owned(),
        |whole| format!("{:.0} %", 100.0 * each.as_secs_f64() / whole.as_secs_f64()),
    );
    let (all, each) = ((each * count).as_secs_f64(), each.as_secs_f64() * 1e6);
    println!("| {name} | {all:.2} s | {each:.1} | {share} |");
}

fn csv(rows: usize) -> String {
    let mut text = String::from("ref,customer,plan,expires,quotas\n");
    for row in 0..rows {
        text.push_str("order-");
        text.push_str(&row.to_string());
        text.push_str(",globex,team,2036-01-01,calls=5000\n");
    }
    text
}

/// The same file once more: how many rows were answered from the ledger.
fn run_again(folder: &Path, rows: &[phi_issuer::Row]) -> Result<usize, Box<dyn Error>> {
    let mut issuer = Issuer::open(folder)?;
    let context = at(START.plus(120));
    let results = issuer.mint_batch(rows, BatchMode::Mint, &passphrase(), &context, |_| {})?;
    Ok(results
        .iter()
        .filter(|row| row.repeated && row.outcome.is_ok())
        .count())
}

/// What a signature costs, with the check that follows each.
fn signing(tokens: &[MintedToken]) -> Result<Duration, Box<dyn Error>> {
    use ed25519_dalek::Signer as _;
    let key = phi_tests::snakeoil::Seed::License.signing_key();
    let public = PublicKey::from_bytes(key.verifying_key().as_bytes())?;
    let begun = Instant::now();
    for token in tokens {
        let message = token.token.as_bytes();
        let signature = key.sign(message).to_bytes();
        assert!(public.verify(message, &signature));
    }
    Ok(begun.elapsed() / u32::try_from(tokens.len())?)
}

fn verifying(folder: &Path, tokens: &[MintedToken]) -> Result<Duration, Box<dyn Error>> {
    let trust = Issuer::open(folder)?.trust_state()?;
    let verifier = Verifier::new(&trust, PRODUCT, RevocationPolicy::Lenient);
    let begun = Instant::now();
    for token in tokens {
        verifier.verify(&token.token, START.plus(60))?;
    }
    Ok(begun.elapsed() / u32::try_from(tokens.len())?)
}
