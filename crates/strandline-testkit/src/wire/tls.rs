//! TLS for the servers of this module: an authority that no system trusts, and connections that it vouches for.
//!
//! Invariants: keys are made anew for each authority, and never leave the process; a certificate is for the loopback and for the
//! names below [`DOMAIN`]. What does not belong here: sockets and their owners (`server`).

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Below which hosts may be named that a certificate is for, besides the loopback.
pub const DOMAIN: &str = "strandline.test";

/// An authority of a test's own, which is trusted by whoever is given its certificate.
///
/// ```
/// use strandline_testkit::wire::{Authority, HttpAnswer, HttpServer};
/// let authority = Authority::new()?;
/// let server = HttpServer::start_tls(&authority, |_| HttpAnswer::Close)?;
/// assert!(server.url().starts_with("https://127.0.0.1:"));
/// assert!(authority.pem().starts_with("-----BEGIN CERTIFICATE-----"));
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new one.
    ///
    /// # Errors
    /// If no key can be made.
    pub fn new() -> io::Result<Self> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = named("an authority of tests");
        let certificate = params.self_signed(&key).map_err(io::Error::other)?;
        Ok(Self { certificate, issuer: Issuer::new(params, key) })
    }

    /// Its certificate, as a file of authorities holds it.
    #[must_use]
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// What a server of it needs.
    pub(crate) fn server(&self) -> io::Result<Arc<ServerConfig>> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let names = ["127.0.0.1", "localhost", DOMAIN, &format!("*.{DOMAIN}")].map(str::to_owned);
        let mut params = CertificateParams::new(names).map_err(io::Error::other)?;
        params.distinguished_name = named("a server of tests");
        let certificate = params.signed_by(&key, &self.issuer).map_err(io::Error::other)?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(io::Error::other)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key);
        config.map(Arc::new).map_err(io::Error::other)
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// One connection, of which one thread reads and writes.
pub(crate) enum Channel<'a> {
    Plain(&'a TcpStream),
    Tls(Box<RefCell<StreamOwned<ServerConnection, &'a TcpStream>>>),
}

impl<'a> Channel<'a> {
    /// Over TLS, if a configuration says so; the handshake comes with the first bytes.
    pub(crate) fn new(stream: &'a TcpStream, tls: Option<&Arc<ServerConfig>>) -> io::Result<Self> {
        let Some(config) = tls else { return Ok(Self::Plain(stream)) };
        let connection = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
        Ok(Self::Tls(Box::new(RefCell::new(StreamOwned::new(connection, stream)))))
    }
}

impl Read for &Channel<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Channel::Plain(stream) => (&mut &**stream).read(buffer),
            Channel::Tls(stream) => stream.borrow_mut().read(buffer),
        }
    }
}

impl Write for &Channel<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Channel::Plain(stream) => (&mut &**stream).write(bytes),
            Channel::Tls(stream) => stream.borrow_mut().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Channel::Plain(stream) => (&mut &**stream).flush(),
            Channel::Tls(stream) => stream.borrow_mut().flush(),
        }
    }
}
