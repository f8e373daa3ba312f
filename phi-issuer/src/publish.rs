//! Publishing: root, keyset and catalog documents, recorded first and then written. Status lists
//! are `status`'s.

use std::sync::Arc;

use phi_verify::{
    DocumentKind, Error as VerifyError, KeyId, KeyState, Keyset, LicenseKey, PayloadHash,
    TrustState, UnixTime, UnsignedDocument, UntrustedDocument,
};

use crate::{
    Context, Issuer,
    catalog::{Revision, Source, diff},
    error::Error,
    event::{Event, Publication},
    keyfile::{Signer, SigningKey},
    keys::{self, KnownKeys, Role},
    license,
    passphrase::Unlock,
    root,
    signers::Signers,
    store::{Query, Writer},
};

/// What a publication did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// A new document is in force.
    New(Publication),
    /// The newest document says what there is to say.
    Unchanged(Publication),
}

impl Published {
    /// The document in force.
    pub const fn publication(&self) -> &Publication {
        match self {
            Self::New(publication) | Self::Unchanged(publication) => publication,
        }
    }
}

impl Issuer {
    /// Publishes the keyset: the license keys as they are now. Keys under which nothing can be
    /// valid any more are dropped. Catalogs signed by an earlier keyset key are signed anew.
    ///
    /// # Errors
    /// If the keyset key cannot be opened, [`Error::KeyNotKnown`] for a license key that was not
    /// published before and was made elsewhere, or [`Error::PublicationUnwritten`].
    pub fn publish_keyset(
        &mut self,
        unlock: &dyn Unlock,
        context: &Context,
    ) -> Result<Published, Error> {
        let signers = self.signers(Role::Keyset, unlock)?;
        let (issuer, known) = (self.settings.issuer.clone(), self.known_keys());
        let published = self.store.write(context, |writer| {
            signers.still_in_force(&writer.query())?;
            keys::drop_ended(writer)?;
            let published = keyset(writer, &issuer, &signers, &known)?;
            resign_catalogs(writer, &issuer, &signers)?;
            Ok(published)
        })?;
        self.write_published()?;
        Ok(published)
    }

    /// Records an edited catalog as the product's next revision and publishes it.
    ///
    /// # Errors
    /// [`Error::Catalog`] with line and column of everything that is refused.
    pub fn publish_catalog(
        &mut self,
        text: &str,
        unlock: &dyn Unlock,
        context: &Context,
    ) -> Result<(Published, Arc<Revision>), Error> {
        let source = Source::parse(text)?;
        // A refused edit must not cost the seconds that a key takes to open.
        let planned = self.store.read(|query| next_revision(query, &source))?;
        let signers = match planned {
            None => None,
            Some(_) => Some(self.signers(Role::Keyset, unlock)?),
        };
        let issuer = self.settings.issuer.clone();
        let published = self.store.write(context, |writer| {
            let next = next_revision(&writer.query(), &source)?;
            let (Some(revision), Some(signers)) = (next, &signers) else {
                return unchanged_catalog(&writer.query(), source.product());
            };
            signers.still_in_force(&writer.query())?;
            let recorded = Event::CatalogRecorded {
                revision: revision.clone(),
                source: text.into(),
            };
            writer.append(&recorded)?;
            let publication = catalog(&revision, &issuer, writer.now(), signers)?;
            import(&writer.query(), &publication)?;
            writer.append(&Event::DocumentPublished(publication.clone()))?;
            Ok((Published::New(publication), Arc::new(revision)))
        })?;
        self.write_published()?;
        Ok(published)
    }

    /// The deltas to the newest status list, in the order in which they were made.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn deltas(&mut self) -> Result<Vec<Publication>, Error> {
        self.store.read(|query| query.deltas())
    }

    /// The newest published document of a kind, for catalogs that of a product.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn published(&mut self, kind: DocumentKind, product: &str) -> Result<Publication, Error> {
        self.store.read(|query| {
            query.newest(kind, product)?.ok_or_else(|| Error::NotFound {
                what: "published document of kind",
                name: kind.to_string(),
                hint: "publish it first",
            })
        })
    }
}

/// The first root: what applications compile in. It names the keys that the issuer was made with.
pub(crate) fn first_root(
    issuer: &mut Issuer,
    key: &SigningKey,
    context: &Context,
) -> Result<(), Error> {
    let (name, known) = (issuer.settings.issuer.clone(), issuer.known_keys());
    issuer.store.write(context, |writer| {
        let rows = writer.query().keys()?.into_iter();
        let named = rows.map(|row| Ok((row.role, root::role_keys(vec![row.public], 1)?)));
        let named = named.collect::<Result<Vec<_>, Error>>()?;
        let first = root::begin(name, &named, writer.now())?;
        let document = sealed(&first.unsigned(), &[key])?;
        root::record(writer, &first, document, None, &known).map(drop)
    })
}

