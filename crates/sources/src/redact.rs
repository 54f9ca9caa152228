//! What messages may show of a request.

use url::Url;

use crate::request::HttpRequest;

/// Stands where something is not shown.
const MASK: &str = "…";
/// Shorter values are too common in texts to be masked wherever they occur.
const SHORTEST_SECRET: usize = 6;

/// Knows the values of a request that may be secrets: all of its headers, and all of its query but the
/// numbers that pagination puts there.
#[derive(Debug, Clone)]
pub(crate) struct Redactor {
    method: &'static str,
    /// Query parameters whose values are numbers of ours.
    plain: Vec<String>,
    secrets: Vec<String>,
}

impl Redactor {
    pub(crate) fn new(request: &HttpRequest) -> Self {
        let queried = request.url.query_pairs().map(|(_, value)| value.into_owned());
        let headers = request.headers.iter().flat_map(|(_, value)| value.split_whitespace().map(str::to_owned));
        let added = request.query.iter().map(|(_, value)| value.clone());
        let password = request.url.password().map(str::to_owned);
        let secrets = queried.chain(headers).chain(added).chain(password).filter(|text| text.len() >= SHORTEST_SECRET);
        let mut plain = Vec::new();
        if let Some(pagination) = &request.pagination {
            let page = pagination.page.iter();
            plain.extend(page.flat_map(|page| [Some(&page.param), page.size.as_ref().map(|size| &size.param)]));
            let offset = pagination.offset.iter();
            plain.extend(offset.flat_map(|offset| [Some(&offset.param), Some(&offset.limit.param)]));
        }
        let plain = plain.into_iter().flatten().cloned().collect();
        Self { method: request.method_name(), plain, secrets: secrets.collect() }
    }

    /// `GET https://host/path?key=…&page=3`.
    pub(crate) fn request(&self, url: &Url) -> String {
        format!("{} {}", self.method, self.address(url))
    }

    pub(crate) fn address(&self, url: &Url) -> String {
        let mut shown = url.clone();
        shown.set_query(None);
        shown.set_fragment(None);
        // Both fail only for addresses that cannot have a user.
        let _ = shown.set_username("");
        let _ = shown.set_password(None);
        let query: Vec<String> = url.query_pairs().map(|(name, value)| self.parameter(&name, &value)).collect();
        if query.is_empty() { shown.into() } else { format!("{shown}?{}", query.join("&")) }
    }

    fn parameter(&self, name: &str, value: &str) -> String {
        let is_plain = self.plain.iter().any(|plain| plain == name) && value.bytes().all(|byte| byte.is_ascii_digit());
        format!("{name}={}", if is_plain { value } else { MASK })
    }

    /// `text` of a source, which may repeat what was sent to it.
    pub(crate) fn text(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), MASK))
    }
}
