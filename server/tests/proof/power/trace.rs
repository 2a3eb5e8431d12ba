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
/// Behind a call whose end comes on a later line, or never.
const UNFINISHED: &str = " <unfinished ...>";

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

/// What a process did.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) traced: Vec<Traced>,
    /// What threads were about when the process was killed: nobody was told whether it was done. A
    /// write of these may be done in part.
    pub(super) in_doubt: Vec<Call>,
}

/// Reads a record; what is not about this folder is left out.
pub(super) fn read(record: &[u8], folder: &Path) -> Record {
    let folder = folder.to_str().expect("a temporary folder");
    let mut reading = Reading { folder, begun: BTreeMap::new(), record: Record::default() };
    for line in record.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        reading.line(std::str::from_utf8(line).expect("strace writes text"));
    }
    for begun in std::mem::take(&mut reading.begun).into_values() {
        reading.ends_unknown(&begun);
    }
    reading.record
}

struct Reading<'a> {
    folder: &'a str,
    /// Calls whose end comes on a later line, by their thread.
    begun: BTreeMap<u32, String>,
    record: Record,
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
        if let Some(begun) = rest.strip_suffix(UNFINISHED) {
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
            self.record.traced.push(Traced { at_us, call: Call::FlushBegins { thread, name } });
        }
    }

    fn whole(&mut self, at_us: u128, thread: u32, text: &str) {
        let (call, result) = text.rsplit_once(" = ").expect("a result");
        if result.starts_with('?') {
            self.ends_unknown(call);
        } else if !result.starts_with('-') {
            let calls = self.calls(thread, call, result.parse().ok());
            self.record.traced.extend(calls.into_iter().map(|call| Traced { at_us, call }));
        }
    }

    /// A call under which its process was killed. One that cannot even be named had not begun.
    fn ends_unknown(&mut self, text: &str) {
        if !text.starts_with("???") {
            let text = text.trim_end_matches(')').trim_end_matches(UNFINISHED);
            let calls = self.calls(0, text, None).into_iter();
            let changes = calls.filter(|call| !matches!(call, Call::FlushEnds { .. }));
            self.record.in_doubt.extend(changes);
        }
    }

    /// What a call changed; `count` is of the bytes that were written, where it is known.
    fn calls(&self, thread: u32, text: &str, count: Option<usize>) -> Vec<Call> {
        let (call, words) = text.split_once('(').expect("a call");
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
                bytes.truncate(count.unwrap_or(usize::MAX));
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
        calls
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_under_way_at_a_kill_is_in_doubt() {
        let hex =
            |text: &str| text.bytes().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
        let (file, bytes) = (format!("3<{}>", hex("/data/a")), hex("ab"));
        let lines = [
            format!("7 1.000001 pwrite64({file}, \"{bytes}\", 2, 0) = 2"),
            format!("7 1.000002 pwrite64({file}, \"{bytes}\", 2, 4 <unfinished ...>"),
            format!("8 1.000003 fdatasync({file} <unfinished ...>"),
            format!("9 1.000004 pwrite64({file}, \"{bytes}\", 2, 6 <unfinished ...>"),
            "7 1.000005 <... pwrite64 resumed>) = 1".to_owned(),
            "10 1.000006 ???( <unfinished ...>".to_owned(),
            format!("11 1.000007 ftruncate({file}, 9 <unfinished ...>) = ?"),
            "10 1.000008 <... ??? resumed>) = ?".to_owned(),
            "9 1.000009 <... pwrite64 resumed>) = ? <unavailable>".to_owned(),
            format!("12 1.000010 pwrite64({file}, \"{bytes}\", 2, 8 <unfinished ...>"),
            "8 1.000011 <... fdatasync resumed>) = ?".to_owned(),
            "9 1.000012 +++ killed by SIGKILL +++".to_owned(),
        ];
        let record = read(lines.join("\n").as_bytes(), Path::new("/data"));
        let name = || "a".to_owned();
        let write =
            |at, bytes: &[u8]| Call::Write { name: name(), at: Some(at), bytes: bytes.into() };
        let flush = Call::FlushBegins { thread: 8, name: name() };
        let traced: Vec<Call> = record.traced.into_iter().map(|traced| traced.call).collect();
        assert_eq!(traced, [write(0, b"ab"), flush, write(4, b"a")]);
        let cut = Call::Cut { name: name(), length: 9 };
        assert_eq!(record.in_doubt, [cut, write(6, b"ab"), write(8, b"ab")]);
    }
}
