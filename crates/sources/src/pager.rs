//! From one page to the next: which address a position has, and which position comes after an answer.

use reqwest::header::{HeaderMap, LINK};
use url::Url;

use prunella_model::Code;
use prunella_model::workflow::{
    CursorPagination, ItemsPath, LinkPagination, OffsetPagination, PagePagination, Pagination,
};

use crate::cursor::{Cursor, Fingerprint, Position};
use crate::document::{Document, Place};
use crate::error::SourceError;
use crate::link;
use crate::moved::next_page;
use crate::request::HttpRequest;

/// How the next page is found, and how many there may be.
#[derive(Debug, Clone)]
pub(crate) struct Pager {
    way: Way,
    max_pages: u32,
    max_cursor_bytes: usize,
}

#[derive(Debug, Clone)]
enum Way {
    Single,
    Page(PagePagination),
    Offset(OffsetPagination),
    Cursor(CursorPagination),
    Link(LinkPagination),
}

/// What an answer says of the page it is.
pub(crate) struct Turned<'a> {
    /// Where it came from, redirects followed.
    pub(crate) url: &'a Url,
    pub(crate) headers: &'a HeaderMap,
    /// `None` for an answer without a body: the end.
    pub(crate) document: Option<&'a Document>,
    pub(crate) items: &'a [bytes::Bytes],
}

impl Pager {
    /// # Errors
    /// `PRN-0414` when `pagination` is not exactly one way, or could never end.
    pub(crate) fn new(request: &HttpRequest, max_cursor_bytes: usize) -> Result<Self, SourceError> {
        let unusable = |message: &str| Err(SourceError::permanent(Code::SourceUrl, message));
        let Some(pagination) = &request.pagination else {
            return Ok(Self { way: Way::Single, max_pages: 1, max_cursor_bytes });
        };
        let Pagination { page, offset, cursor, link, max_pages } = pagination.clone();
        let is_counted = page.is_some() || offset.is_some();
        let way = match (page, offset, cursor, link) {
            (Some(page), None, None, None) => Way::Page(page),
            (None, Some(offset), None, None) => Way::Offset(offset),
            (None, None, Some(cursor), None) => Way::Cursor(cursor),
            (None, None, None, Some(link)) => Way::Link(link),
            _ => return unusable("pagination: expected exactly one of page, offset, cursor and link"),
        };
        if is_counted && request.items.is_none() {
            return unusable(
                "pagination: pages that are counted end with an empty one, so `items` must say where the items are",
            );
        }
        Ok(Self { way, max_pages, max_cursor_bytes })
    }

    /// # Errors
    /// `PRN-0416` when `position` was not written by this way of pagination.
    pub(crate) fn address(&self, request: &HttpRequest, position: &Position) -> Result<Url, SourceError> {
        let mut url = request.url.clone();
        let mut parameters = request.query.clone();
        let number = |name: &str, value: u64| (name.to_owned(), value.to_string());
        match (&self.way, position) {
            (Way::Link(_), Position::Link(target)) => return target.parse().map_err(|_| foreign_position(position)),
            (Way::Page(page), Position::First | Position::Page(_)) => {
                let at = if let Position::Page(at) = position { *at } else { page.first };
                parameters.push(number(&page.param, at));
                parameters.extend(page.size.iter().map(|size| number(&size.param, size.value)));
            }
            (Way::Offset(offset), Position::First | Position::Offset(_)) => {
                let at = if let Position::Offset(at) = position { *at } else { 0 };
                parameters.push(number(&offset.param, at));
                parameters.push(number(&offset.limit.param, offset.limit.value));
            }
            (Way::Cursor(cursor), Position::Cursor(text)) => parameters.push((cursor.param.clone(), text.clone())),
            (_, Position::First) => {}
            _ => return Err(foreign_position(position)),
        }
        set_parameters(&mut url, &parameters);
        Ok(url)
    }

    /// The page is asked for only to be sure that there is nothing more: all pages so far were shorter than
    /// they were asked to be, which is the end or a source with a smaller limit of its own.
    pub(crate) fn is_probe(&self, cursor: &Cursor) -> bool {
        self.size().is_some() && cursor.pages > 0 && !cursor.full
    }

    /// The cursor of the page after `cursor`, which turned out to be `page`.
    ///
    /// # Errors
    /// `PRN-0412` for a circle, `PRN-0413` for a page too many, `PRN-0411` when there is no position where
    /// one is expected, `PRN-0422` when the next page is on another host.
    pub(crate) fn next(
        &self,
        request: &HttpRequest,
        cursor: &Cursor,
        page: &Turned<'_>,
    ) -> Result<Option<Cursor>, SourceError> {
        let next = self.position_after(request, cursor, page)?;
        if cursor.pages >= self.max_pages && (next.is_some() || !page.items.is_empty()) {
            let message = format!("there are more than {} pages (max-pages of the step's pagination)", self.max_pages);
            return Err(SourceError::permanent(Code::SourcePages, message));
        }
        let Some(position) = next else { return Ok(None) };
        let circle = || {
            let where_to = if self.is_counted() { "number" } else { "cursor or address" };
            let message =
                format!("page {} leads back to an earlier page: its {where_to} was met before", cursor.pages + 1);
            SourceError::permanent(Code::SourceLoop, message)
        };
        let mut next = cursor.next(position).ok_or_else(circle)?;
        next.full |= self.size().is_some_and(|size| page.items.len() as u64 >= size);
        if self.is_counted() {
            next.before = self.not_the_same_again(cursor, page.items)?;
        }
        Ok(Some(next))
    }

