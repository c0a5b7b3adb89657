//! The tables `[roles.reasoning]` and `[roles.chat]` as written.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// The tables `[roles.reasoning]` and `[roles.chat]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Roles {
    /// The role of tasks that need reasoning.
    pub reasoning: Role,
    /// The role of simple chat.
    pub chat: Role,
}

/// A role.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Role {
    /// Names of models, the preferred one first.
    pub models: Option<Vec<String>>,
    /// The effort of requests that set none: `none`, `minimal`, `low`, `medium`, `high`, `xhigh`, `max`, or a ladder of them.
    pub effort: Option<EffortSetting>,
    /// Treatment of requests if no deployment may serve the role: `downgrade` or `reject`.
    pub on_unavailable: Option<String>,
    /// Longest time to an upstream's first byte; reasoning 600000, chat 60000.
    pub first_byte_timeout_ms: Option<i64>,
}

/// The value of `effort`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum EffortSetting {
    /// One effort for all requests.
    One(String),
    /// An effort by the benefit of reasoning.
    Ladder(EffortLadder),
}

/// The table `effort = { from = "low", to = "high" }`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct EffortLadder {
    /// The effort of requests with the least benefit; required.
    pub from: Option<String>,
    /// The effort of requests with the most benefit; required.
    pub to: Option<String>,
    /// Benefits from which the next higher effort applies, ascending from 0 to 1: one fewer than there are efforts.
    pub cuts: Option<Vec<f64>>,
}

impl<'de> Deserialize<'de> for EffortSetting {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(OneOrLadder)
    }
}

/// Reads a text or a table. A derived reader of both would not name the key that is at fault.
struct OneOrLadder;

impl<'de> Visitor<'de> for OneOrLadder {
    type Value = EffortSetting;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(r#"an effort in quotes or { from = "low", to = "high" }"#)
    }

    fn visit_str<E>(self, word: &str) -> Result<Self::Value, E> {
        Ok(EffortSetting::One(word.to_owned()))
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Self::Value, M::Error> {
        EffortLadder::deserialize(MapAccessDeserializer::new(map)).map(EffortSetting::Ladder)
    }
}
