//! The names in a certificate.

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

/// What stands before a common name: its kind of name, as an object identifier.
const COMMON_NAME: [u8; 5] = [0x06, 0x03, 0x55, 0x04, 0x03];

/// The alternative DNS names and URIs of a certificate that has been verified, and the common name
/// of its subject.
pub fn names_of(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else { return Vec::new() };
    let mut names: Vec<_> = certificate.valid_dns_names().map(str::to_owned).collect();
    names.extend(certificate.valid_uri_names().map(str::to_owned));
    names.extend(common_name(certificate.subject()));
    names
}

/// The common name in a subject: a sequence of sets of pairs of a kind and a text, of which the
/// first pair that is one counts.
fn common_name(mut subject: &[u8]) -> Option<String> {
    while let Some((mut pairs, rest)) = element(subject) {
        subject = rest;
        while let Some((pair, rest)) = element(pairs) {
            pairs = rest;
            let Some(text) = pair.strip_prefix(&COMMON_NAME) else { continue };
            let (text, _) = element(text)?;
            return String::from_utf8(text.to_vec()).ok();
        }
    }
    None
}

/// What is in the first element of some bytes, each being a kind, a length and so much, and what
/// follows it.
fn element(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[_tag, length], rest) = bytes.split_first_chunk()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        0x81 => rest.split_first().map(|(length, rest)| (usize::from(*length), rest))?,
        0x82 => {
            let (length, rest) = rest.split_first_chunk()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_name_is_found_among_others() {
        // O=Org, CN=desk 7
        let subject = b"\x31\x0c\x30\x0a\x06\x03\x55\x04\x0a\x0c\x03Org\
                        \x31\x0f\x30\x0d\x06\x03\x55\x04\x03\x0c\x06desk 7";
        assert_eq!(common_name(subject).as_deref(), Some("desk 7"));
        for cut in 0..subject.len() {
            assert_eq!(common_name(&subject[..cut]), None, "{cut}");
        }
        assert_eq!(common_name(&subject[..14]), None);
        assert_eq!(common_name(b"\x31\x84\xff\xff\xff\xff"), None);
    }
}
