//! The settings: every one a flag, a variable of the environment, a line of a file (`file`) and a
//! default, in one table.
//!
//! Read once by `main` and by tests; handed down by reference, never read again from the
//! environment. Its law: no setting is needed (the server starts with none), none is silent
//! (`--help` names each with its default), and 0 never means "without limit".

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub mod file;

use crate::throttle::Rate;

/// The command line of the one binary.
#[derive(Debug, Parser)]
#[command(name = "wasmchannel", version, about = "Chat in rooms, from one binary.")]
#[command(args_conflicts_with_subcommands = true, max_term_width = 100)]
pub struct CommandLine {
    /// What to do; without one the server is started.
    #[command(subcommand)]
    pub command: Option<Task>,
    /// The server's settings, for when no command is named.
    #[command(flatten)]
    pub settings: Settings,
}

/// What the binary can be asked to do.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Start the server; what happens without a command, too
    Serve(Box<Settings>),
    /// Print the link that makes its visitor the owner, until somebody used it
    SetupLink(Place),
    /// Look into frames of the protocol
    #[command(subcommand)]
    Frame(FrameTask),
}

/// What can be done with a frame.
#[derive(Debug, Subcommand)]
pub enum FrameTask {
    /// Show a frame field by field; ends with code 1 where it is refused
    Decode {
        /// The frame in hexadecimal, or `-` to read it from standard input (a line of the shell
        /// holds no frame of 64 KiB); spaces, colons and commas are skipped
        #[arg(required = true)]
        hex: Vec<String>,
    },
}

/// Where the server is found: on the network and on the disk.
#[derive(Debug, Clone, Args)]
pub struct Place {
    /// File of settings in TOML, for what neither a flag nor a variable says: the flags' names with
    /// `_` for `-`, and a table [limits]
    #[arg(long, env = "WASMCHANNEL_CONFIG")]
    pub config: Option<PathBuf>,
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, env = "WASMCHANNEL_ADDR", default_value = "127.0.0.1:3000")]
    pub addr: SocketAddr,
    /// Folder of the database and of everything else that lasts; made where it is missing
    #[arg(long, env = "WASMCHANNEL_DATA", default_value = "./data")]
    pub data: PathBuf,
    /// Database of PostgreSQL that holds what lasts, such as postgres://user@host/chat; without
    /// one it is a file in the data folder. Its password is better kept in the variable
    #[arg(long, env = "WASMCHANNEL_DATABASE", hide_env_values = true)]
    pub database: Option<DatabaseUrl>,
    /// Address that browsers use, such as https://chat.example.org; decides the cookie's name
    #[arg(long, env = "WASMCHANNEL_PUBLIC_URL")]
    pub public_url: Option<PublicUrl>,
}

/// Everything that an operator may set.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// Where the server is found.
    #[command(flatten)]
    pub place: Place,
    /// Folder of the built pages, for a binary that does not hold them itself
    #[arg(long, env = "WASMCHANNEL_SITE", default_value = "target/site")]
    pub site: PathBuf,
    /// Proxies whose X-Forwarded-For is believed: addresses or networks, separated by commas
    #[arg(long, env = "WASMCHANNEL_TRUSTED_PROXIES", value_delimiter = ',')]
    pub trusted_proxies: Vec<Network>,
    /// What is logged: a level, or levels by module as tracing's filters write them
    #[arg(long, env = "WASMCHANNEL_LOG", default_value = "info")]
    pub log: String,
    /// How it is logged; `auto` is compact on a terminal and JSON elsewhere
    #[arg(long, env = "WASMCHANNEL_LOG_FORMAT", value_enum, default_value = "auto")]
    pub log_format: LogFormat,
    /// What users may do at most.
    #[command(flatten)]
    pub limits: Limits,
}

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Compact on a terminal, JSON elsewhere.
    Auto,
    /// One line of text an event.
    Compact,
    /// One JSON object an event.
    Json,
}

macro_rules! limits {
    (
        counts { $($(#[doc = $count_doc:literal])+
            $count:ident = $count_default:literal in $range:expr,
                $count_flag:literal, $count_variable:literal;)* }
        rates { $($(#[doc = $rate_doc:literal])+
            $rate:ident = $rate_default:expr, $rate_flag:literal, $rate_variable:literal;)* }
    ) => {
        /// What users may do at most; `PROTOCOL.md` names those that a client sees.
        #[derive(Debug, Clone, Args)]
        #[command(next_help_heading = "Limits")]
        pub struct Limits {
            $($(#[doc = $count_doc])+
            #[arg(long = $count_flag, env = $count_variable, default_value_t = $count_default,
                  value_name = "COUNT", value_parser = clap::value_parser!(u32).range($range))]
            pub $count: u32,)*
            $($(#[doc = $rate_doc])+
            #[arg(long = $rate_flag, env = $rate_variable, default_value_t = $rate_default,
                  value_name = "RATE")]
            pub $rate: Rate,)*
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($count: $count_default,)* $($rate: $rate_default,)* }
            }
        }

        #[cfg(test)]
        const NAMES: &[(&str, &str)] =
            &[$(($count_flag, $count_variable),)* $(($rate_flag, $rate_variable),)*];
    };
}

