//! All ways of pagination, against a shop on a real socket.

mod common;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use common::{by_cursor, by_link, by_offset, by_page, client, decoded, read_all, read_from, request, source};
use prunella_model::workflow::Pagination;
use prunella_model::{Code, Period};
use prunella_sources::{Class, Cursor, HttpClient, HttpClientConfig, HttpSource};
use prunella_testkit::source::{BadDay, Shop, ShopConfig, ShopHandle};
use serde_json::Value;

const ORDERS: u64 = 230;

async fn shop() -> ShopHandle {
    Shop::start(ShopConfig { orders: ORDERS, page_size: 50, bad_one_in: 20, ..ShopConfig::default() })
        .await
        .expect("shop")
}

fn all_orders(shop: &ShopHandle, count: u64) -> Vec<Value> {
    (0..count).map(|number| shop.order(number)).collect()
}

fn paged(shop: &ShopHandle, path: &str, pagination: Pagination) -> HttpSource {
    let mut request = request(&format!("{}{path}", shop.base_url()));
    request.pagination = Some(pagination);
    source(request)
}

/// Every way there is, with the path that answers to it.
fn ways() -> Vec<(&'static str, Pagination)> {
    vec![
        ("/orders", by_page(None)),
        ("/orders", by_page(Some(50))),
        ("/orders/by-offset", by_offset(50)),
        ("/orders/by-cursor", by_cursor()),
        ("/orders/by-link", by_link(None)),
        ("/orders/by-link", by_link(Some("links.next"))),
    ]
}

#[tokio::test]
async fn every_way_of_pagination_reads_every_order_once_and_in_order() {
    let shop = shop().await;
    let expected = all_orders(&shop, ORDERS);
    for (path, pagination) in ways() {
        let pages = read_all(&paged(&shop, path, pagination.clone())).await.expect(path);
        assert_eq!(decoded(&pages), expected, "{path} {pagination:?}");
        assert_eq!(pages[0].len(), 50);
    }
}

#[tokio::test]
async fn a_new_process_goes_on_at_the_journaled_cursor() {
    let shop = shop().await;
    let expected = all_orders(&shop, ORDERS);
    for (path, pagination) in ways() {
        let mut at: Option<String> = None;
        let mut read = Vec::new();
        loop {
            // Nothing survives from page to page but the text of the cursor.
            let source = paged(&shop, path, pagination.clone());
            let cursor = at.as_deref().map(|text| text.parse::<Cursor>().expect("readable"));
            let page = source.page(cursor.as_ref()).await.expect(path);
            read.extend(decoded(&[page.items]));
            at = page.next.map(|next| next.to_string());
            if at.is_none() {
                break;
            }
        }
        assert_eq!(read, expected, "{path} {pagination:?}");
    }
}

#[tokio::test]
async fn the_same_cursor_gives_the_same_page_again() {
    let shop = shop().await;
    let source = paged(&shop, "/orders/by-cursor", by_cursor());
    let second = source.page(None).await.expect("first").next.expect("more");
    let once = source.page(Some(&second)).await.expect("second");
    let again = source.page(Some(&second)).await.expect("second again");
    assert_eq!(once.items, again.items);
    assert_eq!(once.next, again.next);
}

