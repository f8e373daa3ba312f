//! Minting: tokens of a license, recorded before anyone sees them.

use phi_verify::{
    Binding, Claims, DocumentKind, Error as VerifyError, Extension, Fingerprint, LicenseId,
    Minimum, PublicKey, RevocationPolicy, RuleClass, Terms, TokenId, TrustState, UnixTime,
    UnsignedToken, Verifier,
};

use crate::{
    Context, Issuer,
    error::Error,
    event::{Event, MintedToken},
    issuer::{random, trust_state},
    keyfile::Signer,
    keys::{self, Role},
    license::{self, LicenseRecord, State},
    passphrase::Unlock,
    store::{KeyRow, Query, Writer},
};

/// What a token is minted with, beside what its license says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MintRequest {
    /// The license.
    pub license: LicenseId,
    /// The machine to which the token is bound, and how many of its components must match.
    pub machine: Option<(Fingerprint, usize)>,
    /// The oldest trust documents under which the token may be accepted.
    pub minimum: Minimum,
}

impl MintRequest {
    /// A token that is bound to no machine and demands nothing.
    pub fn new(license: LicenseId) -> Self {
        Self {
            license,
            machine: None,
            minimum: Minimum::default(),
        }
    }
}

/// One request mints at most this many tokens in one transaction; larger numbers are a batch.
pub const MAX_TOKENS: usize = 10_000;

impl Issuer {
    /// Mints `count` tokens of a license. Each passes phi-verify under the published documents
    /// and is in the ledger before this returns: all of them, or none.
    ///
    /// # Errors
    /// [`Error::NotAllowed`] for a revoked license, [`Error::PublicationBehind`] if the key in
    /// use is not in the published keyset yet, [`Error::NoKeyFits`] if none in use may sign the
    /// license, [`Error::NotVerified`] if a token fails the check.
    pub fn mint(
        &mut self,
        request: &MintRequest,
        count: usize,
        unlock: &dyn Unlock,
        context: &Context,
    ) -> Result<Vec<MintedToken>, Error> {
        if count == 0 || count > MAX_TOKENS {
            let problem = format!("is 1 to {MAX_TOKENS} at a time");
            return Err(Error::Invalid {
                what: "the number of tokens",
                problem,
            });
        }
        // Refuse what cannot be minted before the seconds that a key takes to open.
        let (_, signs) = self.plan_mint(request, context.now)?;
        let keys = [self.open_signer(Role::License, &signs, unlock)?];
        self.store.write(context, |writer| {
            let mint = Mint::begin(&writer.query(), &keys, writer.now())?;
            let license = license::find(&writer.query(), request.license)?.at(writer.now());
            (0..count)
                .map(|_| mint.mint(writer, &license, request, None))
                .collect()
        })
    }

    /// The license of a request of which tokens could be minted now; nothing is recorded.
    ///
    /// # Errors
    /// As [`Issuer::mint`], as far as it is known without a key.
    pub fn preview_mint(
        &mut self,
        request: &MintRequest,
        now: UnixTime,
    ) -> Result<LicenseRecord, Error> {
        Ok(self.plan_mint(request, now)?.0)
    }

    /// The license, and the key that signs its tokens.
    fn plan_mint(
        &mut self,
        request: &MintRequest,
        clock: UnixTime,
    ) -> Result<(LicenseRecord, PublicKey), Error> {
        self.store.read(|query| {
            let now = query.lifted(clock)?;
            let license = license::find(query, request.license)?.at(now);
            mintable(query, &license, now)?;
            binding(&license, request)?;
            let terms = license::terms(query, &license)?;
            let claims = license_claims("", &license, terms, now);
            let keys = keys::in_use(query, clock)?;
            let signs = keys::narrowest(&keys, &claims)?.public.clone();
            Ok((license, signs))
        })
    }

    /// The token with this id.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn token(&mut self, id: TokenId) -> Result<MintedToken, Error> {
        self.store
            .read(|query| query.token(id)?.ok_or_else(|| not_found(id)))
    }

    /// The number of the event that minted a token.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn event_of_token(&mut self, id: TokenId) -> Result<u64, Error> {
        self.store
            .read(|query| query.seq_of_token(id)?.ok_or_else(|| not_found(id)))
    }

    /// The tokens of a license, in the order of minting.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn tokens_of(&mut self, license: LicenseId) -> Result<Vec<MintedToken>, Error> {
        self.store.read(|query| query.tokens_of(license))
    }
}

pub(crate) fn not_found(id: TokenId) -> Error {
    Error::NotFound {
        what: "token",
        name: id.to_string(),
        hint: "run `phi license show` with the token's license",
    }
}

