use prunella_mapping::Limits;

/// How much has to agree before it is no chance, in bits. Others than these only to measure how much hangs on them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// For two rows to show one entity: rows, times rows, times fields leave about 15 bits to chance.
    pub entity: f64,
    /// For a row beside known rows.
    pub beside: f64,
    /// For a field whose name fits: one field was asked.
    pub named: f64,
    /// For another field, beyond the number of fields that could be it: one in 64 by chance.
    pub unnamed: f64,
    /// More, where known entities are later states.
    pub later: f64,
    /// The bits by which it has to be unlikely that a recoded field has one more word than was ever seen.
    pub unseen: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { entity: 24.0, beside: 20.0, named: 4.0, unnamed: 6.0, later: 6.0, unseen: 9.0 }
    }
}

impl Thresholds {
    pub const NAMES: [&'static str; 6] = ["entity", "beside", "named", "unnamed", "later", "unseen"];

    /// With so many bits more at one of them, or fewer; `None` for a name that is none.
    #[must_use]
    pub fn moved(name: &str, bits: f64) -> Option<Self> {
        let mut all = Self::default();
        *match name {
            "entity" => &mut all.entity,
            "beside" => &mut all.beside,
            "named" => &mut all.named,
            "unnamed" => &mut all.unnamed,
            "later" => &mut all.later,
            "unseen" => &mut all.unseen,
            _ => return None,
        } += bits;
        Some(all)
    }
}

/// What a repair may use. All of it, except to measure what each part is worth.
#[derive(Debug, Clone, Copy, PartialEq)]
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
    pub thresholds: Thresholds,
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
            thresholds: Thresholds::default(),
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
