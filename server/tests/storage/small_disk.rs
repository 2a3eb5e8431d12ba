//! A disk so small that a test can fill it.
//!
//! Memory that is mounted as a file system, for the stories of the store and for the proof. Who may
//! not mount has none, and says so.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A small disk that ends with it.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// A folder of so many MiB, made here; nothing where this user may not mount.
    pub(crate) fn under(folder: &Path, mib: u64) -> Option<Self> {
        std::fs::create_dir(folder).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mib}m,mode=0700"), "wasmchannel-test"]);
        let done = mount.arg(folder).status();
        done.is_ok_and(|done| done.success()).then(|| Self(folder.to_owned()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}
