//! Publishing: root, keyset, status and catalog documents, recorded first and then written.

use std::{collections::HashMap, sync::Arc};

use phi_verify::{
    Claims, DocumentKind, Error as VerifyError, FlagCode, Form, KeyId, KeyState, Keyset,
    LicenseKey, PayloadHash, Reason, Rule, RuleClass, Sections, Status, StatusLists,
    Subject as WireSubject, TrustState, UnixTime, UnsignedDocument, UntrustedDocument, Verdict,
    dangerous_inspect::{self, Document},
};

use crate::{
    Context, Issuer,
    catalog::{Revision, Source, diff},
    error::Error,
    event::{Event, Publication, Subject},
    issuer::random,
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

/// What a status list says, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusReport {
    /// Live tokens that the list was checked against.
    pub checked: u64,
    /// Live tokens that it revokes.
    pub revoked: u64,
    /// Rules in it.
    pub rules: usize,
    /// Tokens that it lists one by one.
    pub listed: usize,
}

/// How often a list is made again with a new salt because two tokens collide in it: a collision
/// has odds of one in 2^64 for each pair, so a second try is already a sign of something wrong.
const SALT_TRIES: usize = 4;

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

    /// Publishes a status list of everything revoked, as the next epoch. Before it is recorded it
    /// is read back with phi-verify and asked about every live token.
    ///
    /// # Errors
    /// If the status key cannot be opened, or [`Error::PublicationUnwritten`].
    pub fn publish_status(
        &mut self,
        unlock: &dyn Unlock,
        context: &Context,
    ) -> Result<(Publication, StatusReport), Error> {
        let signers = self.signers(Role::Status, unlock)?;
        let settings = self.settings.clone();
        let published = self.store.write(context, |writer| {
            signers.still_in_force(&writer.query())?;
            for _ in 0..SALT_TRIES {
                let list = status(&writer.query(), &settings, writer.now())?;
                let publication = Publication {
                    kind: DocumentKind::Status,
                    product: String::new(),
                    version: list.epoch,
                    issued_at: list.this_update,
                    document: sealed(&list.unsigned(), &signers.all())?,
                };
                let trust = import(&writer.query(), &publication)?;
                let read = trust.lists().expect("the list was imported");
                let Some(report) = check_status(&writer.query(), read, writer.now())? else {
                    continue;
                };
                writer.append(&Event::DocumentPublished(publication.clone()))?;
                return Ok((publication, report));
            }
            Err(Error::Invalid {
                what: "the status list",
                problem: "says of a live token what the ledger does not, under every salt".into(),
            })
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
        issued_at,
        document: sealed(&document.unsigned(), &signers.all())?,
    })
}

/// The status list of everything that is revoked and could still be accepted.
fn status(query: &Query<'_>, settings: &crate::Settings, now: UnixTime) -> Result<Status, Error> {
    let keyset = query
        .newest(DocumentKind::Keyset, "")?
        .ok_or_else(|| Error::NotFound {
            what: "published document of kind",
            name: DocumentKind::Keyset.to_string(),
            hint: "run `phi keyset publish`",
        })?;
    let held = query.newest(DocumentKind::Status, "")?;
    let salt = random()?;
    let days = |count: u32| u64::from(count) * 24 * 60 * 60;
    let mut covered_keys: Vec<_> = keys::license_keys(query)?
        .iter()
        .map(|entry| entry.key.id())
        .collect();
    covered_keys.sort_unstable();
    let mut list = Status {
        issuer: settings.issuer.clone(),
        epoch: held.as_ref().map_or(1, |held| held.version + 1),
        this_update: now,
        next_update: now.plus(days(settings.status.next_update_days)),
        hard_expiry: now.plus(days(settings.status.hard_expiry_days)),
        keyset: (keyset.version, payload_hash(&keyset)?),
        form: Form::Full {
            previous: held.as_ref().map(payload_hash).transpose()?,
            salt,
        },
        covered_keys,
        rules: Vec::new(),
        revoked: Sections::default(),
        unrevoked: Vec::new(),
    };
    let mut tokens = Vec::new();
    for revocation in query.revocations()? {
        let subject = match revocation.subject {
            Subject::Token(id) => {
                tokens.push(id);
                continue;
            }
            Subject::License(id) => WireSubject::License(id),
            Subject::Customer(id) => WireSubject::Customer(list.customer_hash(&id)),
            // The keyset says where it cuts; a rule of the list would take back all of it.
            Subject::Key(_) if revocation.cut.is_some() => continue,
            Subject::Key(id) => WireSubject::Key(id),
            Subject::Feature { product, code } => {
                WireSubject::Feature(product, FlagCode::new(code))
            }
        };
        let (issued_before, reason, since) = (
            revocation.issued_before,
            revocation.reason,
            revocation.since,
        );
        list.rules.push(Rule {
            subject,
            issued_before,
            reason,
            since,
            ends: None,
        });
    }
    for license in query.suspended(now)? {
        list.rules.push(Rule {
            subject: WireSubject::License(license.id),
            issued_before: None,
            reason: Reason::Suspended,
            since: license.since(now),
            ends: None,
        });
    }
    let live = tokens.into_iter().filter_map(|id| match query.token(id) {
        Ok(Some(token)) => token.ends.is_none_or(|ends| ends > now).then_some(Ok(id)),
        Ok(None) => None,
        Err(error) => Some(Err(error)),
    });
    list.revoked = Sections::exact(&salt, live.collect::<Result<Vec<_>, _>>()?);
    if let Some(held) = &held {
        list.unrevoked = unrevoked(&list, &read_list(held)?)?;
    }
    Ok(list)
}

