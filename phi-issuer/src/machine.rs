//! What identifies this machine: the components of a fingerprint, before any hashing.
//!
//! A license binds to some of several components, so one that cannot be read, or that a vendor
//! never filled in, is left out rather than guessed. How components are hashed and matched is
//! left to `phi-verify`.

use std::error::Error;
use std::fmt;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// One statement about a machine, such as `machine-id=4c4c4544003610808050b4c04f443132`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Component {
    kind: String,
    value: String,
}

impl Component {
    /// Makes a component of a kind, `[a-z0-9-]{1,32}`, and a value of 1 to 256 bytes without
    /// control characters. The value is kept as it is.
    ///
    /// # Errors
    /// [`ComponentError::Kind`] or [`ComponentError::Value`].
    pub fn new(kind: &str, value: &str) -> Result<Self, ComponentError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if kind.is_empty() || kind.len() > MAX_KIND_LEN || !kind.bytes().all(allowed) {
            return Err(ComponentError::Kind);
        }
        if value.is_empty() || value.len() > MAX_VALUE_LEN || value.contains(char::is_control) {
            return Err(ComponentError::Value);
        }
        Ok(Self {
            kind: kind.to_owned(),
            value: value.to_owned(),
        })
    }

    /// What the value is of, such as `mac`.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The value.
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl FromStr for Component {
    type Err = ComponentError;

    fn from_str(text: &str) -> Result<Self, ComponentError> {
        let (kind, value) = text.split_once('=').ok_or(ComponentError::NoEquals)?;
        Self::new(kind, value)
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.kind, self.value)
    }
}

/// Why a text is not a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ComponentError {
    /// There is no `=` between kind and value.
    NoEquals,
    /// The kind is not 1 to 32 lowercase letters, digits and hyphens.
    Kind,
    /// The value is not 1 to 256 bytes without control characters.
    Value,
}

impl ComponentError {
    /// The stable name of this error.
    pub fn code(self) -> &'static str {
        "component-malformed"
    }
}

impl fmt::Display for ComponentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoEquals => "a component is written kind=value",
            Self::Kind => "the kind is not 1 to 32 lowercase letters, digits and hyphens",
            Self::Value => "the value is not 1 to 256 bytes without control characters",
        })
    }
}

impl Error for ComponentError {}

/// Collects the components of the machine whose file system is at `root`, `/` for this one.
///
/// The files are those of Linux. On another system, or without the rights to read them, there are
/// fewer components or none. The order is fixed, what tells machines apart best comes first, no component comes twice, and there are fewer
/// than [`phi_verify::MAX_COMPONENTS`].
pub fn collect(root: &Path) -> Vec<Component> {
    let mut found = Vec::new();
    let dmi = |name: &str| read_line(&root.join("sys/class/dmi/id").join(name));
    add(&mut found, "machine-id", machine_id(root));
    add(
        &mut found,
        "product-uuid",
        dmi("product_uuid").and_then(|text| uuid(&text)),
    );
    let board = dmi("board_serial").filter(|text| !is_placeholder(text));
    // Boards without DMI, most of them ARM, have a device tree instead.
    let tree = || read_line(&root.join("proc/device-tree/serial-number"));
    add(&mut found, "board-serial", board.or_else(tree));
    add(&mut found, "mac", macs(&root.join("sys/class/net")));
    add(&mut found, "disk", disks(&root.join("sys/block")));
    add(&mut found, "cpu", cpu_model(root));
    found
}

/// The components of a machine that go into a request: the first of [`collect`], which tell
/// machines apart best. A machine that is checked later shows all it has, so that a part that
/// moved to another slot is found again.
pub fn for_request(mut found: Vec<Component>) -> Vec<Component> {
    found.truncate(REQUEST_COMPONENTS);
    found
}

/// Four components let one or two of them change, and keep a token of a large product below 400
/// characters: each takes eight.
const REQUEST_COMPONENTS: usize = 4;

