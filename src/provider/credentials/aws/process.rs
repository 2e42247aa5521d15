//! `credential_process`: a program of the operator's own that prints credentials.

use std::process::Stdio;

use tokio::io::AsyncReadExt;
use tokio::process::Command;

use super::Credentials;
use crate::provider::fetch::ANSWER_MAX;

/// Runs the program, without a shell. It is killed when the fetch is given up.
pub async fn credentials(line: &str) -> Result<Credentials, String> {
    let words = words(line).ok_or("`credential_process` has a quote that is not closed")?;
    let (program, arguments) = words.split_first().ok_or("`credential_process` is empty")?;
    let failed = |error| format!("`credential_process` cannot be run: {error}");
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let mut printed = Vec::new();
    if let Some(output) = child.stdout.take() {
        let mut output = output.take(ANSWER_MAX as u64);
        output.read_to_end(&mut printed).await.map_err(failed)?;
    }
    let status = child.wait().await.map_err(failed)?;
    if !status.success() {
        return Err(format!("`credential_process` ended with {status}"));
    }
    Credentials::from_json(&printed)
        .ok_or_else(|| "`credential_process` has not printed credentials".to_owned())
}

/// Splits at white space; quotes keep it, and a backslash keeps what follows it but within single quotes.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => word.get_or_insert_default().push(characters.next()?),
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_as_a_shell_would() {
        let cases: [(&str, &[&str]); 4] = [
            (" /bin/x  a\tb ", &["/bin/x", "a", "b"]),
            (
                r#""/opt/a b/x" 'c d' e"f"g '' "h\"i""#,
                &["/opt/a b/x", "c d", "efg", "", "h\"i"],
            ),
            (r"a\ b 'c\d'", &["a b", r"c\d"]),
            ("", &[]),
        ];
        for (line, expected) in cases {
            assert_eq!(words(line).unwrap(), expected, "{line}");
        }
        assert_eq!(words("a 'b"), None);
    }
}
