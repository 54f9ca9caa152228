use prunella_mapping::Limits;

/// What a repair may use. All of it, except to measure what each part is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ingredients {
    /// Names, their words and synonyms.
    pub names: bool,
    /// Forms of values, recurring values, magnitudes.
    pub values: bool,
    /// Values of entities that are known from before.
    pub overlap: bool,
    /// Rows under other names, selectors, surroundings.
    pub structure: bool,
    /// Conversions; without, values have to be the same.
    pub conversions: bool,
    /// Whether another field would do as well.
    pub ambiguity: bool,
    /// The semantic guard over outputs.
    pub profile: bool,
}

impl Default for Ingredients {
    fn default() -> Self {
        Self {
            names: true,
            values: true,
            overlap: true,
            structure: true,
            conversions: true,
            ambiguity: true,
            profile: true,
        }
    }
}

impl Ingredients {
    pub const NAMES: [&'static str; 7] =
        ["names", "values", "overlap", "structure", "conversions", "ambiguity", "profile"];

    /// All but the named one; `None` for a name that is none.
    #[must_use]
    pub fn without(name: &str) -> Option<Self> {
        let mut all = Self::default();
        *match name {
            "names" => &mut all.names,
            "values" => &mut all.values,
            "overlap" => &mut all.overlap,
            "structure" => &mut all.structure,
            "conversions" => &mut all.conversions,
            "ambiguity" => &mut all.ambiguity,
            "profile" => &mut all.profile,
            _ => return None,
        } = false;
        Some(all)
    }
}

/// How a repair is made.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub ingredients: Ingredients,
    pub limits: Limits,
}
