//! What TLS is set up with: certificates, keys and whom to trust, from files.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::error::{ConfigError, Result};

/// The files of a certificate: the chain, its own first, and its private key, both in PEM.
#[derive(Clone, Debug)]
struct Own {
    chain: PathBuf,
    key: PathBuf,
}

impl Own {
    fn read(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|error| bad_file(&self.key, format!("no private key: {error}")))?;
        Ok((certificates(&self.chain)?, key))
    }

    /// What is said of the two together.
    fn refused(&self, error: &rustls::Error) -> ConfigError {
        bad_file(&self.chain, format!("does not go with {}: {error}", self.key.display()))
    }
}

/// TLS for a port that others connect to: 1.3 or 1.2, by a certificate from files.
///
/// The files are read once. Somebody who connects proves who he is only if he is asked to.
#[derive(Clone)]
pub struct ServerTls {
    own: Own,
    config: Arc<ServerConfig>,
    asks: bool,
}

impl ServerTls {
    /// By a certificate chain, its own certificate first, and the private key to it: two files in
    /// PEM, which may be the same.
    ///
    /// # Errors
    /// A file that cannot be read or holds none of that, and two that do not go together.
    pub fn of(chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self> {
        let own = Own { chain: chain.as_ref().to_owned(), key: key.as_ref().to_owned() };
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| own.refused(&error))?
            .with_no_client_auth();
        let (chain, key) = own.read()?;
        let config = config.with_single_cert(chain, key).map_err(|error| own.refused(&error))?;
        Ok(Self { own, config: Arc::new(settled(config)), asks: false })
    }

    /// Lets in only who shows a certificate that one of these has signed: a file in PEM.
    ///
    /// # Errors
    /// A file that cannot be read, or holds none.
    pub fn requiring(self, roots: impl AsRef<Path>) -> Result<Self> {
        self.asking(roots.as_ref(), true)
    }

    /// The same, but who shows none is let in too: he may say a secret.
    ///
    /// # Errors
    /// A file that cannot be read, or holds none.
    pub fn welcoming(self, roots: impl AsRef<Path>) -> Result<Self> {
        self.asking(roots.as_ref(), false)
    }

    fn asking(self, roots: &Path, must: bool) -> Result<Self> {
        let own = self.own;
        let builder = WebPkiClientVerifier::builder_with_provider(trusted(roots)?, provider());
        let builder = if must { builder } else { builder.allow_unauthenticated() };
        let verifier =
            builder.build().map_err(|error| bad_file(roots, format!("of no use: {error}")))?;
        let (chain, key) = own.read()?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| own.refused(&error))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .map_err(|error| own.refused(&error))?;
        Ok(Self { own, config: Arc::new(settled(config)), asks: true })
    }

    /// Whether a certificate is asked for.
    pub(super) fn asks(&self) -> bool {
        self.asks
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.config.clone()
    }
}

/// Each connection by itself: keys can be handed to the kernel, and nothing comes unasked.
fn settled(mut config: ServerConfig) -> ServerConfig {
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.enable_secret_extraction = true;
    config
}

/// TLS for connecting to somebody, who has to prove that he has this name.
#[derive(Clone)]
pub struct ClientTls {
    roots: PathBuf,
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl ClientTls {
    /// To one with a certificate for this name, DNS or IP, that one of these has signed: a file in
    /// PEM. What the host trusts by itself does not count.
    ///
    /// # Errors
    /// A name that is none, a file that cannot be read or holds no certificate.
    pub fn to(name: &str, roots: impl AsRef<Path>) -> Result<Self> {
        let roots = roots.as_ref();
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| bad_file(roots, error.to_string()))?
            .with_root_certificates(trusted(roots)?)
            .with_no_client_auth();
        let name = ServerName::try_from(name.to_owned()).map_err(|_| {
            ConfigError::setting("name of a server", name, "neither a DNS name nor an IP address")
        })?;
        let config = Arc::new(alone(config));
        Ok(Self { roots: roots.to_owned(), config, name })
    }

    /// With a certificate of its own, for a server that asks for one: see [`ServerTls::of`].
    ///
    /// # Errors
    /// A file that cannot be read or holds none of that, and two that do not go together.
    pub fn showing(self, chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self> {
        let own = Own { chain: chain.as_ref().to_owned(), key: key.as_ref().to_owned() };
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| own.refused(&error))?
            .with_root_certificates(trusted(&self.roots)?);
        let (chain, key) = own.read()?;
        let config =
            builder.with_client_auth_cert(chain, key).map_err(|error| own.refused(&error))?;
        Ok(Self { config: Arc::new(alone(config)), ..self })
    }

    pub(super) fn config(&self) -> (Arc<ClientConfig>, ServerName<'static>) {
        (self.config.clone(), self.name.clone())
    }
}

/// Each connection by itself, and keys can be handed to the kernel.
fn alone(mut config: ClientConfig) -> ClientConfig {
    config.resumption = Resumption::disabled();
    config.enable_secret_extraction = true;
    config
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("own", &self.own).finish_non_exhaustive()
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("name", &self.name).finish_non_exhaustive()
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// All certificates of a file.
fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let all = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match all {
        Ok(all) if all.is_empty() => Err(bad_file(file, "no certificate in it".to_owned()).into()),
        Ok(all) => Ok(all),
        Err(error) => Err(bad_file(file, format!("no certificates: {error}")).into()),
    }
}

/// The certificates of those who are trusted.
fn trusted(file: &Path) -> Result<Arc<RootCertStore>> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        let bad = |error| bad_file(file, format!("a certificate that cannot be used: {error}"));
        roots.add(certificate).map_err(bad)?;
    }
    Ok(Arc::new(roots))
}

fn bad_file(file: &Path, reason: String) -> ConfigError {
    ConfigError::setting("file of TLS", file.display(), reason)
}
