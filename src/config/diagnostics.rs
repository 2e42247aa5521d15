//! What is wrong with a file, as it is printed.

use std::fmt::{self, Write};

use super::masking::Masks;
use super::source::Line;

/// The most diagnostics that are printed; the rest is only counted.
const SHOWN_MAX: usize = 1000;

/// The most characters of a source line that are printed.
const LINE_CHARS_MAX: usize = 120;

/// A place in a file: line and column, in characters, both from 1.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Position {
    pub line: usize,
    pub column: usize,
}

/// How bad it is: an error keeps the file from being used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Severity {
    Error,
    Warning,
}

/// One mistake, or one thing to think about, at a place in the file.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    pub(super) severity: Severity,
    pub(super) position: Position,
    pub(super) message: String,
    helps: Vec<String>,
}

impl Diagnostic {
    pub(super) fn error(position: Position, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            position,
            message: message.into(),
            helps: Vec::new(),
        }
    }

    /// Adds a line on what to do about it.
    pub fn help(&mut self, text: impl Into<String>) -> &mut Self {
        self.helps.push(text.into());
        self
    }

    pub(super) fn with_help(mut self, text: impl Into<String>) -> Self {
        self.help(text);
        self
    }
}

/// Everything that was found in one file, in the order of the file. `Display` gives the full text, without a final newline.
#[derive(Debug)]
pub struct Diagnostics {
    text: String,
    errors: usize,
    warnings: usize,
}

impl Diagnostics {
    pub(super) fn new(name: &str, source: &str, masks: &Masks, mut found: Vec<Diagnostic>) -> Self {
        found.sort_by_key(|diagnostic| diagnostic.position);
        let errors = found
            .iter()
            .filter(|one| one.severity == Severity::Error)
            .count();
        let mut diagnostics = Self {
            text: String::new(),
            errors,
            warnings: found.len() - errors,
        };
        let lines = Line::all(source);
        for diagnostic in found.iter().take(SHOWN_MAX) {
            diagnostics.push(name, &lines, masks, diagnostic);
        }
        if let Some(hidden) = found
            .len()
            .checked_sub(SHOWN_MAX)
            .filter(|hidden| *hidden > 0)
        {
            diagnostics.text += &format!("{hidden} more are not shown\n");
        }
        diagnostics
    }

    /// The one diagnostic of a file that cannot be read at all.
    pub fn unreadable(name: &str, error: &std::io::Error) -> Self {
        Self {
            text: format!("{name}:1:1: error: cannot read the file: {error}\n"),
            errors: 1,
            warnings: 0,
        }
    }

    /// Whether the file cannot be used.
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// How many errors there are.
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// How many warnings there are.
    pub fn warnings(&self) -> usize {
        self.warnings
    }

    fn push(&mut self, name: &str, lines: &[Line<'_>], masks: &Masks, diagnostic: &Diagnostic) {
        let Position { line, column } = diagnostic.position;
        let severity = match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let message = printable(&diagnostic.message);
        self.text += &format!("{name}:{line}:{column}: {severity}: {message}\n");
        if let Some(source) = lines.get(line.saturating_sub(1)) {
            let (shown, caret) = source.excerpt(column, masks);
            self.text += &format!("  {shown}\n  {}^\n", " ".repeat(caret));
        }
        for help in &diagnostic.helps {
            self.text += &format!("help: {}\n", printable(help));
        }
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        let Self {
            text,
            errors,
            warnings,
        } = self;
        write!(
            f,
            "{text}{errors} error{}, {warnings} warning{}",
            plural(*errors),
            plural(*warnings)
        )
    }
}

impl Line<'_> {
    /// The line around `column` with its secrets hidden, and how many characters stand before the column there.
    fn excerpt(&self, column: usize, masks: &Masks) -> (String, usize) {
        let from = match self.text.len() <= LINE_CHARS_MAX {
            true => 0,
            false => column.saturating_sub(1 + LINE_CHARS_MAX / 2),
        };
        let mut shown: Vec<char> = Vec::new();
        shown.extend((from > 0).then_some('…'));
        let mut caret = None;
        let mut within_mask = false;
        let mut chars = self.text.chars().enumerate().skip(from);
        for (offset, c) in chars.by_ref().take(LINE_CHARS_MAX) {
            if offset + 1 == column {
                caret = Some(shown.len());
            }
            let masked = masks.hides(self.start + offset);
            match (masked, within_mask) {
                (true, false) => shown.extend("***".chars()),
                (true, true) => {}
                (false, _) => shown.push(if c.is_control() { ' ' } else { c }),
            }
            within_mask = masked;
        }
        // The end of a line, or of the file, is a place too.
        let caret = caret.unwrap_or(shown.len());
        shown.extend(chars.next().map(|_| '…'));
        (shown.into_iter().collect(), caret)
    }
}

/// A message on one line, whatever names from the file it quotes.
fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            let _ = write!(printable, "{}", c.escape_default());
        } else {
            printable.push(c);
        }
    }
    printable
}
