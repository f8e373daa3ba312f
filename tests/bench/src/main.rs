//! Phi beside other license formats, measured in one run.
//!
//! Every format carries the same license (`sample.rs`) and does the whole check of a text
//! token: parse, verify, decode, judge time. The yardstick is the signature check alone, in
//! the same rounds of the same process, so a busy machine slows all alike.

mod biscuit;
mod harness;
mod jwt;
mod paseto;
mod phi;
mod sample;
mod signature;

use clap::Parser;

use harness::{Effort, Measurement};

#[derive(Parser)]
#[command(
    name = "phi-bench",
    about = "Measure license checks beside other formats"
)]
struct Options {
    /// Rounds; every candidate runs once in each, in turn
    #[arg(long, default_value_t = 61)]
    rounds: usize,
    /// Checks by each candidate in one round
    #[arg(long, default_value_t = 100)]
    checks: u32,
}

fn main() {
    let options = Options::parse();
    let effort = Effort {
        rounds: options.rounds.max(1),
        checks: options.checks.max(1),
    };
    let candidates = [
        signature::candidate(),
        phi::candidate(),
        paseto::candidate(),
        jwt::candidate(),
        biscuit::candidate(),
    ];
    print_table(&effort, &harness::measure(&candidates, &effort));
}

fn print_table(effort: &Effort, measurements: &[Measurement]) {
    let Effort { rounds, checks } = effort;
    println!("{rounds} interleaved rounds of {checks} checks each; one thread.\n");
    println!("| check | token, chars | median, us | p5 - p95, us | x bare signature |");
    println!("| --- | ---: | ---: | ---: | ---: |");
    for one in measurements {
        let size = one
            .token_chars
            .map_or_else(|| "-".to_owned(), |chars| chars.to_string());
        println!(
            "| {} | {size} | {:.1} | {:.1} - {:.1} | {:.2} |",
            one.name, one.median_us, one.p5_us, one.p95_us, one.ratio
        );
    }
}