/// Adds the values of one kind in order, without placeholders and repetitions.
fn add(found: &mut Vec<Component>, kind: &str, values: impl IntoIterator<Item = String>) {
    let mut values: Vec<String> = values
        .into_iter()
        .filter(|value| !is_placeholder(value))
        .collect();
    values.sort();
    values.dedup();
    let components = values
        .iter()
        .filter_map(|value| Component::new(kind, value).ok());
    found.extend(components.take(MAX_PER_KIND));
}

fn machine_id(root: &Path) -> Option<String> {
    let is_id = |text: &String| text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
    ["etc/machine-id", "var/lib/dbus/machine-id"]
        .into_iter()
        .filter_map(|path| read_line(&root.join(path)))
        .find(is_id)
        .map(|text| text.to_ascii_lowercase())
}

fn uuid(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let shaped = text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    shaped.then_some(text)
}

fn cpu_model(root: &Path) -> Option<String> {
    let text = read_start(&root.join("proc/cpuinfo"), MAX_CPUINFO_LEN)?;
    let (_, model) = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.trim() == "model name")?;
    Some(tidy(model))
}

/// The addresses that network cards were made with.
fn macs(folder: &Path) -> Vec<String> {
    entries(folder)
        .into_iter()
        // Bridges, tunnels and containers' interfaces have no device behind them.
        .filter(|interface| interface.join("device").exists())
        .filter(|interface| {
            // 0 is the card's own; others were drawn at random or set by hand.
            read_line(&interface.join("addr_assign_type")).is_none_or(|kind| kind == "0")
        })
        .filter_map(|interface| read_line(&interface.join("address")))
        .filter_map(|text| mac(&text))
        .collect()
}

/// A universally administered unicast address, IEEE 802 section 8.2.
fn mac(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let mut octets = [0; 6];
    let mut parts = text.split(':');
    for octet in &mut octets {
        // Two digits exactly: a number alone could also have a sign.
        let is_octet = |part: &&str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
        *octet = u8::from_str_radix(parts.next().filter(is_octet)?, 16).ok()?;
    }
    let is_own = parts.next().is_none()
        && octets[0] & (GROUP | LOCALLY_ADMINISTERED) == 0
        && octets != [0; 6];
    is_own.then_some(text)
}

/// The serial numbers of disks that stay in the machine, or their world-wide ids.
fn disks(folder: &Path) -> Vec<String> {
    let number = |disk: &PathBuf| {
        ["device/serial", "serial", "device/wwid", "wwid"]
            .into_iter()
            .filter_map(|name| read_line(&disk.join(name)))
            .find(|text| !is_placeholder(text))
    };
    entries(folder)
        .into_iter()
        .filter(|disk| disk.join("device").exists())
        .filter(|disk| read_line(&disk.join("removable")).is_none_or(|flag| flag == "0"))
        .filter_map(|disk| number(&disk))
        .collect()
}

/// The paths in a folder, sorted; none if it cannot be read.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries
        .take(MAX_ENTRIES)
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    paths
}

/// The first line of a small file, tidied; nothing if it cannot be read or is blank.
fn read_line(path: &Path) -> Option<String> {
    let text = read_start(path, MAX_LINE_LEN)?;
    let line = tidy(text.lines().next()?);
    (!line.is_empty()).then_some(line)
}

/// The start of a file. The files of `/proc` and `/sys` do not say how long they are.
fn read_start(path: &Path, limit: u64) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path)
        .ok()?
        .take(limit)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// One space between words and none around, no NULs (the device tree ends texts with one).
fn tidy(text: &str) -> String {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c == '\0')
        .filter(|w| !w.is_empty())
        .collect();
    words.join(" ")
}

