//! The binary: reads the command line, does what it asks, ends with a code that tells.
//!
//! 0 is done, 1 failed, 2 a command line that makes no sense, 70 a store that failed or is another
//! process's, or a bug in what the house cannot do without (a supervisor starts again, which opens
//! the store anew). Its law: no logic but the order of things; what goes wrong is said in one line
//! on standard error, with what to do.

use std::io::{self, Write};
use std::process::ExitCode;

use server::auth::setup;
use server::config::{CommandLine, FrameTask, Place, Settings, Task, file};
use server::error::Error;
use server::state::House;
use server::{frame_command, open_files, telemetry};
use tokio::signal::unix::{SignalKind, signal};

/// Ends a process that cannot go on (EX_SOFTWARE of sysexits.h).
const CANNOT_GO_ON: i32 = 70;

fn main() -> ExitCode {
    let read = file::read(std::env::args_os());
    let CommandLine { command, settings } = read.unwrap_or_else(|fault| fault.exit());
    let done = match command.unwrap_or_else(|| Task::Serve(Box::new(settings))) {
        Task::Serve(settings) => serve(*settings).map_err(|fault| fault.to_string()),
        Task::SetupLink(place) => setup_link(&place).map_err(|fault| fault.to_string()),
        Task::Frame(FrameTask::Decode { hex }) => decode(hex.concat()),
    };
    match done {
        Ok(code) => code,
        Err(words) => {
            // Whoever closed standard error does not want to know.
            let _ = writeln!(io::stderr(), "wasmchannel: {words}");
            ExitCode::FAILURE
        }
    }
}

fn serve(mut settings: Settings) -> Result<ExitCode, Error> {
    telemetry::start(&settings.log, settings.log_format)?;
    open_files::settle(&mut settings.limits);
    let runtime = tokio::runtime::Runtime::new().map_err(Error::file("the runtime"))?;
    runtime.block_on(run(settings))
}

async fn run(settings: Settings) -> Result<ExitCode, Error> {
    let mut terminated = signal(SignalKind::terminate()).map_err(Error::file("SIGTERM"))?;
    let mut interrupted = signal(SignalKind::interrupt()).map_err(Error::file("SIGINT"))?;
    let mut place = settings.place.clone();
    let mut house = House::open(settings).await?;
    place.addr = house.addr;
    let (url, secure) = (place.shown_url(), place.https());
    tracing::info!(addr = %house.addr, %url, secure_cookie = secure, "serving");
    say(&format!("WasmChannel is at {url}"));
    if let Some(path) = &house.setup_path {
        say(&format!("Become its owner at {url}{path}"));
    }
    let by = tokio::select! {
        _ = terminated.recv() => "SIGTERM",
        _ = interrupted.recv() => "SIGINT",
        why = house.broken() => cannot_go_on(why),
    };
    tracing::info!(by, "stopping");
    if let Some(why) = house.close().await {
        cannot_go_on(why);
    }
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Ends the process as it stands. Whatever was dropped in order would close the store's file, and
/// SQLite's last connection would fold its log on a disk that failed.
fn cannot_go_on(why: &str) -> ! {
    tracing::error!(why, "this process cannot go on: start again");
    std::process::exit(CANNOT_GO_ON)
}

fn setup_link(place: &Place) -> Result<ExitCode, Error> {
    let path = setup::link_path(&place.data)?;
    let url = place.shown_url();
    say(&format!("{url}{path}"));
    if place.public_url.is_none() {
        // Whoever closed standard error does not want to know.
        let _ = writeln!(
            io::stderr(),
            "for a server at {url}: give --addr or --public-url as the server was given them, or \
             their variables, where it is elsewhere",
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn decode(mut hex: String) -> Result<ExitCode, String> {
    if hex == "-" {
        hex = io::read_to_string(io::stdin()).map_err(|fault| fault.to_string())?;
    }
    let shown = frame_command::decode(&hex).map_err(|refused| format!("the frame\n{refused}"))?;
    say(shown.trim_end());
    Ok(ExitCode::SUCCESS)
}

/// Says something to the person at the terminal, who may have closed it.
fn say(words: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{words}").and_then(|()| out.flush());
}
