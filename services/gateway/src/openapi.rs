use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use crate::problem::Problem;
use crate::routes::{
    cancel_run, decide_mapping, health, list_runs, mappings, run_events, show_run, start_run, workflows,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Prunella",
        description = "Start runs of workflows, look them up and cancel them; look at mappings and decide about them. Times are milliseconds since the epoch, UTC. Errors are RFC 9457 problems with a stable code.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
        contact()
    ),
    paths(
        start_run::start_run,
        list_runs::list_runs,
        show_run::show_run,
        run_events::run_events,
        cancel_run::cancel_run,
        workflows::list_workflows,
        workflows::show_workflow,
        mappings::list_mappings,
        mappings::show_mapping,
        mappings::show_version,
        mappings::mapping_history,
        mappings::diff_mapping,
        mappings::eval_mapping,
        decide_mapping::approve,
        decide_mapping::reject,
        decide_mapping::rollback,
        decide_mapping::edit,
        decide_mapping::heal,
        decide_mapping::accept,
        health::alive,
        health::ready,
        health::metrics,
    ),
    // What only shared descriptions of answers name is not found through the paths.
    components(schemas(decide_mapping::DecisionAnswer)),
    tags(
        (name = "runs", description = "Work that a trigger started"),
        (name = "workflows", description = "What can be run"),
        (name = "mappings", description = "What was healed, what waits for a decision, and the decisions"),
        (name = "health", description = "For probes and monitoring"),
    ),
    security(("token" = [])),
    modifiers(&TokenScheme)
)]
struct Api;

struct TokenScheme;

impl Modify for TokenScheme {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("The value of gateway.token. Not needed where none is configured."))
            .build();
        api.components.get_or_insert_default().add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// The description of the API, as `schemas/openapi.json` and `GET /openapi.json` have it.
///
/// # Errors
/// A text when it cannot be printed.
pub fn openapi_json() -> Result<String, String> {
    Api::openapi().to_pretty_json().map_err(|error| error.to_string())
}

pub(crate) async fn document() -> Result<([(&'static str, &'static str); 1], String), Problem> {
    let text = openapi_json().map_err(Problem::internal)?;
    Ok(([("content-type", "application/json")], text))
}
