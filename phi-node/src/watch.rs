//! What operators see of a node: numbers for Prometheus, logs, and traces for OpenTelemetry.
//!
//! Only what this program writes itself gets into logs and traces; of libraries their warnings do.
//! No request's headers or body is ever written, so that no key and no token is, however much is
//! logged. What the numbers mean is in `docs/enforcement.md`.

mod logs;
pub(crate) mod numbers;
mod requests;
mod traces;

use std::{error::Error, fmt};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::{layer::SubscriberExt as _, util::SubscriberInitExt as _};

pub(crate) use self::numbers::Gauges;
pub use self::{
    logs::Format,
    numbers::{decided, imported, routes},
    requests::watched,
    traces::Destination,
};

/// What is logged and traced, and where it goes.
#[derive(Clone, Debug)]
pub struct Options {
    /// The least that a line of the log is worth.
    pub level: tracing::Level,
    /// How lines look.
    pub format: Format,
    /// Where traces go, if anywhere.
    pub traces: Option<Destination>,
}

/// The logs and traces of a process, until it is stopped.
#[derive(Debug)]
pub struct Watch {
    traces: Option<SdkTracerProvider>,
}

impl Watch {
    /// Begins to log, to count and to trace, for the whole process. Called once, within a runtime
    /// of tokio if there are traces.
    ///
    /// # Errors
    /// [`WatchError`].
    pub fn start(options: &Options) -> Result<Self, WatchError> {
        numbers::start();
        let traces = options.traces.as_ref().map(traces::provider).transpose()?;
        let traced = traces.as_ref().map(|provider| {
            let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("phi-node"));
            traces::only_requests(layer)
        });
        tracing_subscriber::registry()
            .with(logs::layer(options.format, options.level))
            .with(traced)
            .try_init()
            .map_err(|_| WatchError::Begun)?;
        Ok(Self { traces })
    }

    /// Sends what has not been sent. It may block for some seconds.
    pub fn stop(self) {
        if let Some(provider) = self.traces
            && let Err(error) = provider.shutdown()
        {
            tracing::warn!(%error, "the last traces are not sent");
        }
    }
}

/// Why a process is not watched.
#[derive(Debug)]
#[non_exhaustive]
pub enum WatchError {
    /// It is already.
    Begun,
    /// Traces cannot go there.
    Traces(opentelemetry_otlp::ExporterBuildError),
}

impl WatchError {
    /// The stable code of the error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Begun => "watch-begun",
            Self::Traces(_) => "traces-address",
        }
    }

    /// What to do.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Begun => "start it once",
            Self::Traces(_) => {
                "name a collector on this machine or network: --otlp http://127.0.0.1:4317"
            }
        }
    }
}

impl fmt::Display for WatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Begun => "the process is watched already",
            Self::Traces(_) => "traces cannot be sent there",
        })
    }
}

impl Error for WatchError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Begun => None,
            Self::Traces(error) => Some(error),
        }
    }
}