/// What all mints of one transaction share.
pub(crate) struct Mint<'k> {
    /// The opened ones of the keys in use.
    signers: &'k [Box<dyn Signer>],
    keys: Vec<KeyRow>,
    trust: TrustState,
    /// Read in the transaction that mints: the next list is made after it, and covers its tokens.
    epoch: u64,
}

impl<'k> Mint<'k> {
    /// Keys are opened before the transaction that they sign for: they must not have been
    /// replaced in between.
    pub(crate) fn begin(
        query: &Query<'_>,
        signers: &'k [Box<dyn Signer>],
        now: UnixTime,
    ) -> Result<Self, Error> {
        let keys = keys::in_use(query, now)?;
        let trust = trust_state(query)?;
        for signer in signers {
            if keys.iter().all(|row| row.public != *signer.public_key()) {
                return Err(keys::took_over(Role::License));
            }
            let key_id = signer.public_key().id();
            let published = trust.keyset().and_then(|keyset| keyset.key(key_id));
            if !published.is_some_and(|entry| entry.state.signs_at(now)) {
                return Err(Error::PublicationBehind {
                    problem: format!("key {key_id} is not active in the published keyset"),
                    hint: "run `phi keyset publish` first: nobody could verify the token",
                });
            }
        }
        let epoch = query
            .newest(DocumentKind::Status, "")?
            .map_or(0, |held| held.version);
        Ok(Self {
            signers,
            keys,
            trust,
            epoch,
        })
    }

    /// The key that signs the license.
    fn signer(&self, claims: &Claims) -> Result<&'k dyn Signer, Error> {
        let row = keys::narrowest(&self.keys, claims)?;
        let mut signers = self.signers.iter();
        let opened = signers.find(|signer| *signer.public_key() == row.public);
        let opened = opened.ok_or_else(|| keys::took_over(Role::License))?;
        Ok(&**opened)
    }

    /// Mints a token of this license, which is the one that the request names, as it is now.
    pub(crate) fn mint(
        &self,
        writer: &mut Writer<'_>,
        license: &LicenseRecord,
        request: &MintRequest,
        idempotency_key: Option<&str>,
    ) -> Result<MintedToken, Error> {
        mintable(&writer.query(), license, writer.now())?;
        let claims = self.claims(&writer.query(), license, request, writer.now())?;
        let signer = self.signer(&claims)?;
        let key_id = signer.public_key().id();
        let unsigned = UnsignedToken::license(key_id, &claims).map_err(Error::NotVerified)?;
        let token = unsigned.sealed(&signer.sign(&unsigned.message())?);
        let machine = machine(license, request)?.map(|bound| bound.0);
        self.check(&token, &claims, machine.as_ref())?;
        let minted = MintedToken {
            token_id: claims.token_id,
            license: license.id,
            license_revision: license.revision,
            key_id,
            issued_at: claims.issued_at,
            expires: claims.expires,
            ends: claims.expires.map(|expires| expires.plus(claims.grace)),
            mint_epoch: self.epoch,
            token,
        };
        writer.append_keyed(&Event::TokenMinted(minted.clone()), idempotency_key)?;
        Ok(minted)
    }

    fn claims(
        &self,
        query: &Query<'_>,
        license: &LicenseRecord,
        request: &MintRequest,
        now: UnixTime,
    ) -> Result<Claims, Error> {
        let terms = license::terms(query, license)?;
        Ok(Claims {
            token_id: TokenId::from_bytes(random()?),
            binding: binding(license, request)?,
            minimum: request.minimum,
            mint_epoch: self.epoch,
            ..license_claims(&self.trust.root().issuer, license, terms, now)
        })
    }

    /// What leaves here is accepted there: by the verifier's own code, under what is published.
    fn check(
        &self,
        token: &str,
        claims: &Claims,
        machine: Option<&Fingerprint>,
    ) -> Result<(), Error> {
        // A list's age is for the application to judge; a revocation in it is not.
        let verifier = Verifier::new(&self.trust, &claims.product, RevocationPolicy::Lenient);
        let verifier = match machine {
            Some(machine) => verifier.on_machine(machine),
            None => verifier,
        };
        let read = match verifier.verify(token, claims.begins()) {
            // The signature held, and nothing at hand revokes the token.
            Err(VerifyError::StatusTooOld { .. } | VerifyError::StatusMissing)
                if claims.max_status_age.is_some() =>
            {
                let read = phi_verify::dangerous_inspect::token(token);
                read.map_err(Error::NotVerified)?.1
            }
            // The ledger does not take it back any more: it was asked before.
            Err(VerifyError::Revoked { .. }) => {
                return Err(Error::PublicationBehind {
                    problem: format!(
                        "the published status list still takes license {} back",
                        claims.license_id
                    ),
                    hint: "run `phi status publish` first: who has the list would refuse the token",
                });
            }
            license => license.map_err(Error::NotVerified)?.claims().clone(),
        };
        if read != *claims {
            let problem = "reads differently than it was written".into();
            return Err(Error::Invalid {
                what: "the token",
                problem,
            });
        }
        Ok(())
    }
}

