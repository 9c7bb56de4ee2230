//! What the tour prints.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use antiphon_service::HttpVersion;

use super::{Adapter, Chapter, Kind, Outcome};
use crate::echo::Msg;
use crate::transcript::{Annotator, Paint, Recorder};

/// Prints the tour while it is made, and keeps what the table at its end needs.
pub struct Show<'a> {
    out: &'a mut dyn Write,
    paint: Paint,
    quiet: bool,
    recorder: Recorder,
    annotator: Annotator,
    began: Instant,
    rows: Vec<Row>,
    adapter: &'static str,
}

/// A line of the table.
struct Row {
    cells: [String; 6],
    time: Duration,
    well: bool,
}

const TITLES: [&str; 7] = ["shape", "protocol", "HTTP", "said", "came back", "status", "time"];

impl<'a> Show<'a> {
    /// Prints to `out`; transcripts only if not `quiet`.
    pub fn new(out: &'a mut dyn Write, paint: Paint, quiet: bool) -> Self {
        Self {
            out,
            paint,
            quiet,
            recorder: Recorder::default(),
            annotator: Annotator::http1(paint, Msg::describe),
            began: Instant::now(),
            rows: Vec::new(),
            adapter: "",
        }
    }

    /// The number of calls so far.
    pub fn calls(&self) -> usize {
        self.rows.len()
    }

    /// How many of them did not end as they should.
    pub fn failures(&self) -> usize {
        self.rows.iter().filter(|row| !row.well).count()
    }

    pub(super) fn welcome(&mut self, adapter: Adapter, address: SocketAddr) -> io::Result<()> {
        self.adapter = adapter.name();
        if self.quiet {
            return Ok(());
        }
        let (name, title) = (adapter.name(), self.paint.bold("A tour of Antiphon"));
        writeln!(self.out, "{title}: a server at {address} and a client, on {name}, through real sockets.")?;
        writeln!(
            self.out,
            "What follows is read from the bytes that crossed the wire, seen from the client:"
        )?;
        let (sent, received) = (self.paint.sent("──▶"), self.paint.received("◀──"));
        writeln!(
            self.out,
            "{sent} to the server, {received} from the server; dimmed: the connection's own business."
        )
    }

    /// A new connection: hands out what is to be tapped into its transport.
    pub(super) fn chapter(&mut self, chapter: &Chapter) -> io::Result<Recorder> {
        self.recorder = Recorder::default();
        self.annotator = if chapter.version == HttpVersion::Http2 {
            Annotator::http2(self.paint, Msg::describe)
        } else {
            Annotator::http1(self.paint, Msg::describe)
        };
        if !self.quiet {
            let title =
                format!("{} over {}, messages in {}", chapter.protocol(), chapter.version(), chapter.codec);
            let rule = "═".repeat(100_usize.saturating_sub(title.chars().count() + 4));
            writeln!(self.out, "\n{}", self.paint.bold(&format!("══ {title} {rule}")))?;
            writeln!(self.out, "{}", chapter.about())?;
        }
        Ok(self.recorder.clone())
    }

    pub(super) fn begin(&mut self, _: &Chapter, kind: Kind) -> io::Result<()> {
        if !self.quiet {
            writeln!(
                self.out,
                "\n{}",
                self.paint.bold(&format!("{}. {}", self.rows.len() + 1, kind.title()))
            )?;
        }
        self.began = Instant::now();
        Ok(())
    }

    pub(super) fn end(&mut self, chapter: &Chapter, kind: Kind, outcome: Outcome) -> io::Result<()> {
        let time = self.began.elapsed();
        let status = match (&outcome.end, kind) {
            (Err(status), _) => status.code().to_string(),
            (Ok(()), Kind::Cancel) => "canceled".to_owned(),
            (Ok(()), _) => "ok".to_owned(),
        };
        let well = outcome.faults.is_empty();
        if !self.quiet {
            for line in self.annotator.read(&self.recorder.take()) {
                writeln!(self.out, "{line}")?;
            }
            self.summary(chapter, kind, &outcome, &status, time)?;
        }
        let (said, heard) = (shorten(&outcome.said), shorten(&outcome.heard));
        let cells =
            [kind.shape(), chapter.protocol(), chapter.version(), &said, &heard, &status].map(str::to_owned);
        self.rows.push(Row { cells, time, well });
        Ok(())
    }

