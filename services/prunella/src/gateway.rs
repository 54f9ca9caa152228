//! The gateway, with the catalog as its source of workflows.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use prunella_catalog::{Catalog, Definition};
use prunella_gateway::{ACTOR, Gateway, GatewayConfig, GatewayDeps, LiveWorkflow, Workflows};
use prunella_mapping::Limits;
use prunella_model::{Kind, WorkflowName, WorkspaceName};
use prunella_operate::mappings::MappingDesk;
use prunella_platform::Platform;
use prunella_runview::RunView;

use crate::failure::Failure;

struct CatalogWorkflows(Arc<Catalog>);

fn live_workflow(definition: &Definition) -> LiveWorkflow {
    LiveWorkflow {
        workflow: definition.at.workflow.clone(),
        version: definition.at.version,
        digest: definition.digest.clone(),
        description: definition.plan().ok().and_then(|plan| plan.workflow().description.clone()),
        definition: definition.text.clone(),
        applied_at: definition.applied_at,
        applied_by: definition.applied_by.clone(),
    }
}

impl Workflows for CatalogWorkflows {
    fn live<'a>(
        &'a self,
        workspace: &'a WorkspaceName,
        workflow: &'a WorkflowName,
    ) -> BoxFuture<'a, Option<LiveWorkflow>> {
        async move {
            self.0.live(workspace, workflow).filter(|live| live.is(Kind::Workflow)).map(|live| live_workflow(&live))
        }
        .boxed()
    }

    fn list<'a>(&'a self, workspace: &'a WorkspaceName) -> BoxFuture<'a, Vec<LiveWorkflow>> {
        async move {
            let history = self.0.history();
            let of_workspace = history.workflows.iter().filter(|((known, _), _)| known == workspace);
            let live = of_workspace.filter_map(|(_, known)| known.live_definition());
            live.filter(|live| live.is(Kind::Workflow)).map(|live| live_workflow(live)).collect()
        }
        .boxed()
    }
}

/// Serves the HTTP API until `stop` is cancelled.
pub async fn serve(
    platform: Platform,
    config: GatewayConfig,
    limits: Limits,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let view_stop = CancellationToken::new();
    let codec = platform.codec.clone();
    let runs =
        RunView::start(config.view(), platform.kafka.clone(), &platform.topics, codec, view_stop.clone()).await?;
    let deps = GatewayDeps {
        output: platform.output.clone(),
        codec: platform.codec.clone(),
        topics: platform.topics.clone(),
        workflows: Arc::new(CatalogWorkflows(platform.catalog.clone())),
        runs: runs.clone(),
        mappings: MappingDesk {
            topics: platform.topics.clone(),
            codec: platform.codec.clone(),
            output: platform.output.clone(),
            catalog: platform.catalog.clone(),
            view: platform.mappings.clone(),
            limits,
            actor: ACTOR.to_owned(),
        },
    };
    let served = match Gateway::bind(config, deps, stop).await {
        Ok(gateway) => gateway.run().await,
        Err(error) => Err(error),
    };
    // The view answers requests in flight until the last of them is done.
    view_stop.cancel();
    runs.closed().await;
    Ok(served?)
}
