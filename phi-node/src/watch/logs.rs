//! Lines of the log, on standard error.

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::{Layer, filter::FilterFn, fmt, registry::LookupSpan};

/// How lines of the log look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Human,
    /// One JSON object in each line.
    Json,
}

/// Lines of this worth and more.
pub(super) fn layer<S>(format: Format, level: Level) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let lines = fmt::layer().with_writer(std::io::stderr);
    match format {
        Format::Human => lines.with_ansi(false).with_filter(worth(level)).boxed(),
        Format::Json => lines
            .json()
            .flatten_event(true)
            .with_filter(worth(level))
            .boxed(),
    }
}

/// What this program says, from a level on, and the warnings of libraries. Whatever else those say
/// was not written with keys of clients in mind.
fn worth(level: Level) -> FilterFn<impl Fn(&Metadata<'_>) -> bool + Clone> {
    FilterFn::new(move |about| {
        let most = if is_ours(about) {
            level
        } else {
            Level::WARN.min(level)
        };
        *about.level() <= most
    })
}

/// Whether this program says it.
pub(super) fn is_ours(about: &Metadata<'_>) -> bool {
    let target = about.target();
    ["phi_node", "phi_enforce"]
        .iter()
        .any(|ours| target.strip_prefix(ours).is_some_and(ends_a_name))
}

fn ends_a_name(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with("::")
}
