//! TLS by the kernel: after the handshake it takes over, and the socket is one of plain bytes.
//!
//! It takes 1.3 only. In 1.2 the two count differently what a key must never be used with twice:
//! the kernel would begin with what the end of the handshake was sent under.

use std::io::{self, IoSliceMut};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::sockopt::{TcpTlsRx, TcpTlsTx, TcpUlp, TlsCryptoInfo};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, TlsGetRecordType, recvmsg, setsockopt};
use rustls::{CipherSuite, Connection, ConnectionTrafficSecrets};

/// Types of records of TLS that are no data, and what is in an alert: how bad, and which.
const ALERT: u8 = 21;
const CLOSE_NOTIFY: [u8; 2] = [1, 0];

/// The type of the one message of a handshake that may come later and says nothing: a ticket.
const TICKET: u8 = 4;

/// The ciphers that kernels may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cipher {
    Aes128,
    Aes256,
    Chacha,
}

/// What this kernel does.
#[derive(Clone, Debug, Default)]
pub struct Kernel {
    does: Vec<Cipher>,
    refused: Option<String>,
}

const CIPHERS: [Cipher; 3] = [Cipher::Aes128, Cipher::Aes256, Cipher::Chacha];

impl Kernel {
    /// Tries each cipher on a socket of this host.
    pub fn tried() -> Self {
        let mut it = Self::default();
        for cipher in CIPHERS {
            match works(cipher) {
                Ok(()) => it.does.push(cipher),
                Err(error) => it.refused = Some(error.to_string()),
            }
        }
        it
    }

    /// Nothing, since that is not wanted.
    pub fn unwanted() -> Self {
        Self::default()
    }

    /// Whether it does anything.
    pub fn is_there(&self) -> bool {
        !self.does.is_empty()
    }

    /// Why it does not do what it does not.
    pub fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }

    /// Whether it can take over what was agreed on.
    pub fn can(&self, tls: &Connection) -> bool {
        agreed(tls).is_some_and(|it| self.does.contains(&it))
    }
}

/// What was agreed on, if it is of version 1.3: each version has its own.
fn agreed(tls: &Connection) -> Option<Cipher> {
    match tls.negotiated_cipher_suite()?.suite() {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => Some(Cipher::Aes128),
        CipherSuite::TLS13_AES_256_GCM_SHA384 => Some(Cipher::Aes256),
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => Some(Cipher::Chacha),
        _ => None,
    }
}

/// Whether a socket takes keys for this. They are none that anybody uses.
fn works(cipher: Cipher) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let socket = TcpStream::connect(listener.local_addr()?)?;
    let key = match cipher {
        Cipher::Aes128 => [0; 16].as_slice(),
        Cipher::Aes256 | Cipher::Chacha => &[0; 32],
    };
    let info = info(cipher, key, &[0; 12], 0).ok_or(io::ErrorKind::InvalidInput)?;
    setsockopt(&socket, TcpUlp::default(), &"tls")?;
    setsockopt(&socket, TcpTlsTx, &info)?;
    setsockopt(&socket, TcpTlsRx, &info)?;
    Ok(())
}

/// Hands a connection to the kernel. Nothing may have been read that is not taken, nor be still to
/// be sent.
///
/// # Errors
/// What the system said; the connection is of no use then.
pub fn take_over(socket: &TcpStream, tls: Connection) -> io::Result<()> {
    let cipher = agreed(&tls).ok_or(io::ErrorKind::Unsupported)?;
    let secrets = tls.dangerous_extract_secrets().map_err(io::Error::other)?;
    setsockopt(socket, TcpUlp::default(), &"tls")?;
    let of = |(sequence, secrets): &(u64, ConnectionTrafficSecrets)| {
        let (key, iv) = match secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv }
            | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
            | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (key, iv),
            _ => return None,
        };
        let iv = iv.as_ref().try_into().ok()?;
        info(cipher, key.as_ref(), iv, *sequence)
    };
    let unsupported = || io::Error::from(io::ErrorKind::Unsupported);
    setsockopt(socket, TcpTlsTx, &of(&secrets.tx).ok_or_else(unsupported)?)?;
    setsockopt(socket, TcpTlsRx, &of(&secrets.rx).ok_or_else(unsupported)?)?;
    Ok(())
}

