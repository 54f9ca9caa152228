use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use prunella_model::Code;
use prunella_telemetry::metrics;

use crate::cli::ServeArgs;
use crate::commands::Context;
use crate::end;
use crate::failure::Failure;
use crate::process::{Process, Service};
use crate::signals::stop_on_signal;

pub async fn run(context: Context, args: ServeArgs) -> Result<ExitCode, Failure> {
    let stop = stop_on_signal()?;
    let ready = Arc::new(AtomicBool::new(false));
    observe(&context.config.telemetry.listen, ready.clone(), stop.clone()).await?;
    end::at_the_latest(context.config.runtime.longest_end(), stop.clone());
    let process = Process::start(context.config, &context.data_directory, &stop).await?;
    ready.store(true, Ordering::Relaxed);
    let names: Vec<&str> = args.services.iter().copied().map(Service::name).collect();
    tracing::info!(services = names.join(","), "serving");
    let served = process.serve(&args.services, stop).await;
    if let Err(failure) = &served {
        failure.report(context.json);
    }
    end::now(served.map_or_else(|failure| failure.status(), |()| 0))
}

/// Answers `/metrics`, `/healthz` and `/readyz`.
async fn observe(listen: &str, ready: Arc<AtomicBool>, stop: CancellationToken) -> Result<(), Failure> {
    metrics::touch_all();
    let listener = TcpListener::bind(listen).await.map_err(|error| {
        Failure::new(Code::Config, format!("telemetry.listen {listen}: {error}; choose another address"))
    })?;
    let readiness = move || {
        let ready = ready.load(Ordering::Relaxed);
        async move { if ready { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "starting") } }
    };
    let router = Router::new()
        .route("/metrics", get(|| async { metrics::render() }))
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(readiness));
    tokio::spawn(async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(async move { stop.cancelled().await }).await;
        if let Err(error) = served {
            tracing::error!(%error, "the telemetry endpoint ended");
        }
    });
    Ok(())
}
