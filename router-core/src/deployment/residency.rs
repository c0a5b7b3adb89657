//! Residency: the areas in which a request may be processed, and whether a deployment is inside.
//!
//! Areas nest: a region is in a country, some countries are in a data zone, everything is in
//! `global`. A request carries a list of areas, one from each party that may bind it (config, key,
//! caller), and a deployment must be inside all of them. A later bound can therefore narrow an
//! earlier one and never widen it.

use std::fmt;

/// A part of the world in which a request is processed.
///
/// ```
/// use router_core::deployment::Area;
/// let seoul = Area::try_from("region:koreacentral")?;
/// assert!(seoul.lies_inside(Area::try_from("geo:kr")?));
/// assert!(!seoul.lies_inside(Area::try_from("zone:eu")?));
/// assert!(Area::try_from("geo:atlantis").is_err());
/// # Ok::<(), router_core::deployment::AreaFault>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Area {
    /// Anywhere.
    Global,
    /// A data zone: `us` or `eu`.
    Zone(&'static str),
    /// A country, by its two letters.
    Geography(&'static str),
    /// One region, by Azure's name.
    Region(&'static str),
}

/// A text that names no area we know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected `global`, `zone:us`, `zone:eu`, `geo:` and a country such as `geo:kr`, or `region:` and an Azure region \
     such as `region:koreacentral`"
)]
pub struct AreaFault;

type Row = (&'static str, &'static str, Option<&'static str>);

/// Region, country, data zone. **Source:** Microsoft's list of Azure regions; members of the EU zone: France, Germany,
/// Italy, the Netherlands, Norway, Poland, Spain, Sweden, Switzerland ("Deployment types", 2026-05).
const REGIONS: &[Row] = &[
    ("australiacentral", "au", None),
    ("australiaeast", "au", None),
    ("australiasoutheast", "au", None),
    ("austriaeast", "at", None),
    ("belgiumcentral", "be", None),
    ("brazilsouth", "br", None),
    ("brazilsoutheast", "br", None),
    ("canadacentral", "ca", None),
    ("canadaeast", "ca", None),
    ("centralindia", "in", None),
    ("centralus", "us", Some("us")),
    ("chilecentral", "cl", None),
    ("denmarkeast", "dk", None),
    ("eastasia", "hk", None),
    ("eastus", "us", Some("us")),
    ("eastus2", "us", Some("us")),
    ("francecentral", "fr", Some("eu")),
    ("francesouth", "fr", Some("eu")),
    ("germanynorth", "de", Some("eu")),
    ("germanywestcentral", "de", Some("eu")),
    ("indonesiacentral", "id", None),
    ("israelcentral", "il", None),
    ("italynorth", "it", Some("eu")),
    ("japaneast", "jp", None),
    ("japanwest", "jp", None),
    ("koreacentral", "kr", None),
    ("koreasouth", "kr", None),
    ("malaysiawest", "my", None),
    ("mexicocentral", "mx", None),
    ("newzealandnorth", "nz", None),
    ("northcentralus", "us", Some("us")),
    ("northeurope", "ie", None),
    ("norwayeast", "no", Some("eu")),
    ("norwaywest", "no", Some("eu")),
    ("polandcentral", "pl", Some("eu")),
    ("qatarcentral", "qa", None),
    ("southafricanorth", "za", None),
    ("southafricawest", "za", None),
    ("southcentralus", "us", Some("us")),
    ("southeastasia", "sg", None),
    ("southindia", "in", None),
    ("spaincentral", "es", Some("eu")),
    ("swedencentral", "se", Some("eu")),
    ("swedensouth", "se", Some("eu")),
    ("switzerlandnorth", "ch", Some("eu")),
    ("switzerlandwest", "ch", Some("eu")),
    ("uaecentral", "ae", None),
    ("uaenorth", "ae", None),
    ("uksouth", "gb", None),
    ("ukwest", "gb", None),
    ("westcentralus", "us", Some("us")),
    ("westeurope", "nl", Some("eu")),
    ("westindia", "in", None),
    ("westus", "us", Some("us")),
    ("westus2", "us", Some("us")),
    ("westus3", "us", Some("us")),
];

impl Area {
    /// True if this area lies inside `other`.
    pub fn lies_inside(self, other: Self) -> bool {
        match other {
            Self::Global => true,
            Self::Zone(zone) => self.zone() == Some(zone),
            Self::Geography(country) => self.country() == Some(country),
            Self::Region(_) => self == other,
        }
    }

    fn row(self) -> Option<&'static Row> {
        REGIONS.iter().find(|(region, country, _)| match self {
            Self::Region(name) => *region == name,
            Self::Geography(name) => *country == name,
            Self::Global | Self::Zone(_) => false,
        })
    }

    fn country(self) -> Option<&'static str> {
        self.row().map(|(_, country, _)| *country)
    }

    /// The data zone around it; `None` if it is in none.
    pub(crate) fn data_zone(self) -> Option<Self> {
        self.zone().map(Self::Zone)
    }

    fn zone(self) -> Option<&'static str> {
        match self {
            Self::Zone(zone) => Some(zone),
            Self::Global | Self::Geography(_) | Self::Region(_) => {
                self.row().and_then(|(_, _, zone)| *zone)
            }
        }
    }
}

