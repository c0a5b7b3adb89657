//! The table `[notify]` -> where notices of budgets are posted to, and what they are signed with.
//!
//! Not done here: deciding when a notice is due (`notify`).

use http::Uri;
use router_core::config::{Table, is_loopback, secret};
use router_core::upstream::SecretSource;

use super::raw_notify::Notify as Raw;

/// Receiver of notices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifySettings {
    /// The whole address; no secret is in it.
    pub url: Box<str>,
    /// Secret that signs them.
    pub secret: SecretSource,
}

/// Checks the table; `None` where it names no address.
pub(super) fn check(raw: &Raw, table: &Table<'_>) -> Option<NotifySettings> {
    let Some(written) = raw.url.as_deref() else {
        if raw.secret.is_some() {
            table.fault(
                "url",
                "missing; must be https://, such as https://hooks.example.com/budgets",
            );
        }
        return None;
    };
    let url = address(written).map_err(|problem| table.fault("url", problem)).ok();
    let Some(reference) = &raw.secret else {
        table.fault(
            "secret",
            "missing; must be { env = \"NAME\" } or { file = \"/path\" }: notices are signed",
        );
        return None;
    };
    let secret = secret(reference, &table.sub("secret"));
    Some(NotifySettings { url: url?.into(), secret: secret? })
}

fn address(written: &str) -> Result<&str, &'static str> {
    let allowed =
        "must be https://, or http:// on this machine, such as https://hooks.example.com/budgets";
    let parsed = written.parse::<Uri>().map_err(|_| allowed)?;
    let authority = parsed.authority().ok_or(allowed)?;
    if authority.as_str().contains('@') {
        return Err("a user or password has no place in it: notices are signed");
    }
    match parsed.scheme_str() {
        Some("https") => Ok(written),
        Some("http") if parsed.host().is_some_and(is_loopback) => Ok(written),
        _ => Err(allowed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_leave_this_machine_encrypted_only() {
        for fine in
            ["https://hooks.example.com/a?b=c", "http://127.0.0.1:9000/", "http://localhost/x"]
        {
            assert_eq!(address(fine), Ok(fine));
        }
        for wrong in
            ["", "hooks.example.com", "http://hooks.example.com", "https://u:p@a", "ftp://a"]
        {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }
}
