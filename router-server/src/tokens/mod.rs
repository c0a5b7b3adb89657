//! Tokens of identity providers (OIDC, Microsoft Entra ID) that callers show in place of a key. The module root.

mod key_set;
mod key_source;
mod providers;

pub(crate) use key_set::TokenFault;
pub(crate) use key_source::KeySource;
pub(crate) use providers::IdentityProviders;