impl TryFrom<&str> for Area {
    type Error = AreaFault;
    fn try_from(text: &str) -> Result<Self, AreaFault> {
        let text = text.trim().to_ascii_lowercase();
        let known = |pick: fn(&Row) -> Option<&'static str>, name: &str| {
            REGIONS.iter().filter_map(pick).find(|known| *known == name).ok_or(AreaFault)
        };
        match text.split_once(':') {
            None if text == "global" => Ok(Self::Global),
            Some(("zone", name)) => known(|row| row.2, name).map(Self::Zone),
            Some(("geo", name)) => known(|row| Some(row.1), name).map(Self::Geography),
            Some(("region", name)) => known(|row| Some(row.0), name).map(Self::Region),
            _ => Err(AreaFault),
        }
    }
}

impl fmt::Display for Area {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global => out.write_str("global"),
            Self::Zone(name) => write!(out, "zone:{name}"),
            Self::Geography(name) => write!(out, "geo:{name}"),
            Self::Region(name) => write!(out, "region:{name}"),
        }
    }
}

/// Areas in which a request may be processed: inside all of a list.
///
/// ```
/// use router_core::deployment::{Area, Residency};
/// let mut residency = Residency::anywhere();
/// residency.narrow(Area::try_from("geo:kr")?);
/// residency.narrow(Area::Global); // a later voice cannot widen it
/// assert!(!residency.allows(Area::try_from("region:japaneast")?));
/// assert_eq!(residency.to_string(), "geo:kr");
/// # Ok::<(), router_core::deployment::AreaFault>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Residency(Vec<Area>);

impl Residency {
    /// No bounds.
    pub fn anywhere() -> Self {
        Self(Vec::new())
    }

    /// True if processing is restricted.
    pub fn is_bound(&self) -> bool {
        !self.0.is_empty()
    }

    /// Adds a bound; one that is no narrower than a bound already there changes nothing.
    pub fn narrow(&mut self, area: Area) {
        if area != Area::Global && !self.0.iter().any(|bound| bound.lies_inside(area)) {
            self.0.retain(|bound| !area.lies_inside(*bound));
            self.0.push(area);
        }
    }

    /// True if processing in `area` satisfies every bound.
    pub fn allows(&self, area: Area) -> bool {
        self.0.iter().all(|bound| area.lies_inside(*bound))
    }
}

impl fmt::Display for Residency {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return out.write_str("global");
        }
        for (index, area) in self.0.iter().enumerate() {
            let gap = if index == 0 { "" } else { "," };
            write!(out, "{gap}{area}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(inner: &str, outer: &str, expected: bool) {
        let (inside, outside) = (Area::try_from(inner).unwrap(), Area::try_from(outer).unwrap());
        assert_eq!(inside.lies_inside(outside), expected, "{inner} in {outer}");
    }

    #[test]
    fn areas_nest() {
        check("region:koreacentral", "geo:kr", true);
        check("region:koreacentral", "region:koreasouth", false);
        check("geo:kr", "region:koreacentral", false);
        check("global", "geo:kr", false);
        check("geo:kr", "global", true);
        check("geo:fr", "zone:eu", true);
        check("geo:gb", "zone:eu", false);
        check("geo:kr", "zone:us", false);
        check("zone:eu", "geo:fr", false);
        check("zone:eu", "zone:eu", true);
    }

    #[test]
    fn unknown_areas_are_faults() {
        for text in ["", "kr", "zone:apac", "geo:xx", "region:seoul", "zone:", "zone:us:x"] {
            assert_eq!(Area::try_from(text), Err(AreaFault), "{text}");
        }
    }

    #[test]
    fn two_bounds_that_exclude_each_other_allow_nothing() {
        let mut residency = Residency::anywhere();
        residency.narrow(Area::Geography("kr"));
        residency.narrow(Area::Zone("eu"));
        for (region, ..) in REGIONS {
            assert!(!residency.allows(Area::Region(region)), "{region}");
        }
    }
}
