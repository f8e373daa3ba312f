//! What a node keeps between two starts: its trust state, and the tokens that it was given.
//!
//! The trust state is phi-verify's, in its two copies; tokens are in a bundle beside it. Nothing in
//! the folder is secret, and nothing in it is believed: everything is verified again.

use std::{
    io,
    path::{Path, PathBuf},
};

use phi_verify::{
    BundleBuilder, Error, MAX_BUNDLE, TrustState,
    log::Proof,
    store::{Disk, Files as _, Store},
};

use super::held::Held;

/// The bundle of tokens, and the name under which it is written.
const TOKENS: &str = "phi-tokens.bundle";
const TEMPORARY: &str = "phi-tokens.tmp";

/// The folder of a node's state.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    anchor: Vec<u8>,
    folder: PathBuf,
}

impl Kept {
    pub(super) const fn new(anchor: Vec<u8>, folder: PathBuf) -> Self {
        Self { anchor, folder }
    }

    /// The trust state of the last run, or that of the anchor, and what was found wrong.
    ///
    /// # Errors
    /// Why the anchor is refused.
    pub(super) fn trust(&self) -> Result<(TrustState, Vec<String>), Error> {
        let loaded = self.store().load()?;
        let findings = loaded.findings.iter().map(ToString::to_string);
        Ok((loaded.trust, findings.collect()))
    }

    /// The bundle of tokens, if there is one.
    pub(super) fn tokens(&self) -> Result<Option<Vec<u8>>, String> {
        let path = self.folder.join(TOKENS);
        match Disk.read(&path, MAX_BUNDLE as u64) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("cannot read {}: {error}", path.display())),
        }
    }

    /// Writes the trust state. Says what could not be written.
    pub(super) fn keep_trust(&self, trust: &mut TrustState) -> Vec<String> {
        let findings = self.store().save(trust);
        findings.iter().map(ToString::to_string).collect()
    }

    /// Writes the tokens. Says what could not be written.
    pub(super) fn keep_tokens(&self, tokens: &[Held]) -> Vec<String> {
        let kept = bundle_of(tokens)
            .map_err(|error| error.to_string())
            .and_then(|bytes| self.write(&bytes).map_err(|error| error.to_string()));
        let path = self.folder.join(TOKENS);
        let failed = |problem| format!("cannot write {}: {problem}", path.display());
        kept.map_err(failed).err().into_iter().collect()
    }

    fn store(&self) -> Store<'_> {
        Store::new(&self.anchor, self.folder.clone(), self.folder.clone())
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let (temporary, target) = (self.path(TEMPORARY), self.path(TOKENS));
        Disk.create_folder(&self.folder)?;
        let mut file = Disk.create(&temporary)?;
        Disk.write(&mut file, bytes)?;
        // From here on the tokens survive a power cut, under a name that nobody reads.
        Disk.sync(&file)?;
        drop(file);
        Disk.rename(&temporary, &target)?;
        Disk.sync_folder(&self.folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new(&self.folder).join(name)
    }
}

fn bundle_of(tokens: &[Held]) -> Result<Vec<u8>, Error> {
    let mut bundle = BundleBuilder::new();
    for held in tokens {
        let proof = held.proof.as_deref().map(Proof::parse).transpose();
        // A proof that does not read has proved nothing: the token goes without.
        bundle.token(&held.text, proof.unwrap_or_default().as_ref());
    }
    bundle.build()
}
