//! The result of a stream: its usage and its end.

use crate::chat::HostedCalls;
use crate::chat::Usage;
use crate::chat::tokens;
use crate::model::ServiceTier;
use crate::units::Tokens;

/// The result of a stream; given once, at its end or when it is dropped.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StreamEnd {
    /// The usage that the upstream reported.
    pub(crate) usage: Option<Usage>,
    /// The service tier, by the upstream's word.
    pub(crate) tier: ServiceTier,
    /// The hosted tools that were called.
    pub(crate) hosted: HostedCalls,
    /// The bytes of content that passed.
    pub(crate) content_bytes: usize,
    /// The id of the response, if it has one.
    pub(crate) response_id: Option<Box<str>>,
    /// The model that answered, by its own word.
    pub(crate) model: Option<Box<str>>,
    /// The reason why the last choice ended.
    pub(crate) finish_reason: Option<Box<str>>,
    /// Its end.
    pub(crate) how: How,
}

impl StreamEnd {
    /// The estimated usage if it reports none: the prompt as scanned, the answer by its bytes.
    pub(crate) fn estimated(&self, prompt: Tokens) -> Usage {
        let bytes = u64::try_from(self.content_bytes).unwrap_or(u64::MAX);
        let completion = Tokens(bytes.div_ceil(tokens::BYTES_PER_TOKEN));
        let Self { tier, hosted, .. } = *self;
        Usage { prompt, completion, estimated: true, tier, hosted, ..Usage::default() }
    }
}

/// The end of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// It completed.
    Whole,
    /// The upstream broke off, fell silent or reported an error: an error event was the last.
    Interrupted,
    /// The upstream reported an error for which the request is responsible.
    Rejected,
    /// The caller hung up.
    HungUp,
}
