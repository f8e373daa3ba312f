//! The rotations of TUF's conformance suite (theupdateframework/tuf-conformance,
//! `test_updater_key_rotations.py`), as the data that they are there.

/// A version of a root: the root role's keys by number, how many must sign, who signs, and
/// whether a verifier takes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Version {
    pub(super) keys: &'static [u8],
    pub(super) threshold: usize,
    pub(super) signers: &'static [u8],
    pub(super) taken: bool,
}

const fn taken(keys: &'static [u8], threshold: usize, signers: &'static [u8]) -> Version {
    Version {
        keys,
        threshold,
        signers,
        taken: true,
    }
}

const fn refused(keys: &'static [u8], threshold: usize, signers: &'static [u8]) -> Version {
    Version {
        taken: false,
        ..taken(keys, threshold, signers)
    }
}

/// A chain of roots, of which the first is the anchor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rotation {
    /// The row of README.md.
    pub(super) row: &'static str,
    pub(super) name: &'static str,
    pub(super) versions: &'static [Version],
}

const FIVE: &[u8] = &[0, 1, 2, 3, 4];
const ONE_SWAPPED: &[u8] = &[0, 1, 3, 4, 5];
const THREE: &[u8] = &[1, 2, 3];

pub(super) const OF_ROOTS: [Rotation; 15] = [
    Rotation {
        row: "R1",
        name: "1-of-1 key rotation",
        versions: &[
            taken(&[1], 1, &[1]),
            taken(&[2], 1, &[2, 1]),
            taken(&[2], 1, &[2]),
        ],
    },
    Rotation {
        row: "R2",
        name: "1-of-1 key rotation, unused signatures",
        versions: &[
            taken(&[1], 1, &[3, 1, 4]),
            taken(&[2], 1, &[3, 2, 1, 4]),
            taken(&[2], 1, &[3, 2, 4]),
        ],
    },
    Rotation {
        row: "R3",
        name: "3-of-5, sign with different combinations of keys",
        versions: &[
            taken(FIVE, 3, &[0, 2, 4]),
            taken(FIVE, 3, &[0, 4, 1]),
            taken(FIVE, 3, &[0, 1, 3]),
            taken(FIVE, 3, &[0, 1, 3]),
        ],
    },
    Rotation {
        row: "R4",
        name: "3-of-5, one key rotated",
        versions: &[
            taken(FIVE, 3, &[0, 2, 4]),
            taken(ONE_SWAPPED, 3, &[0, 4, 1]),
        ],
    },
    Rotation {
        row: "R4",
        name: "3-of-5, one key rotated, with intermediate step",
        versions: &[
            taken(FIVE, 3, &[0, 2, 4]),
            taken(ONE_SWAPPED, 3, &[0, 2, 4, 5]),
            taken(ONE_SWAPPED, 3, &[0, 4, 5]),
        ],
    },
    Rotation {
        row: "R4",
        name: "3-of-5, all keys rotated, with intermediate step",
        versions: &[
            taken(FIVE, 3, &[0, 2, 4]),
            taken(&[5, 6, 7, 8, 9], 3, &[0, 2, 4, 5, 6, 7]),
            taken(&[5, 6, 7, 8, 9], 3, &[5, 6, 7]),
        ],
    },
    Rotation {
        row: "R5",
        name: "1-of-3, threshold increase to 2-of-3",
        versions: &[taken(THREE, 1, &[1]), taken(THREE, 2, &[1, 2])],
    },
    Rotation {
        row: "R5",
        name: "2-of-3, threshold decrease to 1-of-3",
        versions: &[
            taken(THREE, 2, &[1, 2]),
            taken(THREE, 1, &[1, 2]),
            taken(THREE, 1, &[1]),
        ],
    },
    Rotation {
        row: "R5",
        name: "1-of-2, threshold increase to 2-of-2",
        versions: &[taken(&[1], 1, &[1]), taken(&[1, 2], 2, &[1, 2])],
    },
    Rotation {
        row: "R6",
        name: "1-of-1 key rotation, not signed with the old key",
        versions: &[taken(&[1], 1, &[1]), refused(&[2], 1, &[2, 3, 4])],
    },
    Rotation {
        row: "R6",
        name: "1-of-1 key rotation, not signed with the new key",
        versions: &[taken(&[1], 1, &[1]), refused(&[2], 1, &[1, 3, 4])],
    },
    Rotation {
        row: "R7",
        name: "3-of-5, one key rotated, not signed with 3 new keys",
        versions: &[
            taken(FIVE, 3, &[0, 2, 4]),
            refused(ONE_SWAPPED, 3, &[0, 2, 4]),
        ],
    },
    Rotation {
        row: "R7",
        name: "3-of-5, one key rotated, not signed with 3 old keys",
        versions: &[
            taken(FIVE, 3, &[0, 2, 4]),
            refused(ONE_SWAPPED, 3, &[0, 4, 5]),
        ],
    },
    Rotation {
        row: "R8",
        name: "1-of-3, threshold bump to 2-of-3, new threshold not reached",
        versions: &[taken(THREE, 1, &[1]), refused(THREE, 2, &[2])],
    },
    Rotation {
        row: "R8",
        name: "2-of-3, threshold decrease to 1-of-3, old threshold not reached",
        versions: &[taken(THREE, 2, &[1, 2]), refused(THREE, 1, &[1])],
    },
];

/// A role other than root's as a root names it, and who signs its document.
pub(super) const OF_ROLES: [Version; 10] = [
    taken(&[2], 1, &[2]),
    taken(&[1], 1, &[3, 1, 4]),
    refused(&[2], 1, &[1, 3, 4]),
    refused(ONE_SWAPPED, 3, &[0, 2, 4]),
    refused(ONE_SWAPPED, 3, &[0, 4]),
    taken(FIVE, 3, &[0, 2, 4]),
    taken(FIVE, 3, &[0, 4, 1]),
    taken(FIVE, 3, &[0, 1, 3]),
    taken(FIVE, 3, &[1, 2, 3]),
    taken(FIVE, 3, &[2, 3, 4]),
];