/// The keys whose tokens a keyset lets count, now or later; of those that are revoked, the ones
/// with a cut, for what the ledger has of them.
fn let_sign(entries: &[LicenseKey]) -> Vec<(Role, KeyId)> {
    let live = entries
        .iter()
        .filter(|entry| !matches!(entry.state, KeyState::Revoked { cut: None }));
    live.map(|entry| (Role::License, entry.key.id())).collect()
}

/// The keyset, if it says anything new.
fn keyset(
    writer: &mut Writer<'_>,
    issuer: &str,
    signers: &Signers,
    known: &KnownKeys,
) -> Result<Published, Error> {
    let query = writer.query();
    let (now, root) = (writer.now(), root::newest(&query)?);
    let held = query.newest(DocumentKind::Keyset, "")?;
    let version = held.as_ref().map_or(1, |held| held.version + 1);
    let entries = keys::license_keys(&query)?;
    known.check_past(&query, &entries, held.as_ref())?;
    let before = match &held {
        None => Vec::new(),
        Some(held) => let_sign(keyset_in(&query, held)?.as_ref().map_or(&[], Keyset::keys)),
    };
    known.check(&query, let_sign(&entries), &before)?;
    let make = |version, at| {
        Keyset::new(issuer.into(), version, at, root.version, entries.clone())
            .map_err(|error| Error::NotVerified(VerifyError::Key(error)))
    };
    if let Some(held) = held {
        let same = make(held.version, held.issued_at)?
            .unsigned()
            .payload_hash();
        if payload_hash(&held)? == same && is_in_force(&query, &held)? {
            return Ok(Published::Unchanged(held));
        }
    }
    let publication = Publication {
        kind: DocumentKind::Keyset,
        product: String::new(),
        version,
        base: None,
        issued_at: now,
        document: sealed(&make(version, now)?.unsigned(), &signers.all())?,
    };
    import(&query, &publication)?;
    writer.append(&Event::DocumentPublished(publication.clone()))?;
    Ok(Published::New(publication))
}

/// The published keyset, if it is signed by keys that the root names now: what somebody wrote
/// into the store is not, and what earlier keys signed counts no more.
fn keyset_in(query: &Query<'_>, publication: &Publication) -> Result<Option<Keyset>, Error> {
    let trust = root::chain(query)?;
    Ok(trust.and_then(|mut trust| {
        trust.import(&publication.document).ok()?;
        trust.keyset().cloned()
    }))
}

/// Catalogs are signed by the keyset role: its new keys sign them again, as they are.
fn resign_catalogs(writer: &mut Writer<'_>, issuer: &str, signers: &Signers) -> Result<(), Error> {
    for product in writer.query().products()? {
        let Some(held) = writer.query().newest(DocumentKind::Catalog, &product)? else {
            continue;
        };
        if is_in_force(&writer.query(), &held)? {
            continue;
        }
        let recorded = writer.query().catalog(&product, held.version)?;
        let revision = recorded.ok_or_else(|| license::no_catalog(&product))?;
        let publication = catalog(&revision, issuer, held.issued_at, signers)?;
        import(&writer.query(), &publication)?;
        writer.append(&Event::DocumentPublished(publication))?;
    }
    Ok(())
}

/// The revision that this text would make, or `None` if it changes nothing.
fn next_revision(query: &Query<'_>, source: &Source) -> Result<Option<Revision>, Error> {
    let Some(current) = query.newest_catalog(source.product())? else {
        return Ok(Some(Revision::first(source)?));
    };
    let next = current.next(source)?;
    Ok(if diff(&current, &next).is_empty() {
        None
    } else {
        Some(next)
    })
}

fn unchanged_catalog(
    query: &Query<'_>,
    product: &str,
) -> Result<(Published, Arc<Revision>), Error> {
    let recorded = query.newest_catalog(product)?;
    let revision = recorded.ok_or_else(|| license::no_catalog(product))?;
    let held = query.newest(DocumentKind::Catalog, product)?;
    let held = held.ok_or_else(|| license::no_catalog(product))?;
    Ok((Published::Unchanged(held), revision))
}

