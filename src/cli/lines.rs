//! Commands that answer line by line: JSON in, JSON out, in order, whatever a line may be.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

/// The longest line that is read, in bytes.
const LINE_MAX: u64 = 64 << 20;

/// Answers each line of `file`, or of standard input. A line that is wrong gets `{"error": …}` and stops nothing.
pub fn answer<Q: DeserializeOwned, A: Serialize>(
    file: Option<&Path>,
    answer: impl Fn(Q) -> Result<A>,
) -> Result<()> {
    let input: Box<dyn Read> = match file {
        None => Box::new(io::stdin().lock()),
        Some(file) => {
            Box::new(File::open(file).with_context(|| format!("cannot read {}", file.display()))?)
        }
    };
    let done = each(input, BufWriter::new(io::stdout().lock()), answer);
    match done {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => Ok(done?),
    }
}

fn each<Q: DeserializeOwned, A: Serialize>(
    input: impl Read,
    mut output: impl Write,
    answer: impl Fn(Q) -> Result<A>,
) -> io::Result<()> {
    let mut input = BufReader::new(input);
    let mut line = Vec::new();
    while input
        .by_ref()
        .take(LINE_MAX + 1)
        .read_until(b'\n', &mut line)?
        > 0
    {
        let answered = match line.len() as u64 > LINE_MAX {
            true => {
                input.skip_until(b'\n')?;
                Err(anyhow::anyhow!(
                    "the line is longer than {} MiB",
                    LINE_MAX >> 20
                ))
            }
            false => serde_json::from_slice(&line)
                .map_err(Into::into)
                .and_then(&answer),
        };
        match answered {
            Ok(answered) => serde_json::to_writer(&mut output, &answered)?,
            Err(error) => {
                serde_json::to_writer(&mut output, &json!({"error": format!("{error:#}")}))?;
            }
        }
        output.write_all(b"\n")?;
        line.clear();
    }
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_line_stops_nothing() {
        let mut output = Vec::new();
        let double = |number: u64| Ok(number * 2);
        each(&b"1\nnonsense\n\n3"[..], &mut output, double).unwrap();
        let output = String::from_utf8(output).unwrap();
        let lines: Vec<&str> = output.lines().collect();
        assert_eq!(lines.len(), 4);
        assert_eq!((lines[0], lines[3]), ("2", "6"));
        assert!(lines[1].starts_with(r#"{"error":"#), "{}", lines[1]);
    }
}