/// Whether a value says nothing: what firmware holds when the vendor filled in nothing.
fn is_placeholder(value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    let mut letters = value.chars().filter(char::is_ascii_alphanumeric);
    let all_same = match letters.next() {
        // All zeros, all F's, all X's, or nothing but punctuation.
        Some(first) => letters.all(|letter| letter == first),
        None => !value.chars().any(char::is_alphanumeric),
    };
    // The replacement character stands for bytes that are not text.
    all_same || value.contains('\u{fffd}') || PLACEHOLDERS.contains(&value.as_str())
}

/// Values seen on many machines, in lowercase.
const PLACEHOLDERS: &[&str] = &[
    "none",
    "n/a",
    "na",
    "not specified",
    "not applicable",
    "not available",
    "not defined",
    "not present",
    "not settable",
    "unknown",
    "unspecified",
    "undefined",
    "uninitialized",
    "invalid",
    "empty",
    "null",
    "default",
    "default string",
    "o.e.m.",
    "oem",
    "to be filled by o.e.m.",
    "to be filled by oem",
    "fill by oem",
    "system serial number",
    "base board serial number",
    "board serial number",
    "chassis serial number",
    "serial number",
    "type2 - board serial number",
    "0123456789",
    "123456789",
    "1234567890",
    "0123456789abcdef",
    // A firmware vendor's sample, found in the product UUID of many unrelated boards.
    "03000200-0400-0500-0006-000700080009",
];

/// Bits of an address's first octet.
const GROUP: u8 = 0b01;
const LOCALLY_ADMINISTERED: u8 = 0b10;