/// What the list before revoked by a rule and this one does not, or said so itself: an
/// application that was away for long still has the rule.
fn unrevoked(list: &Status, before: &Status) -> Result<Vec<WireSubject>, Error> {
    let lists = StatusLists::new(list, None).map_err(Error::NotVerified)?;
    let gone = lists.missing(before, None).map(|rule| &rule.subject);
    let mut unrevoked: Vec<_> = before.unrevoked.iter().chain(gone).cloned().collect();
    unrevoked.sort_unstable();
    unrevoked.dedup();
    Ok(unrevoked)
}

/// A published list, as it was recorded.
fn read_list(publication: &Publication) -> Result<Status, Error> {
    match dangerous_inspect::document(&publication.document).map_err(Error::NotVerified)? {
        Document::Status(status) => Ok(status),
        _ => unreachable!("a status list is asked for"),
    }
}

/// Asks the list about every live token, with the verifier's code: what the ledger revokes must
/// be revoked and nothing else. `None` if list and ledger differ on a token.
fn check_status(
    query: &Query<'_>,
    lists: StatusLists<'_>,
    now: UnixTime,
) -> Result<Option<StatusReport>, Error> {
    let list = lists.newest();
    let mut report = StatusReport {
        rules: list.rules.len(),
        listed: list.revoked.count_tokens().unwrap_or_default(),
        ..Default::default()
    };
    let expected = Expected::of(query, now)?;
    let mut wrong = false;
    query.each_live_token(now, |token| {
        let (key_id, claims) = read_token(&token.token)?;
        let revoked = matches!(lists.verdict(&claims, key_id), Verdict::Revoked { .. });
        wrong |= revoked != expected.revoked(&claims, key_id);
        report.checked += 1;
        report.revoked += u64::from(revoked);
        Ok(())
    })?;
    Ok(Some(report).filter(|_| !wrong))
}

/// What the ledger revokes, looked up without any of the list's hashing.
struct Expected(HashMap<(RuleClass, String), Option<UnixTime>>);

impl Expected {
    fn of(query: &Query<'_>, now: UnixTime) -> Result<Self, Error> {
        let revocations = query.revocations()?.into_iter();
        // What a cut takes back is not the list's to say.
        let revocations = revocations.filter(|revocation| revocation.cut.is_none());
        let entry = |revocation: crate::Revocation| {
            let subject = revocation.subject;
            ((subject.class(), subject.id()), revocation.issued_before)
        };
        let mut revoked: HashMap<_, _> = revocations.map(entry).collect();
        for license in query.suspended(now)? {
            revoked.insert((RuleClass::License, license.id.to_string()), None);
        }
        Ok(Self(revoked))
    }

    fn revoked(&self, claims: &Claims, key_id: KeyId) -> bool {
        [
            (RuleClass::Token, claims.token_id.to_string()),
            (RuleClass::License, claims.license_id.to_string()),
            (RuleClass::Customer, claims.customer.clone()),
            (RuleClass::Key, key_id.to_string()),
        ]
        .iter()
        .filter_map(|subject| self.0.get(subject))
        .any(|before| before.is_none_or(|before| claims.issued_at < before))
    }
}

/// A token of the ledger, which passed verification when it was minted.
fn read_token(token: &str) -> Result<(KeyId, Claims), Error> {
    phi_verify::dangerous_inspect::token(token).map_err(Error::NotVerified)
}

/// A new document must import on top of everything that is published; what is then believed.
fn import(query: &Query<'_>, publication: &Publication) -> Result<TrustState, Error> {
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

fn payload_hash(publication: &Publication) -> Result<PayloadHash, Error> {
    let document = UntrustedDocument::parse(&publication.document).map_err(Error::NotVerified)?;
    Ok(document.payload_hash())
}

/// Whether a document that was published holds under the newest root, whose keys may be others
/// than those that signed it.
fn is_in_force(query: &Query<'_>, publication: &Publication) -> Result<bool, Error> {
    let mut trust = root::chain(query)?.ok_or_else(root::none)?;
    Ok(trust.import(&publication.document).is_ok())
}
