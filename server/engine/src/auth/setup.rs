//! The setup link: who opens it first becomes the owner, and then it is void.
//!
//! Until then its token lies in the data folder, readable by the server's user alone; the first
//! start shows it once, the command `setup-link` reads the file again. Its law: the token is in no
//! log and in no database, and there is no other way to become the owner. Whether there is an owner
//! only the store knows: a file that a crash left behind opens nothing.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::token::SetupToken;
use crate::clock::Chance;
use crate::db::files::close_file;
use crate::error::Error;

/// The name of the file in the data folder.
const FILE: &str = "setup-token";
/// What stands before the token in the link's path.
pub const PATH: &str = "/setup/";

/// The link's token while there is no owner.
#[derive(Debug)]
pub struct Setup {
    path: PathBuf,
    token: Mutex<Option<SetupToken>>,
}

impl Setup {
    /// Makes ready at the start; gives the link's path too where the token was made just now.
    pub fn open(
        data: &Path,
        has_owner: bool,
        chance: &mut dyn Chance,
    ) -> Result<(Self, Option<String>), Error> {
        let path = data.join(FILE);
        let setup = |token| Self { path: path.clone(), token: Mutex::new(token) };
        if has_owner {
            let setup = setup(None);
            setup.close();
            return Ok((setup, None));
        }
        if let Some(token) = read(data)? {
            close_file(&path).map_err(Error::file(&path))?;
            return Ok((setup(Some(token)), None));
        }
        let token = SetupToken::make(chance);
        write(&path, &token).map_err(Error::file(&path))?;
        let link = path_of(&token);
        Ok((setup(Some(token)), Some(link)))
    }

    /// Whether this is the token of a link that still stands.
    #[must_use]
    pub fn is_open(&self, text: &str) -> bool {
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        token.as_ref().zip(SetupToken::read(text)).is_some_and(|(token, sent)| token.is(&sent))
    }

    /// Voids the link: somebody is the owner.
    pub fn close(&self) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if let Err(fault) = fs::remove_file(&self.path)
            && fault.kind() != ErrorKind::NotFound
        {
            tracing::warn!(%fault, "the file of the void setup token cannot be removed");
        }
    }
}

/// The path of the link that stands in the data folder, for the one who may read the folder.
pub fn link_path(data: &Path) -> Result<String, Error> {
    let token = read(data)?.ok_or_else(|| Error::NoSetupLink(data.to_owned()))?;
    Ok(path_of(&token))
}

fn path_of(token: &SetupToken) -> String {
    format!("{PATH}{}", token.reveal())
}

fn read(data: &Path) -> Result<Option<SetupToken>, Error> {
    let path = data.join(FILE);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(SetupToken::read(text.trim())),
        Err(fault) if fault.kind() == ErrorKind::NotFound => Ok(None),
        Err(fault) => Err(Error::File { path, source: fault }),
    }
}

/// Writes the file anew, so that its mode is ours whatever lay there.
fn write(path: &Path, token: &SetupToken) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(fault) if fault.kind() != ErrorKind::NotFound => return Err(fault),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{}", token.reveal())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::clock::SeededChance;

    #[test]
    fn the_token_is_made_once_and_read_by_its_user_alone() {
        let data = tempfile::tempdir().unwrap();
        let (setup, fresh) = Setup::open(data.path(), false, &mut SeededChance::new(1)).unwrap();
        assert_eq!(fresh, link_path(data.path()).ok());
        let mode = fs::metadata(data.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let link = link_path(data.path()).unwrap();
        assert!(setup.is_open(link.strip_prefix(PATH).unwrap()));
        let open = fs::Permissions::from_mode(0o644);
        fs::set_permissions(data.path().join(FILE), open).unwrap();
        let (again, fresh) = Setup::open(data.path(), false, &mut SeededChance::new(2)).unwrap();
        assert_eq!(fresh, None);
        assert!(again.is_open(link.strip_prefix(PATH).unwrap()));
        let mode = fs::metadata(data.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "closed to others again");
    }

    #[test]
    fn a_link_is_void_once_there_is_an_owner() {
        let data = tempfile::tempdir().unwrap();
        let (setup, _) = Setup::open(data.path(), false, &mut SeededChance::new(1)).unwrap();
        let link = link_path(data.path()).unwrap();
        setup.close();
        assert!(!setup.is_open(link.strip_prefix(PATH).unwrap()));
        assert!(matches!(link_path(data.path()), Err(Error::NoSetupLink(_))));
        write(&data.path().join(FILE), &SetupToken::make(&mut SeededChance::new(3))).unwrap();
        let (setup, fresh) = Setup::open(data.path(), true, &mut SeededChance::new(4)).unwrap();
        assert!(fresh.is_none() && !setup.is_open(link.strip_prefix(PATH).unwrap()));
        assert!(!data.path().join(FILE).exists(), "what a crash left behind is gone");
    }
}
