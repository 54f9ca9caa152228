use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use prunella_model::Code;
use prunella_operate::OperateError;
use prunella_runview::RunViewError;
use prunella_stream::OutputError;
use serde::Serialize;
use utoipa::ToSchema;

/// Why a request fails. Becomes an answer at the outermost layer, which knows the request.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) code: Code,
    /// What is wrong and the way out.
    pub(crate) detail: String,
}

/// An error as RFC 9457 has it, `application/problem+json`.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProblemAnswer {
    /// `urn:prunella:error:` and the code.
    #[serde(rename = "type")]
    #[schema(example = "urn:prunella:error:PRN-0810")]
    kind: String,
    /// What is wrong, without the particulars.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// Stable code; each has a page in the documentation.
    #[schema(example = "PRN-0810")]
    code: &'static str,
    /// What is wrong with this request, and the way out.
    detail: String,
    /// Path of the request.
    instance: String,
    /// Id of the request, in the answer's header `x-request-id` and in the log as well.
    request_id: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: Code, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into() }
    }

    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Code::RequestMalformed, detail)
    }

    pub(crate) fn internal(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, Code::GatewayInternal, detail)
    }

    pub(crate) fn answer(self, instance: &str, request_id: &str) -> Response {
        let body = ProblemAnswer {
            kind: format!("urn:prunella:error:{}", self.code),
            title: self.code.summary(),
            status: self.status.as_u16(),
            code: self.code.id(),
            detail: self.detail,
            instance: instance.to_owned(),
            request_id: request_id.to_owned(),
        };
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (self.status, [("content-type", "application/problem+json")], body).into_response();
        let headers = response.headers_mut();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert("retry-after", axum::http::HeaderValue::from_static("1"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert("www-authenticate", axum::http::HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<RunViewError> for Problem {
    fn from(error: RunViewError) -> Self {
        let status = match error {
            RunViewError::Cursor { .. } => StatusCode::BAD_REQUEST,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, error.code(), error.to_string())
    }
}

impl From<OperateError> for Problem {
    fn from(error: OperateError) -> Self {
        match error {
            OperateError::Output(error) => error.into(),
            OperateError::Mapping(refusal) => {
                let status = match refusal.code {
                    Code::MappingUnknown => StatusCode::NOT_FOUND,
                    Code::MappingChanged => StatusCode::CONFLICT,
                    Code::RequestMalformed | Code::WorkflowExpression => StatusCode::BAD_REQUEST,
                    _ => StatusCode::UNPROCESSABLE_ENTITY,
                };
                Self::new(status, refusal.code, refusal.message)
            }
            error => Self::new(StatusCode::SERVICE_UNAVAILABLE, error.code(), error.to_string()),
        }
    }
}

impl From<OutputError> for Problem {
    fn from(error: OutputError) -> Self {
        match error {
            OutputError::TooLarge { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, Code::RequestTooLarge, error.to_string())
            }
            OutputError::Failed { .. } | OutputError::GivenUp => {
                let detail = format!("{error}; it may or may not have been written: try again");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::RequestNotAccepted, detail)
            }
        }
    }
}
