//! `phi mint`: tokens of a license.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use phi_issuer::durable::{self, Mode};
use phi_issuer::qr::Qr;
use phi_issuer::{Issuer, MintRequest, majority};
use phi_verify::{Binding, LicenseId, Minimum, armor};
use schemars::JsonSchema;
use serde::Serialize;

use crate::batch;
use crate::failure::Failure;
use crate::fingerprint::{read_request, write_qr};
use crate::license::{TokenRow, lines};
use crate::output::{ink, print_text, say, to_json};
use crate::session::Session;
use crate::view::counted;

/// Mint tokens of a license
#[derive(Debug, Args)]
#[command(
    long_about = "Mint tokens of a license. Each is recorded in the store before it is printed, \
        and passes verification under the published documents.",
    after_help = "Examples:\n  \
        phi mint 6c6963656e736531\n  \
        phi mint 6c6963656e736531 --format armor --out license.txt --qr-png license.png\n  \
        phi mint 6c6963656e736531 --fingerprint request.txt --match 2\n  \
        phi mint 6c6963656e736531 --count 25 --out tokens.txt\n  \
        phi mint --batch orders.csv --out tokens.jsonl"
)]
pub(crate) struct Mint {
    /// The license's id
    #[arg(required_unless_present = "batch")]
    license: Option<LicenseId>,
    /// How many tokens
    #[arg(long, value_name = "N", default_value_t = 1)]
    count: usize,
    /// How the tokens are written [default: token, or json with --json]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The new file they are written to [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write the token as QR code to a new PNG file
    #[arg(long, value_name = "FILE")]
    qr_png: Option<PathBuf>,
    /// Write the token as QR code to a new SVG file
    #[arg(long, value_name = "FILE")]
    qr_svg: Option<PathBuf>,
    /// Bind to the machine of this fingerprint request: text, a file or -
    #[arg(long, value_name = "REQUEST")]
    fingerprint: Option<OsString>,
    /// How many components of the machine must match [default: more than half]
    #[arg(long = "match", value_name = "K", requires = "fingerprint")]
    required: Option<usize>,
    /// Mint a license and a token for each row of a .csv or .jsonl file, and print a line of JSON
    /// for each; a row's ref keeps it from being minted twice
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = [
            "license", "count", "format", "qr_png", "qr_svg", "fingerprint", "required",
            "require_current",
        ]
    )]
    batch: Option<PathBuf>,
    /// Accept the token only under the keyset and status documents of today, or newer ones
    #[arg(long)]
    require_current: bool,
    /// Say what would be minted, and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// How tokens are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One token a line
    Token,
    /// Text between BEGIN and END lines, for files and mail
    Armor,
    /// One JSON object
    Json,
    /// QR codes, for a terminal
    Qr,
}

impl Mint {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        if self.count != 1 && (self.qr_png.is_some() || self.qr_svg.is_some()) {
            let message = "a QR code file holds one token";
            return Err(Failure::new("input-invalid", message).hint("leave --count out"));
        }
        self.check_free()?;
        if let Some(rows) = &self.batch {
            return batch::run(rows, self.out.as_deref(), self.dry_run, session);
        }
        let license = self
            .license
            .expect("the parser asks for a license or a batch");
        let mut issuer = session.issuer()?;
        let request = self.request(license, &mut issuer)?;
        if self.dry_run {
            return self.rehearse(&mut issuer, &request, session);
        }
        let minted = issuer.mint(&request, self.count, session, &session.context())?;
        let customer = issuer.license(license)?.customer.clone();
        let tokens = TokenRow::all(&mut issuer, &customer, &minted)?;
        // From here on the tokens are in the store: a failure to write them loses nothing.
        self.deliver(tokens, session).map_err(|failure| {
            let way = "the tokens are recorded: phi license show";
            failure.hint(format!("{way} {license} --tokens prints them"))
        })
    }

    /// Refuses files that exist before anything is recorded.
    fn check_free(&self) -> Result<(), Failure> {
        for path in [&self.out, &self.qr_png, &self.qr_svg]
            .into_iter()
            .flatten()
        {
            if path.symlink_metadata().is_ok() {
                let message = format!("{} already exists", path.display());
                return Err(Failure::new("file-exists", message));
            }
        }
        Ok(())
    }

    fn request(&self, license: LicenseId, issuer: &mut Issuer) -> Result<MintRequest, Failure> {
        let mut request = MintRequest::new(license);
        if let Some(argument) = &self.fingerprint {
            let machine = read_request(argument)?;
            let required = self.required.unwrap_or_else(|| majority(&machine));
            // Refused here, a slip costs no passphrase.
            Binding::new(&machine, required)?;
            request.machine = Some((machine, required));
        }
        if self.require_current {
            let trust = issuer.trust_state()?;
            request.minimum = Minimum {
                keyset: trust.keyset().map_or(0, |keyset| keyset.version),
                status: trust.status().map_or(0, |status| status.epoch),
            };
        }
        Ok(request)
    }

    fn rehearse(
        &self,
        issuer: &mut Issuer,
        request: &MintRequest,
        session: &Session,
    ) -> Result<(), Failure> {
        let license = issuer.preview_mint(request, session.now())?;
        let tokens = counted(self.count, "token");
        say(&format!(
            "phi: dry run: would mint {tokens} of license {} for {}, plan {}",
            license.id, license.customer, license.plan
        ));
        Ok(())
    }

    fn deliver(&self, tokens: Vec<TokenRow>, session: &Session) -> Result<(), Failure> {
        let output = session.output();
        let said = format!(
            "phi: minted {} of {} characters",
            counted(tokens.len(), "token"),
            tokens.iter().map(|row| row.characters).max().unwrap_or(0)
        );
        // Two tokens in one file would be one too many to scan: the count was checked.
        if let [row] = tokens.as_slice() {
            let (png, svg) = (self.qr_png.as_deref(), self.qr_svg.as_deref());
            write_qr(&row.token, png, svg, Mode::Private)?;
        }
        let format = match (self.format, output.is_json()) {
            (Some(format), _) => format,
            (None, true) => Format::Json,
            (None, false) => Format::Token,
        };
        let text = written(format, tokens)?;
        match &self.out {
            // A token is worth what its license is: the file is its owner's.
            Some(path) => durable::create_new(path, text.as_bytes(), Mode::Private)?,
            None => print_text(&text)?,
        }
        say(&said);
        Ok(())
    }
}

fn written(format: Format, tokens: Vec<TokenRow>) -> Result<String, Failure> {
    Ok(match format {
        Format::Token => lines(tokens.iter().map(|row| row.token.as_str())),
        Format::Armor => tokens
            .iter()
            .map(|row| armor::wrap("LICENSE", &row.token))
            .collect(),
        Format::Json => to_json(&MintAnswer { tokens }),
        Format::Qr => {
            let codes = tokens.iter().map(|row| Qr::encode(&row.token));
            let codes = codes.collect::<Result<Vec<_>, _>>()?;
            codes.iter().map(|code| code.to_terminal(ink())).collect()
        }
    })
}

/// Minted tokens.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi mint")]
pub(crate) struct MintAnswer {
    /// In the order of minting.
    tokens: Vec<TokenRow>,
}
