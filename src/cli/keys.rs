//! `tollgate keys new`: makes a key. Only its digest is ever written down.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use ring::rand::{SecureRandom, SystemRandom};

use crate::access::{digest, sigv4};
use crate::config::{ProcessEnvironment, Secret};
use crate::hex;
use crate::provider::Dialer;
use crate::snapshot::Snapshot;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Random characters of a key: 190 bits.
const RANDOM_LENGTH: usize = 32;

/// Characters of its checksum: 62^6 is more than 2^32.
const CHECKSUM_LENGTH: usize = 6;

/// What can be done with keys.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Print a new key, and the YAML line that lets it in
    New {
        /// The team that it belongs to
        #[arg(long)]
        team: String,
        /// Its name in logs
        #[arg(long)]
        name: String,
        /// Make an AWS access key instead, for SDKs that sign their requests
        #[arg(long, requires = "config")]
        aws: bool,
        /// The configuration, whose `admin.aws_secret` an AWS key is derived with
        #[arg(long)]
        config: Option<PathBuf>,
    },
}

/// Line 1: the key. Line 2: what to write under `teams.TEAM.keys`. Of an AWS key line 1 is the id, line 2 the secret.
pub fn run(command: &Command) -> Result<ExitCode> {
    let Command::New {
        team,
        name,
        aws,
        config,
    } = command;
    let key = match config {
        Some(config) if *aws => {
            let secret = aws_secret(config)?;
            let id = sigv4::new_id().map_err(|_| anyhow!("the system has no randomness"))?;
            println!("{id}");
            sigv4::secret_of(&id, secret.expose().as_bytes())
        }
        _ => new_key()?,
    };
    println!("{key}");
    let name = serde_json::to_string(name)?; // a JSON string is a YAML one, too
    println!(
        "- {{ name: {name}, sha256: \"{}\" }}",
        hex::encode(&digest(key.as_bytes()))
    );
    eprintln!(
        "Keep the key: it cannot be shown again. The last line goes under teams.{team}.keys."
    );
    Ok(ExitCode::SUCCESS)
}

fn aws_secret(config: &Path) -> Result<Secret> {
    let text = std::fs::read_to_string(config);
    let text = text.with_context(|| format!("cannot read {}", config.display()))?;
    let name = config.display().to_string();
    let dialer = Arc::new(Dialer::new());
    let reading = Snapshot::read(&name, &text, &ProcessEnvironment, &dialer, None);
    let Some(snapshot) = reading.snapshot else {
        bail!("the configuration has errors:\n{}", reading.diagnostics);
    };
    let secret = snapshot.aws_secret().cloned();
    secret.with_context(|| format!("{name} sets no `admin.aws_secret`"))
}

/// `tg_`, 32 random base62 characters, and a CRC-32 of them, so that secret scanners know a key when they see one.
fn new_key() -> Result<String> {
    let random = SystemRandom::new();
    let mut characters = String::with_capacity(RANDOM_LENGTH);
    let mut bytes = [0_u8; 64];
    while characters.len() < RANDOM_LENGTH {
        let filled = random.fill(&mut bytes);
        filled.map_err(|_| anyhow!("the system has no randomness"))?;
        // 248 is the largest multiple of 62 in a byte: beyond it some characters would be likelier than others.
        let fair = bytes.iter().filter(|byte| **byte < 248);
        let fresh = fair.map(|byte| char::from(BASE62[usize::from(byte % 62)]));
        characters.extend(fresh.take(RANDOM_LENGTH - characters.len()));
    }
    Ok(format!("tg_{characters}{}", checksum(&characters)))
}

fn checksum(characters: &str) -> String {
    let mut rest = crc32fast::hash(characters.as_bytes());
    let mut digits = [b'0'; CHECKSUM_LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    digits.map(char::from).iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_form() {
        let key = new_key().unwrap();
        let rest = key.strip_prefix("tg_").unwrap();
        assert_eq!(rest.len(), RANDOM_LENGTH + CHECKSUM_LENGTH);
        assert!(rest.bytes().all(|byte| BASE62.contains(&byte)));
        let (random, sum) = rest.split_at(RANDOM_LENGTH);
        assert_eq!(checksum(random), sum);
        assert_ne!(new_key().unwrap(), key);
    }

    #[test]
    fn the_checksum_is_crc32_in_base62() {
        // CRC-32 of "123456789" is 0xCBF43926, the check value of its catalogue.
        let value = BASE62_DIGITS
            .iter()
            .fold(0_u64, |value, digit| value * 62 + digit);
        assert_eq!(value, 0xCBF4_3926);
        let expected: String = BASE62_DIGITS
            .map(|digit| char::from(BASE62[digit as usize]))
            .iter()
            .collect();
        assert_eq!(checksum("123456789"), expected);
    }

    const BASE62_DIGITS: [u64; 6] = [3, 45, 35, 27, 22, 14];
}