limits! {
    counts {
        /// Characters of a message, 100 to 40000; never more than 40 KiB
        text_chars = 10_000 in 100..=40_000, "limits-text-chars", "WASMCHANNEL_LIMITS_TEXT_CHARS";
        /// Rooms that one user may be in
        rooms_per_user = 1_000 in 1.., "limits-rooms-per-user", "WASMCHANNEL_LIMITS_ROOMS_PER_USER";
        /// Sockets that one user may hold
        sockets_per_user = 20 in 1..,
            "limits-sockets-per-user", "WASMCHANNEL_LIMITS_SOCKETS_PER_USER";
        /// Sockets of one address that have not said Hello yet
        sockets_before_hello = 50 in 1..,
            "limits-sockets-before-hello", "WASMCHANNEL_LIMITS_SOCKETS_BEFORE_HELLO";
        /// Sockets of one address
        sockets_per_address = 1_000 in 1..,
            "limits-sockets-per-address", "WASMCHANNEL_LIMITS_SOCKETS_PER_ADDRESS";
        /// Connections of one address that speak HTTP; those of trusted proxies are not counted
        connections_per_address = 512 in 1..,
            "limits-connections-per-address", "WASMCHANNEL_LIMITS_CONNECTIONS_PER_ADDRESS";
        /// Connections of this server that speak HTTP; further ones wait. Each is an open file
        connections = 4_096 in 1.., "limits-connections", "WASMCHANNEL_LIMITS_CONNECTIONS";
        /// Sockets of this server; each is an open file, of which it takes as many as the system
        /// grants it, and lowers this where they are too few
        sockets = 10_000 in 1.., "limits-sockets", "WASMCHANNEL_LIMITS_SOCKETS";
        /// Rooms that one socket may be told of
        rooms_per_socket = 200 in 1..,
            "limits-rooms-per-socket", "WASMCHANNEL_LIMITS_ROOMS_PER_SOCKET";
        /// Messages of one page of history, 1 to 100; never more than 96 KiB
        history_messages = 100 in 1..=100,
            "limits-history-messages", "WASMCHANNEL_LIMITS_HISTORY_MESSAGES";
        /// Bytes of a request's body; a page's form always takes the longest text
        body_bytes = 65_536 in 1_024.., "limits-body-bytes", "WASMCHANNEL_LIMITS_BODY_BYTES";
        /// Bytes that must be free on a disk that was full before anything is written again; a tenth
        /// of a small disk is enough
        disk_free_bytes_min = 67_108_864 in 1_048_576..,
            "limits-disk-free-bytes-min", "WASMCHANNEL_LIMITS_DISK_FREE_BYTES_MIN";
        /// Milliseconds in which a request's head, and then its body, must have come, and in which a
        /// client takes a byte of its answer
        request_ms = 10_000 in 100.., "limits-request-ms", "WASMCHANNEL_LIMITS_REQUEST_MS";
        /// Milliseconds between two looks at the store for everybody who is connected: whether he
        /// may still be here, and whether it answers
        look_ms = 2_000 in 50.., "limits-look-ms", "WASMCHANNEL_LIMITS_LOOK_MS";
        /// Milliseconds for which the store may not answer before everybody is sent away
        away_ms = 30_000 in 1_000.., "limits-away-ms", "WASMCHANNEL_LIMITS_AWAY_MS";
        /// Milliseconds for which the store may not tell who may still be here before everybody is
        /// sent away; it is asked with all who read
        untold_ms = 60_000 in 1_000.., "limits-untold-ms", "WASMCHANNEL_LIMITS_UNTOLD_MS";
        /// Milliseconds that the first at the writer may wait to be stored. Beyond it, and beyond the
        /// two limits below, less is done, more so with each two seconds: nobody is told who types, older
        /// messages must wait, no new sockets, no new messages; 0 tries that out
        overload_queue_ms = 1_000 in 0..,
            "limits-overload-queue-ms", "WASMCHANNEL_LIMITS_OVERLOAD_QUEUE_MS";
        /// Milliseconds that a task may be woken late, before that is overload
        overload_late_ms = 100 in 0..,
            "limits-overload-late-ms", "WASMCHANNEL_LIMITS_OVERLOAD_LATE_MS";
        /// Percent that this process may have of the memory that its control groups or the machine
        /// have, before that is overload; then everything is done but to let more sockets in
        overload_memory_percent = 80 in 0..,
            "limits-overload-memory-percent", "WASMCHANNEL_LIMITS_OVERLOAD_MEMORY_PERCENT";
    }
    rates {
        /// Messages and other acts of one user
        sends_per_user = Rate::per_second(1, 10),
            "limits-sends-per-user", "WASMCHANNEL_LIMITS_SENDS_PER_USER";
        /// Messages of one room
        sends_per_room = Rate::per_second(100, 200),
            "limits-sends-per-room", "WASMCHANNEL_LIMITS_SENDS_PER_ROOM";
        /// Rooms that one user joins
        joins_per_user = Rate::per_minute(10, 10),
            "limits-joins-per-user", "WASMCHANNEL_LIMITS_JOINS_PER_USER";
        /// Rooms that one user makes
        rooms_made_per_user = Rate::per_hour(10, 10),
            "limits-rooms-made-per-user", "WASMCHANNEL_LIMITS_ROOMS_MADE_PER_USER";
        /// Frames that are read of one socket; what comes faster waits unread
        frames_per_socket = Rate::per_second(20, 400),
            "limits-frames-per-socket", "WASMCHANNEL_LIMITS_FRAMES_PER_SOCKET";
        /// Signs that somebody types, of one socket; what comes faster is dropped
        typing_per_socket = Rate::per_minute(20, 5),
            "limits-typing-per-socket", "WASMCHANNEL_LIMITS_TYPING_PER_SOCKET";
        /// Guests made for one address
        guests_per_address = Rate::per_minute(60, 300),
            "limits-guests-per-address", "WASMCHANNEL_LIMITS_GUESTS_PER_ADDRESS";
        /// Pages and other requests of one address
        requests_per_address = Rate::per_second(50, 500),
            "limits-requests-per-address", "WASMCHANNEL_LIMITS_REQUESTS_PER_ADDRESS";
        /// Pages and other requests of one sign-in
        requests_per_sign_in = Rate::per_second(20, 100),
            "limits-requests-per-sign-in", "WASMCHANNEL_LIMITS_REQUESTS_PER_SIGN_IN";
        /// Sockets that this server opens; what comes faster waits, for two seconds at most
        upgrades = Rate::per_second(1_000, 1_000), "limits-upgrades", "WASMCHANNEL_LIMITS_UPGRADES";
    }
}