    fn position_after(
        &self,
        request: &HttpRequest,
        cursor: &Cursor,
        page: &Turned<'_>,
    ) -> Result<Option<Position>, SourceError> {
        let Some(document) = page.document else { return Ok(None) };
        let items = page.items.len() as u64;
        let is_short = self.size().is_some_and(|size| items < size);
        let is_last = items == 0 || (is_short && cursor.full);
        Ok(match &self.way {
            Way::Single => None,
            Way::Page(_) | Way::Offset(_) if is_last => None,
            Way::Page(way) => {
                let at = if let Position::Page(at) = cursor.at { at } else { way.first };
                Some(Position::Page(at.saturating_add(1)))
            }
            Way::Offset(_) => {
                let at = if let Position::Offset(at) = cursor.at { at } else { 0 };
                Some(Position::Offset(at.saturating_add(items)))
            }
            Way::Cursor(way) => self.next_at(document, &way.path, cursor, items)?.map(Position::Cursor),
            Way::Link(way) => {
                let target = match &way.path {
                    Some(path) => self.next_at(document, path, cursor, items)?,
                    None => header_link(page.headers),
                };
                target.map(|target| next_address(request, page.url, &target)).transpose()?
            }
        })
    }

    /// As [`Pager::text_at`]; a page of items whose next one stands elsewhere is no last page.
    fn next_at(
        &self,
        document: &Document,
        path: &ItemsPath,
        cursor: &Cursor,
        items: u64,
    ) -> Result<Option<String>, SourceError> {
        let next = self.text_at(document, path)?;
        let moved = (next.is_none() && items > 0).then(|| next_page(document, path, cursor.pages == 0)).flatten();
        match moved {
            None => Ok(next),
            Some(instead) => {
                let message = format!("there is no cursor or address of the next page at `{path}`, and {instead}");
                Err(SourceError::permanent(Code::SourceMoved, message))
            }
        }
    }

    /// The text or number at `path`; `None` when it is absent, null or empty: the end of the pages.
    fn text_at(&self, document: &Document, path: &ItemsPath) -> Result<Option<String>, SourceError> {
        let Place::Found(found) = document.at(path) else { return Ok(None) };
        if found.is_null() {
            return Ok(None);
        }
        let text = found.scalar().ok_or_else(|| {
            let message =
                format!("expected the cursor or address of the next page at `{path}`, found {}", found.kind());
            SourceError::permanent(Code::SourceItems, message)
        })?;
        if text.len() > self.max_cursor_bytes {
            let message = format!(
                "the cursor or address at `{path}` has {} bytes, more than {} (http.max-cursor-bytes)",
                text.len(),
                self.max_cursor_bytes
            );
            return Err(SourceError::permanent(Code::SourceItems, message));
        }
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    /// A source that does not know the parameter answers the first page for ever. Pages of one item, or of
    /// many that are alike, may well be equal; two equal pages of different items are one page.
    fn not_the_same_again(&self, cursor: &Cursor, items: &[bytes::Bytes]) -> Result<Option<Fingerprint>, SourceError> {
        if items.windows(2).all(|pair| pair[0] == pair[1]) {
            return Ok(None);
        }
        let items = Fingerprint::of(items.iter().map(AsRef::as_ref));
        if cursor.before.as_ref() == Some(&items) {
            let message = format!(
                "page {} has the same items as the one before: does the source know the parameter `{}`?",
                cursor.pages + 1,
                self.parameter()
            );
            return Err(SourceError::permanent(Code::SourceLoop, message));
        }
        Ok(Some(items))
    }

    fn is_counted(&self) -> bool {
        matches!(self.way, Way::Page(_) | Way::Offset(_))
    }

    fn parameter(&self) -> &str {
        match &self.way {
            Way::Page(page) => &page.param,
            Way::Offset(offset) => &offset.param,
            Way::Cursor(cursor) => &cursor.param,
            Way::Single | Way::Link(_) => "",
        }
    }

    /// Items that each page but the last is asked to have.
    fn size(&self) -> Option<u64> {
        match &self.way {
            Way::Page(page) => page.size.as_ref().map(|size| size.value),
            Way::Offset(offset) => Some(offset.limit.value),
            Way::Single | Way::Cursor(_) | Way::Link(_) => None,
        }
    }
}

fn foreign_position(position: &Position) -> SourceError {
    let kind = match position {
        Position::First => "the first page",
        Position::Page(_) => "a page number",
        Position::Offset(_) => "an offset",
        Position::Cursor(_) => "a cursor",
        Position::Link(_) => "an address",
    };
    let message = format!("a journaled position is {kind}, which the step's pagination cannot use: was it changed?");
    SourceError::permanent(Code::SourceCursor, message)
}

/// Parameters replace those of the same name in `url` and leave the rest of its query as it is written.
fn set_parameters(url: &mut Url, parameters: &[(String, String)]) {
    if parameters.is_empty() {
        return;
    }
    let replaced = |pair: &&str| {
        let mut names = url::form_urlencoded::parse(pair.as_bytes()).map(|(name, _)| name);
        names.next().is_some_and(|name| parameters.iter().any(|(replacing, _)| *replacing == name))
    };
    let query = url.query().unwrap_or_default();
    let kept: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty() && !replaced(pair)).collect();
    let kept = kept.join("&");
    url.set_query(Some(&kept).filter(|kept| !kept.is_empty()).map(String::as_str));
    url.query_pairs_mut().extend_pairs(parameters);
}

