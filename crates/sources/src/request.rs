use serde_json::Value;
use url::Url;

use prunella_model::workflow::{HttpMethod, ItemsPath, Pagination, Retry};
use prunella_model::{ByteSize, Period};

/// A request with all its templates rendered.
#[derive(Debug, Clone)]
pub struct HttpRequest {
    pub method: HttpMethod,
    /// `http` or `https`; a user and password in it become basic authentication.
    pub url: Url,
    /// Sent to the host of `url` only: not to others that it redirects or links to.
    pub headers: Vec<(String, String)>,
    /// Added to the query of `url`.
    pub query: Vec<(String, String)>,
    /// Sent as JSON.
    pub body: Option<Value>,
    /// Longest time for one try of one page.
    pub timeout: Period,
    pub retry: Retry,
    /// Largest answer, after decompression.
    pub max_page_bytes: ByteSize,
    /// Without it, there is one page.
    pub pagination: Option<Pagination>,
    /// Without it, the whole answer is one item.
    pub items: Option<ItemsPath>,
}

impl HttpRequest {
    pub(crate) fn method_name(&self) -> &'static str {
        match self.method {
            HttpMethod::Get => "GET",
            HttpMethod::Post => "POST",
            HttpMethod::Put => "PUT",
        }
    }
}
