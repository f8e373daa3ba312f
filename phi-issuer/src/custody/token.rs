//! Keys in a PKCS#11 token, which keeps them to itself.
//!
//! Only pure EdDSA is asked for: some tokens take the parameters of its variants and sign without
//! them. A key is found by its `CKA_ID`, its public half is read from the token, and every
//! signature is checked before it is given out.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as Pkcs11Error, RvError};
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::RawAuthPin;
use phi_verify::PublicKey;

use super::place::hex;
use super::{FoundKey, FoundToken, NewInToken, SignerError, TokenKey, error::PinTries};
use crate::keyfile::{SignError, Signer, checked};
use crate::passphrase::{Passphrase, Unlock};

/// Opens the key at a place in a token, which must have this public half.
pub(super) fn open(
    place: &TokenKey,
    public: &PublicKey,
    unlock: &dyn Unlock,
) -> Result<Box<dyn Signer>, SignerError> {
    Ok(Box::new(TokenSigner::open(place, public, unlock)?))
}

/// A key in a token, with a session in which its user is logged in.
struct TokenSigner {
    token: String,
    /// A session is one thread's at a time.
    session: Mutex<Session>,
    key: ObjectHandle,
    public: PublicKey,
}

impl TokenSigner {
    fn open(
        place: &TokenKey,
        public: &PublicKey,
        unlock: &dyn Unlock,
    ) -> Result<Self, SignerError> {
        let token = Token::find(&place.module, &place.token, place.serial.as_deref())?;
        token.can(MechanismType::EDDSA, "EDDSA")?;
        let session = token.session(SessionKind::ToSign)?;
        token.log_in(&session, unlock)?;
        let key = token.private_key(&session, &place.id)?;
        let found = token.public_half(&session, &place.id)?;
        if found != *public {
            return Err(SignerError::KeyMismatch {
                token: token.name(),
                expected: public.id(),
                found: found.id(),
            });
        }
        Ok(Self::new(&token, session, key, found))
    }

    fn new(token: &Token, session: Session, key: ObjectHandle, public: PublicKey) -> Self {
        Self {
            token: token.name(),
            session: Mutex::new(session),
            key,
            public,
        }
    }
}

impl Signer for TokenSigner {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError> {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let pure = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519));
        let signature = session.sign(&pure, self.key, message);
        let signature = signature.map_err(|error| judged(&self.token, error))?;
        let signature = signature.try_into().map_err(|_| SignError::Failed)?;
        checked(&self.public, message, signature)
    }
}

/// The tokens that a module has.
///
/// # Errors
/// [`SignerError::Module`].
pub fn find_tokens(module: &Path) -> Result<Vec<FoundToken>, SignerError> {
    let tokens = Token::all(module)?;
    Ok(tokens.iter().map(Token::found).collect())
}

/// The Ed25519 keys in a token, as far as they show without its PIN: their public halves.
///
/// # Errors
/// [`SignerError`].
pub fn find_keys(
    module: &Path,
    label: &str,
    serial: Option<&str>,
) -> Result<Vec<FoundKey>, SignerError> {
    let token = Token::find(module, label, serial)?;
    let session = token.session(SessionKind::ToSign)?;
    let template = [
        Attribute::Class(ObjectClass::PUBLIC_KEY),
        Attribute::KeyType(KeyType::EC_EDWARDS),
    ];
    let refused = |error| judged(&token.name(), error);
    let mut keys = Vec::new();
    for object in session.find_objects(&template).map_err(refused)? {
        let wanted = [
            AttributeType::Id,
            AttributeType::Label,
            AttributeType::EcPoint,
        ];
        let (mut id, mut name, mut point) = (Vec::new(), Vec::new(), Vec::new());
        for attribute in session.get_attributes(object, &wanted).map_err(refused)? {
            match attribute {
                Attribute::Id(bytes) => id = bytes,
                Attribute::Label(bytes) => name = bytes,
                Attribute::EcPoint(bytes) => point = bytes,
                _ => {}
            }
        }
        // A key of another curve, or none that may sign for Phi, is of no use here.
        if let Ok(public) = public_key(&point) {
            keys.push(FoundKey {
                id: hex::encode(&id),
                label: String::from_utf8_lossy(&name).into_owned(),
                public,
            });
        }
    }
    Ok(keys)
}

