//! The process that opens keys keeps them out of files that it does not mean to write.

use std::io;

/// Has the system write no memory of this process to a file when it fails, and lets no other
/// process of the user read it. To be called before a key is opened; it holds until the end.
///
/// Systems other than Linux have the first part where they are Unix, and nothing elsewhere.
///
/// # Errors
/// If the system refuses.
pub fn seclude() -> io::Result<()> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        // The hard limit too: a library that is loaded later cannot take it back.
        let none = Rlimit {
            current: Some(0),
            maximum: Some(0),
        };
        setrlimit(Resource::Core, none)?;
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        // A limit of no bytes does not hold for a program that the system pipes dumps to.
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    }
    Ok(())
}

/// Keeps the memory of a secret from being written to a swap file, as far as the system allows.
///
/// The page stays so until the process ends: it may hold other secrets, and unlocking it for one
/// would unlock it for all.
pub(crate) fn keep_in_memory<T: ?Sized>(secret: &T) {
    let start = std::ptr::from_ref(secret).cast::<u8>();
    if let Ok(lock) = region::lock(start, size_of_val(secret)) {
        std::mem::forget(lock);
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};

    use super::*;

    #[test]
    fn nothing_is_dumped() {
        seclude().unwrap();
        assert_eq!(getrlimit(Resource::Core).current, Some(0));
        assert_eq!(getrlimit(Resource::Core).maximum, Some(0));
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }

    #[test]
    fn keys_stay_in_memory() {
        let _key = crate::keyfile::SigningKey::generate().unwrap();
        something_is_locked();
    }

    #[test]
    fn passphrases_stay_in_memory() {
        let _passphrase = crate::passphrase::Passphrase::from_bytes(b"snakeoil").unwrap();
        something_is_locked();
    }

    /// Memory that may be locked is: 64 KiB are what the least generous systems allow.
    #[track_caller]
    fn something_is_locked() {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let locked = status.lines().find_map(|line| line.strip_prefix("VmLck:"));
        let locked: u64 = locked
            .unwrap()
            .trim()
            .trim_end_matches(" kB")
            .parse()
            .unwrap();
        let allowed = getrlimit(Resource::Memlock)
            .current
            .is_none_or(|most| most >= 64 << 10);
        assert!(locked > 0 || !allowed, "{locked} kB are locked");
    }
}
