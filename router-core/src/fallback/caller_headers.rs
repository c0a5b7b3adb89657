//! The caller's headers that are forwarded to a deployment: Azure's features, with the names of
//! second deployments translated.
//!
//! Not done here: which headers those are (`policy/feature_headers.rs`), and the trace context
//! (`trace`).

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::deployment::Deployment;
use crate::policy::Companion;
use crate::policy::switches;

/// The headers of Azure's features that a caller sent.
#[derive(Debug)]
pub(crate) struct FeatureHeaders<'r> {
    /// Those that go to every deployment as they came.
    switches: Vec<(HeaderName, HeaderValue)>,
    /// Second deployments, whose names differ by endpoint.
    companions: &'r [Companion],
}

impl<'r> FeatureHeaders<'r> {
    /// Those of a caller's headers, with the second deployments that its names mean.
    pub(crate) fn of(headers: &HeaderMap, companions: &'r [Companion]) -> Self {
        Self { switches: switches(headers), companions }
    }

    /// The headers of an attempt at a deployment.
    pub(super) fn at(
        &self,
        deployment: &Deployment,
    ) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let companions = self.companions.iter();
        let companions = companions.filter_map(|companion| companion.header_at(deployment));
        self.switches.iter().cloned().chain(companions)
    }
}
