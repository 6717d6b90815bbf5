//! Progress on standard error: one line that changes on a terminal, a new line every few seconds elsewhere.

use frontrun_replayer::progress::{Progress, Silent, Snapshot};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often a line is written where there is no terminal.
const EVERY: Duration = Duration::from_secs(5);

/// Whether to tell anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verbosity {
    Quiet,
    Normal,
}

/// A progress display, until it is dropped.
pub(crate) struct Display {
    bar: Option<ProgressBar>,
    sink: Arc<dyn Progress>,
}

/// The display that suits standard error.
pub(crate) fn for_terminal(verbosity: Verbosity) -> Display {
    if verbosity == Verbosity::Quiet {
        return Display { bar: None, sink: Arc::new(Silent) };
    }
    if !std::io::stderr().is_terminal() {
        return Display { bar: None, sink: Arc::new(Lines(Mutex::new(Duration::ZERO))) };
    }
    let style =
        ProgressStyle::with_template("{spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::new_spinner().with_style(style).with_message("starting");
    bar.enable_steady_tick(Duration::from_millis(120));
    Display { bar: Some(bar.clone()), sink: Arc::new(Bar(bar)) }
}

impl Display {
    /// For the exploration.
    pub(crate) fn sink(&self) -> Arc<dyn Progress> {
        self.sink.clone()
    }

    /// Says what goes on now, where there is a line that can change.
    pub(crate) fn say(&self, message: &'static str) {
        if let Some(bar) = &self.bar {
            bar.set_message(message);
        }
    }
}

impl Drop for Display {
    /// Removes what changes.
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

struct Bar(ProgressBar);

impl Progress for Bar {
    fn ran(&self, snapshot: &Snapshot) {
        self.0.set_message(line(snapshot));
    }
}

/// When the last line was written.
struct Lines(Mutex<Duration>);

impl Progress for Lines {
    fn ran(&self, snapshot: &Snapshot) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if snapshot.elapsed >= *last + EVERY {
            *last = snapshot.elapsed;
            eprintln!("frontrun: {}", line(snapshot));
        }
    }
}

fn line(snapshot: &Snapshot) -> String {
    let seconds = snapshot.elapsed.as_secs_f64();
    let rate = snapshot.executions as f64 / seconds.max(0.001);
    format!(
        "{} executions, {} failed, {} waiting, {rate:.0}/s, {seconds:.0} s",
        snapshot.executions, snapshot.failures, snapshot.waiting
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_how_fast_it_goes() {
        let snapshot =
            Snapshot { executions: 1000, failures: 1, waiting: 17, elapsed: Duration::from_secs(4) };
        assert_eq!(line(&snapshot), "1000 executions, 1 failed, 17 waiting, 250/s, 4 s");
    }
}
