//! A disk as a power cut could leave it: what was flushed, and of the rest whatever chance leaves.
//!
//! Harsher than a file system is: each write that was not flushed may be there or not, whatever came
//! before or after it, and in part by sectors; a name lasts only once its folder was flushed. Names
//! alone keep their order, as journals of file systems do.

use std::collections::BTreeMap;
use std::path::Path;

use server::clock::{Chance, SeededChance};

use super::trace::Call;

/// What a disk writes whole.
const SECTOR: usize = 512;

/// What is left of what was not flushed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rest {
    Nothing,
    Everything,
    /// Each write by chance.
    Half,
    /// The same, and each of those in part.
    Torn,
}

impl Rest {
    pub(super) const ALL: [Self; 4] = [Self::Nothing, Self::Everything, Self::Half, Self::Torn];
}

/// The folder as its process sees it, and what of it would survive.
#[derive(Debug, Default)]
pub(super) struct Disk {
    files: Vec<File>,
    /// What each name is now.
    names: BTreeMap<String, usize>,
    /// What each name is after a cut.
    flushed: BTreeMap<String, usize>,
    /// The names after each change that was not flushed.
    unflushed: Vec<(u64, BTreeMap<String, usize>)>,
    /// What each thread is flushing, and the last change that this holds.
    flushing: BTreeMap<u32, (Option<usize>, u64)>,
    changes: u64,
}

#[derive(Debug, Default)]
struct File {
    flushed: Vec<u8>,
    unflushed: Vec<(u64, Change)>,
    length: usize,
}

#[derive(Debug)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Cut(usize),
}

impl Disk {
    pub(super) fn apply(&mut self, call: &Call) {
        self.changes += 1;
        match call {
            Call::Create(name) => {
                if !self.names.contains_key(name) {
                    self.names.insert(name.clone(), self.files.len());
                    self.files.push(File::default());
                    self.renamed();
                }
            }
            Call::Write { name, at, bytes } => {
                let number = self.changes;
                let file = self.file(name);
                let at = at.unwrap_or(file.length);
                file.length = file.length.max(at + bytes.len());
                file.unflushed.push((number, Change::Write { at, bytes: bytes.clone() }));
            }
            Call::Cut { name, length } => {
                let number = self.changes;
                let file = self.file(name);
                file.length = *length;
                file.unflushed.push((number, Change::Cut(*length)));
            }
            Call::FlushBegins { thread, name } => {
                let file = (!name.is_empty()).then(|| self.names[name]);
                self.flushing.insert(*thread, (file, self.changes));
            }
            Call::FlushEnds { thread } => {
                let (file, last) = self.flushing.remove(thread).expect("it has begun");
                match file {
                    Some(file) => self.files[file].flush(last),
                    None => self.flush_names(last),
                }
            }
            Call::Remove(name) => {
                self.names.remove(name);
                self.renamed();
            }
            Call::Rename { from, to } => {
                let file = self.names.remove(from).expect("a file has this name");
                self.names.insert(to.clone(), file);
                self.renamed();
            }
        }
    }

    fn file(&mut self, name: &str) -> &mut File {
        &mut self.files[self.names[name]]
    }

    fn renamed(&mut self) {
        self.unflushed.push((self.changes, self.names.clone()));
    }

    fn flush_names(&mut self, last: u64) {
        let count = self.unflushed.partition_point(|(number, _)| *number <= last);
        if let Some((_, names)) = self.unflushed.drain(..count).next_back() {
            self.flushed = names;
        }
    }

