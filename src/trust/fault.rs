//! Why a handshake failed.

#[cfg(feature = "web")]
use std::io;

use rustls::{AlertDescription, CertificateError, Error};

/// What is wrong with a handshake, as ports count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The other end gave it up without a word.
    CutShort,
    /// It shows no certificate.
    NoCertificate,
    /// The time of its certificate is over, or has not come.
    Expired,
    /// Its certificate is by somebody who is not trusted, or for something else.
    Foreign,
    /// It gave up because of what it was shown.
    Declined,
    /// It says something else than TLS, or a kind of it that is not taken.
    NotTls,
}

impl Fault {
    /// By the protocol's word.
    pub fn of(error: &Error) -> Self {
        match error {
            Error::NoCertificatesPresented => Self::NoCertificate,
            Error::InvalidCertificate(
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. },
            ) => Self::Expired,
            Error::InvalidCertificate(_) => Self::Foreign,
            Error::AlertReceived(
                AlertDescription::CloseNotify | AlertDescription::UserCanceled,
            ) => Self::CutShort,
            Error::AlertReceived(_) => Self::Declined,
            _ => Self::NotTls,
        }
    }

    /// What an error of input and output is about, if it is of the protocol.
    #[cfg(feature = "web")]
    pub fn of_io(error: &io::Error) -> Option<Self> {
        let cause = error.get_ref()?.downcast_ref::<Error>()?;
        Some(Self::of(cause))
    }
}
