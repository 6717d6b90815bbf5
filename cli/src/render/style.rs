//! Emphasis: on a terminal that wants it, and nowhere else.

use std::io::IsTerminal;

/// Whether and how to emphasise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    colour: bool,
}

impl Style {
    /// Without any escape sequence.
    pub fn plain() -> Style {
        Style { colour: false }
    }

    /// For standard output: colour when it is a terminal and `NO_COLOR` is not set.
    pub fn of_stdout() -> Style {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Style { colour: std::io::stdout().is_terminal() && !refused && !dumb }
    }

    /// Headings.
    pub fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// Failures.
    pub fn bad(self, text: &str) -> String {
        self.wrap("1;31", text)
    }

    /// Good news.
    pub fn good(self, text: &str) -> String {
        self.wrap("1;32", text)
    }

    /// What needs attention.
    pub fn mark(self, text: &str) -> String {
        self.wrap("33", text)
    }

    /// What can be skipped.
    pub fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.colour && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Columns of the terminal; generous where there is none, for files have no edge.
pub fn width() -> usize {
    let from_environment = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    // SAFETY: an all-zero winsize is valid; the call fills it in or fails.
    let from_terminal = unsafe {
        let mut size: libc::winsize = std::mem::zeroed();
        (libc::ioctl(1, libc::TIOCGWINSZ, &mut size) == 0 && size.ws_col > 0).then_some(size.ws_col.into())
    };
    from_environment.or(from_terminal).unwrap_or(120).clamp(40, 400)
}