    /// Writes the folder as a cut now could leave it.
    pub(super) fn image(&self, folder: &Path, rest: Rest, chance: &mut SeededChance) {
        std::fs::remove_dir_all(folder).ok();
        std::fs::create_dir_all(folder).unwrap();
        let count = u64::try_from(self.unflushed.len()).unwrap();
        let kept = match rest {
            Rest::Nothing => 0,
            Rest::Everything => count,
            Rest::Half | Rest::Torn => chance.below(count + 1),
        };
        let kept = usize::try_from(kept).unwrap();
        let names = kept.checked_sub(1).map_or(&self.flushed, |last| &self.unflushed[last].1);
        for (name, file) in names {
            let bytes = self.files[*file].image(rest, chance);
            std::fs::write(folder.join(name), bytes).unwrap();
        }
    }
}

impl File {
    fn flush(&mut self, last: u64) {
        let count = self.unflushed.partition_point(|(number, _)| *number <= last);
        for (_, change) in self.unflushed.drain(..count) {
            change.apply(&mut self.flushed);
        }
    }

    fn image(&self, rest: Rest, chance: &mut SeededChance) -> Vec<u8> {
        let mut bytes = self.flushed.clone();
        for (_, change) in &self.unflushed {
            match rest {
                Rest::Nothing => {}
                Rest::Everything => change.apply(&mut bytes),
                Rest::Half if chance.below(2) == 0 => change.apply(&mut bytes),
                Rest::Torn if chance.below(2) == 0 => change.tear(&mut bytes, chance),
                Rest::Half | Rest::Torn => {}
            }
        }
        bytes
    }
}

impl Change {
    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes } => put(file, *at, bytes),
            Self::Cut(length) => file.resize(*length, 0),
        }
    }

    /// Each sector by chance.
    fn tear(&self, file: &mut Vec<u8>, chance: &mut SeededChance) {
        let Self::Write { at, bytes } = self else { return self.apply(file) };
        let mut from = 0;
        while from < bytes.len() {
            let to = bytes.len().min(from + SECTOR - (at + from) % SECTOR);
            if chance.below(2) == 0 {
                put(file, at + from, &bytes[from..to]);
            }
            from = to;
        }
    }
}

fn put(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if file.len() < at + bytes.len() {
        file.resize(at + bytes.len(), 0);
    }
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(at: usize, text: &str) -> Call {
        Call::Write { name: "a".to_owned(), at: Some(at), bytes: text.as_bytes().to_vec() }
    }

    fn flush(disk: &mut Disk, name: &str) {
        disk.apply(&Call::FlushBegins { thread: 1, name: name.to_owned() });
        disk.apply(&Call::FlushEnds { thread: 1 });
    }

    #[test]
    fn only_what_was_flushed_with_its_name_is_sure_to_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let (image, mut chance) = (folder.path().join("image"), SeededChance::new(1));
        let mut left = |disk: &Disk, rest| {
            disk.image(&image, rest, &mut chance);
            std::fs::read_to_string(image.join("a")).ok()
        };
        let mut disk = Disk::default();
        disk.apply(&Call::Create("a".to_owned()));
        disk.apply(&write(0, "one"));
        flush(&mut disk, "a");
        assert_eq!(left(&disk, Rest::Nothing), None, "its name was not flushed");
        flush(&mut disk, "");
        disk.apply(&Call::FlushBegins { thread: 1, name: "a".to_owned() });
        disk.apply(&write(3, "two"));
        disk.apply(&Call::FlushEnds { thread: 1 });
        assert_eq!(left(&disk, Rest::Nothing).unwrap(), "one", "it came while it was flushed");
        assert_eq!(left(&disk, Rest::Everything).unwrap(), "onetwo");
        disk.apply(&write(6, "three"));
        let mut halves: Vec<String> = (0..40).filter_map(|_| left(&disk, Rest::Half)).collect();
        halves.sort();
        halves.dedup();
        assert_eq!(halves, ["one", "one\0\0\0three", "onetwo", "onetwothree"]);
        disk.apply(&Call::Remove("a".to_owned()));
        assert_eq!(left(&disk, Rest::Nothing).unwrap(), "one");
        assert_eq!(left(&disk, Rest::Everything), None);
    }
}
