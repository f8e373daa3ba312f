//! Paths as the specification and another implementation of it write them.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(path: TilePath, text: &str) {
    assert_eq!(path.to_string(), text);
    assert_eq!(text.parse(), Ok(path));
}

#[test]
fn the_paths_of_the_specification() {
    let hashes = |level, number, width| TilePath::hashes(level, number, width).unwrap();
    check(hashes(0, 1_234_067, 256), "tile/0/x001/x234/067");
    check(hashes(0, 272, 256), "tile/0/272");
    check(hashes(0, 273, 112), "tile/0/273.p/112");
    check(hashes(2, 0, 1), "tile/2/000.p/1");
    check(hashes(63, 999, 255), "tile/63/999.p/255");
    check(hashes(5, 1000, 256), "tile/5/x001/000");
    let largest = "tile/0/x018/x446/x744/x073/x709/x551/615";
    check(hashes(0, u64::MAX, 256), largest);
    let entries = |number, width| TilePath::entries(number, width).unwrap();
    check(entries(0, 256), "tile/entries/000");
    check(entries(1_234_067, 8), "tile/entries/x001/x234/067.p/8");
    let path: TilePath = "tile/3/x001/002.p/4".parse().unwrap();
    assert_eq!(path.content(), Content::Hashes { level: 3 });
    assert_eq!((path.number(), path.width()), (1002, 4));
}

#[test]
fn one_spelling_only() {
    for text in [
        "",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/1000",
        "tile/0/+01",
        "tile/0/-01",
        "tile/0/ 01",
        "tile/0/x001",
        "tile/0/001/000",
        "tile/0/x000/001",
        "tile/0/x001/x000",
        "tile/0/xx01/000",
        "tile/0/X001/000",
        "tile/0/x1/000",
        "tile/0/x001//000",
        "tile/0/000/",
        "tile/0//000",
        "/tile/0/000",
        "tile/00/000",
        "tile/+0/000",
        "tile/64/000",
        "tile/256/000",
        "tile/-1/000",
        "tile/data/000",
        "tile/8/0/000",
        "tile/Entries/000",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/+1",
        "tile/0/000.p/256",
        "tile/0/000.p/1/",
        "tile/0/000.p/1.p/1",
        "tile/0/x018/x446/x744/x073/x709/x551/616",
        "tile/0/x001/x018/x446/x744/x073/x709/x551/615",
        "tile/0/٠٠١",
    ] {
        assert_eq!(
            text.parse::<TilePath>(),
            Err(PathError::Malformed),
            "{text}"
        );
    }
}

#[test]
fn what_has_no_path() {
    let level = TilePath::hashes(64, 0, 256).unwrap_err();
    assert_eq!(
        level.to_string(),
        "level 64 is above 63, the highest of a tile"
    );
    let none = TilePath::entries(0, 0).unwrap_err();
    assert_eq!(none.to_string(), "a tile holds 1 to 256 hashes, not 0");
    assert_eq!(
        TilePath::hashes(0, 0, 257),
        Err(PathError::Width { width: 257 })
    );
}

proptest! {
    /// Its paths name the height of tiles after `tile/`, and ours do not.
    #[test]
    fn as_tlog_tiles_writes_them(level in 0..64_u8, number: u64, shift in 0..64, width in 1..=256_u32) {
        let number = number >> shift;
        let theirs = tlog_tiles::Tile::new(8, level, number, width, false).path();
        let ours = TilePath::hashes(level, number, width as usize).unwrap();
        prop_assert_eq!(ours.to_string(), theirs.replacen("tile/8/", "tile/", 1));
        prop_assert_eq!(ours.to_string().parse(), Ok(ours));
        let theirs = tlog_tiles::Tile::new(8, 0, number, width, true).path();
        let ours = TilePath::entries(number, width as usize).unwrap();
        prop_assert_eq!(ours.to_string(), theirs.replacen("tile/8/data/", "tile/entries/", 1));
        prop_assert_eq!(ours.to_string().parse(), Ok(ours));
    }

    /// Whatever is read is what would be written.
    #[test]
    fn reads_only_what_it_writes(text in "tile/([0-9]{1,2}|entries)(/x?[0-9]{3}){1,3}(\\.p/[0-9]{1,3})?") {
        if let Ok(path) = text.parse::<TilePath>() {
            prop_assert_eq!(path.to_string(), text);
        }
    }
}
