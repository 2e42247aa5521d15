//! The certificate that callers see; replaced while the server runs.

use std::sync::Arc;

use anyhow::{Context, Result};
use arc_swap::ArcSwap;
use pingora_core::listeners::tls::TlsSettings;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::snapshot::TlsSection;
use crate::trust::crypto;

/// The certificate in force.
#[derive(Debug)]
pub struct Certificate {
    current: ArcSwap<CertifiedKey>,
}

impl Certificate {
    /// Reads chain and key.
    ///
    /// # Errors
    /// A file is missing, is no PEM, or the two do not belong together.
    pub fn load(section: &TlsSection) -> Result<Self> {
        Ok(Self {
            current: ArcSwap::from_pointee(read(section)?),
        })
    }

    /// Reads both files again. On an error the certificate in force stays.
    pub fn reload(&self, section: &TlsSection) -> Result<()> {
        self.current.store(Arc::new(read(section)?));
        Ok(())
    }

    /// Settings of a listener that offers HTTP/2 and HTTP/1.1.
    ///
    /// # Errors
    /// The library does not take them.
    pub fn settings(self: &Arc<Self>, section: &TlsSection) -> Result<TlsSettings> {
        // The resolver decides; the paths are only what the constructor asks for.
        let path = |path: &std::path::Path| path.to_string_lossy().into_owned();
        let mut settings = TlsSettings::intermediate(&path(&section.cert), &path(&section.key))
            .map_err(|error| anyhow::anyhow!("{error}"))?;
        settings.set_cert_resolver(self.clone());
        settings.enable_h2();
        Ok(settings)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

fn read(section: &TlsSection) -> Result<CertifiedKey> {
    let cert = section.cert.display();
    let key = section.key.display();
    let chain = CertificateDer::pem_file_iter(&section.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("cannot read the certificate {cert}"))?;
    anyhow::ensure!(!chain.is_empty(), "there is no certificate in {cert}");
    let private = PrivateKeyDer::from_pem_file(&section.key)
        .with_context(|| format!("cannot read the private key {key}"))?;
    CertifiedKey::from_der(chain, private, &crypto())
        .with_context(|| format!("{cert} and {key} do not belong together"))
}
