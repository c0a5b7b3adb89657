//! Reads a secret from its configured source; its `Debug` never prints it.
//!
//! The secret is read at each use and not kept, because a mounted file may change while the router
//! runs. This file sends nothing.

use std::fmt;
use std::path::PathBuf;

use super::endpoint::SecretSource;

/// A secret. It shows as `***`; its text is given out by [`Secret::expose`] alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// A secret of this text, without white space around it; `None` if nothing is left, or where it holds anything
    /// but visible ASCII, which no header can carry.
    pub fn try_new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()))
            .then(|| Self(text.into()))
    }

    /// The same for the whole value of a header, in which spaces may stand: `Bearer k-1`.
    pub(crate) fn try_header(text: &str) -> Option<Self> {
        let text = text.trim();
        let fits = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
        (!text.is_empty() && text.bytes().all(fits)).then(|| Self(text.into()))
    }

    /// The text, for the header that carries it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("***")
    }
}

/// The reason why a secret could not be read; it names the place and never the content.
#[derive(Debug, thiserror::Error)]
pub enum SecretFault {
    /// The variable is not set, or not in Unicode.
    #[error("environment variable {0} is not set")]
    NotSet(Box<str>),
    /// The file cannot be read.
    #[error("file {} cannot be read: {cause}", path.display())]
    NotRead {
        /// The file.
        path: PathBuf,
        /// The system's error.
        cause: std::io::Error,
    },
    /// There is nothing in it, or something that no header can carry.
    #[error("{0} is empty or holds more than one line of visible ASCII")]
    NotASecret(String),
}

impl SecretSource {
    /// Reads the secret.
    ///
    /// ```
    /// use router_core::upstream::SecretSource;
    /// let missing = SecretSource::Environment("NO_SUCH_VARIABLE".into());
    /// let fault = missing.read().unwrap_err();
    /// assert_eq!(fault.to_string(), "environment variable NO_SUCH_VARIABLE is not set");
    /// ```
    ///
    /// # Errors
    /// It is not there, or it is no secret that a header could carry.
    pub fn read(&self) -> Result<Secret, SecretFault> {
        let (text, place) = self.text()?;
        Secret::try_new(&text).ok_or(SecretFault::NotASecret(place))
    }

    /// Reads the whole value of a header, in which spaces may stand.
    ///
    /// # Errors
    /// It is not there, or no header could carry it.
    pub fn read_header(&self) -> Result<Secret, SecretFault> {
        let (text, place) = self.text()?;
        Secret::try_header(&text).ok_or(SecretFault::NotASecret(place))
    }

    /// The value and its source.
    fn text(&self) -> Result<(String, String), SecretFault> {
        Ok(match self {
            Self::Environment(name) => {
                #[expect(clippy::disallowed_methods, reason = "credentials are named by config")]
                let text = std::env::var(&**name);
                let text = text.map_err(|_| SecretFault::NotSet(name.clone()))?;
                (text, format!("environment variable {name}"))
            }
            Self::File(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|cause| SecretFault::NotRead { path: path.clone(), cause })?;
                (text, format!("file {}", path.display()))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_one_line_of_visible_ascii_and_never_prints() {
        let secret = Secret::try_new("  k-1\n").unwrap();
        assert_eq!(secret.expose(), "k-1");
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
        for wrong in ["", " \n", "a b", "a\nb", "열쇠", "a\u{0}"] {
            assert_eq!(Secret::try_new(wrong), None, "{wrong:?}");
        }
        assert_eq!(Secret::try_header(" Bearer k-1\n").unwrap().expose(), "Bearer k-1");
        for wrong in ["", " \n", "a\nb", "열쇠", "a\u{0}"] {
            assert_eq!(Secret::try_header(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn files_are_read_and_their_faults_name_them() {
        let folder = std::env::temp_dir().join(format!("secret-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("key");
        std::fs::write(&path, "sk-very-secret\n").unwrap();
        assert_eq!(SecretSource::File(path.clone()).read().unwrap().expose(), "sk-very-secret");
        std::fs::write(&path, "sk-one\nsk-two\n").unwrap();
        let fault = SecretSource::File(path.clone()).read().unwrap_err().to_string();
        assert!(fault.contains("key is empty or holds more") && !fault.contains("sk-"), "{fault}");
        std::fs::remove_dir_all(&folder).unwrap();
        let fault = SecretSource::File(path).read().unwrap_err().to_string();
        assert!(fault.contains("cannot be read"), "{fault}");
    }
}
