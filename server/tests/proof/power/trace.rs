//! What a process did to its folder, read from the record that `strace` kept of its calls.
//!
//! Its law: nothing that changes a file is passed over in silence. A call that the replay does not
//! know ends the test, and `power` holds what was replayed against the files themselves.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

/// The calls that are recorded.
const CALLS: &str = "trace=openat,pwrite64,write,ftruncate,fsync,fdatasync,rename,renameat,\
                     renameat2,unlink,unlinkat,pwritev,pwritev2,fallocate,truncate,link,linkat,\
                     copy_file_range";
/// What SQLite keeps for its processes alone and makes anew after a cut.
const SHARED: &str = "-shm";

/// A change, or a flush, of something in the folder; the folder itself has an empty name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Call {
    Create(String),
    /// Without a place it is behind the end.
    Write {
        name: String,
        at: Option<usize>,
        bytes: Vec<u8>,
    },
    Cut {
        name: String,
        length: usize,
    },
    FlushBegins {
        thread: u32,
        name: String,
    },
    FlushEnds {
        thread: u32,
    },
    Remove(String),
    Rename {
        from: String,
        to: String,
    },
}

/// A call, and when it was seen in Unix microseconds: at its beginning, or where another thread
/// came between, at its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Traced {
    pub(super) at_us: u128,
    pub(super) call: Call,
}

/// The words under which a process is started, for its calls to be recorded in this file. It stays
/// the child of who starts it: signals and its end are its own.
pub(super) fn recording(record: &Path) -> Vec<OsString> {
    let words = ["strace", "-D", "-f", "-ttt", "-xx", "-y", "-s", "200000", "--seccomp-bpf", "-e"];
    let mut words: Vec<OsString> = words.iter().map(OsString::from).collect();
    words.extend([CALLS.into(), "-o".into(), record.into()]);
    words
}

/// Reads a record; what is not about this folder is left out.
pub(super) fn read(record: &[u8], folder: &Path) -> Vec<Traced> {
    let folder = folder.to_str().expect("a temporary folder");
    let mut reading = Reading { folder, begun: BTreeMap::new(), traced: Vec::new() };
    for line in record.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        reading.line(std::str::from_utf8(line).expect("strace writes text"));
    }
    reading.traced
}

struct Reading<'a> {
    folder: &'a str,
    /// Calls whose end comes on a later line, by their thread.
    begun: BTreeMap<u32, String>,
    traced: Vec<Traced>,
}

impl Reading<'_> {
    fn line(&mut self, line: &str) {
        let (thread, rest) = line.split_once(' ').expect("a thread, padded");
        let (time, rest) = rest.trim_start().split_once(' ').expect("a time");
        let (thread, at_us) = (thread.parse().expect("a thread"), microseconds(time));
        let rest = rest.trim_start();
        if rest.starts_with("+++") || rest.starts_with("---") {
            return;
        }
        if let Some(begun) = rest.strip_suffix(" <unfinished ...>") {
            self.flush_begins(at_us, thread, begun);
            self.begun.insert(thread, begun.to_owned());
        } else if let Some((_, end)) =
            rest.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>"))
        {
            let begun = self.begun.remove(&thread).expect("a call ends that began");
            self.whole(at_us, thread, &format!("{begun}{end}"));
        } else {
            self.flush_begins(at_us, thread, rest);
            self.whole(at_us, thread, rest);
        }
    }

    fn flush_begins(&mut self, at_us: u128, thread: u32, text: &str) {
        if let ("fsync" | "fdatasync", words) = text.split_once('(').expect("a call")
            && let Some(name) = self.named(&within(words, '<', '>'))
        {
            self.traced.push(Traced { at_us, call: Call::FlushBegins { thread, name } });
        }
    }

    fn whole(&mut self, at_us: u128, thread: u32, text: &str) {
        let (call, words) = text.split_once('(').expect("a call");
        let (words, result) = words.rsplit_once(" = ").expect("a result");
        if result.starts_with('-') || result.starts_with('?') {
            return;
        }
        let paths: Vec<String> = words.split('"').skip(1).step_by(2).map(path).collect();
        let open = self.named(&within(words, '<', '>'));
        let last: Option<usize> =
            words.trim_end_matches(')').rsplit(", ").next().and_then(|word| word.parse().ok());
        let name = paths.first().and_then(|path| self.named(path));
        let mut calls = Vec::new();
        match (call, open, name) {
            ("openat", _, Some(name)) => {
                if words.contains("O_CREAT") {
                    calls.push(Call::Create(name.clone()));
                }
                if words.contains("O_TRUNC") {
                    calls.push(Call::Cut { name, length: 0 });
                }
            }
            ("pwrite64" | "write", Some(name), _) => {
                let at = (call == "pwrite64").then(|| last.expect("a place"));
                let mut bytes = bytes(words.split('"').nth(1).expect("what is written"));
                bytes.truncate(result.parse().expect("a count"));
                calls.push(Call::Write { name, at, bytes });
            }
            ("ftruncate", Some(name), _) => {
                calls.push(Call::Cut { name, length: last.expect("a length") });
            }
            ("fsync" | "fdatasync", Some(_), _) => calls.push(Call::FlushEnds { thread }),
            ("unlink" | "unlinkat", _, Some(name)) => calls.push(Call::Remove(name)),
            ("rename" | "renameat" | "renameat2", _, Some(from)) => {
                let to = paths.get(1).and_then(|path| self.named(path)).expect("inside, too");
                calls.push(Call::Rename { from, to });
            }
            (_, None, None) => {}
            (other, ..) => panic!("{other} is not replayed: {words:.200}"),
        }
        self.traced.extend(calls.into_iter().map(|call| Traced { at_us, call }));
    }

    /// The name in the folder; nothing for what is elsewhere or does not last.
    fn named(&self, path: &str) -> Option<String> {
        let name = path.strip_prefix(self.folder)?.trim_start_matches('/');
        (!name.ends_with(SHARED)).then(|| name.to_owned())
    }
}

/// What stands between the first pair of these, decoded; nothing where there is none.
fn within(words: &str, open: char, close: char) -> String {
    let inside = words.split_once(open).and_then(|(_, rest)| rest.split_once(close));
    inside.map_or_else(String::new, |(inside, _)| path(inside))
}

fn path(hex: &str) -> String {
    String::from_utf8_lossy(&bytes(hex)).into_owned()
}

/// `\x2f\x74` as bytes.
fn bytes(hex: &str) -> Vec<u8> {
    let byte = |four: &str| u8::from_str_radix(&four[2..], 16).expect("two digits");
    (0..hex.len() / 4).map(|number| byte(&hex[number * 4..number * 4 + 4])).collect()
}

fn microseconds(text: &str) -> u128 {
    text.replace('.', "").parse().expect("seconds with six digits behind the point")
}
