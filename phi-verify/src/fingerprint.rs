//! Machine binding: which machine a license is for, without saying what the machine is.
//!
//! A machine has components (its machine id, its board, its network cards). Each becomes a short
//! digest; a license names some digests and how many of them must be found again. Reading the
//! components off a machine is left to others: nothing here touches the system.

use alloc::{collections::BTreeSet, string::String, vec, vec::Vec};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

use crate::{
    cbor::{self, Fields, Item, MapBuilder, Value},
    error::{Error, Malformed},
};

/// A component's digest: 48 bits keep two machines apart by accident, which is all that a digest
/// can do, since who copies a component's value copies its digest whatever its length. Short
/// digests keep tokens short and say less about the machine.
pub type ComponentDigest = [u8; 6];

/// A license names at most this many components; a machine has rarely ten.
pub const MAX_COMPONENTS: usize = 16;

/// The digest of a component for one product, so that two vendors cannot compare machines.
fn digest(product: &str, kind: &str, value: &str) -> ComponentDigest {
    let length = |text: &str| (text.len() as u64).to_le_bytes();
    let hash = Sha256::new()
        .chain_update(b"phi/fp/v1\0")
        .chain_update(length(product))
        .chain_update(product)
        .chain_update(length(kind))
        .chain_update(kind)
        .chain_update(value)
        .finalize();
    hash[..6].try_into().expect("a hash has thirty-two bytes")
}

/// What a machine is, as digests of its components for one product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    product: String,
    components: BTreeSet<(String, ComponentDigest)>,
}

/// The first word of a fingerprint request.
const REQUEST: &str = "phi.fingerprint.";
/// Object kind of a fingerprint request.
const KIND: u64 = 7;
/// Field numbers, those of the license claims that a request goes into.
const PRODUCT: u64 = 8;
const COMPONENTS: u64 = 13;
/// A request is copied by hand and by camera: four bytes of its hash find a slip.
const CHECKSUM: usize = 4;
/// A request of the most components with the longest names is shorter than this.
const MAX_REQUEST: usize = 4096;

impl Fingerprint {
    /// A fingerprint without components, for this product.
    pub fn new(product: &str) -> Self {
        Self {
            product: product.into(),
            components: BTreeSet::new(),
        }
    }

    /// Adds a component, such as kind `machine-id` with its value.
    #[must_use]
    pub fn with(mut self, kind: &str, value: &str) -> Self {
        let digest = digest(&self.product, kind, value);
        self.components.insert((kind.into(), digest));
        self
    }

    /// The product for which the digests were made.
    pub fn product(&self) -> &str {
        &self.product
    }

    /// The components: their kinds and digests.
    pub fn components(&self) -> impl Iterator<Item = (&str, ComponentDigest)> {
        self.components
            .iter()
            .map(|(kind, digest)| (kind.as_str(), *digest))
    }

    /// The request that a customer sends to the vendor, as one word of text.
    ///
    /// # Errors
    /// [`Error::FingerprintRequest`] if the fingerprint has no component or more than
    /// [`MAX_COMPONENTS`], or a name breaks the rules of names.
    pub fn to_request(&self) -> Result<String, Error> {
        let entry = |(kind, digest): &(String, ComponentDigest)| {
            Value::Array(vec![kind.as_str().into(), digest[..].into()])
        };
        let mut map = MapBuilder::of_kind(KIND);
        map.put(PRODUCT, self.product.as_str());
        map.put(
            COMPONENTS,
            Value::Array(self.components.iter().map(entry).collect()),
        );
        let mut bytes = map.encode();
        Self::decode(&bytes)?;
        bytes.extend_from_slice(&Sha256::digest(&bytes)[..CHECKSUM]);
        let mut text = String::from(REQUEST);
        URL_SAFE_NO_PAD.encode_string(bytes, &mut text);
        Ok(text)
    }