/// The address of a database of PostgreSQL, which may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The address with its password, for who connects.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl FromStr for DatabaseUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_known = ["postgres://", "postgresql://"].iter().any(|s| text.starts_with(s));
        if is_known {
            return Ok(Self(text.to_owned()));
        }
        Err("expected postgres://user@host/database; without one SQLite is used".to_owned())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl(…)")
    }
}

/// The address that browsers use: scheme, host and perhaps a port, nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    /// Whether the scheme is https, which makes the cookie `__Host-sid` with Secure.
    pub https: bool,
    /// The host in lower case; an IPv6 address stands in brackets.
    pub host: String,
    /// The origin as a browser sends it: scheme, host, and the port where it is not the scheme's.
    pub origin: String,
}

impl FromStr for PublicUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = "expected scheme and host, such as https://chat.example.org";
        let uri: http::Uri = text.parse().map_err(|fault| format!("{fault}; {wanted}"))?;
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wanted.to_owned()),
        };
        let authority = uri.authority().ok_or(wanted)?;
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() || text.contains('@') {
            return Err(format!("a path, query or user is not possible; {wanted}"));
        }
        let host = authority.host().to_ascii_lowercase();
        let scheme = if https { "https" } else { "http" };
        let origin = match authority.port_u16() {
            Some(port) if port != if https { 443 } else { 80 } => {
                format!("{scheme}://{host}:{port}")
            }
            _ => format!("{scheme}://{host}"),
        };
        Ok(Self { https, host, origin })
    }
}

/// An address, or all addresses that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether the address lies in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let same_head = |a: u128, b: u128, width: u32| {
            let ignored = width - u32::from(self.bits);
            a.checked_shr(ignored) == b.checked_shr(ignored)
        };
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(other)) => {
                same_head(base.to_bits().into(), other.to_bits().into(), 32)
            }
            (IpAddr::V6(base), IpAddr::V6(other)) => {
                same_head(base.to_bits(), other.to_bits(), 128)
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = "expected an address or a network, such as 10.0.0.0/8";
        let (base, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
        let base: IpAddr = base.trim().parse().map_err(|_| wanted)?;
        let bits_max = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(bits_max), str::parse).map_err(|_| wanted)?;
        if bits > bits_max {
            return Err(wanted.to_owned());
        }
        Ok(Self { base, bits })
    }
}