/// Makes a key in a token, which cannot be taken out of it.
///
/// # Errors
/// [`SignerError`]; [`SignerError::KeyExposed`] if the token made a key that can be taken out.
pub(super) fn generate(
    module: &Path,
    label: &str,
    serial: Option<&str>,
    name: &str,
    unlock: &dyn Unlock,
) -> Result<NewInToken, SignerError> {
    let token = Token::find(module, label, serial)?;
    token.can(MechanismType::EDDSA, "EDDSA")?;
    token.can(
        MechanismType::ECC_EDWARDS_KEY_PAIR_GEN,
        "EC_EDWARDS_KEY_PAIR_GEN",
    )?;
    let session = token.session(SessionKind::ToMake)?;
    token.log_in(&session, unlock)?;
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| SignerError::Refused {
        token: token.name(),
        said: format!("no random bytes for a key's id: {error}"),
    })?;
    let (public_object, private_object) =
        make(&session, &id, name).map_err(|error| judged(&token.name(), error))?;
    if !stays_inside(&session, private_object) {
        let _ = session.destroy_object(private_object);
        let _ = session.destroy_object(public_object);
        return Err(SignerError::KeyExposed {
            token: token.name(),
        });
    }
    let public = token.public_half(&session, &id)?;
    let place = token.place(id.to_vec());
    let signer = Box::new(TokenSigner::new(&token, session, private_object, public));
    Ok(NewInToken { place, signer })
}

/// The key that a token has under a `CKA_ID`.
///
/// # Errors
/// [`SignerError`].
pub(super) fn existing(
    module: &Path,
    label: &str,
    serial: Option<&str>,
    id: Vec<u8>,
    unlock: &dyn Unlock,
) -> Result<NewInToken, SignerError> {
    let token = Token::find(module, label, serial)?;
    token.can(MechanismType::EDDSA, "EDDSA")?;
    let session = token.session(SessionKind::ToSign)?;
    token.log_in(&session, unlock)?;
    let key = token.private_key(&session, &id)?;
    let public = token.public_half(&session, &id)?;
    let place = token.place(id);
    let signer = Box::new(TokenSigner::new(&token, session, key, public));
    Ok(NewInToken { place, signer })
}

/// Makes the two halves, with the curve by its name, or by its number if the token wants that.
fn make(
    session: &Session,
    id: &[u8],
    name: &str,
) -> Result<(ObjectHandle, ObjectHandle), Pkcs11Error> {
    let private = [
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
        Attribute::Id(id.to_vec()),
        Attribute::Label(name.into()),
    ];
    let with = |curve: &[u8]| {
        let public = [
            Attribute::Token(true),
            Attribute::Private(false),
            Attribute::Verify(true),
            Attribute::EcParams(curve.to_vec()),
            Attribute::Id(id.to_vec()),
            Attribute::Label(name.into()),
        ];
        session.generate_key_pair(&Mechanism::EccEdwardsKeyPairGen, &public, &private)
    };
    match with(CURVE_NAME) {
        Err(Pkcs11Error::Pkcs11(
            RvError::AttributeValueInvalid
            | RvError::CurveNotSupported
            | RvError::DomainParamsInvalid
            | RvError::TemplateInconsistent,
            _,
        )) => with(CURVE_OID),
        made => made,
    }
}

/// `edwards25519` as a `PrintableString`, as PKCS#11 3.0 names the curve.
const CURVE_NAME: &[u8] = b"\x13\x0cedwards25519";
/// The object identifier 1.3.101.112, as RFC 8410 names it.
const CURVE_OID: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];

