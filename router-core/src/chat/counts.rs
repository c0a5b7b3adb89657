//! Reads token counts one by one, so that an unreadable one does not hide the others.
//!
//! Not done here: the meaning of the counts (`usage`).

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::units::Tokens;

/// A number of tokens as an upstream writes it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Count {
    /// Absent or null.
    #[default]
    Absent,
    /// Anything but a number that is whole and not negative.
    Unreadable,
    /// The number.
    Of(u64),
}

/// The parts of a count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Details {
    pub(super) cached: Count,
    pub(super) cache_write: Count,
    pub(super) reasoning: Count,
}

impl Count {
    pub(super) fn read(self) -> Option<u64> {
        match self {
            Self::Of(count) => Some(count),
            Self::Absent | Self::Unreadable => None,
        }
    }

    /// This one, or the other if this one says nothing.
    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Absent, other) | (Self::Unreadable, other @ Self::Of(_)) => other,
            (this, _) => this,
        }
    }

    pub(super) fn tokens(self) -> Tokens {
        Tokens(self.read().unwrap_or_default())
    }
}

impl Details {
    /// Each of these, or of the others.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            cached: self.cached.or(other.cached),
            cache_write: self.cache_write.or(other.cache_write),
            reasoning: self.reasoning.or(other.reasoning),
        }
    }
}

/// A float above this is no whole number of tokens any more.
const MOST: f64 = 9_007_199_254_740_992.0;

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Count;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("anything")
            }

            fn visit_u64<E>(self, count: u64) -> Result<Count, E> {
                Ok(Count::Of(count))
            }

            fn visit_i64<E>(self, count: i64) -> Result<Count, E> {
                Ok(u64::try_from(count).map_or(Count::Unreadable, Count::Of))
            }

            fn visit_f64<E>(self, count: f64) -> Result<Count, E> {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "it lies between zero and the largest whole number of a float"
                )]
                let whole = (0.0..=MOST).contains(&count).then_some(count as u64);
                Ok(whole.map_or(Count::Unreadable, Count::Of))
            }

            fn visit_str<E>(self, count: &str) -> Result<Count, E> {
                Ok(count.parse().map_or(Count::Unreadable, Count::Of))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Count, E> {
                Ok(Count::Unreadable)
            }

            fn visit_unit<E>(self) -> Result<Count, E> {
                Ok(Count::Absent)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Count, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Count::Unreadable)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Count, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Count::Unreadable)
            }
        }

        from.deserialize_any(Any)
    }
}

impl<'de> Deserialize<'de> for Details {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Fields {
            #[serde(rename = "cached_tokens")]
            cached: Count,
            #[serde(rename = "cache_write_tokens")]
            cache_write: Count,
            #[serde(rename = "reasoning_tokens")]
            reasoning: Count,
        }
        let raw = <&serde_json::value::RawValue>::deserialize(from)?;
        let fields: Option<Fields> = serde_json::from_str(raw.get()).ok();
        let Fields { cached, cache_write, reasoning } = fields.unwrap_or_default();
        Ok(Self { cached, cache_write, reasoning })
    }
}