const MAX_KIND_LEN: usize = 32;
const MAX_VALUE_LEN: usize = 256;
/// Enough for a workstation; a server with more is known by its first ones. All that is found
/// fits one fingerprint, with room for components that the caller adds.
const MAX_PER_KIND: usize = 4;
const _: () = assert!(4 + 2 * MAX_PER_KIND < phi_verify::MAX_COMPONENTS);
/// More interfaces or disks than this are virtual; the bound keeps the listing short.
const MAX_ENTRIES: usize = 4096;
/// Far longer than any value that is kept.
const MAX_LINE_LEN: u64 = 4096;
/// The first processor's paragraph, which says what all of them are, is under 4 KiB.
const MAX_CPUINFO_LEN: u64 = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// A file system with these files; a path that ends in `/` is a folder.
    fn tree(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, contents) in files {
            let full = root.path().join(path);
            if path.ends_with('/') {
                fs::create_dir_all(full).unwrap();
            } else {
                fs::create_dir_all(full.parent().unwrap()).unwrap();
                fs::write(full, contents).unwrap();
            }
        }
        root
    }

    #[track_caller]
    fn check(files: &[(&str, &[u8])], expected: &[&str]) {
        let root = tree(files);
        let found: Vec<String> = collect(root.path())
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_whole_machine() {
        check(
            &[
                ("etc/machine-id", b"4C4C4544003610808050B4C04F443132\n"),
                (
                    "sys/class/dmi/id/product_uuid",
                    b"4C4C4544-0036-1080-8050-B4C04F443132\n",
                ),
                ("sys/class/dmi/id/board_serial", b" /6DPB1D2/CN7792   \n"),
                (
                    "proc/cpuinfo",
                    b"processor\t: 0\nmodel name\t: Some  CPU @ 2.60GHz\nx\t: y\n",
                ),
                ("sys/class/net/wlan0/device/", b""),
                ("sys/class/net/wlan0/addr_assign_type", b"0\n"),
                ("sys/class/net/wlan0/address", b"B4:C0:4F:44:31:33\n"),
                ("sys/class/net/eth0/device/", b""),
                ("sys/class/net/eth0/address", b"b4:c0:4f:44:31:32\n"),
                ("sys/class/net/lo/address", b"00:00:00:00:00:00\n"),
                ("sys/block/nvme0n1/device/serial", b"S3Z9NB0K    \n"),
                ("sys/block/sda/device/wwid", b"t10.ATA     Disk X   S1\n"),
                ("sys/block/vda/device/", b""),
                ("sys/block/vda/serial", b"V1\n"),
                ("sys/block/loop0/size", b"8\n"),
            ],
            &[
                "machine-id=4c4c4544003610808050b4c04f443132",
                "product-uuid=4c4c4544-0036-1080-8050-b4c04f443132",
                "board-serial=/6DPB1D2/CN7792",
                "mac=b4:c0:4f:44:31:32",
                "mac=b4:c0:4f:44:31:33",
                "disk=S3Z9NB0K",
                "disk=V1",
                "disk=t10.ATA Disk X S1",
                "cpu=Some CPU @ 2.60GHz",
            ],
        );
    }

    #[test]
    fn nothing_readable_is_no_component() {
        check(&[], &[]);
        check(
            &[
                ("etc/machine-id/", b""),
                ("sys/class/net", b"x"),
                ("proc/cpuinfo/", b""),
            ],
            &[],
        );
    }

    #[test]
    fn the_second_machine_id_stands_in() {
        let other: (&str, &[u8]) = ("var/lib/dbus/machine-id", &[b'a'; 31]);
        check(&[("etc/machine-id", b"uninitialized\n"), other], &[]);
        let other: (&str, &[u8]) = (
            "var/lib/dbus/machine-id",
            b"0123456789abcdef0123456789abcdef",
        );
        let expected = &["machine-id=0123456789abcdef0123456789abcdef"];
        check(&[("etc/machine-id", b"uninitialized\n"), other], expected);
        check(&[("etc/machine-id", b""), other], expected);
        check(&[other], expected);
    }

    #[test]
    fn placeholders_are_left_out() {
        for value in [
            "None",
            "To be filled by O.E.M.",
            "Default string",
            "0",
            "00000000",
            "FFFFFFFF",
            "XXXXXXX",
            "....",
            " ",
            "",
            "\0",
            "Not Specified",
            "\u{fffd}x",
        ] {
            check(&[("sys/class/dmi/id/board_serial", value.as_bytes())], &[]);
        }
        for value in [
            "00000000-0000-0000-0000-000000000000",
            "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
            "03000200-0400-0500-0006-000700080009",
            "4c4c4544003610808050b4c04f443132",
            "not a uuid",
        ] {
            check(&[("sys/class/dmi/id/product_uuid", value.as_bytes())], &[]);
        }
        check(&[("etc/machine-id", &[b'0'; 32])], &[]);
    }

    #[test]
    fn a_device_tree_stands_in_for_dmi() {
        let tree: (&str, &[u8]) = ("proc/device-tree/serial-number", b"10000000a3b1c2d4\0");
        check(&[tree], &["board-serial=10000000a3b1c2d4"]);
        check(
            &[("sys/class/dmi/id/board_serial", b"None"), tree],
            &["board-serial=10000000a3b1c2d4"],
        );
        check(
            &[("sys/class/dmi/id/board_serial", b"B7"), tree],
            &["board-serial=B7"],
        );
    }

    #[test]
    fn only_addresses_of_the_cards_count() {
        for address in [
            "52:54:00:12:34:56", // locally administered
            "01:00:5e:00:00:01", // multicast
            "00:00:00:00:00:00",
            "b4:c0:4f:44:31",
            "b4:c0:4f:44:31:32:33",
            "b4:c0:4f:44:31:3",
            "b4:c0:4f:44:31:+3",
            "b4-c0-4f-44-31-32",
            "",
        ] {
            let address = ("sys/class/net/eth0/address", address.as_bytes());
            check(&[("sys/class/net/eth0/device/", b""), address], &[]);
        }
        let address: (&str, &[u8]) = ("sys/class/net/eth0/address", b"b4:c0:4f:44:31:32");
        let device: (&str, &[u8]) = ("sys/class/net/eth0/device/", b"");
        check(&[device, address], &["mac=b4:c0:4f:44:31:32"]);
        check(&[address], &[]);
        check(
            &[
                device,
                address,
                ("sys/class/net/eth0/addr_assign_type", b"3\n"),
            ],
            &[],
        );
    }

    #[test]
    fn disks_that_come_and_go_do_not_count() {
        let serial: (&str, &[u8]) = ("sys/block/sda/device/serial", b"S1");
        check(&[serial, ("sys/block/sda/removable", b"0\n")], &["disk=S1"]);
        check(&[serial, ("sys/block/sda/removable", b"1\n")], &[]);
        // Two paths to one disk are one disk.
        check(
            &[serial, ("sys/block/sdb/device/serial", b"S1")],
            &["disk=S1"],
        );
        let placeholder: (&str, &[u8]) = ("sys/block/sda/device/serial", b"0000");
        check(
            &[placeholder, ("sys/block/sda/device/wwid", b"naa.5")],
            &["disk=naa.5"],
        );
    }

    #[test]
    fn long_and_many_values_are_bounded() {
        let long = [b'x', b'y'].repeat(MAX_VALUE_LEN);
        check(&[("sys/class/dmi/id/board_serial", &long)], &[]);
        let endless = b"abc".repeat(1 << 20);
        check(
            &[
                ("sys/class/dmi/id/board_serial", &endless),
                ("proc/cpuinfo", &endless),
            ],
            &[],
        );
        let paths: Vec<String> = (0..40)
            .map(|n| format!("sys/block/sd{n}/device/serial"))
            .collect();
        let values: Vec<String> = (0..40).map(|n| format!("S{n:02}")).collect();
        let files: Vec<(&str, &[u8])> = paths
            .iter()
            .map(String::as_str)
            .zip(values.iter().map(String::as_bytes))
            .collect();
        let root = tree(&files);
        assert_eq!(collect(root.path()).len(), MAX_PER_KIND);
    }

    #[test]
    fn this_machine_is_the_same_twice() {
        assert_eq!(collect(Path::new("/")), collect(Path::new("/")));
    }

    #[test]
    fn components_are_parsed_and_printed() {
        for text in [
            "mac=b4:c0",
            "a=b=c",
            "a= ",
            "a-1=ü",
            &format!("k={}", "v".repeat(256)),
        ] {
            let component: Component = text.parse().unwrap();
            assert_eq!(component.to_string(), text);
        }
        let component: Component = "dongle=A=B".parse().unwrap();
        assert_eq!((component.kind(), component.value()), ("dongle", "A=B"));
        for (text, error) in [
            ("", ComponentError::NoEquals),
            ("mac", ComponentError::NoEquals),
            ("=x", ComponentError::Kind),
            ("Mac=x", ComponentError::Kind),
            ("m c=x", ComponentError::Kind),
            (&format!("{}=x", "k".repeat(33)), ComponentError::Kind),
            ("mac=", ComponentError::Value),
            ("mac=a\nb", ComponentError::Value),
            ("mac=a\u{9b}b", ComponentError::Value),
            (&format!("k={}", "v".repeat(257)), ComponentError::Value),
        ] {
            assert_eq!(text.parse::<Component>(), Err(error), "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_contents_panic(contents in proptest::collection::vec(0_u8.., 0..200), cpu in ".*") {
            let cpu = format!("model name: {cpu}");
            let root = tree(&[
                ("etc/machine-id", &contents),
                ("sys/class/dmi/id/product_uuid", &contents),
                ("sys/class/dmi/id/board_serial", &contents),
                ("proc/cpuinfo", cpu.as_bytes()),
                ("sys/class/net/e/device/", b""),
                ("sys/class/net/e/address", &contents),
                ("sys/block/s/device/serial", &contents),
            ]);
            for component in collect(root.path()) {
                assert_eq!(component.to_string().parse(), Ok(component));
            }
        }
    }
}