fn header_link(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    values.filter_map(link::next_of).map(str::to_owned).next()
}

/// The address of the next page. It must be where the answer came from or where the workflow points: a source
/// that could send its reader anywhere could have it read what only the reader's network may see.
fn next_address(request: &HttpRequest, answered_by: &Url, target: &str) -> Result<Position, SourceError> {
    let mut next = answered_by.join(target).map_err(|error| {
        SourceError::permanent(Code::SourceUrl, format!("the address of the next page cannot be used: {error}"))
    })?;
    next.set_fragment(None);
    // Behind a proxy that ends TLS, sources often believe that they are asked without it.
    let is_downgrade = next.scheme() == "http" && answered_by.scheme() == "https";
    if is_downgrade && next.host() == answered_by.host() && next.port().is_none() {
        let _ = next.set_scheme("https");
        let _ = next.set_port(answered_by.port());
    }
    if next.origin() != answered_by.origin() && next.origin() != request.url.origin() {
        let message = format!(
            "the next page is on {}, the source is {}: pages are not followed to another host",
            next.origin().ascii_serialization(),
            request.url.origin().ascii_serialization()
        );
        return Err(SourceError::permanent(Code::SourceForeignHost, message));
    }
    Ok(Position::Link(next.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn url(text: &str) -> Url {
        text.parse().expect(text)
    }

    #[test]
    fn parameters_replace_their_namesakes_and_nothing_else() {
        let mut address = url("https://a.example/x?q=%20a+b&page=1&flag&p%61ge=3");
        set_parameters(&mut address, &[("page".to_owned(), "2".to_owned()), ("k".to_owned(), "a&b=ü".to_owned())]);
        assert_eq!(address.as_str(), "https://a.example/x?q=%20a+b&flag&page=2&k=a%26b%3D%C3%BC");
        let mut bare = url("https://a.example/x?page=1");
        set_parameters(&mut bare, &[("page".to_owned(), "2".to_owned())]);
        assert_eq!(bare.as_str(), "https://a.example/x?page=2");
    }

    #[test]
    fn a_next_address_stays_with_its_source() {
        let request = HttpRequest {
            method: prunella_model::workflow::HttpMethod::Get,
            url: url("https://shop.example:8443/v1/orders?since=1"),
            headers: Vec::new(),
            query: Vec::new(),
            body: None,
            timeout: prunella_model::Period::from_secs(1),
            retry: prunella_model::workflow::Retry::default(),
            max_page_bytes: prunella_model::ByteSize::from_mib(1),
            pagination: None,
            items: None,
        };
        let next = |answered_by: &str, target: &str| next_address(&request, &url(answered_by), target);
        let here = "https://shop.example:8443/v1/orders?since=1";
        for (answered_by, target, expected) in [
            (here, "?page=2", "https://shop.example:8443/v1/orders?page=2"),
            (here, "../v2/orders#top", "https://shop.example:8443/v2/orders"),
            (here, "//shop.example:8443/x", "https://shop.example:8443/x"),
            (here, "http://shop.example/v1/orders?page=2", "https://shop.example:8443/v1/orders?page=2"),
            ("https://cdn.example/part1", "/part2", "https://cdn.example/part2"),
            ("https://cdn.example/part1", "https://shop.example:8443/x", "https://shop.example:8443/x"),
        ] {
            assert_eq!(next(answered_by, target).expect(target), Position::Link(expected.to_owned()));
        }
        for target in [
            "https://other.example/",
            "https://shop.example/",
            "http://shop.example:8080/",
            "http://169.254.169.254/latest/meta-data",
            "file:///etc/passwd",
        ] {
            assert_eq!(next(here, target).expect_err(target).code(), Code::SourceForeignHost);
        }
        assert_eq!(next(here, "http://[").expect_err("no address").code(), Code::SourceUrl);
    }

    proptest! {
        #[test]
        fn what_is_set_is_what_arrives(name in ".{1,8}", value in ".{0,12}", query in "[a-z=&%+]{0,20}") {
            let mut address = url(&format!("https://a.example/?{query}"));
            set_parameters(&mut address, &[(name.clone(), value.clone())]);
            let arrived: Vec<String> =
                address.query_pairs().filter(|(key, _)| *key == name).map(|(_, value)| value.into_owned()).collect();
            prop_assert_eq!(arrived, [value]);
        }
    }
}
