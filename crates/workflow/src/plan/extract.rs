//! Sources with their templates compiled.

use prunella_mapping::{CompileError, Template, TemplateValue};
use prunella_model::workflow::{
    CursorPagination, Extract, HttpExtract, HttpMethod, LinkPagination, OffsetPagination, PagePagination, Pagination,
    Retry,
};
use prunella_model::{ByteSize, Period};

use crate::reads::Reads;

/// Where the raw data of a step comes from.
#[derive(Debug)]
pub enum PlannedExtract {
    /// Fetched page by page.
    Http(Box<PlannedHttp>),
    /// Written in the workflow, templates rendered on the context document.
    Inline(TemplateValue),
    /// The payload of the trigger record.
    Trigger,
    /// The context document `{trigger, steps, run}` as one item: the source of the implicit step `output`.
    Context,
}

/// A request; templates are rendered on the context document `{trigger, steps, run}`.
#[derive(Debug)]
pub struct PlannedHttp {
    /// Rendered values are percent-encoded where they stand.
    pub url: Template,
    pub method: HttpMethod,
    pub headers: Vec<(String, Template)>,
    pub query: Vec<(String, Template)>,
    pub body: Option<TemplateValue>,
    pub pagination: Option<PlannedPagination>,
    /// Longest time for one page.
    pub timeout: Period,
    pub retry: Retry,
    pub max_page_bytes: ByteSize,
}

/// How the next page is found.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedPagination {
    pub strategy: PageStrategy,
    /// One page more is an error.
    pub max_pages: u32,
}

/// The one way of pagination that a source has.
#[derive(Debug, Clone, PartialEq)]
pub enum PageStrategy {
    Page(PagePagination),
    Offset(OffsetPagination),
    Cursor(CursorPagination),
    Link(LinkPagination),
}

impl PlannedExtract {
    /// `None` when the definition names no source or more than one, which a checked one never does.
    pub(super) fn compile(extract: &Extract) -> Result<Option<Self>, CompileError> {
        Ok(match (&extract.http, &extract.inline, &extract.trigger) {
            (Some(http), None, None) => PlannedHttp::compile(http)?.map(|http| Self::Http(Box::new(http))),
            (None, Some(inline), None) => Some(Self::Inline(TemplateValue::parse(inline)?)),
            (None, None, Some(_)) => Some(Self::Trigger),
            _ => None,
        })
    }

    pub(super) fn step_reads(&self) -> Reads {
        match self {
            Self::Http(http) => http.step_reads(),
            Self::Inline(value) => Reads::of_value(value),
            Self::Trigger => Reads::default(),
            Self::Context => Reads { all: true, ..Reads::default() },
        }
    }

    pub(super) fn reads_context(&self) -> bool {
        match self {
            Self::Http(http) => http.reads_context(),
            Self::Inline(value) => !value.is_static(),
            Self::Trigger => false,
            Self::Context => true,
        }
    }
}

impl PlannedHttp {
    fn compile(http: &HttpExtract) -> Result<Option<Self>, CompileError> {
        let pagination = match &http.pagination {
            None => None,
            Some(pagination) => match PlannedPagination::new(pagination) {
                None => return Ok(None),
                known => known,
            },
        };
        Ok(Some(Self {
            url: Template::parse(&http.url)?,
            method: http.method,
            headers: named(&http.headers)?,
            query: named(&http.query)?,
            body: http.body.as_ref().map(TemplateValue::parse).transpose()?,
            pagination,
            timeout: http.timeout,
            retry: http.retry.clone(),
            max_page_bytes: http.max_page_bytes,
        }))
    }

    fn templates(&self) -> impl Iterator<Item = &Template> {
        let named = self.headers.iter().chain(&self.query).map(|(_, template)| template);
        std::iter::once(&self.url).chain(named)
    }

    fn step_reads(&self) -> Reads {
        let mut reads = Reads::default();
        self.templates().for_each(|template| reads.add(Reads::of_template(template)));
        self.body.iter().for_each(|body| reads.add(Reads::of_value(body)));
        reads
    }

    fn reads_context(&self) -> bool {
        self.templates().any(|template| !template.is_static())
            || self.body.as_ref().is_some_and(|body| !body.is_static())
    }
}

fn named(fields: &indexmap::IndexMap<String, String>) -> Result<Vec<(String, Template)>, CompileError> {
    fields.iter().map(|(name, text)| Ok((name.clone(), Template::parse(text)?))).collect()
}

impl PlannedPagination {
    fn new(pagination: &Pagination) -> Option<Self> {
        let Pagination { page, offset, cursor, link, max_pages } = pagination.clone();
        let strategy = match (page, offset, cursor, link) {
            (Some(page), None, None, None) => PageStrategy::Page(page),
            (None, Some(offset), None, None) => PageStrategy::Offset(offset),
            (None, None, Some(cursor), None) => PageStrategy::Cursor(cursor),
            (None, None, None, Some(link)) => PageStrategy::Link(link),
            _ => return None,
        };
        Some(Self { strategy, max_pages })
    }
}
