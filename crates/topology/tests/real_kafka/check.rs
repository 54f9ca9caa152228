use prunella_model::Code;
use prunella_topology::{ShapeProblem, TopologyError};

use crate::support::{config, kafka, topology};

#[tokio::test]
async fn every_problem_is_told_at_once_with_the_command_that_helps() {
    let kafka = kafka();
    let cluster = kafka.cluster().await;
    let config = config();
    let topology = topology(&config);
    let names = topology.topics();
    let large = ("max.message.bytes", "16777216");
    kafka.create_by_hand(&names.stage_extract(), 2, &[large]).await;
    kafka.create_by_hand(&names.stage_progress(), 3, &[large]).await;
    kafka.create_by_hand(&names.state_runs(), 2, &[large, ("cleanup.policy", "delete")]).await;
    kafka.create_by_hand(&names.state_extractions(), 2, &[("cleanup.policy", "compact")]).await;
    kafka.create_by_hand(&names.state_workflows(), 4, &[large, ("cleanup.policy", "compact")]).await;

    let error = cluster.check(&topology.shared_topics()).await.expect_err("nothing fits");
    assert_eq!(error.code(), Code::TopicShape);
    let text = error.to_string();
    for line in [
        format!("{}: it has 3 partitions and {} has 2", names.stage_progress(), names.stage_extract()),
        format!("{}: its cleanup.policy is delete, it must be compact", names.state_runs()),
        format!("{}: its max.message.bytes is 1048588", names.state_extractions()),
        format!("{}: it has 4 partitions, it must have 1", names.state_workflows()),
        format!("{}: it does not exist", names.stage_transform()),
        "`prunella topics apply`".to_owned(),
    ] {
        assert!(text.contains(&line), "{line:?} is not in:\n{text}");
    }
    let TopologyError::Shape { problems } = error else { panic!("{error:?}") };
    let is_about = |problem: &ShapeProblem, name: &str| problem.to_string().starts_with(&format!("{name}:"));
    assert!(!problems.iter().any(|problem| is_about(problem, &names.stage_extract())), "{text}");
}

#[tokio::test]
async fn what_an_operator_may_change_is_no_problem() {
    let kafka = kafka();
    let cluster = kafka.cluster().await;
    let config = config();
    let topology = topology(&config);
    let transform: Vec<_> = topology
        .shared_topics()
        .into_iter()
        .filter(|topic| topic.name == topology.topics().stage_transform())
        .collect();
    let settings = [("retention.ms", "3600000"), ("max.message.bytes", "50000000")];
    kafka.create_by_hand(&transform[0].name, 7, &settings).await;
    cluster.check(&transform).await.expect("more partitions and another retention are fine");
}