    /// One line about a call, and more if there is more to say.
    fn summary(
        &mut self,
        chapter: &Chapter,
        kind: Kind,
        outcome: &Outcome,
        status: &str,
        time: Duration,
    ) -> io::Result<()> {
        let paint = self.paint;
        let mark = if outcome.faults.is_empty() { paint.received("✔") } else { paint.error("✘") };
        let status = match &outcome.end {
            Err(failure) if !failure.message().is_empty() => format!("{status} ({})", failure.message()),
            _ => status.to_owned(),
        };
        let (shape, protocol, version) = (kind.shape(), chapter.protocol(), chapter.version());
        let (said, heard) = (quote(&outcome.said), quote(&outcome.heard));
        let line = format!(
            "{shape}, {protocol}, {version}: said {said}; heard {heard}; {status}; {}",
            show_time(time)
        );
        writeln!(self.out, "  {mark} {}", paint.bold(&line))?;
        for note in &outcome.notes {
            writeln!(self.out, "    {note}")?;
        }
        for fault in &outcome.faults {
            writeln!(self.out, "    {}", paint.error(fault))?;
        }
        Ok(())
    }

    /// The table at the end.
    ///
    /// # Errors
    /// When it cannot be printed.
    pub fn table(&mut self) -> io::Result<()> {
        let mut widths = TITLES.map(|title| title.chars().count());
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(&row.cells) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let rule = "═".repeat(widths.iter().sum::<usize>() + 2 * widths.len() + 6);
        if !self.quiet {
            writeln!(self.out, "\n{}", self.paint.bold(&rule))?;
        }
        self.line(&TITLES.map(str::to_owned), &widths, None)?;
        for row in std::mem::take(&mut self.rows) {
            let time = show_time(row.time);
            let cells: Vec<String> = row.cells.iter().cloned().chain([time]).collect();
            self.line(&cells, &widths, Some(row.well))?;
            self.rows.push(row);
        }
        let (calls, failures, adapter) = (self.calls(), self.failures(), self.adapter);
        let verdict = match failures {
            0 => self.paint.received(&format!("{calls} calls on {adapter}, all as they should be")),
            _ => self.paint.error(&format!("{calls} calls on {adapter}, {failures} NOT as they should be")),
        };
        writeln!(self.out, "\n{verdict}")
    }

    fn line(&mut self, cells: &[String], widths: &[usize], well: Option<bool>) -> io::Result<()> {
        let mut text = String::new();
        for (cell, width) in cells.iter().zip(widths) {
            text.push_str(&format!("  {cell:<width$}"));
        }
        let text = text.trim_end();
        match well {
            None => writeln!(self.out, "  {}", self.paint.bold(text)),
            Some(true) => writeln!(self.out, "{} {text}", self.paint.received("✔")),
            Some(false) => writeln!(self.out, "{} {text}", self.paint.error("✘")),
        }
    }
}

fn show_time(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

/// All texts, in quotation marks.
fn quote(texts: &[String]) -> String {
    if texts.is_empty() {
        return "nothing".to_owned();
    }
    texts.iter().map(|text| format!("{text:?}")).collect::<Vec<_>>().join(", ")
}

/// How many texts there are and the first of them, for the table.
fn shorten(texts: &[String]) -> String {
    match texts {
        [] => "-".to_owned(),
        [one] if one.is_empty() => "(nothing)".to_owned(),
        [one] => one.clone(),
        [first, ..] => format!("{} messages: {first} …", texts.len()),
    }
}
