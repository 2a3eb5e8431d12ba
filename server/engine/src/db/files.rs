//! The data folder's files: readable by the server's own user alone, whoever made them.
//!
//! Used by `db` at its opening and by `auth` for the setup token. Its law: what was made open to
//! others, by an older version or by hand, is closed to them at the start, or the start fails and
//! says so; a folder in which other things lie keeps its mode, for it is not the server's own.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::ErrorKind::{InvalidInput, PermissionDenied};
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// What group and others may do.
const OTHERS: u32 = 0o077;
/// The mode of a private file.
const FILE: u32 = 0o600;
/// The mode of a private folder.
const FOLDER: u32 = 0o700;

/// Makes the folder, or closes it to others where it is the server's own: where this file of ours
/// lies in it, or nothing.
pub(super) fn private_folder(folder: &Path, own_file: &str) -> Result<()> {
    make_folder(folder)?;
    let is_own = folder.join(own_file).exists() || fs::read_dir(folder)?.next().is_none();
    if is_own {
        return close_to_others(folder, FOLDER);
    }
    if is_open_to_others(folder)? {
        let path = folder.display();
        tracing::warn!(%path, "others may look into the data folder; give it one of its own");
    }
    Ok(())
}

/// Makes a folder that survives the loss of power: a name lasts once what it stands in was flushed.
fn make_folder(folder: &Path) -> Result<()> {
    let is_missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
    let missing: Vec<&Path> = folder.ancestors().take_while(is_missing).collect();
    DirBuilder::new().recursive(true).mode(FOLDER).create(folder)?;
    for made in missing {
        let parent = made.parent().filter(|parent| !parent.as_os_str().is_empty());
        let flushed = File::open(parent.unwrap_or(Path::new("."))).and_then(|it| it.sync_all());
        match flushed {
            // Who may make a folder need not be one who may read it, and not every file system
            // flushes folders.
            Err(fault) if matches!(fault.kind(), PermissionDenied | InvalidInput) => {
                tracing::warn!(path = %made.display(), %fault, "the new folder was not flushed");
            }
            done => done?,
        }
    }
    Ok(())
}

/// Opens a file that only its owner may read, and makes it where there is none.
pub(super) fn private_file(path: &Path) -> Result<File> {
    let file = OpenOptions::new().read(true).append(true).create(true).mode(FILE).open(path)?;
    close_file(path)?;
    Ok(file)
}

/// Closes a file to others, where there is one.
pub fn close_file(path: &Path) -> Result<()> {
    match close_to_others(path, FILE) {
        Err(fault) if fault.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn close_to_others(path: &Path, mode: u32) -> Result<()> {
    if !is_open_to_others(path)? {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(|fault| {
        let words =
            format!("others may use it, and that cannot be changed: {fault}; chmod {mode:o}");
        Error::new(fault.kind(), words)
    })?;
    tracing::warn!(path = %path.display(), "was open to others; it is its owner's alone now");
    Ok(())
}

fn is_open_to_others(path: &Path) -> Result<bool> {
    Ok(fs::metadata(path)?.permissions().mode() & OTHERS != 0)
}
