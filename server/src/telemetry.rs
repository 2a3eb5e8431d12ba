//! The log: what happened, in fields, on standard error.
//!
//! Set up once by `main`; everybody else only says events. Its law: no message text, no cookie, no
//! token and no address of a setup link is ever a field, at any level (`tests/it/http_log.rs`).

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::LogFormat;
use crate::error::Error;

/// Starts the log of this process; the first call decides, later ones change nothing.
pub fn start(filter: &str, format: LogFormat) -> Result<(), Error> {
    let format = match format {
        LogFormat::Auto if std::io::stderr().is_terminal() => LogFormat::Compact,
        LogFormat::Auto => LogFormat::Json,
        chosen => chosen,
    };
    let subscriber = subscriber(filter, format, std::io::stderr)?;
    // A second start in one process is a test's, and its log is the first one's.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(())
}

/// A log into any writer; tests read what it wrote.
pub fn subscriber<W>(
    filter: &str,
    format: LogFormat,
    writer: W,
) -> Result<Box<dyn tracing::Subscriber + Send + Sync>, Error>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(filter)
        .map_err(|fault| Error::Setting(format!("--log {filter}: {fault}")))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    Ok(match format {
        LogFormat::Json => Box::new(builder.json().flatten_event(true).finish()),
        LogFormat::Auto | LogFormat::Compact => Box::new(builder.compact().finish()),
    })
}