#[tokio::test]
async fn without_pagination_there_is_one_page() {
    let shop = shop().await;
    let mut request = request(&format!("{}/customers", shop.base_url()));
    request.items = Some(common::path("customers"));
    let page = source(request).page(None).await.expect("customers");
    assert!(page.next.is_none());
    assert_eq!(page.items.len(), 40);
    assert_eq!(page.effort.tries, 1);
    let bytes: u64 = page.items.iter().map(|item| item.len() as u64 + 1).sum();
    assert_eq!(page.effort.bytes, bytes + r#"{"customers":[}"#.len() as u64);
}

#[tokio::test]
async fn an_empty_list_is_a_page_without_items() {
    let shop = Shop::start(ShopConfig { orders: 0, ..ShopConfig::default() }).await.expect("shop");
    for (path, pagination) in ways() {
        let pages = read_all(&paged(&shop, path, pagination)).await.expect(path);
        assert_eq!(decoded(&pages), Vec::<Value>::new());
        assert_eq!(pages.len(), 1);
    }
}

#[tokio::test]
async fn a_short_page_is_the_last_one_of_a_source_that_has_filled_a_page() {
    let shop = shop().await;
    read_all(&paged(&shop, "/orders", by_page(Some(50)))).await.expect("read");
    assert_eq!(shop.requests(), 5, "230 orders are four full pages and a short one");
}

#[tokio::test]
async fn a_source_that_caps_its_pages_loses_nothing() {
    let config = ShopConfig { orders: ORDERS, largest_page: 40, ..ShopConfig::default() };
    let shop = Shop::start(config).await.expect("shop");
    for (path, pagination) in [("/orders", by_page(Some(100))), ("/orders/by-offset", by_offset(100))] {
        let pages = read_all(&paged(&shop, path, pagination)).await.expect(path);
        assert_eq!(decoded(&pages), all_orders(&shop, ORDERS), "{path}");
    }
}

#[tokio::test]
async fn flaky_pages_are_read_by_trying_again() {
    for bad_day in [BadDay::Error, BadDay::Closed, BadDay::Busy { retry_after: "0".to_owned() }] {
        let flaky = HashMap::from([(0, 1), (2, 2)]);
        let config = ShopConfig { orders: ORDERS, flaky, bad_day: bad_day.clone(), ..ShopConfig::default() };
        let shop = Shop::start(config).await.expect("shop");
        let source = paged(&shop, "/orders/by-cursor", by_cursor());
        let first = source.page(None).await.expect("the second try");
        assert_eq!(first.effort.tries, 2);
        let rest = read_from(&source, first.next).await.expect("the rest");
        assert_eq!(decoded(&rest), all_orders(&shop, ORDERS)[50..]);
        assert_eq!(shop.requests(), 5 + 3, "{bad_day:?}");
    }
}

#[tokio::test]
async fn when_the_tries_are_used_up_the_same_page_can_be_asked_later() {
    let flaky = HashMap::from([(1, 4)]);
    let shop = Shop::start(ShopConfig { orders: 100, flaky, ..ShopConfig::default() }).await.expect("shop");
    let source = paged(&shop, "/orders/by-cursor", by_cursor());
    let second = source.page(None).await.expect("first").next.expect("more");
    let error = source.page(Some(&second)).await.expect_err("three tries are not enough");
    assert_eq!((error.code(), error.class()), (Code::SourceStatus, Class::Transient { retry_after: None }));
    assert_eq!(error.effort().tries, 3);
    assert!(error.to_string().contains("503"), "{error}");
    assert!(error.to_string().ends_with("(tried 3 times)"), "{error}");
    let later = read_from(&source, Some(second)).await.expect("the fifth request");
    assert_eq!(decoded(&later), all_orders(&shop, 100)[50..]);
}

#[tokio::test]
async fn a_source_is_not_asked_before_the_time_it_asked_for() {
    let config = ShopConfig {
        flaky: HashMap::from([(0, 1)]),
        bad_day: BadDay::Busy { retry_after: "1".to_owned() },
        ..ShopConfig::default()
    };
    let shop = Shop::start(config).await.expect("shop");
    let started = Instant::now();
    source(request(&format!("{}/orders", shop.base_url()))).page(None).await.expect("second try");
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_long_wait_is_handed_to_the_caller_at_once() {
    let config = ShopConfig {
        flaky: HashMap::from([(0, 9)]),
        bad_day: BadDay::Busy { retry_after: "31".to_owned() },
        ..ShopConfig::default()
    };
    let shop = Shop::start(config).await.expect("shop");
    let error = common::refused(&format!("{}/orders", shop.base_url())).await;
    assert_eq!(error.code(), Code::SourceRateLimit);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(31)));
    assert_eq!(shop.requests(), 1);
    let patient = HttpClientConfig { longest_wait: Period::from_millis(1), ..HttpClientConfig::default() };
    let client = HttpClient::new(&patient).expect("client");
    let source = HttpSource::new(&client, request(&format!("{}/orders", shop.base_url()))).expect("source");
    assert_eq!(source.page(None).await.expect_err("busy").effort().tries, 1);
}

#[tokio::test]
async fn more_pages_than_allowed_is_an_error_and_exactly_as_many_is_none() {
    let shop = Shop::start(ShopConfig { orders: 150, page_size: 50, ..ShopConfig::default() }).await.expect("shop");
    for (path, pagination) in ways() {
        let enough = paged(&shop, path, Pagination { max_pages: 3, ..pagination.clone() });
        let pages = read_all(&enough).await.expect("three pages of 50");
        assert_eq!(decoded(&pages).len(), 150, "{path}");
        let too_few = paged(&shop, path, Pagination { max_pages: 2, ..pagination });
        let error = read_all(&too_few).await.expect_err("a third page");
        assert_eq!(error.code(), Code::SourcePages, "{path}: {error}");
        assert!(!error.is_transient());
        assert!(error.to_string().contains("max-pages"), "{error}");
    }
}

#[tokio::test]
async fn a_cursor_of_another_pagination_is_refused() {
    let shop = shop().await;
    let cursor = paged(&shop, "/orders/by-cursor", by_cursor()).page(None).await.expect("first").next.expect("more");
    let error = paged(&shop, "/orders", by_page(None)).page(Some(&cursor)).await.expect_err("changed");
    assert_eq!(error.code(), Code::SourceCursor);
}

#[tokio::test]
async fn credentials_are_sent_and_never_shown() {
    let config = ShopConfig { token: Some("s3cret-token".to_owned()), ..ShopConfig::default() };
    let shop = Shop::start(config).await.expect("shop");
    let url = format!("{}/orders", shop.base_url());
    let mut good = request(&url);
    good.headers.push(("Authorization".to_owned(), "Bearer s3cret-token".to_owned()));
    assert_eq!(source(good).page(None).await.expect("let in").items.len(), 50);
    let mut bad = request(&url.replace("http://", "http://user:hidden-word@"));
    bad.query.push(("api_key".to_owned(), "k3y-in-query".to_owned()));
    let error = source(bad).page(None).await.expect_err("unknown").to_string();
    assert!(error.contains("401") && error.contains("api_key=…"), "{error}");
    assert!(!error.contains("k3y-in-query") && !error.contains("hidden-word"), "{error}");
}

#[tokio::test]
async fn connections_are_reused() {
    let shop = shop().await;
    let client = client();
    let mut wanted = request(&format!("{}/orders/by-cursor", shop.base_url()));
    wanted.pagination = Some(by_cursor());
    for _ in 0..5 {
        read_all(&HttpSource::new(&client, wanted.clone()).expect("source")).await.expect("read");
    }
    assert_eq!((shop.requests(), shop.connections()), (25, 1));
}
