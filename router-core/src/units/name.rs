//! Names of deployments, keys and models: validated once, never empty, cheap to clone.

use std::fmt;

/// The reason why a text is not a name. The caller knows the kind and place of the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{allowed}")]
pub struct NameFault {
    /// The expected form, in words.
    pub allowed: &'static str,
}

macro_rules! name {
    ($(#[$docs:meta])* $name:ident, $allowed:literal, $rule:expr) => {
        $(#[$docs])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<&str> for $name {
            type Error = NameFault;
            fn try_from(text: &str) -> Result<Self, NameFault> {
                let rule: fn(char) -> bool = $rule;
                if !text.is_empty() && text.len() <= 128 && text.chars().all(rule) {
                    Ok(Self(text.into()))
                } else {
                    Err(NameFault { allowed: $allowed })
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }

        /// Lets maps keyed by the name be asked with plain text.
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// Our name of a deployment: 1 to 128 of `a-z`, `0-9` and `_`, so that a shell can export it.
    ///
    /// ```
    /// use router_core::units::DeploymentName;
    /// assert!(DeploymentName::try_from("kr_ptu").is_ok());
    /// assert!(DeploymentName::try_from("kr-ptu").is_err());
    /// ```
    DeploymentName,
    "a name is 1 to 128 of a-z, 0-9 and _",
    |letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_'
);

name!(
    /// The name of a key: 1 to 128 of `a-z`, `0-9` and `_`, so that a shell can export it.
    KeyName,
    "a name is 1 to 128 of a-z, 0-9 and _",
    |letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_'
);

name!(
    /// A model's name as its maker writes it: 1 to 128 of letters, digits, `.`, `_`, `-` and `:`.
    ModelName,
    "a model name is 1 to 128 of letters, digits, '.', '_', '-' and ':'",
    |letter| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-' | ':')
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_rules() {
        for (text, deployment, model) in [
            ("kr_ptu", true, true),
            ("gpt-4o", false, true),
            ("gpt-5.6-sol", false, true),
            ("", false, false),
            ("한국", false, false),
            ("a b", false, false),
        ] {
            assert_eq!(DeploymentName::try_from(text).is_ok(), deployment, "{text}");
            assert_eq!(ModelName::try_from(text).is_ok(), model, "{text}");
        }
    }
}