/// Whether the token says of the new key what was asked for: a token may ignore a template.
fn stays_inside(session: &Session, key: ObjectHandle) -> bool {
    let wanted = [AttributeType::Sensitive, AttributeType::Extractable];
    let Ok(found) = session.get_attributes(key, &wanted) else {
        return false;
    };
    found.contains(&Attribute::Sensitive(true)) && found.contains(&Attribute::Extractable(false))
}

#[derive(Clone, Copy)]
enum SessionKind {
    ToSign,
    ToMake,
}

/// A token in a slot of a module.
struct Token {
    module: PathBuf,
    context: Pkcs11,
    slot: Slot,
    info: TokenInfo,
}

impl Token {
    fn all(module: &Path) -> Result<Vec<Self>, SignerError> {
        let context = context(module)?;
        let refused = |error: Pkcs11Error| SignerError::Module {
            path: module.into(),
            said: error.to_string(),
        };
        let slots = context
            .get_slots_with_initialized_token()
            .map_err(refused)?;
        let token = |slot| {
            // A token that was taken out since is none.
            let info = context.get_token_info(slot).ok()?;
            Some(Self {
                module: module.into(),
                context: context.clone(),
                slot,
                info,
            })
        };
        Ok(slots.into_iter().filter_map(token).collect())
    }

    fn find(module: &Path, label: &str, serial: Option<&str>) -> Result<Self, SignerError> {
        let all = Self::all(module)?;
        let wanted = |token: &Self| {
            token.info.label() == label
                && serial.is_none_or(|serial| token.info.serial_number() == serial)
        };
        let (mut matching, others): (Vec<_>, Vec<_>) = all.into_iter().partition(wanted);
        let token = match serial {
            Some(serial) => format!("{label} with the serial number {serial}"),
            None => label.into(),
        };
        match (matching.pop(), matching.is_empty()) {
            (Some(found), true) => Ok(found),
            (Some(found), false) => Err(SignerError::TokenAmbiguous {
                token,
                serials: [&found]
                    .into_iter()
                    .chain(&matching)
                    .map(|token| token.info.serial_number().to_owned())
                    .collect(),
            }),
            (None, _) => Err(SignerError::NoToken {
                token,
                found: others
                    .iter()
                    .map(|token| format!("{} ({})", token.name(), token.info.serial_number()))
                    .collect(),
            }),
        }
    }

    fn name(&self) -> String {
        self.info.label().into()
    }

    fn place(&self, id: Vec<u8>) -> TokenKey {
        TokenKey {
            module: self.module.clone(),
            token: self.name(),
            serial: Some(self.info.serial_number().into())
                .filter(|serial: &String| !serial.is_empty()),
            id,
        }
    }

    fn found(&self) -> FoundToken {
        let info = &self.info;
        let model = format!("{} {}", info.manufacturer_id(), info.model());
        let can = |mechanism| self.mechanisms().contains(&mechanism);
        FoundToken {
            label: self.name(),
            serial: info.serial_number().into(),
            model: model.trim().into(),
            ed25519: can(MechanismType::EDDSA) && can(MechanismType::ECC_EDWARDS_KEY_PAIR_GEN),
        }
    }

    fn mechanisms(&self) -> Vec<MechanismType> {
        self.context
            .get_mechanism_list(self.slot)
            .unwrap_or_default()
    }

    fn can(&self, mechanism: MechanismType, name: &'static str) -> Result<(), SignerError> {
        if self.mechanisms().contains(&mechanism) {
            return Ok(());
        }
        Err(SignerError::NoMechanism {
            token: self.name(),
            mechanism: name,
        })
    }

    fn session(&self, kind: SessionKind) -> Result<Session, SignerError> {
        let session = match kind {
            SessionKind::ToSign => self.context.open_ro_session(self.slot),
            SessionKind::ToMake => self.context.open_rw_session(self.slot),
        };
        session.map_err(|error| judged(&self.name(), error))
    }

