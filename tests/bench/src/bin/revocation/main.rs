//! Lists of revoked tokens beside each other: how large they are, how long they take to build, to
//! check and to ask. Every form gets the same tokens, in one run.

mod form;
mod memory;
mod peers;
mod phi;
mod store;
mod tokens;

use std::{error::Error, time::Instant};

use clap::Parser;
use phi_issuer::filter::{self, Built, Wanted};

use form::Measured;
use tokens::Tokens;

#[derive(Parser)]
#[command(name = "revocation", about = "Measure lists of revoked tokens")]
struct Options {
    /// Numbers of tokens
    #[arg(long, value_delimiter = ',', default_values_t = [10_000, 1_000_000, 10_000_000])]
    sizes: Vec<u32>,
    /// How many of a thousand are revoked
    #[arg(long, value_delimiter = ',', default_values_t = [1, 10, 50])]
    per_mille: Vec<u32>,
    /// Tokens of the deltas, of which one in a hundred was revoked before; 0 for no deltas
    #[arg(long, default_value_t = 1_000_000)]
    delta_of: u32,
    /// Publish out of a real store of so many tokens instead
    #[arg(long)]
    store: Option<usize>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    if let Some(count) = options.store {
        return store::measure(count);
    }
    for size in options.sizes {
        for per_mille in &options.per_mille {
            let revoked = u32::try_from(u64::from(size) * u64::from(*per_mille) / 1000)?;
            if revoked > 0 && revoked < size {
                table(size, revoked)?;
            }
        }
    }
    if options.delta_of > 0 {
        deltas(options.delta_of)?;
    }
    Ok(())
}

/// A table of every form, for so many tokens.
fn table(size: u32, revoked: u32) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    let tokens = Tokens::new(size, revoked);
    let salted = started.elapsed();
    let bound = Built::least_bits_of(size.into(), revoked.into()) / 8.0;
    println!("\n{size} tokens, {revoked} revoked: at least {bound:.0} bytes.");
    println!(
        "Making the tokens and salting their ids took {:.2} s.\n",
        salted.as_secs_f64()
    );
    println!(
        "| form | bytes | x bound | build, s | check all, s | any: p50, ns | p99 | revoked: p50 | p99 \
         | memory, MiB |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    print(&form::measure(&tokens, phi::cascade)?, bound);
    print(&form::measure(&tokens, phi::ribbon)?, bound);
    print(
        &form::measure(&tokens, |tokens| Ok(peers::clubcard(tokens)))?,
        bound,
    );
    print(&form::measure(&tokens, peers::rust_cascade)?, bound);
    print(&form::measure(&tokens, peers::bitmap)?, bound);
    print(
        &form::measure(&tokens, |tokens| Ok(peers::hashes(tokens)))?,
        bound,
    );
    Ok(())
}

fn print(form: &Measured, bound: f64) {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let ratio = form.bytes as f64 / bound;
    let [any, revoked] = &form.asked;
    println!(
        "| {} | {} | {ratio:.3} | {:.3} | {:.3} | {:.1} | {:.1} | {:.1} | {:.1} | {} |",
        form.name,
        form.bytes,
        form.build.as_secs_f64(),
        form.check.as_secs_f64(),
        any.median,
        any.p99,
        revoked.median,
        revoked.p99,
        form.memory >> 20,
    );
}

/// What is new since a list of one in a hundred.
fn deltas(size: u32) -> Result<(), Box<dyn Error>> {
    println!("\nNewly revoked of {size} tokens, of which one in a hundred is in the base.\n");
    println!("| changes | least | smallest of all | | cascade | 8-byte list |");
    println!("| ---: | ---: | ---: | --- | ---: | ---: |");
    for changes in [1, 10, 100, 1000] {
        let tokens = Tokens::new(size - size / 100, changes);
        let (revoked, good) = tokens.salted();
        let smallest = filter::build(revoked, good, Wanted::Compact)?.ok_or("nothing to list")?;
        let cascade = filter::cascade(revoked, good)?.ok_or("nothing to list")?;
        println!(
            "| {changes} | {:.0} | {} | {} | {} | {} |",
            (smallest.least_bits() / 8.0).ceil(),
            smallest.body.len(),
            smallest.kind,
            cascade.body.len(),
            8 * changes,
        );
    }
    Ok(())
}
