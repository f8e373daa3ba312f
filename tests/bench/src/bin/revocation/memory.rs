//! What the process holds, and held at most: Linux says it, other systems are left out.

use std::fs;

/// Forgets what the process held at most, and says what it holds, in bytes.
pub(crate) fn begin() -> u64 {
    // 5 resets the peak (proc(5), clear_refs). Where it is not there, no peak is found either.
    let _ = fs::write("/proc/self/clear_refs", "5");
    line("VmRSS:")
}

/// The most that was held since [`begin`], in bytes.
pub(crate) fn peak() -> u64 {
    line("VmHWM:")
}

fn line(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or(0) << 10
}