impl Place {
    /// The address to show to people: the public one, else the one that is listened on.
    #[must_use]
    pub fn shown_url(&self) -> String {
        self.public_url
            .as_ref()
            .map_or_else(|| format!("http://{}", reachable(self.addr)), |url| url.origin.clone())
    }

    /// Whether browsers reach the server by https.
    #[must_use]
    pub fn https(&self) -> bool {
        self.public_url.as_ref().is_some_and(|url| url.https)
    }
}

/// Where this machine reaches who listens here: "everywhere" is no address to go to.
fn reachable(mut addr: SocketAddr) -> SocketAddr {
    if addr.ip().is_unspecified() {
        addr.set_ip(match addr.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    addr
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn settings(arguments: &[&str]) -> Settings {
        let words = std::iter::once("wasmchannel").chain(arguments.iter().copied());
        let line = CommandLine::try_parse_from(words).unwrap();
        match line.command {
            Some(Task::Serve(settings)) => *settings,
            _ => line.settings,
        }
    }

    #[test]
    fn no_setting_is_needed_and_serve_may_be_left_out() {
        for arguments in [&[][..], &["serve"]] {
            let settings = settings(arguments);
            assert_eq!(settings.place.addr.to_string(), "127.0.0.1:3000");
            assert_eq!(settings.limits.text_chars, 10_000);
            assert_eq!(settings.limits.guests_per_address.to_string(), "60/min burst 300");
        }
        assert_eq!(settings(&["--limits-text-chars", "256"]).limits.text_chars, 256);
        assert_eq!(settings(&["serve", "--addr", "[::1]:80"]).place.addr.port(), 80);
    }

    #[test]
    fn every_flag_has_its_variable_and_stands_in_the_help() {
        for (flag, variable) in NAMES {
            assert_eq!(*variable, format!("WASMCHANNEL_{}", flag.to_uppercase().replace('-', "_")));
        }
        let help = CommandLine::command().render_long_help().to_string();
        for argument in CommandLine::command().get_arguments() {
            let Some(flag) = argument.get_long().filter(|flag| !["help", "version"].contains(flag))
            else {
                continue;
            };
            assert!(help.contains(&format!("--{flag}")), "{flag} is not in the help");
            assert!(argument.get_env().is_some(), "{flag} has no variable");
        }
    }

    #[test]
    fn zero_is_no_limit_and_is_refused() {
        for flag in ["--limits-sockets", "--limits-text-chars", "--limits-sends-per-user"] {
            assert!(CommandLine::try_parse_from(["wasmchannel", flag, "0"]).is_err(), "{flag}");
        }
    }

    #[test]
    fn a_public_url_is_an_origin() {
        let url: PublicUrl = "https://Chat.example.org:443/".parse().unwrap();
        assert_eq!((url.https, url.origin.as_str()), (true, "https://chat.example.org"));
        let url: PublicUrl = "http://[::1]:8080".parse().unwrap();
        assert_eq!((url.host.as_str(), url.origin.as_str()), ("[::1]", "http://[::1]:8080"));
        for wrong in ["chat.example.org", "ftp://a", "https://a/b", "https://a?b", "https://u@a"] {
            assert!(wrong.parse::<PublicUrl>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_shown_address_is_one_to_go_to() {
        let shown = |arguments: &[&str]| settings(arguments).place.shown_url();
        assert_eq!(shown(&["--addr", "0.0.0.0:80"]), "http://127.0.0.1:80");
        assert_eq!(shown(&["--addr", "[::]:80"]), "http://[::1]:80");
        assert_eq!(shown(&["--addr", "10.0.0.1:80"]), "http://10.0.0.1:80");
        assert_eq!(shown(&["--public-url", "https://a.example"]), "https://a.example");
    }

    #[test]
    fn a_network_holds_the_addresses_with_its_first_bits() {
        let network: Network = "10.1.0.0/16".parse().unwrap();
        assert!(network.contains("10.1.255.1".parse().unwrap()));
        assert!(network.contains("::ffff:10.1.0.1".parse().unwrap()));
        assert!(!network.contains("10.2.0.1".parse().unwrap()));
        assert!("0.0.0.0/0".parse::<Network>().unwrap().contains("1.2.3.4".parse().unwrap()));
        assert!("::/0".parse::<Network>().unwrap().contains("::1".parse().unwrap()));
        assert!("10.0.0.0/33".parse::<Network>().is_err());
    }
}
