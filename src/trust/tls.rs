//! What TLS is set up with: certificates, keys and whom to trust, from files.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::error::{ConfigError, Result};
use crate::trust::watch::{Stamp, Stamps};

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

/// Whom a port asks for a certificate.
#[derive(Clone, Debug)]
struct Asking {
    /// Who has to have signed it.
    roots: PathBuf,
    /// Whether who shows none is sent away.
    must: bool,
}

/// TLS for a port that others connect to: 1.3 or 1.2, by a certificate from files.
///
/// Somebody who connects proves who he is only if he is asked to.
///
/// Certificates end, and others take their place in the same files. Those are read again by
/// [`reload`](Self::reload), as a program does when it gets a SIGHUP, or by themselves when they
/// change: [`watch`](Self::watch). Who connects from then on is shown the new one; connections that
/// are there go on as they are. Files that are of no use change nothing but a count: what was read
/// before stays. Clones are the same, so one that was given to a port can be told through another.
///
/// ```no_run
/// use millstream::trust::ServerTls;
///
/// let tls = ServerTls::of("chain.pem", "key.pem")?.requiring("clients.pem")?;
/// if let Err(error) = tls.reload() {
///     eprintln!("the certificate stays as it was: {error}");
/// }
/// assert_eq!(tls.reloads() + tls.failed_reloads(), 1);
/// # Ok::<(), millstream::Error>(())
/// ```
#[derive(Clone)]
pub struct ServerTls(Arc<Files>);

struct Files {
    own: Own,
    asking: Option<Asking>,
    now: Mutex<Now>,
    reloads: AtomicU64,
    failed: AtomicU64,
}

/// What new connections get.
struct Now {
    config: Arc<ServerConfig>,
    /// How the files were when they were read last, to whatever avail.
    read: Stamps,
}

impl ServerTls {
    /// By a certificate chain, its own certificate first, and the private key to it: two files in
    /// PEM, which may be the same.
    ///
    /// # Errors
    /// A file that cannot be read or holds none of that, and two that do not go together.
    pub fn of(chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self> {
        let own = Own { chain: chain.as_ref().to_owned(), key: key.as_ref().to_owned() };
        Self::from_files(own, None)
    }

    /// Lets in only who shows a certificate that one of these has signed: a file in PEM.
    ///
    /// # Errors
    /// A file that cannot be read, or holds none.
    pub fn requiring(self, roots: impl AsRef<Path>) -> Result<Self> {
        let roots = roots.as_ref().to_owned();
        Self::from_files(self.0.own.clone(), Some(Asking { roots, must: true }))
    }

    /// The same, but who shows none is let in too: he may say a secret.
    ///
    /// # Errors
    /// A file that cannot be read, or holds none.
    pub fn welcoming(self, roots: impl AsRef<Path>) -> Result<Self> {
        let roots = roots.as_ref().to_owned();
        Self::from_files(self.0.own.clone(), Some(Asking { roots, must: false }))
    }

    fn from_files(own: Own, asking: Option<Asking>) -> Result<Self> {
        let read = stamps(&own, asking.as_ref());
        let now = Mutex::new(Now { config: configured(&own, asking.as_ref())?, read });
        let (reloads, failed) = Default::default();
        Ok(Self(Arc::new(Files { own, asking, now, reloads, failed })))
    }

    /// Reads all files again. Who connects from now on is shown what they hold.
    ///
    /// # Errors
    /// What [`of`](Self::of) and [`requiring`](Self::requiring) say of them: then all stays as it
    /// was.
    pub fn reload(&self) -> Result<()> {
        let Files { own, asking, reloads, failed, .. } = &*self.0;
        // Before they are read: what is written meanwhile is seen by whoever watches.
        let read = stamps(own, asking.as_ref());
        let config = configured(own, asking.as_ref());
        let mut now = self.now();
        now.read = read;
        match config {
            Ok(config) => {
                now.config = config;
                reloads.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => {
                failed.fetch_add(1, Ordering::Relaxed);
                Err(error)
            }
        }
    }

    /// How often the files were read again.
    pub fn reloads(&self) -> u64 {
        self.0.reloads.load(Ordering::Relaxed)
    }

    /// How often that was of no use, so that what was read before stayed.
    pub fn failed_reloads(&self) -> u64 {
        self.0.failed.load(Ordering::Relaxed)
    }

    /// How the files are, and how they were when they were read last.
    pub(super) fn stamps(&self) -> (Stamps, Stamps) {
        (stamps(&self.0.own, self.0.asking.as_ref()), self.now().read.clone())
    }

    /// Whether a certificate is asked for.
    pub(crate) fn asks(&self) -> bool {
        self.0.asking.is_some()
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.now().config.clone()
    }

    /// The same for a port of HTTP, which is said to whoever asks what is spoken.
    #[cfg(feature = "web")]
    pub(crate) fn config_for_http(&self) -> Arc<ServerConfig> {
        let mut config = ServerConfig::clone(&self.config());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(config)
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.0.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the files hold.
fn configured(own: &Own, asking: Option<&Asking>) -> Result<Arc<ServerConfig>> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| own.refused(&error))?;
    let builder = match asking {
        None => builder.with_no_client_auth(),
        Some(asking) => builder.with_client_cert_verifier(asking.verifier()?),
    };
    let (chain, key) = own.read()?;
    let config = builder.with_single_cert(chain, key).map_err(|error| own.refused(&error))?;
    Ok(Arc::new(settled(config)))
}

impl Asking {
    fn verifier(&self) -> Result<Arc<dyn ClientCertVerifier>> {
        let roots = &self.roots;
        let builder = WebPkiClientVerifier::builder_with_provider(trusted(roots)?, provider());
        let builder = if self.must { builder } else { builder.allow_unauthenticated() };
        Ok(builder.build().map_err(|error| bad_file(roots, format!("of no use: {error}")))?)
    }
}

fn stamps(own: &Own, asking: Option<&Asking>) -> Stamps {
    let all = [&own.chain, &own.key].into_iter().chain(asking.map(|asking| &asking.roots));
    all.map(|file| Stamp::of(file)).collect()
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

    pub(crate) fn config(&self) -> (Arc<ClientConfig>, ServerName<'static>) {
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
        f.debug_struct("ServerTls").field("own", &self.0.own).finish_non_exhaustive()
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
