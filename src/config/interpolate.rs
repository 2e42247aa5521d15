//! `${…}` in scalar values.
//!
//! | written | becomes |
//! |---|---|
//! | `${NAME}` | the environment variable; it must be set |
//! | `${NAME:-default}` | the same, or the default where it is not set or empty |
//! | `${file:/run/secrets/x}` | the content of the file, less one final newline |
//! | `$$` | a dollar sign |

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The most that is read of any one file: the configuration itself, or a secret beside it.
pub const FILE_BYTES_MAX: usize = 4 << 20;

/// The most that all `${…}` of a document may add up to: one file can be named many times.
const EXPANDED_BYTES_MAX: usize = 16 << 20;

/// Where `${…}` takes its values from.
pub trait Environment {
    /// The environment variable of this name, if it is set.
    fn variable(&self, name: &str) -> Option<String>;

    /// The content of a file. What is larger than [`FILE_BYTES_MAX`] or not UTF-8 is an error.
    fn file(&self, path: &Path) -> io::Result<String>;
}

/// The environment and the files of this process.
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &Path) -> io::Result<String> {
        let mut text = String::new();
        File::open(path)?
            .take(FILE_BYTES_MAX as u64 + 1)
            .read_to_string(&mut text)?;
        if text.len() > FILE_BYTES_MAX {
            let message = format!("it is larger than {} MiB", FILE_BYTES_MAX >> 20);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        Ok(text)
    }
}

/// Puts in what scalars refer to, and remembers the files.
pub(super) struct Interpolator<'e> {
    environment: &'e dyn Environment,
    files: Vec<PathBuf>,
    bytes_left: usize,
}

/// Whether a text is nothing but one reference, without a default.
pub(super) fn is_reference(text: &str) -> bool {
    let reference = text
        .strip_prefix("${")
        .and_then(|text| text.strip_suffix('}'));
    reference.is_some_and(|name| {
        is_variable_name(name) || (name.starts_with("file:") && !name.contains('}'))
    })
}

fn is_variable_name(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit())
}

/// A scalar after interpolation.
#[derive(Debug, PartialEq)]
pub(super) struct Expanded {
    pub text: String,
    /// The first reference as it is written, without a default: `${NAME}`. None if only `$$` was replaced.
    pub origin: Option<String>,
}

/// A reference that could not be resolved.
#[derive(Debug, PartialEq)]
pub(super) struct Unresolved {
    pub message: String,
    pub help: String,
}

impl<'e> Interpolator<'e> {
    pub fn new(environment: &'e dyn Environment) -> Self {
        Self {
            environment,
            files: Vec::new(),
            bytes_left: EXPANDED_BYTES_MAX,
        }
    }

    /// The files that scalars referred to, in order, whether they could be read or not.
    pub fn into_files(self) -> Vec<PathBuf> {
        self.files
    }

    /// The value that `text` stands for, or all that is wrong with it.
    pub fn expand(&mut self, text: &str) -> Result<Expanded, Vec<Unresolved>> {
        let mut expanded = Expanded {
            text: String::with_capacity(text.len()),
            origin: None,
        };
        let mut unresolved = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            expanded.text += &rest[..at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                expanded.text.push('$');
                rest = after;
                continue;
            }
            let Some(reference) = rest.strip_prefix('{') else {
                expanded.text.push('$');
                continue;
            };
            let Some((reference, after)) = reference.split_once('}') else {
                unresolved.push(Unresolved::new(
                    "`${` is never closed",
                    "end it with `}`; a dollar sign is written `$$`",
                ));
                return Err(unresolved);
            };
            rest = after;
            match self.resolve(reference) {
                Ok(value) => expanded.text += &value,
                Err(problem) => unresolved.push(problem),
            }
            let name = reference
                .split_once(":-")
                .map_or(reference, |(name, _)| name);
            expanded
                .origin
                .get_or_insert_with(|| format!("${{{name}}}"));
        }
        expanded.text += rest;
        if unresolved.is_empty() {
            Ok(expanded)
        } else {
            Err(unresolved)
        }
    }

    fn resolve(&mut self, reference: &str) -> Result<String, Unresolved> {
        let value = match reference.strip_prefix("file:") {
            Some(path) => self.read_file(Path::new(path))?,
            None => self.read_variable(reference)?,
        };
        match self.bytes_left.checked_sub(value.len()) {
            Some(left) => self.bytes_left = left,
            None => {
                let message = format!(
                    "the `${{…}}` of this file come to more than {} MiB",
                    EXPANDED_BYTES_MAX >> 20
                );
                return Err(Unresolved::new(message, "refer to smaller files"));
            }
        }
        Ok(value)
    }

    fn read_file(&mut self, path: &Path) -> Result<String, Unresolved> {
        if !self.files.iter().any(|file| file == path) {
            self.files.push(path.to_owned());
        }
        let shown = path.display();
        let mut text = self.environment.file(path).map_err(|error| {
            Unresolved::new(
                format!("cannot read `{shown}`: {error}"),
                "the file must be readable by this process",
            )
        })?;
        if text.ends_with('\n') {
            text.pop();
        }
        Ok(text)
    }

    fn read_variable(&self, reference: &str) -> Result<String, Unresolved> {
        let (name, default) = match reference.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (reference, None),
        };
        if !is_variable_name(name) {
            // Not quoted: someone may have put the secret itself between the braces.
            let message = "this `${…}` names no environment variable";
            return Err(Unresolved::new(
                message,
                "write `${NAME}`, `${NAME:-default}` or `${file:/path}`; a dollar sign is written `$$`",
            ));
        }
        if default.is_some_and(|default| default.contains("${")) {
            let message = format!("the default of `${{{name}}}` holds another `${{…}}`");
            return Err(Unresolved::new(message, "a default is plain text"));
        }
        let value = self.environment.variable(name);
        match (value, default) {
            (Some(value), None) => Ok(value),
            (Some(value), Some(_)) if !value.is_empty() => Ok(value),
            (_, Some(default)) => Ok(default.to_owned()),
            (None, None) => Err(Unresolved::new(
                format!("the environment variable `{name}` is not set"),
                format!("set it, or write `${{{name}:-default}}`"),
            )),
        }
    }
}

impl Unresolved {
    fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: help.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    impl Environment for Nothing {
        fn variable(&self, _: &str) -> Option<String> {
            None
        }

        fn file(&self, _: &Path) -> io::Result<String> {
            Ok("x".repeat(FILE_BYTES_MAX))
        }
    }

    #[test]
    fn dollars_that_start_nothing_stay() {
        let mut interpolator = Interpolator::new(&Nothing);
        let expanded = interpolator.expand("a$b $$ $${x} $").unwrap();
        assert_eq!(expanded.text, "a$b $ ${x} $");
        assert_eq!(expanded.origin, None);
    }

    #[test]
    fn all_references_together_are_bounded() {
        let mut interpolator = Interpolator::new(&Nothing);
        let found = interpolator.expand(&"${file:/x}".repeat(5)).unwrap_err();
        assert_eq!(found.len(), 1);
        assert!(found[0].message.contains("more than 16 MiB"));
    }

    #[test]
    fn an_endless_file_is_refused() {
        let error = ProcessEnvironment.file(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn a_reference_is_one_name_between_braces() {
        assert!(is_reference("${A_1}") && is_reference("${file:/run/x}"));
        for text in [
            "A",
            "${A:-b}",
            "x${A}",
            "${A}${B}",
            "${sk-1}",
            "${file:a}b}",
            "${}",
        ] {
            assert!(!is_reference(text), "{text}");
        }
    }
}
