use prunella_model::StepId;

/// What the orchestrator knows of a workflow version: its graph, not its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunPlan {
    /// In an order in which every step comes after the steps it needs.
    pub steps: Vec<PlannedStep>,
    /// Longest life of a run, in milliseconds.
    pub deadline: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedStep {
    pub id: StepId,
    pub needs: Vec<StepId>,
    /// Earlier steps whose items the expressions of this step read.
    pub reads: Vec<StepId>,
    /// It asks nothing of the world: doing it again gives the same.
    pub pure: bool,
}

impl RunPlan {
    pub fn step(&self, id: &StepId) -> Option<&PlannedStep> {
        self.steps.iter().find(|step| step.id == *id)
    }
}
