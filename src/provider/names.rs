//! Names to addresses, remembered for a while.
//!
//! The system's resolver is asked (so `/etc/hosts`, search domains and nsswitch count), which tells no time to live:
//! answers are kept for [`FRESH`]. An expired answer is used once more if the resolver fails, so that a hiccup of DNS
//! is none of ours.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::failure::{Failure, FailureKind};

/// How long an answer is used without asking again.
pub const FRESH: Duration = Duration::from_secs(30);

/// Resolves names for every provider; bounded by the number of hosts in the configuration.
#[derive(Debug, Default)]
pub struct Resolver {
    known: Mutex<HashMap<(String, u16), Entry>>,
}

#[derive(Clone, Debug)]
struct Entry {
    addresses: Arc<[SocketAddr]>,
    since: Instant,
}

impl Resolver {
    /// The addresses of a host, at least one.
    ///
    /// # Errors
    /// The name is unknown and was not known before either.
    pub async fn addresses(&self, host: &str, port: u16) -> Result<Arc<[SocketAddr]>, Failure> {
        let key = (host.to_owned(), port);
        let known = self.lock().get(&key).cloned();
        if let Some(entry) = &known
            && entry.since.elapsed() < FRESH
        {
            return Ok(entry.addresses.clone());
        }
        // Not single-flight: connections are pooled, so few ask at the same time.
        let found = match tokio::net::lookup_host((host, port)).await {
            Ok(found) => found.collect::<Arc<[_]>>(),
            Err(error) => match known {
                Some(entry) => entry.addresses,
                None => return Err(Failure::new(FailureKind::Resolve, error)),
            },
        };
        if found.is_empty() {
            return Err(Failure::new(FailureKind::Resolve, "no addresses"));
        }
        let entry = Entry {
            addresses: found.clone(),
            since: Instant::now(),
        };
        self.lock().insert(key, entry);
        Ok(found)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(String, u16), Entry>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