/// What the kernel is told of one direction; none if the key is not as long as it should be.
fn info(cipher: Cipher, key: &[u8], iv: &[u8; 12], sequence: u64) -> Option<TlsCryptoInfo> {
    let version = libc::TLS_1_3_VERSION;
    let told = |cipher_type| libc::tls_crypto_info { version, cipher_type };
    let rec_seq = sequence.to_be_bytes();
    let [a, b, c, d, rest @ ..] = *iv;
    let salt = [a, b, c, d];
    Some(match cipher {
        Cipher::Aes128 => TlsCryptoInfo::Aes128Gcm(libc::tls12_crypto_info_aes_gcm_128 {
            info: told(libc::TLS_CIPHER_AES_GCM_128),
            iv: rest,
            key: key.try_into().ok()?,
            salt,
            rec_seq,
        }),
        Cipher::Aes256 => TlsCryptoInfo::Aes256Gcm(libc::tls12_crypto_info_aes_gcm_256 {
            info: told(libc::TLS_CIPHER_AES_GCM_256),
            iv: rest,
            key: key.try_into().ok()?,
            salt,
            rec_seq,
        }),
        Cipher::Chacha => {
            TlsCryptoInfo::Chacha20Poly1305(libc::tls12_crypto_info_chacha20_poly1305 {
                info: told(libc::TLS_CIPHER_CHACHA20_POLY1305),
                iv: *iv,
                key: key.try_into().ok()?,
                salt: [],
                rec_seq,
            })
        }
    })
}

/// What came that is no data, on a socket whose TLS the kernel does.
pub enum Stray {
    /// The other end says no more.
    Goodbye,
    /// Nothing that matters.
    Nothing,
    /// What the kernel cannot go on after.
    Other(io::Error),
}

/// Takes what a receive stumbled over: the kernel says that it cannot be read as data.
pub fn stray(socket: &TcpStream) -> Stray {
    let mut bytes = [0; 16 << 10];
    let mut control = nix::cmsg_space!(u8);
    let mut into = [IoSliceMut::new(&mut bytes)];
    let flags = MsgFlags::MSG_DONTWAIT;
    let (kind, count) =
        match recvmsg::<()>(socket.as_raw_fd(), &mut into, Some(&mut control), flags) {
            Ok(came) => {
                let said = came.cmsgs().ok().and_then(|mut all| all.next());
                match said {
                    Some(ControlMessageOwned::TlsGetRecordType(kind)) => (kind, came.bytes),
                    _ => return Stray::Other(Errno::EIO.into()),
                }
            }
            Err(error) => return Stray::Other(error.into()),
        };
    match (kind, &bytes[..count]) {
        (TlsGetRecordType::Alert, [_, 0]) => Stray::Goodbye,
        (TlsGetRecordType::Alert, [_, code]) => {
            Stray::Other(io::Error::other(format!("the other end sent the alert {code} of TLS")))
        }
        (TlsGetRecordType::Handshake, [TICKET, ..]) => Stray::Nothing,
        _ => Stray::Other(io::Error::other("a message of TLS that the kernel does not know")),
    }
}

/// Tells the other end that nothing more comes.
///
/// # Errors
/// What the system said: that there is no room is one.
pub fn say_goodbye(socket: &TcpStream) -> io::Result<()> {
    /// A header, and a byte.
    #[repr(C)]
    struct Control {
        header: libc::cmsghdr,
        kind: [u8; size_of::<usize>()],
    }
    // SAFETY: zeros are a valid header.
    let mut header: libc::cmsghdr = unsafe { std::mem::zeroed() };
    header.cmsg_level = libc::SOL_TLS;
    header.cmsg_type = libc::TLS_SET_RECORD_TYPE;
    // SAFETY: it only computes a length.
    header.cmsg_len = unsafe { libc::CMSG_LEN(1) } as _;
    let mut kind = [0; size_of::<usize>()];
    kind[0] = ALERT;
    let mut control = Control { header, kind };
    let mut alert = CLOSE_NOTIFY;
    let mut bytes = libc::iovec { iov_base: alert.as_mut_ptr().cast(), iov_len: alert.len() };
    // SAFETY: zeros are a valid message.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    (message.msg_iov, message.msg_iovlen) = (&raw mut bytes, 1);
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = size_of::<Control>() as _;
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the message and all that it points to live until the call returns.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, flags) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
