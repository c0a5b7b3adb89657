//! Azure's deployment types by SKU name: billing, and where each processes.
//!
//! It does not know whether a type is sold for a model or in a region. Batch types are not
//! included: they serve no online requests.
//!
//! **Source:** Microsoft, "Deployment types for Azure AI Foundry Models" (2026-05-08).

use std::fmt;

use crate::deployment::Area;

/// A deployment type, by the name that Azure's management API uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sku {
    /// Pay-as-you-go, processed anywhere.
    GlobalStandard,
    /// Pay-as-you-go, processed in the data zone of the resource's region.
    DataZoneStandard,
    /// Pay-as-you-go, processed in the resource's region.
    Standard,
    /// Provisioned, processed anywhere.
    GlobalProvisionedManaged,
    /// Provisioned, processed in the data zone of the resource's region.
    DataZoneProvisionedManaged,
    /// Provisioned, processed in the resource's region.
    ProvisionedManaged,
    /// Pay-as-you-go for trials of fine-tuned models, processed anywhere.
    DeveloperTier,
}

/// The reason why the area of a type is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SkuFault {
    /// The area follows from the resource's region, which is not known.
    #[error("processes where the resource is: its region is needed")]
    NoRegion,
    /// The region is in no data zone.
    #[error("processes in a data zone, and the resource's region is in none")]
    NoZone,
}

impl Sku {
    /// Every type.
    pub const ALL: [Self; 7] = [
        Self::GlobalStandard,
        Self::DataZoneStandard,
        Self::Standard,
        Self::GlobalProvisionedManaged,
        Self::DataZoneProvisionedManaged,
        Self::ProvisionedManaged,
        Self::DeveloperTier,
    ];

    /// Its name at Azure.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GlobalStandard => "GlobalStandard",
            Self::DataZoneStandard => "DataZoneStandard",
            Self::Standard => "Standard",
            Self::GlobalProvisionedManaged => "GlobalProvisionedManaged",
            Self::DataZoneProvisionedManaged => "DataZoneProvisionedManaged",
            Self::ProvisionedManaged => "ProvisionedManaged",
            Self::DeveloperTier => "DeveloperTier",
        }
    }

    /// The type of that name; upper and lower case are the same, as at Azure.
    ///
    /// ```
    /// use router_core::config::Sku;
    /// assert_eq!(Sku::from_word("globalstandard"), Some(Sku::GlobalStandard));
    /// assert_eq!(Sku::from_word("GlobalBatch"), None);
    /// ```
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sku| sku.as_str().eq_ignore_ascii_case(word))
    }

    /// True if it is paid for by the hour, used or not.
    pub fn is_provisioned(self) -> bool {
        match self {
            Self::GlobalProvisionedManaged
            | Self::DataZoneProvisionedManaged
            | Self::ProvisionedManaged => true,
            Self::GlobalStandard
            | Self::DataZoneStandard
            | Self::Standard
            | Self::DeveloperTier => false,
        }
    }

    /// Area in which a deployment of this type processes, at a resource in `region`.
    ///
    /// # Errors
    /// The region is needed and missing, or is in no data zone.
    pub fn area(self, region: Option<Area>) -> Result<Area, SkuFault> {
        match self {
            Self::GlobalStandard | Self::GlobalProvisionedManaged | Self::DeveloperTier => {
                Ok(Area::Global)
            }
            Self::Standard | Self::ProvisionedManaged => region.ok_or(SkuFault::NoRegion),
            Self::DataZoneStandard | Self::DataZoneProvisionedManaged => {
                region.ok_or(SkuFault::NoRegion)?.data_zone().ok_or(SkuFault::NoZone)
            }
        }
    }
}

impl fmt::Display for Sku {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_says_where_it_processes() {
        let area = |sku: &str, region: Option<&str>| {
            let region = region.map(|name| Area::try_from(name).unwrap());
            let area = Sku::from_word(sku).unwrap().area(region);
            area.map(|area| area.to_string()).map_err(|fault| fault.to_string())
        };
        let korea = Some("region:koreacentral");
        for (sku, region, expected) in [
            ("GlobalStandard", None, Ok("global")),
            ("GlobalProvisionedManaged", korea, Ok("global")),
            ("ProvisionedManaged", korea, Ok("region:koreacentral")),
            ("Standard", Some("region:swedencentral"), Ok("region:swedencentral")),
            ("DataZoneStandard", Some("region:swedencentral"), Ok("zone:eu")),
            ("DataZoneProvisionedManaged", Some("region:eastus2"), Ok("zone:us")),
            ("DataZoneStandard", korea, Err("is in none")),
            ("ProvisionedManaged", None, Err("region is needed")),
        ] {
            match (area(sku, region), expected) {
                (Ok(area), Ok(expected)) => assert_eq!(area, expected, "{sku}"),
                (Err(why), Err(words)) => assert!(why.contains(words), "{sku}: {why}"),
                (found, expected) => panic!("{sku}: {found:?}, expected {expected:?}"),
            }
        }
    }
}
