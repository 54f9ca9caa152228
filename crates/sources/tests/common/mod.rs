//! What all tests against sockets need.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use bytes::Bytes;
use prunella_model::workflow::{
    CursorPagination, HttpMethod, ItemsPath, LinkPagination, OffsetPagination, PagePagination, PageSize, Pagination,
    Retry,
};
use prunella_model::{ByteSize, Period};
use prunella_sources::{Cursor, HttpClient, HttpClientConfig, HttpRequest, HttpSource, SourceError};
use serde_json::Value;

pub(crate) fn path(text: &str) -> ItemsPath {
    text.parse().expect(text)
}

thread_local! {
    // Reading the system's certificates takes a moment; each test has a thread and a runtime of its own.
    static CLIENT: HttpClient = HttpClient::new(&HttpClientConfig::default()).expect("client");
}

pub(crate) fn client() -> HttpClient {
    CLIENT.with(Clone::clone)
}

/// A patient request for the array at `data`; waits are short, so that tests are.
pub(crate) fn request(url: &str) -> HttpRequest {
    HttpRequest {
        method: HttpMethod::Get,
        url: url.parse().expect(url),
        headers: Vec::new(),
        query: Vec::new(),
        body: None,
        timeout: Period::from_secs(20),
        retry: Retry { attempts: 3, backoff: Period::from_millis(5), max_backoff: Period::from_millis(20) },
        max_page_bytes: ByteSize::from_mib(1),
        pagination: None,
        items: Some(path("data")),
    }
}

pub(crate) fn source(request: HttpRequest) -> HttpSource {
    HttpSource::new(&client(), request).expect("a request that can be sent")
}

/// The error of the first page of `url`.
pub(crate) async fn refused(url: &str) -> SourceError {
    source(request(url)).page(None).await.expect_err(url)
}

fn no_way() -> Pagination {
    Pagination { page: None, offset: None, cursor: None, link: None, max_pages: 1000 }
}

fn size(param: &str, value: u64) -> PageSize {
    PageSize { param: param.to_owned(), value }
}

pub(crate) fn by_page(items: Option<u64>) -> Pagination {
    let page = PagePagination { param: "page".to_owned(), first: 1, size: items.map(|items| size("size", items)) };
    Pagination { page: Some(page), ..no_way() }
}

pub(crate) fn by_offset(items: u64) -> Pagination {
    let offset = OffsetPagination { param: "offset".to_owned(), limit: size("limit", items) };
    Pagination { offset: Some(offset), ..no_way() }
}

pub(crate) fn by_cursor() -> Pagination {
    Pagination { cursor: Some(CursorPagination { path: path("next"), param: "cursor".to_owned() }), ..no_way() }
}

pub(crate) fn by_link(at: Option<&str>) -> Pagination {
    Pagination { link: Some(LinkPagination { path: at.map(path) }), ..no_way() }
}

/// All pages of a source, until its end or its first error.
pub(crate) async fn read_all(source: &HttpSource) -> Result<Vec<Vec<Bytes>>, SourceError> {
    read_from(source, None).await
}

pub(crate) async fn read_from(source: &HttpSource, mut at: Option<Cursor>) -> Result<Vec<Vec<Bytes>>, SourceError> {
    let mut pages = Vec::new();
    loop {
        let page = source.page(at.as_ref()).await?;
        pages.push(page.items);
        at = page.next;
        if at.is_none() {
            return Ok(pages);
        }
    }
}

pub(crate) fn decoded(pages: &[Vec<Bytes>]) -> Vec<Value> {
    pages.iter().flatten().map(|item| serde_json::from_slice(item).expect("JSON")).collect()
}
