//! Media that a model produces or judges instead of answers: images, speech, transcripts, moderations.
//!
//! A path that is passed through asks for one of them, so that a whisper deployment gets no request for an image.

/// Operation of a model that writes no answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Medium {
    /// Images drawn or changed.
    Images,
    /// Text read aloud.
    Speech,
    /// Sound written down or translated.
    Transcription,
    /// Judgements of texts and images.
    Moderation,
}

impl Medium {
    /// All, for tables.
    pub const ALL: [Self; 4] = [Self::Images, Self::Speech, Self::Transcription, Self::Moderation];

    /// The word used in config and explanations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Images => "images",
            Self::Speech => "speech",
            Self::Transcription => "transcription",
            Self::Moderation => "moderation",
        }
    }

    /// The medium of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|medium| medium.as_str() == word)
    }

    /// Operation of a path below the API's base; `None` for other paths.
    ///
    /// ```
    /// use router_core::model::Medium;
    /// assert_eq!(Medium::of_path("audio/translations"), Some(Medium::Transcription));
    /// assert_eq!(Medium::of_path("realtime/sessions"), None);
    /// ```
    pub fn of_path(path: &str) -> Option<Self> {
        match path.split_once('/').unwrap_or((path, "")) {
            ("images", _) => Some(Self::Images),
            ("audio", "speech") => Some(Self::Speech),
            ("audio", "transcriptions" | "translations") => Some(Self::Transcription),
            ("moderations", _) => Some(Self::Moderation),
            _ => None,
        }
    }
}

/// Media that a model serves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Media {
    /// It writes answers.
    #[default]
    None,
    /// One of them.
    Only(Medium),
    /// Some, its record does not say which.
    Any,
}

impl Media {
    /// True for a model that writes no answers.
    pub fn is_some(self) -> bool {
        self != Self::None
    }

    /// True if it may serve a path that asks for this; the upstream judges paths of no known kind.
    pub fn serves(self, asked: Option<Medium>) -> bool {
        match (self, asked) {
            (Self::None, _) => false,
            (Self::Any, _) | (Self::Only(_), None) => true,
            (Self::Only(own), Some(asked)) => own == asked,
        }
    }
}
