//! How much of the memory that it may take this process has, as Linux tells.
//!
//! Asked once a second by `overload/meter.rs`. Its law: what it may take is the least that its control
//! groups grant, or all that the machine has; where nothing tells, nothing is said.

use std::fs;
use std::path::{Path, PathBuf};

const STATUS: &str = "/proc/self/status";
const MACHINE: &str = "/proc/meminfo";
/// Its control groups, `number:controllers:path` a line.
const GROUPS: &str = "/proc/self/cgroup";
const GROUPS_ROOT: &str = "/sys/fs/cgroup";

/// The memory of this process.
#[derive(Debug)]
pub struct Memory {
    granted: Option<u64>,
}

impl Memory {
    /// Reads what it may take; that is not asked again.
    #[must_use]
    pub fn of_this_process() -> Self {
        let machine = read(MACHINE).and_then(|text| kib(&text, "MemTotal:"));
        let groups = read(GROUPS).unwrap_or_default();
        let limits = limit_files(&groups).into_iter().filter_map(|file| bytes(&read(file)?));
        let granted = machine.map(|kib| kib.saturating_mul(1024)).into_iter().chain(limits).min();
        Self { granted }
    }

    /// How much of it the process has.
    #[must_use]
    pub fn percent(&self) -> Option<u32> {
        let granted = self.granted.filter(|bytes| *bytes > 0)?;
        let own = kib(&read(STATUS)?, "VmRSS:")?.saturating_mul(1024);
        u32::try_from(own.saturating_mul(100) / granted).ok()
    }
}

fn read(file: impl AsRef<Path>) -> Option<String> {
    fs::read_to_string(file).ok()
}

/// The number of a line like `VmRSS:     1234 kB`.
fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// A limit; `max` is none.
fn bytes(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// Where limits may stand for who is in these groups: in each group and in all above it.
fn limit_files(groups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (root, name) = match parts.next() {
            Some("") => (GROUPS_ROOT.to_owned(), "memory.max"),
            Some(all) if all.split(',').any(|one| one == "memory") => {
                (format!("{GROUPS_ROOT}/memory"), "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let path = parts.next().unwrap_or_default().trim_start_matches('/');
        let group = Path::new(&root).join(path);
        let up = group.ancestors().take_while(|folder| folder.starts_with(&root));
        files.extend(up.map(|folder| folder.join(name)));
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_tells_is_read() {
        let status = "Name:\tserver\nVmHWM:\t  9000 kB\nVmRSS:\t    2048 kB\n";
        assert_eq!((kib(status, "VmRSS:"), kib(status, "VmSwap:")), (Some(2_048), None));
        assert_eq!((bytes("1048576\n"), bytes("max\n")), (Some(1_048_576), None));
        let files = limit_files("12:cpu,memory:/a\n3:cpu:/b\n0::/c/d\n");
        let expected = [
            "memory/a/memory.limit_in_bytes",
            "memory/memory.limit_in_bytes",
            "c/d/memory.max",
            "c/memory.max",
            "memory.max",
        ];
        assert_eq!(files, expected.map(|file| Path::new(GROUPS_ROOT).join(file)));
        assert!(limit_files("rubbish\n\n").is_empty());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_some_and_not_all() {
        let percent = Memory::of_this_process().percent();
        assert!(percent.is_some_and(|percent| percent < 80), "{percent:?}");
        assert_eq!(Memory { granted: None }.percent(), None);
        assert_eq!(Memory { granted: Some(0) }.percent(), None);
        assert!(Memory { granted: Some(1 << 20) }.percent() > Some(100), "more than a megabyte");
    }
}
