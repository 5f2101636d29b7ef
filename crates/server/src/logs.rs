//! Logs: one JSON object a line, with the fields of L-1 on every line. They take no personal value: addresses and
//! agents come as tokens from the edge (L-3).

use std::{collections::BTreeMap, fmt, io::Write as _, iter};

use serde_json::{Value, json};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::LevelFilter,
    layer::{Context, SubscriberExt as _},
    registry::{LookupSpan, Scope, SpanRef},
    util::SubscriberInitExt as _,
};

use crate::{
    app::{Clock as _, SystemClock},
    fault::Fault,
};

/// Fields that every line has, null where they do not apply (L-1).
pub const ALWAYS: [&str; 7] =
    ["user_id", "client_id", "ip", "ua", "correlation_id", "event_type", "event_result"];

/// Writes lines to standard error from now on.
pub fn start(filter: &str) -> Result<(), Fault> {
    let filter = checked(filter)?;
    let lines = Lines::new(|line: &str| {
        // A log that cannot be written has nobody to be told.
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    });
    let started = tracing_subscriber::registry().with(filter).with(lines).try_init();
    started.map_err(|error| Fault::Task(error.to_string()))
}

/// The resolver's own words name hosts that strangers give, and are about these alone: what comes of a name is told where it was
/// asked for.
const SILENT: &str = "hickory_net=off,hickory_proto=off,hickory_resolver=off";

/// A filter under which faults are still told. A level that is mistyped would be taken for the name of a program's part,
/// and everything else fall silent.
pub fn checked(filter: &str) -> Result<EnvFilter, Fault> {
    let refuse = |why: &str| {
        Fault::Unsafe(format!(
            "log.level `{filter}` {why}: set it to error, warn, info, debug or trace, and after that perhaps parts with \
             levels of their own, as in `info,countersign_server=debug`"
        ))
    };
    let level = filter.split(',').next().unwrap_or_default().trim();
    match level.parse::<LevelFilter>() {
        Ok(level) if level != LevelFilter::OFF && !filter.is_empty() => {}
        _ => return Err(refuse("does not begin with a level")),
    }
    let mut parts = filter.split(',').skip(1);
    if parts.any(|part| part.split_once('=').is_none_or(|(_, level)| level.parse::<LevelFilter>().is_err())) {
        return Err(refuse("has a part without a level"));
    }
    // A part that is named takes the place of ours.
    let filter = filter.replacen(level, &format!("{level},{SILENT}"), 1);
    EnvFilter::try_new(&filter).map_err(|error| refuse(&format!("is not a filter ({error})")))
}

/// Turns events into lines.
pub struct Lines<W> {
    write: W,
}

impl<W: Fn(&str) + Send + Sync + 'static> Lines<W> {
    /// Hands each line, with its line break, to `write`.
    pub fn new(write: W) -> Self {
        Self { write }
    }
}

/// Fields of a span or an event.
#[derive(Default)]
struct Fields(BTreeMap<&'static str, Value>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), Value::String(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), Value::String(value.to_owned()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name(), json!(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name(), json!(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name(), json!(value));
    }
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Fn(&str) + Send + Sync + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        let general = Fields(BTreeMap::from([
            ("timestamp", json!(SystemClock.now())),
            ("level", json!(metadata.level().as_str())),
            ("target", json!(metadata.target())),
        ]));
        let mut own = Fields::default();
        event.record(&mut own);
        let spans: Vec<_> = context.event_scope(event).into_iter().flat_map(Scope::from_root).collect();
        let held: Vec<_> = spans.iter().map(SpanRef::extensions).collect();
        let mut line: BTreeMap<&str, &Value> = ALWAYS.iter().map(|name| (*name, &Value::Null)).collect();
        let of_spans = held.iter().filter_map(|extensions| extensions.get::<Fields>());
        for fields in iter::once(&general).chain(of_spans).chain([&own]) {
            let told = fields.0.iter().filter(|(_, value)| value.as_str() != Some(""));
            line.extend(told.map(|(name, value)| (*name, value)));
        }
        // Nothing in it can fail to be written: names and values are text, numbers and null.
        let text = serde_json::to_string(&line).unwrap_or_default();
        (self.write)(&(text + "\n"));
    }
}
