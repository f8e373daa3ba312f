//! `phi fingerprint`: what a customer sends to have a license bound to a machine.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;
use phi_issuer::durable::{self, Mode};
use phi_issuer::machine::{self, Component};
use phi_issuer::qr::Qr;
use phi_verify::Fingerprint;
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::Failure;
use crate::input::Object;
use crate::output::{Answer, Page, ink, say};
use crate::session::Session;
use crate::view::{counted, hex};

/// Print this machine's fingerprint request, to be sent to the vendor
#[derive(Debug, Args)]
#[command(
    long_about = "Print this machine's fingerprint request, to be sent to the vendor.\n\n\
        The request holds short digests of what identifies the machine, made for one product: it \
        names neither serial numbers nor addresses.",
    after_help = "Examples:\n  \
        phi fingerprint --product atlas\n  \
        phi fingerprint --product atlas --this-machine --component dongle=7F3A \
          --qr-png request.png"
)]
pub(crate) struct FingerprintCommand {
    /// The product that is to be licensed
    #[arg(long, value_name = "NAME")]
    product: String,
    /// A component to use, such as a dongle's number, in place of what is found on this machine
    #[arg(long = "component", value_name = "KIND=VALUE")]
    components: Vec<Component>,
    /// Use what is found on this machine as well as the components that are given
    #[arg(long)]
    this_machine: bool,
    /// Print the request as a QR code as well
    #[arg(long)]
    qr: bool,
    /// Write the QR code to a new PNG file
    #[arg(long, value_name = "FILE")]
    qr_png: Option<PathBuf>,
    /// Write the QR code to a new SVG file
    #[arg(long, value_name = "FILE")]
    qr_svg: Option<PathBuf>,
}

impl FingerprintCommand {
    pub(crate) fn run(self, session: &Session) -> Result<(), Failure> {
        let this_machine = self.this_machine || self.components.is_empty();
        let found = if this_machine {
            machine::collect(Path::new("/"))
        } else {
            Vec::new()
        };
        let machine = fingerprint(
            &self.product,
            &machine::for_request(found),
            &self.components,
        );
        if machine.components().next().is_none() {
            let message = "nothing on this machine identifies it";
            return Err(Failure::new("components-missing", message));
        }
        let request = machine.to_request()?;
        let (png, svg) = (self.qr_png.as_deref(), self.qr_svg.as_deref());
        write_qr(&request, png, svg, Mode::Public)?;
        let qr = if self.qr {
            Some(Qr::encode(&request)?.to_terminal(ink()))
        } else {
            None
        };
        let kinds: Vec<&str> = machine.components().map(|(kind, _)| kind).collect();
        say(&format!(
            "phi: {}: {}",
            counted(kinds.len(), "component"),
            kinds.join(", ")
        ));
        session.output().print(&FingerprintAnswer {
            components: components(&machine),
            product: self.product,
            request,
            qr,
        })
    }
}

/// All that this machine shows, if it is to be looked at, and the components given.
pub(crate) fn of_machine(product: &str, this_machine: bool, given: &[Component]) -> Fingerprint {
    let found = if this_machine {
        machine::collect(Path::new("/"))
    } else {
        Vec::new()
    };
    fingerprint(product, &found, given)
}

fn fingerprint(product: &str, found: &[Component], given: &[Component]) -> Fingerprint {
    found
        .iter()
        .chain(given)
        .fold(Fingerprint::new(product), |fingerprint, component| {
            fingerprint.with(component.kind(), component.value())
        })
}

/// Reads a request, given as text, as a file or on standard input.
///
/// # Errors
/// `fingerprint-invalid`, or why it cannot be read.
pub(crate) fn read_request(argument: &OsString) -> Result<Fingerprint, Failure> {
    match Object::read(argument)? {
        Object::Fingerprint(request) => Ok(Fingerprint::from_request(&request)?),
        Object::Token(text) if !text.starts_with("v4.") => Ok(Fingerprint::from_request(&text)?),
        other => {
            let message = format!("this is {}, not a fingerprint request", other.name());
            Err(Failure::new("wrong-kind", message))
        }
    }
}

/// Writes a text as QR code to the files that are named, which must be new.
///
/// # Errors
/// `qr-too-long`, or why a file cannot be written.
pub(crate) fn write_qr(
    text: &str,
    png: Option<&Path>,
    svg: Option<&Path>,
    mode: Mode,
) -> Result<(), Failure> {
    if png.is_none() && svg.is_none() {
        return Ok(());
    }
    let code = Qr::encode(text)?;
    if let Some(path) = png {
        durable::create_new(path, &code.to_png(), mode)?;
    }
    if let Some(path) = svg {
        durable::create_new(path, code.to_svg().as_bytes(), mode)?;
    }
    Ok(())
}

/// A fingerprint request.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi fingerprint")]
pub(crate) struct FingerprintAnswer {
    /// The request, one word.
    request: String,
    /// The product for which it was made.
    product: String,
    /// The components in it.
    components: Vec<ComponentView>,
    /// The request as a QR code, for a terminal.
    #[serde(skip)]
    qr: Option<String>,
}

/// A component of a machine.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ComponentView {
    /// What it is, such as `machine-id`.
    pub(crate) kind: String,
    /// Its digest for the product, in hexadecimal.
    pub(crate) digest: String,
}

/// The components of a fingerprint.
pub(crate) fn components(machine: &Fingerprint) -> Vec<ComponentView> {
    let view = |(kind, digest): (&str, phi_verify::ComponentDigest)| ComponentView {
        kind: kind.to_owned(),
        digest: hex(&digest),
    };
    machine.components().map(view).collect()
}

impl Answer for FingerprintAnswer {
    fn show(&self, page: &mut Page) {
        if let Some(qr) = &self.qr {
            page.raw(qr);
        }
        page.line(&self.request);
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A token as a picture is a token.
    #[test]
    fn pictures_have_the_mode_that_their_text_would_have() {
        let folder = tempfile::tempdir().unwrap();
        let (png, svg) = (folder.path().join("png"), folder.path().join("svg"));
        write_qr("text", Some(&png), Some(&svg), Mode::Private).unwrap();
        for path in [png, svg] {
            let mode = path.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{}", path.display());
        }
    }
}