    /// Reads a request. It is not signed: it says what a machine claims to be.
    ///
    /// # Errors
    /// [`Error::FingerprintRequest`].
    pub fn from_request(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_REQUEST {
            return Err(Error::FingerprintRequest("is longer than 4096 characters"));
        }
        let encoded = text.strip_prefix(REQUEST).ok_or(Error::FingerprintRequest(
            "does not begin with phi.fingerprint.",
        ))?;
        let bytes = URL_SAFE_NO_PAD
            .decode(encoded)
            .map_err(|_| Error::FingerprintRequest("is not base64url without padding"))?;
        let (object, checksum) = bytes
            .len()
            .checked_sub(CHECKSUM)
            .map(|middle| bytes.split_at(middle))
            .ok_or(Error::FingerprintRequest("is cut short"))?;
        if Sha256::digest(object)[..CHECKSUM] != *checksum {
            return Err(Error::FingerprintRequest(
                "has a slip: its checksum does not match",
            ));
        }
        Self::decode(object)
    }

    fn decode(object: &[u8]) -> Result<Self, Error> {
        let malformed = |_| Error::FingerprintRequest("does not decode");
        let mut fields = Fields::of_object(object, KIND).map_err(malformed)?;
        let product = fields.text(PRODUCT).map_err(malformed)?;
        let entries = fields.require(COMPONENTS).map_err(malformed)?;
        fields.end(KIND).map_err(malformed)?;
        let components = decode_components(entries).map_err(malformed)?;
        if components.is_empty() || components.len() > MAX_COMPONENTS {
            return Err(Error::FingerprintRequest(
                "has no component or more than sixteen",
            ));
        }
        Ok(Self {
            product,
            components,
        })
    }
}

fn decode_components(item: Item) -> Result<BTreeSet<(String, ComponentDigest)>, Malformed> {
    let entries = cbor::list(item, COMPONENTS)?;
    let decode = |entry| {
        let [kind, digest] = cbor::array(entry, COMPONENTS)?;
        Ok((
            cbor::text(kind, COMPONENTS)?,
            cbor::sized(digest, COMPONENTS)?,
        ))
    };
    let decoded = entries.iter().map(decode).collect::<Result<Vec<_>, _>>()?;
    if decoded.windows(2).any(|pair| pair[0] >= pair[1]) {
        return Err(Malformed::CborKeyOrder);
    }
    Ok(decoded.into_iter().collect())
}

/// The machine to which a license is bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    required: usize,
    components: Vec<ComponentDigest>,
}

impl Binding {
    /// Binds to the machine with this fingerprint, of whose components `required` must match.
    ///
    /// # Errors
    /// [`Error::FingerprintRequest`] if `required` is zero or more than there are components, or
    /// there are more than [`MAX_COMPONENTS`].
    pub fn new(fingerprint: &Fingerprint, required: usize) -> Result<Self, Error> {
        let components: BTreeSet<_> = fingerprint.components().map(|(_, digest)| digest).collect();
        let components: Vec<_> = components.into_iter().collect();
        if required == 0 || required > components.len() || components.len() > MAX_COMPONENTS {
            return Err(Error::FingerprintRequest(
                "has fewer components than must match",
            ));
        }
        Ok(Self {
            required,
            components,
        })
    }

    /// How many components must match.
    pub const fn required(&self) -> usize {
        self.required
    }

    /// The components, in ascending order.
    pub fn components(&self) -> &[ComponentDigest] {
        &self.components
    }

    /// How many of the components this machine has.
    pub fn matched(&self, machine: &Fingerprint) -> usize {
        // Sixteen by some ten: looking through all of them is cheaper than sorting them.
        let present =
            |digest: &&ComponentDigest| machine.components().any(|(_, found)| found == **digest);
        self.components.iter().filter(present).count()
    }

    /// `[required, digests]`, the digests in ascending order in one byte string.
    pub(crate) fn decode(item: Item, key: u64) -> Result<Self, Malformed> {
        let field = |problem| Malformed::Field { key, problem };
        let [required, digests] = cbor::array(item, key)?;
        let required = cbor::uint(required, key)?;
        let digests = cbor::bytes(digests, key)?;
        let (components, []) = digests.as_chunks() else {
            return Err(field("has a component of another length"));
        };
        if components.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(field("has components out of order or twice"));
        }
        let required = usize::try_from(required).unwrap_or(usize::MAX);
        if required == 0 || required > components.len() || components.len() > MAX_COMPONENTS {
            return Err(field(
                "requires no component, or more than there are or may be",
            ));
        }
        Ok(Self {
            required,
            components: components.to_vec(),
        })
    }

    pub(crate) fn encode(&self) -> Value {
        Value::Array(vec![
            Value::from(self.required as u64),
            Value::Bytes(self.components.concat()),
        ])
    }
}