    /// Logs the token's user in, unless another session of this process has done so.
    fn log_in(&self, session: &Session, unlock: &dyn Unlock) -> Result<(), SignerError> {
        let token = self.name();
        let state = session.get_session_info().map(|info| info.session_state());
        if let Ok(SessionState::RoUser | SessionState::RwUser) = state {
            return Ok(());
        }
        if self.info.user_pin_locked() {
            return Err(SignerError::PinLocked { token });
        }
        // A token with a keypad of its own asks there.
        let answer = if self.info.protected_authentication_path() {
            session.login(UserType::User, None)
        } else {
            let pin = unlock.pin(&token).map_err(SignerError::Pin)?;
            session.login_with_raw(UserType::User, &raw(&pin))
        };
        let Err(error) = answer else {
            return Ok(());
        };
        let Pkcs11Error::Pkcs11(reason, _) = error else {
            return Err(judged(&token, error));
        };
        match reason {
            RvError::UserAlreadyLoggedIn => Ok(()),
            RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange => {
                Err(self.wrong_pin())
            }
            RvError::PinLocked => Err(SignerError::PinLocked { token }),
            RvError::UserPinNotInitialized | RvError::PinExpired => {
                Err(SignerError::PinUnset { token })
            }
            _ => Err(judged(&token, error)),
        }
    }

    /// What the token says of the tries that are left, now that one more was wrong.
    fn wrong_pin(&self) -> SignerError {
        let token = self.name();
        let info = self.context.get_token_info(self.slot);
        let left = match info {
            Ok(info) if info.user_pin_locked() => return SignerError::PinLocked { token },
            Ok(info) if info.user_pin_final_try() => PinTries::Last,
            Ok(info) if info.user_pin_count_low() => PinTries::Fewer,
            _ => PinTries::Unsaid,
        };
        SignerError::PinWrong { token, left }
    }

    fn private_key(&self, session: &Session, id: &[u8]) -> Result<ObjectHandle, SignerError> {
        self.object(session, ObjectClass::PRIVATE_KEY, id)
    }

    /// The public half, of the public object; tokens that keep none have it in the private one.
    fn public_half(&self, session: &Session, id: &[u8]) -> Result<PublicKey, SignerError> {
        let malformed = |problem| SignerError::KeyMalformed {
            token: self.name(),
            id: hex::encode(id),
            problem,
        };
        for class in [ObjectClass::PUBLIC_KEY, ObjectClass::PRIVATE_KEY] {
            let object = match self.object(session, class, id) {
                Err(SignerError::NoKey { .. }) => continue,
                object => object?,
            };
            let found = session
                .get_attributes(object, &[AttributeType::EcPoint])
                .map_err(|error| judged(&self.name(), error))?;
            if let Some(Attribute::EcPoint(point)) = found.first() {
                return public_key(point).map_err(malformed);
            }
        }
        Err(malformed("cannot be read"))
    }

    fn object(
        &self,
        session: &Session,
        class: ObjectClass,
        id: &[u8],
    ) -> Result<ObjectHandle, SignerError> {
        let template = [
            Attribute::Class(class),
            Attribute::KeyType(KeyType::EC_EDWARDS),
            Attribute::Id(id.to_vec()),
        ];
        let found = session.find_objects(&template);
        let (token, id) = (self.name(), hex::encode(id));
        match found.map_err(|error| judged(&token, error))?.as_slice() {
            [only] => Ok(*only),
            [] => Err(SignerError::NoKey { token, id }),
            _ => Err(SignerError::KeyAmbiguous { token, id }),
        }
    }
}

/// A PIN as the module takes it, wiped when dropped.
fn raw(pin: &Passphrase) -> RawAuthPin {
    RawAuthPin::new(Box::new(pin.as_bytes().to_vec()))
}

/// The modules that this process has loaded. Each is initialized once: some do not survive a
/// second time, and none is let go of, since sessions may be open.
static LOADED: Mutex<Vec<(PathBuf, Pkcs11)>> = Mutex::new(Vec::new());

