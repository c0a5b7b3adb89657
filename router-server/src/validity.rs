//! Reads the end of a certificate's validity (`notAfter`), and no other field.
//!
//! The TLS library has parsed the certificate before but does not expose its dates, so the one field is located here instead of
//! adding another parser to the dependencies. Bytes that are not laid out as a certificate give `None`.
//!
//! **Source:** RFC 5280, 4.1: the order of fields (`Certificate`, `TBSCertificate`, `Validity`) and the two forms of time.

use router_core::units::Day;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The version, which may be missing.
const VERSION: u8 = 0xA0;

/// The second of 1970's count at which a certificate in DER form ends; `None` if it cannot be found.
pub(crate) fn not_after(certificate: &[u8]) -> Option<u64> {
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (fields, _) = element(certificate, SEQUENCE)?;
    let fields = element(fields, VERSION).map_or(fields, |(_, after)| after);
    let (_, fields) = element(fields, INTEGER)?; // serial number
    let (_, fields) = element(fields, SEQUENCE)?; // algorithm of the signature
    let (_, fields) = element(fields, SEQUENCE)?; // issuer
    let (validity, _) = element(fields, SEQUENCE)?;
    let (_, after) = time(validity)?;
    time(after).map(|(seconds, _)| seconds)
}

/// The content of the element that stands first, if it is of this kind, and what comes behind it.
fn element(bytes: &[u8], kind: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match usize::from(first & 0x7f) {
        length if first & 0x80 == 0 => (length, rest),
        count @ 1..=4 => {
            let (bytes, rest) = rest.split_at_checked(count)?;
            (bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length).filter(|_| *found == kind)
}

/// The time that stands first, in seconds since 1970, and what comes behind it.
fn time(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (text, rest, century) = match element(bytes, UTC_TIME) {
        Some((text, rest)) => {
            let of_last = matches!(text.first(), Some(b'5'..=b'9'));
            (text, rest, if of_last { "19" } else { "20" })
        }
        None => element(bytes, GENERALIZED_TIME).map(|(text, rest)| (text, rest, ""))?,
    };
    let text = format!("{century}{}", str::from_utf8(text).ok()?);
    let digits = text.strip_suffix('Z').filter(|digits| digits.len() == 14)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = |from: usize, to: usize| digits.get(from..to)?.parse::<u64>().ok();
    let written = format!("{}-{}-{}", digits.get(..4)?, digits.get(4..6)?, digits.get(6..8)?);
    let days = Day::try_from(&*written).ok()?.days_since(Day::of_unix_seconds(0));
    let of_day = number(8, 10)? * 3_600 + number(10, 12)? * 60 + number(12, 14)?;
    Some((u64::try_from(days).ok()? * 86_400 + of_day, rest))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn made(year: i32) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(1999, 1, 1);
        params.not_after = date_time_ymd(year, 3, 1);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn both_forms_of_time_are_read() {
        for (year, day) in [(2027, "2027-03-01"), (2049, "2049-03-01"), (2060, "2060-03-01")] {
            let expected = Day::try_from(day).unwrap();
            let found = not_after(&made(year)).unwrap();
            assert_eq!((Day::of_unix_seconds(found), found % 86_400), (expected, 0), "{year}");
        }
        assert_eq!(time(b"\x17\x0d700101000102Zx"), Some((62, &b"x"[..])));
        for wrong in
            [&b"\x17\x0b7001010000Z"[..], b"\x17\x0d701301000000Z", b"\x17\x0d7001010000+1Z"]
        {
            assert_eq!(time(wrong), None);
        }
    }

    #[test]
    fn what_breaks_off_or_is_none_has_no_answer() {
        let whole = made(2027);
        for length in 0..whole.len() {
            assert_eq!(not_after(whole.get(..length).unwrap()), None, "{length}");
        }
        assert_eq!(not_after(b"\x30\x85\xff\xff\xff\xff\xff"), None);
    }
}
