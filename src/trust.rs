//! Whom the program trusts when it speaks TLS: one crypto provider, the system's root certificates and the bundled ones.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;

/// The one crypto provider of the program.
pub fn crypto() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The system's roots (or those of `SSL_CERT_FILE`) and the bundled ones, and what went wrong with the former.
pub fn roots() -> (RootCertStore, Vec<String>) {
    let mut store = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    let warnings = system.errors.iter().map(ToString::to_string).collect();
    store.add_parsable_certificates(system.certs);
    let bundled = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
    store.add_parsable_certificates(bundled.map(CertificateDer::clone));
    (store, warnings)
}
