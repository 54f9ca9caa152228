//! The pages of a source, whatever kind it is.

use std::time::Duration;

use bytes::Bytes;

use prunella_mapping::{Bindings, Encoding, EvalError, Input, Moment, Template};
use prunella_model::Code;
use prunella_model::workflow::ItemsPath;
use prunella_platform::{ContextDocument, StepWork};
use prunella_sources::{Cursor, HttpRequest, HttpSource, Moved, SourceError, split_items};
use prunella_stream::homes::now_millis;
use prunella_wire::WireError;
use prunella_wire::records::{RunContext, StepRef};
use prunella_workflow::{PlannedExtract, PlannedHttp};

use crate::workshop::Workshop;

/// One page: its items as raw JSON text, and the position of the next one.
pub(crate) struct RawPage {
    pub(crate) items: Vec<Bytes>,
    pub(crate) next: Option<String>,
}

/// Why a page cannot be had.
pub(crate) struct PageError {
    pub(crate) code: Code,
    pub(crate) message: String,
    /// When it is worth asking again.
    pub(crate) retry_at: Option<i64>,
    /// Where its items may be, if they have moved.
    pub(crate) moved: Option<Box<Moved>>,
}

impl PageError {
    fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_at: None, moved: None }
    }
}

impl From<EvalError> for PageError {
    fn from(error: EvalError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<WireError> for PageError {
    fn from(error: WireError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<SourceError> for PageError {
    fn from(error: SourceError) -> Self {
        let after = |wait: Duration| now_millis().saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
        let moved = error.moved().cloned().map(Box::new);
        Self { retry_at: error.retry_after().map(after), moved, ..Self::new(error.code(), error.to_string()) }
    }
}

/// An opened source.
pub(crate) enum Pages {
    Http(Box<HttpSource>),
    /// All items are at hand: one page.
    Ready(Vec<Bytes>),
}

impl Pages {
    pub(crate) async fn open(
        workshop: &Workshop,
        work: &StepWork,
        at: &StepRef,
        stored: &RunContext,
        context: ContextDocument,
        moment: Moment,
    ) -> Result<Self, PageError> {
        let step = work.step();
        let items = work.items(&workshop.platform, at);
        let answer = match &step.extract {
            PlannedExtract::Http(http) => {
                let document = context.input()?;
                let request = Rendering { workshop, document, moment }.request(http, work, items)?;
                return Ok(Self::Http(Box::new(HttpSource::new(&workshop.client, request)?)));
            }
            PlannedExtract::Trigger => {
                workshop
                    .platform
                    .claims
                    .fetch(&stored.trigger, workshop.max_context_bytes.bytes(), "limits.max-context-bytes")
                    .await?
            }
            PlannedExtract::Inline(template) => {
                Bytes::from(template.evaluate_text(context.text(), moment, &workshop.limits)?)
            }
            PlannedExtract::Context => Bytes::from(context.into_text()),
        };
        Ok(Self::Ready(split_items(&answer, items.as_ref())?))
    }

    /// The page at `cursor`, the first one without.
    pub(crate) async fn page(&self, cursor: Option<&str>) -> Result<RawPage, PageError> {
        let source = match self {
            Self::Ready(items) => return Ok(RawPage { items: items.clone(), next: None }),
            Self::Http(source) => source,
        };
        let at = cursor.map(str::parse::<Cursor>).transpose()?;
        // What is at hand needs no room for an exchange.
        let page = Box::pin(source.page(at.as_ref())).await?;
        Ok(RawPage { items: page.items, next: page.next.map(|next| next.to_string()) })
    }
}

struct Rendering<'a> {
    workshop: &'a Workshop,
    document: &'a Input<'a>,
    moment: Moment,
}

impl Rendering<'_> {
    fn text(&self, template: &Template, encoding: Encoding) -> Result<String, PageError> {
        Ok(template.render(encoding, self.document, &Bindings::new(), self.moment, &self.workshop.limits)?)
    }

    fn request(&self, http: &PlannedHttp, work: &StepWork, items: Option<ItemsPath>) -> Result<HttpRequest, PageError> {
        let url = self.text(&http.url, Encoding::Percent)?;
        let named = |fields: &[(String, Template)]| -> Result<Vec<(String, String)>, PageError> {
            fields.iter().map(|(name, template)| Ok((name.clone(), self.text(template, Encoding::Plain)?))).collect()
        };
        let body = match &http.body {
            Some(body) => Some(body.evaluate(self.document, &Bindings::new(), self.moment, &self.workshop.limits)?),
            None => None,
        };
        let written = work.plan().workflow().steps.iter().find(|step| step.id == work.step().id);
        Ok(HttpRequest {
            method: http.method,
            url: url
                .parse()
                .map_err(|error| PageError::new(Code::SourceUrl, format!("the address {url:?}: {error}")))?,
            headers: named(&http.headers)?,
            query: named(&http.query)?,
            body,
            timeout: http.timeout,
            retry: http.retry.clone(),
            max_page_bytes: http.max_page_bytes,
            pagination: written.and_then(|step| step.extract.http.as_ref()?.pagination.clone()),
            items,
        })
    }
}
