//! A short identifier of a configuration, to tell which one is running.
//!
//! Two processes with the same identifier use the same values: shipped model records, files and
//! environment together. Secrets are not part of it: they are not in a configuration, and could be
//! guessed from an identifier derived from them.

use serde::Serialize;

use super::program_tables::ProgramTable;
use super::raw::Raw;

/// The word: 16 hexadecimal digits. Tables of the program count as the program reads them.
pub(super) fn of(raw: &Raw, program: &impl Serialize) -> Box<str> {
    let unread = ProgramTable::default;
    let router = Raw {
        server: unread(),
        request_log: unread(),
        identity_providers: unread(),
        notify: unread(),
        traces: unread(),
        ..raw.clone()
    };
    // Tables are ordered, so equal values make equal text. A path that is not Unicode makes none, and counts as nothing.
    let text = serde_json::to_string(&(router, program)).unwrap_or_default();
    format!("{:016x}", fnv_1a(text.as_bytes())).into()
}

/// Distinguishes texts. It is not cryptographic: texts with equal hashes can be constructed.
///
/// **Source:** Fowler, Noll and Vo, "The FNV Non-Cryptographic Hash Algorithm", 64 bits.
fn fnv_1a(bytes: &[u8]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    bytes.iter().fold(OFFSET, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_tell_and_their_order_does_not() {
        assert_eq!(fnv_1a(b"foobar"), 0x8594_4171_f739_67e8, "the published value");
        let aliases = |pairs: [(&str, &str); 2]| {
            let aliases = pairs.map(|(alias, target)| (alias.into(), target.into())).into();
            of(&Raw { aliases, ..Raw::default() }, &())
        };
        let one = aliases([("b", "auto"), ("a", "chat")]);
        assert_eq!(one, aliases([("a", "chat"), ("b", "auto")]));
        assert_ne!(one, aliases([("a", "auto"), ("b", "chat")]));
        assert_ne!(one, of(&Raw::default(), &()));
    }
}