fn catalog(
    revision: &Revision,
    issuer: &str,
    issued_at: UnixTime,
    signers: &Signers,
) -> Result<Publication, Error> {
    let document = revision.document(issuer, issued_at)?;
    Ok(Publication {
        kind: DocumentKind::Catalog,
        product: document.product.clone(),
        version: document.revision,
        base: None,
        issued_at,
        document: sealed(&document.unsigned(), &signers.all())?,
    })
}

/// A new document must import on top of everything that is published; what is then believed.
pub(crate) fn import(query: &Query<'_>, publication: &Publication) -> Result<TrustState, Error> {
    let mut trust = root::chain(query)?.ok_or_else(root::none)?;
    let others = query
        .published()?
        .into_iter()
        .filter(|held| held.kind != DocumentKind::Root);
    for held in others {
        // After a role's key was replaced its old documents do not import; the new one must.
        let _ = trust.import(&held.document);
    }
    if publication.kind == DocumentKind::Status {
        check_cuts(query, trust.keyset())?;
    }
    match trust.import(&publication.document) {
        Ok(_) => Ok(trust),
        // A list goes with a keyset, and the one that is published does not go with the root.
        Err(VerifyError::KeysetMissing | VerifyError::MixAndMatch { .. }) => {
            Err(Error::PublicationBehind {
                problem: "the published keyset is not signed by the key that the root names".into(),
                hint: "run `phi keyset publish` first",
            })
        }
        Err(error) => Err(Error::NotVerified(error)),
    }
}

/// What a cut takes back a keyset says and no list: a list that went out before that keyset would
/// vouch for what the thief of the key mints.
fn check_cuts(query: &Query<'_>, keyset: Option<&Keyset>) -> Result<(), Error> {
    for row in query.keys()? {
        let Some(KeyState::Revoked { cut: Some(cut) }) = row.state() else {
            continue;
        };
        let key_id = row.public.id();
        let published = keyset.and_then(|keyset| keyset.key(key_id));
        let says_so = published.is_none_or(|entry| match entry.state {
            KeyState::Revoked { cut: said } => said <= Some(cut),
            _ => false,
        });
        if !says_so {
            return Err(Error::PublicationBehind {
                problem: format!(
                    "key {key_id} is revoked, which the published keyset does not say"
                ),
                hint: "run `phi keyset publish` first",
            });
        }
    }
    Ok(())
}

/// A delta must import where its base is held; what is then believed.
pub(crate) fn import_delta(query: &Query<'_>, delta: &Publication) -> Result<TrustState, Error> {
    let mut trust = import_base(query, delta.base)?;
    trust.import(&delta.document).map_err(Error::NotVerified)?;
    Ok(trust)
}

/// What is believed where the full list of an epoch is held.
///
/// # Errors
/// [`Error::NotAllowed`] if nobody takes that list any more.
pub(crate) fn import_base(query: &Query<'_>, base: Option<u64>) -> Result<TrustState, Error> {
    let epoch = base.unwrap_or_default();
    let mut trust = root::chain(query)?.ok_or_else(root::none)?;
    let keyset = query.newest(DocumentKind::Keyset, "")?;
    let base = match base {
        Some(epoch) => query.full_list(epoch)?,
        None => None,
    };
    for held in keyset.iter().chain(&base) {
        trust
            .import(&held.document)
            .map_err(|_| Error::NotAllowed {
                what: format!("a delta from list {epoch}"),
                problem: "cannot be: the list is signed by keys that the root names no more",
                hint: "leave it out: whoever has that list takes the full one",
            })?;
    }
    Ok(trust)
}

/// A document with the signature of each signer.
pub(crate) fn sealed(
    document: &UnsignedDocument,
    signers: &[&dyn Signer],
) -> Result<Vec<u8>, Error> {
    let message = document.message();
    let sign = |signer: &&dyn Signer| Ok((signer.public_key().id(), signer.sign(&message)?));
    let signatures = signers
        .iter()
        .map(sign)
        .collect::<Result<Vec<_>, Error>>()?;
    Ok(document.sealed(&signatures))
}

pub(crate) fn payload_hash(publication: &Publication) -> Result<PayloadHash, Error> {
    let document = UntrustedDocument::parse(&publication.document).map_err(Error::NotVerified)?;
    Ok(document.payload_hash())
}

/// Whether a document that was published holds under the newest root, whose keys may be others
/// than those that signed it.
fn is_in_force(query: &Query<'_>, publication: &Publication) -> Result<bool, Error> {
    let mut trust = root::chain(query)?.ok_or_else(root::none)?;
    Ok(trust.import(&publication.document).is_ok())
}
