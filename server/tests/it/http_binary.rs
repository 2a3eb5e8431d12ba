//! The binary as it is started from a shell: its settings, its commands, its end.
//!
//! Each story starts the built binary in a folder and an environment of its own, with nothing in
//! either, and ends by the signal what it started.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use protocol::codec::encode_command;
use protocol::command::{Command as Asked, Typing};
use protocol::ids::RoomId;

use crate::site::make_site;

fn wasmchannel(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wasmchannel"));
    command.args(words).current_dir(folder).env_clear();
    command
}

fn run(folder: &Path, words: &[&str]) -> Output {
    wasmchannel(folder, words).output().unwrap()
}

/// Starts a server in the folder and waits until it says where it is.
fn start(folder: &Path, words: &[&str]) -> (Child, String, Vec<String>) {
    let mut command = wasmchannel(folder, words);
    command.env("WASMCHANNEL_ADDR", "127.0.0.1:0").env("WASMCHANNEL_SITE", "site");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let first = lines.next().unwrap();
    let url = first.strip_prefix("WasmChannel is at ").unwrap().to_owned();
    let more = if folder.join("told").exists() { Vec::new() } else { lines.take(1).collect() };
    (child, url, more)
}

fn end(child: &mut Child, signal: &str) -> Option<i32> {
    let id = child.id().to_string();
    Command::new("kill").args([signal, &id]).status().unwrap();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(20) {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    panic!("it did not end");
}

#[test]
fn it_runs_in_an_empty_folder_and_ends_in_order() {
    let folder = tempfile::tempdir().unwrap();
    make_site(folder.path()).unwrap();
    let (mut child, url, told) = start(folder.path(), &[]);
    let link = run(folder.path(), &["setup-link", "--addr", url.strip_prefix("http://").unwrap()]);
    let assumed = String::from_utf8(link.stderr).unwrap();
    assert!(assumed.contains(&format!("for a server at {url}")), "{assumed}");
    let link = String::from_utf8(link.stdout).unwrap();
    assert_eq!(told, [format!("Become its owner at {}", link.trim())]);
    assert_eq!(end(&mut child, "-TERM"), Some(0));

    std::fs::write(folder.path().join("told"), "").unwrap();
    let (mut child, _, _) = start(folder.path(), &["serve"]);
    let second = run(folder.path(), &["serve", "--addr", "127.0.0.1:0", "--site", "site"]);
    assert_eq!(second.status.code(), Some(1), "one server a folder");
    assert!(String::from_utf8_lossy(&second.stderr).contains("in use by another"));
    assert_eq!(end(&mut child, "-INT"), Some(0));
}

#[test]
fn it_takes_all_the_open_files_that_it_is_granted_and_says_where_they_are_too_few() {
    let folder = tempfile::tempdir().unwrap();
    make_site(folder.path()).unwrap();
    let under = |limits: &str, words: &str| {
        let binary = env!("CARGO_BIN_EXE_wasmchannel");
        let line = format!("ulimit {limits}; exec {binary} --addr 127.0.0.1:0 --site site {words}");
        let mut command = Command::new("sh");
        command.args(["-c", &line]).current_dir(folder.path()).env_clear();
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        BufReader::new(child.stdout.take().unwrap()).lines().next().unwrap().unwrap();
        let held = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
        let line = held.lines().find(|line| line.starts_with("Max open files")).unwrap();
        let soft = line.split_whitespace().nth(3).unwrap().to_owned();
        assert_eq!(end(&mut child, "-TERM"), Some(0));
        let mut said = String::new();
        child.stderr.unwrap().read_to_string(&mut said).unwrap();
        (soft, said)
    };
    let few = "fewer open files than connections";
    let (soft, said) = under("-Sn 300; ulimit -Hn 1000", "");
    assert!(soft == "1000" && said.contains(few), "{soft}: {said}");
    let (soft, said) =
        under("-Sn 300; ulimit -Hn 1000", "--limits-sockets 500 --limits-connections 300");
    assert!(soft == "1000" && !said.contains(few), "{soft}: {said}");
}

#[test]
fn a_crowd_at_the_door_takes_no_file_that_the_server_needs_itself() {
    let folder = tempfile::tempdir().unwrap();
    make_site(folder.path()).unwrap();
    let binary = env!("CARGO_BIN_EXE_wasmchannel");
    let line = format!("ulimit -n 280; exec {binary} --addr 127.0.0.1:0 --site site");
    let mut command = Command::new("sh");
    command.args(["-c", &line]).current_dir(folder.path()).env_clear();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let said = BufReader::new(child.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    let address = said.strip_prefix("WasmChannel is at http://").unwrap();
    let files = || std::fs::read_dir(format!("/proc/{}/fd", child.id())).unwrap().count();
    let own = files();

    let _crowd: Vec<TcpStream> = (0..300).map(|_| TcpStream::connect(address).unwrap()).collect();
    let begun = Instant::now();
    while files() < own + 20 {
        assert!(begun.elapsed() < Duration::from_secs(10), "nobody comes in");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(300));
    let taken = files() - own;
    assert!(taken <= 80, "200 files are its own, {taken} of 280 were given away");
    assert_eq!(end(&mut child, "-TERM"), Some(0));
}

#[test]
fn a_command_without_what_it_needs_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let link = run(folder.path(), &["setup-link"]);
    assert_eq!(link.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&link.stderr).contains("was not started yet"));
    assert!(!folder.path().join("data").exists(), "asking makes nothing");
    let pages = run(folder.path(), &["--addr", "127.0.0.1:0", "--site", "nowhere"]);
    assert_eq!(pages.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&pages.stderr).contains("--site"));
    let wrong = run(folder.path(), &["--limits-sockets", "0"]);
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn the_help_names_every_setting_with_its_default() {
    let folder = tempfile::tempdir().unwrap();
    let help = String::from_utf8(run(folder.path(), &["--help"]).stdout).unwrap();
    for part in [
        "WASMCHANNEL_ADDR",
        "127.0.0.1:3000",
        "./data",
        "--limits-text-chars",
        "10000",
        "WASMCHANNEL_LIMITS_GUESTS_PER_ADDRESS",
        "60/min burst 300",
        "setup-link",
    ] {
        assert!(help.contains(part), "{part}");
    }
}

#[test]
fn a_captured_frame_is_shown_field_by_field() {
    let folder = tempfile::tempdir().unwrap();
    let typing = Typing { room: RoomId::from_bytes([1; 16]), active: true };
    let frame = encode_command(&Asked::Typing(typing)).unwrap();
    let hex: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
    let shown = run(folder.path(), &["frame", "decode", &hex]);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert_eq!(shown.status.code(), Some(0), "{text}");
    for part in ["7 Typing (Command)", "active: true", "01010101-0101-0101-0101-010101010101"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let mut piped = wasmchannel(folder.path(), &["frame", "decode", "-"]);
    let mut piped = piped.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    piped.stdin.take().unwrap().write_all(hex.as_bytes()).unwrap();
    assert_eq!(piped.wait_with_output().unwrap().stdout, text.as_bytes());
    let bent = format!("{hex}00");
    let refused = run(folder.path(), &["frame", "decode", &bent]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("(Length)"));
}
