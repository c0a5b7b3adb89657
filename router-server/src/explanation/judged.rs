//! The scorer's view of a request, as far as an explanation shows it.

use router_core::policy::PrefixHash;
use router_core::router::{ChatCall, ModelRouter};
use router_core::task::Reason;
use router_core::upstream::Upstream;

/// Reasons shown for a score.
const MOST_REASONS: usize = 8;

/// The scorer's view of the request.
#[derive(Debug, Default)]
pub struct Judged {
    /// The features that weighed most.
    pub reasons: Vec<Reason>,
    /// The features that weighed most in the benefit.
    pub benefit_reasons: Vec<Reason>,
    /// The question located in the last user's turn; `[..]` stands for what is left out.
    pub question: Option<String>,
    /// Hashes of the start of the system prompt, for the rules of a configuration.
    pub instructions_hashes: Vec<PrefixHash>,
}

impl Judged {
    /// The view of the router's scorer.
    pub fn of<U: Upstream>(router: &ModelRouter<U>, call: &ChatCall) -> Self {
        Self {
            reasons: router.reasons(call, MOST_REASONS),
            benefit_reasons: router.benefit_reasons(call, MOST_REASONS),
            question: router.question(call),
            instructions_hashes: router.instructions_hashes(call),
        }
    }
}
