//! Why a request had no answer, in words for whoever owns the other side: they say nothing of addresses that are behind a name.

use std::{
    error::Error,
    io::{self, ErrorKind},
};

use rustls::{AlertDescription, CertificateError};
use thiserror::Error;

/// A name that led nowhere.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(super) enum NoAddress {
    /// It has none, as its name servers say.
    #[error(
        "the name of the host is not known, or has no address: look at the URL, and at the records of its domain"
    )]
    None,
    /// Nobody who was asked said anything of use.
    #[error(
        "no name server could tell the address of the host: look at the records of its domain, or try again"
    )]
    Unknown,
}

/// An error, and what led to it.
pub(super) fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let first: &(dyn Error + 'static) = error;
    std::iter::successors(Some(first), |cause| cause_of(*cause))
}

fn cause_of<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    // Such an error names as its source the source of what is in it.
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

/// The first of a kind among an error and what led to it.
pub(super) fn found<E: Error + 'static>(error: &reqwest::Error) -> Option<&E> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// Why there was no answer.
pub(super) fn told(error: &reqwest::Error) -> String {
    if !error.is_connect() {
        return "the connection broke before there was a whole answer".to_owned();
    }
    let why = if let Some(no_address) = found::<NoAddress>(error) {
        no_address.to_string()
    } else if let Some(tls) = found::<rustls::Error>(error) {
        of_tls(tls).to_owned()
    } else {
        let kind = causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>()).last();
        of_socket(kind.map(io::Error::kind)).to_owned()
    };
    format!("no connection could be made: {why}")
}

fn of_socket(kind: Option<ErrorKind>) -> &'static str {
    match kind {
        Some(ErrorKind::ConnectionRefused) => {
            "the host refuses it: nothing listens at this port, or a firewall is before it"
        }
        Some(ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::UnexpectedEof) => {
            "the host ended it before TLS was there: look whether it speaks TLS at this port"
        }
        Some(ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::TimedOut) => {
            "there is no way from here to the host"
        }
        _ => "the host did not take it",
    }
}

fn of_tls(error: &rustls::Error) -> &'static str {
    use CertificateError as Wrong;
    match error {
        rustls::Error::InvalidCertificate(wrong) => match wrong {
            Wrong::Expired | Wrong::ExpiredContext { .. } => {
                "the certificate of the host has ended: renew it"
            }
            Wrong::NotValidYet | Wrong::NotValidYetContext { .. } => {
                "the certificate of the host does not hold yet: look at its dates, and at the clocks"
            }
            Wrong::NotValidForName | Wrong::NotValidForNameContext { .. } => {
                "the certificate of the host is for another name"
            }
            Wrong::UnknownIssuer => {
                "the certificate of the host is not trusted: no authority that is known here made it, or the host does not send the \
                 certificates between"
            }
            // No variant of its own stands for this one.
            Wrong::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
                "the certificate of the host is one of an authority (CA:TRUE), which no server may show: have one made with CA:FALSE"
            }
            _ => "the certificate of the host is not trusted",
        },
        rustls::Error::InvalidMessage(_) => "the host does not speak TLS at this port",
        rustls::Error::PeerIncompatible(_)
        | rustls::Error::AlertReceived(
            AlertDescription::ProtocolVersion
            | AlertDescription::HandshakeFailure
            | AlertDescription::InsufficientSecurity,
        ) => "the host has no version or cipher of TLS in common with this server, which speaks 1.2 and 1.3",
        _ => "TLS with the host failed",
    }
}