fn context(module: &Path) -> Result<Pkcs11, SignerError> {
    let failed = |said: String| SignerError::Module {
        path: module.into(),
        said,
    };
    // Two names of one file are one module.
    let path = module
        .canonicalize()
        .map_err(|error| failed(error.to_string()))?;
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, context)) = loaded.iter().find(|(known, _)| *known == path) {
        return Ok(context.clone());
    }
    let context = Pkcs11::new(&path).map_err(|error| failed(error.to_string()))?;
    let arguments = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
    match context.initialize(arguments) {
        // Something else in this process has done it.
        Ok(()) | Err(Pkcs11Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
        Err(error) => return Err(failed(error.to_string())),
    }
    loaded.push((path, context.clone()));
    Ok(context)
}

/// What a refusal means: that the token is gone, or something else.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that `map_err` wants"
)]
fn judged(token: &str, error: Pkcs11Error) -> SignerError {
    let (token, said) = (token.to_owned(), said(&error));
    match error {
        Pkcs11Error::Pkcs11(
            // A token that went away in the middle of a call may leave its module with no better
            // word than these two.
            RvError::GeneralError
            | RvError::FunctionFailed
            | RvError::DeviceRemoved
            | RvError::DeviceError
            | RvError::KeyHandleInvalid
            | RvError::ObjectHandleInvalid
            | RvError::SessionClosed
            | RvError::SessionHandleInvalid
            | RvError::SlotIdInvalid
            | RvError::TokenNotPresent
            | RvError::TokenNotRecognized
            | RvError::UserNotLoggedIn,
            _,
        ) => SignerError::TokenRemoved { token, said },
        Pkcs11Error::Pkcs11(RvError::MechanismInvalid, _) => SignerError::NoMechanism {
            token,
            mechanism: "EDDSA",
        },
        _ => SignerError::Refused { token, said },
    }
}

/// A refusal by the names that PKCS#11 gives it: its explanations are paragraphs.
fn said(error: &Pkcs11Error) -> String {
    match error {
        Pkcs11Error::Pkcs11(reason, function) => format!("{function:?} answers {reason:?}"),
        other => other.to_string(),
    }
}

/// The public half as tokens give it: 32 bytes as they are (PKCS#11 3.1), in an octet string
/// (3.0), or in a bit string, as certificates have it.
fn public_key(point: &[u8]) -> Result<PublicKey, &'static str> {
    // The length tells first: a raw key may begin with the bytes of a string's head.
    let ((32, bytes) | (34, [0x04, 0x20, bytes @ ..]) | (35, [0x03, 0x21, 0x00, bytes @ ..])) =
        (point.len(), point)
    else {
        return Err("is no Ed25519 point");
    };
    let bytes = bytes.try_into().expect("each form holds 32 bytes");
    PublicKey::from_bytes(bytes).map_err(|_| "is no key that may sign")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyfile::SigningKey;

    #[test]
    fn public_halves_read_in_every_form() {
        let public = SigningKey::generate().unwrap().public().clone();
        let bytes = public.as_bytes().as_slice();
        let octets = [&[0x04, 0x20], bytes].concat();
        let bits = [&[0x03, 0x21, 0x00], bytes].concat();
        for form in [bytes, &octets, &bits] {
            assert_eq!(public_key(form).as_ref(), Ok(&public));
        }
        for form in [
            &[][..],
            &bytes[1..],
            &octets[..33],
            &[&octets[..], &[0]].concat(),
            &[&[0x03, 0x21, 0x01], bytes].concat(),
            &[&[0x04, 0x39], [7; 57].as_slice()].concat(),
            &[0; 32],
        ] {
            assert!(public_key(form).is_err(), "{form:02x?}");
        }
    }

    /// A raw key may begin like an octet string; its length tells.
    #[test]
    fn a_raw_key_is_no_string() {
        let mut raw = [7; 32];
        raw[..2].copy_from_slice(&[0x04, 0x20]);
        let judged = public_key(&raw);
        assert_ne!(judged, Err("is no Ed25519 point"));
    }
}
