//! A real issuer in a folder, for tests that race it, kill it and take its disk away.

use std::{fs, io, path::Path};

use phi_issuer::{
    BatchMode, Context, Customer, CustomerKind, Error, FirstRoot, InitOptions, Issuer, MintRequest,
    MintedToken, NewLicense, RowFormat, RowResult, StoreOptions, keyfile::KdfStrength,
    passphrase::Passphrase, read_rows,
};
use phi_verify::{LicenseId, UnixTime};

use crate::{
    home::Sql,
    snakeoil::{DAY, START},
};

/// The product of the workshop's catalog.
pub const PRODUCT: &str = "atlas";

/// A flag, a quota and a limit in one plan.
pub const CATALOG: &str = r#"
product = "atlas"
[flags]
sso = "Single sign-on"
[quotas]
calls = { title = "Calls", period = "month", unit = "calls" }
[limits]
seats = "Seats"
[plans.team]
flags = ["sso"]
quotas = { calls = 1000 }
limits = { seats = 5 }
"#;

/// The passphrase of every key in a workshop.
///
/// # Panics
/// Never: it has characters.
pub fn passphrase() -> Passphrase {
    Passphrase::from_bytes(b"snakeoil").expect("a passphrase of eight characters")
}

/// A change at this time.
pub fn at(now: UnixTime) -> Context {
    Context::new(now, "workshop")
}

/// Makes a bare issuer in the folder.
///
/// # Errors
/// As [`Issuer::init`].
pub fn init(folder: &Path) -> Result<Issuer, Error> {
    init_in(folder, StoreOptions::default())
}

/// Makes a bare issuer in the folder, with its store where the options say.
///
/// # Errors
/// As [`Issuer::init`].
pub fn init_in(folder: &Path, store: StoreOptions) -> Result<Issuer, Error> {
    let options = InitOptions {
        issuer: "atlas.example".into(),
        product: PRODUCT.into(),
        kdf: KdfStrength::Fast,
        store,
        root: FirstRoot::Here,
    };
    Issuer::init(folder, &options, &passphrase(), &at(START))
}

/// Makes an issuer in the folder with the workshop's catalog and one customer.
///
/// # Errors
/// As the steps of it.
pub fn furnished(folder: &Path) -> Result<Issuer, Error> {
    furnish(init(folder)?)
}

/// Gives an issuer the workshop's catalog and one customer.
///
/// # Errors
/// As the steps of it.
pub fn furnish(mut issuer: Issuer) -> Result<Issuer, Error> {
    issuer.publish_catalog(CATALOG, &passphrase(), &at(START))?;
    issuer.add_customer(customer(), &at(START))?;
    Ok(issuer)
}

/// The workshop's customer.
pub fn customer() -> Customer {
    Customer {
        id: "globex".into(),
        kind: CustomerKind::Organization,
        name: "Globex".into(),
    }
}

/// Issues a license for ten years.
///
/// # Errors
/// As [`Issuer::issue_license`].
pub fn issue(issuer: &mut Issuer, now: UnixTime) -> Result<LicenseId, Error> {
    let order = NewLicense {
        expires: Some(START.plus(3650 * DAY)),
        ..NewLicense::new("globex", PRODUCT, "team")
    };
    Ok(issuer.issue_license(order, &at(now))?.id)
}

/// Mints tokens of a license.
///
/// # Errors
/// As [`Issuer::mint`].
pub fn mint(
    issuer: &mut Issuer,
    license: LicenseId,
    count: usize,
    now: UnixTime,
) -> Result<Vec<MintedToken>, Error> {
    issuer.mint(&MintRequest::new(license), count, &passphrase(), &at(now))
}

/// Carries out a batch whose rows are called `prefix-0`, `prefix-1` and so on.
///
/// # Errors
/// As [`Issuer::mint_batch`].
pub fn batch(
    issuer: &mut Issuer,
    prefix: &str,
    rows: usize,
    now: UnixTime,
    progress: impl FnMut(usize),
) -> Result<Vec<RowResult>, Error> {
    let header = String::from("ref,customer,plan,expires");
    let rows = (0..rows).map(|row| format!("{prefix}-{row},globex,team,2036-01-01"));
    let csv = std::iter::once(header)
        .chain(rows)
        .collect::<Vec<_>>()
        .join("\n");
    let rows = read_rows(RowFormat::Csv, csv.as_bytes(), now)?;
    let mode = BatchMode::Mint;
    issuer.mint_batch(&rows, mode, &passphrase(), &at(now), progress)
}

/// Copies an issuer of `tests/fixtures` into a folder that is made for it.
///
/// # Errors
/// If the folder cannot be written.
pub fn copy_fixture(name: &str, folder: &Path) -> io::Result<()> {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    copy_folder(&fixture.join(name), folder)
}

/// Copies a folder. The copies are the owner's alone, which key files have to be.
///
/// # Errors
/// If the folder cannot be written.
pub fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt as _;
                fs::set_permissions(&target, fs::Permissions::from_mode(0o600))?;
            }
        }
    }
    Ok(())
}

/// Every row of the derived tables, to be compared with the tables made again.
///
/// # Panics
/// If the folder has no store that reads.
pub fn tables(folder: &Path) -> Vec<String> {
    Sql::open(folder).tables()
}