/// What a license, as it is now, says in every token that is minted of it now.
pub(crate) fn license_claims(
    issuer: &str,
    license: &LicenseRecord,
    terms: Terms,
    now: UnixTime,
) -> Claims {
    let texts = license.extensions.iter();
    let extensions = texts.map(|(number, text)| (*number, Extension::Text(text.clone())));
    Claims {
        issuer: issuer.into(),
        customer: license.customer.clone(),
        expires: license.expires,
        not_before: license.not_before.filter(|begins| *begins > now),
        issued_at: now,
        token_id: TokenId::from_bytes([0; 16]),
        product: license.product.clone(),
        plan: license.plan.clone(),
        terms,
        binding: None,
        grace: license.grace,
        license_id: license.id,
        license_revision: license.revision,
        catalog_revision: license.catalog_revision,
        minimum: Minimum::default(),
        max_status_age: license.max_status_age,
        mint_epoch: 0,
        extensions: extensions.collect(),
    }
}

const UNREVOKE: &str = "issue a new license with `phi license issue`, or take the revocation back \
                        with `phi unrevoke license`";
const CUSTOMER: &str = "take the revocation back with `phi unrevoke customer`: until then every \
                        license of the customer is revoked, new ones too";
const RENEW: &str = "renew it with `phi license renew`";

/// Whether tokens of the license may be minted: it must be in force, and one issued now must not
/// be revoked already.
pub(crate) fn mintable(
    query: &Query<'_>,
    license: &LicenseRecord,
    now: UnixTime,
) -> Result<(), Error> {
    let refuse = |problem, hint| {
        Err(Error::NotAllowed {
            what: format!("license {}", license.id),
            problem,
            hint,
        })
    };
    match license.state(now) {
        State::Active => {}
        State::Draft => {
            return refuse(
                "is a draft",
                "issue it with `phi license issue --from-draft`",
            );
        }
        State::Suspended => {
            return refuse("is suspended", "reinstate it with `phi license reinstate`");
        }
        State::Superseded => {
            return refuse("is superseded", "mint of the license that replaced it");
        }
        State::Revoked => return refuse("is revoked", UNREVOKE),
        State::Grace | State::Expired => return refuse("has expired", RENEW),
    }
    for (class, id, whose) in [
        (RuleClass::License, license.id.to_string(), "whose"),
        (
            RuleClass::Customer,
            license.customer.clone(),
            "whose customer's",
        ),
    ] {
        let Some(revocation) = query.revocation(class, &id)? else {
            continue;
        };
        match revocation.issued_before {
            None => return refuse("is revoked with its customer", CUSTOMER),
            Some(before) if now < before => {
                return Err(Error::NotAllowed {
                    what: format!(
                        "license {}, {whose} tokens issued before {before} are revoked,",
                        license.id
                    ),
                    problem: "can have none minted until then: it would be one of them",
                    hint: "mint again at that time",
                });
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// The machine of the request or of the license; a license that is bound is bound to one.
fn binding(license: &LicenseRecord, request: &MintRequest) -> Result<Option<Binding>, Error> {
    let Some((machine, required)) = machine(license, request)? else {
        return Ok(None);
    };
    check_product(&machine, license)?;
    let binding = Binding::new(&machine, required);
    binding.map(Some).map_err(|cause| invalid_machine(&cause))
}

fn machine(
    license: &LicenseRecord,
    request: &MintRequest,
) -> Result<Option<(Fingerprint, usize)>, Error> {
    let Some(bound) = &license.machine else {
        return Ok(request.machine.clone());
    };
    let bound = bound.fingerprint()?;
    if request
        .machine
        .as_ref()
        .is_some_and(|asked| *asked != bound)
    {
        return Err(Error::NotAllowed {
            what: format!("license {}", license.id),
            problem: "is bound to another machine",
            hint: "bind it to this one with `phi license rebind`",
        });
    }
    Ok(Some(bound))
}

fn check_product(machine: &Fingerprint, license: &LicenseRecord) -> Result<(), Error> {
    if machine.product() == license.product {
        return Ok(());
    }
    let problem = format!(
        "is for product {}, the license for {}",
        machine.product(),
        license.product
    );
    Err(Error::Invalid {
        what: "the fingerprint",
        problem,
    })
}

fn invalid_machine(cause: &VerifyError) -> Error {
    Error::Invalid {
        what: "the machine binding",
        problem: format!("is refused: {cause}"),
    }
}
