//! Sources that answer badly: each has its code, none holds anything up.

mod common;

use std::time::{Duration, Instant};

use common::{by_cursor, by_link, by_offset, by_page, refused, request, source};
use prunella_model::workflow::{HttpMethod, Pagination};
use prunella_model::{ByteSize, Code, Period};
use prunella_sources::{Class, HttpClient, HttpClientConfig, HttpSource, SourceError};
use prunella_testkit::source::{HostileServer, Hostility, Shop, ShopConfig};
use serde_json::json;

async fn server() -> HostileServer {
    HostileServer::start().await.expect("hostile server")
}

const SOON: Class = Class::Transient { retry_after: None };

/// What is wrong, the code it has, whether the first page is worth asking again, the tries, a part of the message.
#[rustfmt::skip]
fn cases() -> Vec<(Hostility, Code, Class, u32, &'static str)> {
    use Class::Permanent;
    use Hostility as H;
    vec![
        (H::Html, Code::SourceHtml, Permanent, 3, "a web page, not JSON: <!DOCTYPE html>"),
        (H::Xml, Code::SourceNotJson, Permanent, 3, "XML"),
        (H::NotJson, Code::SourceNotJson, Permanent, 3, "line 1 column 2, near `{'data'"),
        (H::HalfJson, Code::SourceHalfJson, Permanent, 3, "after 20 bytes"),
        (H::CutBody, Code::SourceCut, SOON, 3, "cut off after 28 bytes"),
        (H::CutChunk, Code::SourceCut, SOON, 3, "cut off"),
        (H::Hangup, Code::SourceUnreachable, SOON, 3, "no answer"),
        (H::Reset, Code::SourceUnreachable, SOON, 3, "no answer"),
        (H::EndlessHead, Code::SourceUnreachable, SOON, 3, "no answer"),
        (H::Endless, Code::SourceTooLarge, Permanent, 1, "limit of 1MiB"),
        (H::FiveGigabytes, Code::SourceTooLarge, Permanent, 1, "announces 5000000000 bytes"),
        (H::Empty, Code::SourceEmpty, Permanent, 3, "204"),
        (H::GzipBomb, Code::SourceTooLarge, Permanent, 1, "limit of 1MiB"),
        (H::NoGzip, Code::SourceEncoding, Permanent, 3, "compression is broken"),
        (H::Brotli, Code::SourceEncoding, Permanent, 3, "only gzip was offered"),
        (H::RedirectToItself, Code::SourceRedirectLoop, Permanent, 3, "in a circle"),
        (H::RedirectCircle, Code::SourceRedirectLoop, Permanent, 3, "in a circle"),
        (H::RedirectFlight, Code::SourceRedirects, Permanent, 3, "more than 5 times"),
        (H::RedirectNowhere, Code::SourceRefused, Permanent, 1, "no address"),
        (H::UndeclaredLatin1, Code::SourceCharset, Permanent, 3, "not valid UTF-8"),
        (H::UnknownCharset, Code::SourceCharset, Permanent, 1, "klingon"),
        (H::DeepNesting, Code::SourceNesting, Permanent, 1, "5001 levels"),
        (H::Unauthorized, Code::SourceUnauthorized, Permanent, 1, "401"),
        (H::Forbidden, Code::SourceUnauthorized, Permanent, 1, "not for you"),
        (H::NotFound, Code::SourceRefused, Permanent, 1, "404"),
        (H::Status(400), Code::SourceRefused, Permanent, 1, "400"),
        (H::Status(304), Code::SourceRefused, Permanent, 1, "304"),
        (H::Status(302), Code::SourceRefused, Permanent, 1, "302"),
        (H::Status(408), Code::SourceStatus, SOON, 3, "408"),
        (H::Status(425), Code::SourceStatus, SOON, 3, "425"),
        (H::Status(429), Code::SourceRateLimit, SOON, 3, "429"),
        (H::Status(500), Code::SourceStatus, SOON, 3, "<html><body>something broke</body></html>"),
        (H::Status(502), Code::SourceStatus, SOON, 3, "502"),
        (H::Status(504), Code::SourceStatus, SOON, 3, "504"),
    ]
}

#[tokio::test]
async fn each_has_its_code_its_class_and_a_clear_message() {
    let server = server().await;
    for (hostility, code, class, tries, part) in cases() {
        let error = refused(&server.url(hostility)).await;
        let told = format!("{hostility:?}: {error}");
        assert_eq!(error.code(), code, "{told}");
        assert_eq!(error.class(), class, "{told}");
        assert_eq!(error.effort().tries, tries, "{told}");
        assert!(told.contains(part), "{told}");
        assert!(error.to_string().starts_with("GET http://127.0.0.1:"), "{told}");
    }
}

/// What is doubtful on the first page is an outage on a later one: the source has worked.
#[tokio::test]
async fn a_source_that_has_worked_may_work_again() {
    let server = server().await;
    for hostility in [Hostility::Html, Hostility::HalfJson, Hostility::Empty, Hostility::RedirectToItself] {
        let mut wanted = request(&server.url(hostility));
        wanted.pagination = Some(by_cursor());
        let later = r#"{"v":1,"at":{"cursor":"x"},"pages":3,"mark":"00"}"#.parse().expect("cursor");
        let error = source(wanted).page(Some(&later)).await.expect_err("still bad");
        assert_eq!(error.class(), SOON, "{error}");
    }
}

#[tokio::test]
async fn what_never_ends_ends_at_the_timeout() {
    let server = server().await;
    for hostility in [Hostility::Silence, Hostility::Dribble] {
        let mut wanted = request(&server.url(hostility));
        wanted.timeout = Period::from_millis(200);
        wanted.retry.attempts = 2;
        let started = Instant::now();
        let error = source(wanted).page(None).await.expect_err("never ends");
        assert_eq!((error.code(), error.class()), (Code::SourceTimeout, SOON));
        assert!(error.to_string().contains("within 200ms"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn little_is_read_of_what_is_too_large() {
    let server = server().await;
    refused(&server.url(Hostility::FiveGigabytes)).await;
    refused(&server.url(Hostility::Endless)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(server.open_connections(), 0);
    assert!(server.bytes() < 32 << 20, "{} bytes were taken", server.bytes());
}

#[tokio::test]
async fn the_limit_counts_what_was_decompressed() {
    let server = server().await;
    let error = refused(&server.url(Hostility::GzipBomb)).await;
    let limit = ByteSize::from_mib(1).bytes();
    assert!((limit..limit + (1 << 20)).contains(&error.effort().bytes), "{:?}", error.effort());
}

#[tokio::test]
async fn what_is_only_unusual_is_read() {
    let server = server().await;
    for (hostility, expected) in [
        (Hostility::Gzip, vec![r#"{"id":1}"#, r#"{"id":2}"#]),
        (Hostility::Bom, vec![r#"{"id":1}"#, r#"{"id":2}"#]),
        (Hostility::Utf16, vec![r#"{"é€":1}"#, r#"{"é€":2}"#]),
        (Hostility::Latin1, vec!["\"café\""]),
        (
            Hostility::OddItems,
            vec![r#"{"a":1,"a":2}"#, "1.0", "1e3", "12345678901234567890", r#""\u00e9\ud83d\ude00é""#],
        ),
        (Hostility::NoContent, vec![]),
    ] {
        let page = source(request(&server.url(hostility))).page(None).await.expect("readable");
        let items: Vec<_> = page.items.iter().map(|item| String::from_utf8_lossy(item).into_owned()).collect();
        assert_eq!(items, expected, "{hostility:?}");
        assert!(page.next.is_none());
    }
}

#[tokio::test]
async fn a_cut_compressed_answer_is_never_taken_for_a_whole_one() {
    let server = server().await;
    let error = refused(&server.url(Hostility::CutGzip)).await;
    assert!(matches!(error.code(), Code::SourceCut | Code::SourceEncoding), "{error}");
    assert_eq!(error.effort().tries, 3);
}

async fn pages_until_error(
    server: &HostileServer,
    hostility: Hostility,
    pagination: Pagination,
) -> (usize, SourceError) {
    let mut wanted = request(&server.url(hostility));
    wanted.pagination = Some(pagination);
    let source = source(wanted);
    let (mut at, mut pages) = (None, 0);
    loop {
        match source.page(at.as_ref()).await {
            Ok(page) => at = Some(page.next.expect("no end")),
            Err(error) => return (pages, error),
        }
        pages += 1;
    }
}

#[tokio::test]
async fn circles_of_pages_end() {
    let server = server().await;
    for (hostility, pagination, most) in [
        (Hostility::SameCursor, by_cursor(), 1),
        (Hostility::CursorCircle, by_cursor(), 24),
        (Hostility::SamePage, by_page(None), 1),
        (Hostility::SamePage, by_offset(2), 1),
    ] {
        let (pages, error) = pages_until_error(&server, hostility, pagination).await;
        assert_eq!((error.code(), error.class()), (Code::SourceLoop, Class::Permanent), "{error}");
        assert!(pages <= most, "{hostility:?}: {pages} pages");
    }
    let endless = Pagination { max_pages: 20, ..by_cursor() };
    let (pages, error) = pages_until_error(&server, Hostility::EveryPageHasANext, endless).await;
    assert_eq!((pages, error.code()), (20, Code::SourcePages));
}

#[tokio::test]
async fn a_next_page_that_cannot_be_followed_is_refused() {
    let server = server().await;
    for (hostility, pagination, code, part) in [
        (Hostility::NextElsewhere, by_link(Some("next")), Code::SourceForeignHost, "http://other.example"),
        (Hostility::StrangeCursor, by_cursor(), Code::SourceItems, "`next`, found an object with page"),
    ] {
        let (pages, error) = pages_until_error(&server, hostility, pagination).await;
        assert_eq!((pages, error.code()), (0, code));
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[tokio::test]
async fn wishes_to_wait_are_obeyed_or_passed_over() {
    let server = server().await;
    for (wish, expected) in [
        ("120", Some(Duration::from_secs(120))),
        ("99999999999999999999", Some(Duration::from_secs(u64::MAX))),
        ("-5", None),
        ("soon", None),
    ] {
        let error = refused(&server.url(Hostility::RetryAfter(wish))).await;
        assert_eq!(error.class(), Class::Transient { retry_after: expected }, "{wish}");
        assert_eq!(error.effort().tries, if expected.is_some() { 1 } else { 3 }, "{wish}");
    }
    let a_minute = httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_secs(60));
    let error = refused(&server.url(Hostility::RetryAfter(a_minute.leak()))).await;
    let wait = error.retry_after().expect("a date");
    assert!((55..=60).contains(&wait.as_secs()), "{wait:?}");
    let limited = refused(&server.url(Hostility::ForbiddenForAWhile)).await;
    assert_eq!((limited.code(), limited.retry_after()), (Code::SourceRateLimit, Some(Duration::from_secs(120))));
}

#[tokio::test]
async fn a_dropped_page_hangs_up_at_once() {
    let server = server().await;
    for hostility in [Hostility::Silence, Hostility::Dribble] {
        let source = source(request(&server.url(hostility)));
        let pending = tokio::time::timeout(Duration::from_millis(200), source.page(None)).await;
        assert!(pending.is_err(), "{hostility:?} answers nothing");
        let hung_up = async {
            while server.open_connections() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(2), hung_up).await.expect("the connection is closed");
    }
}

#[tokio::test]
async fn a_secret_that_the_source_repeats_is_masked() {
    let server = server().await;
    let mut wanted = request(&server.url(Hostility::Unauthorized));
    wanted.headers.push(("X-Api-Key".to_owned(), "k3y-in-header".to_owned()));
    wanted.query.push(("token".to_owned(), "t0ken".to_owned() + "-in-query"));
    let error = source(wanted).page(None).await.expect_err("401").to_string();
    assert!(error.contains("token=…"), "{error}");
    assert!(!error.contains("k3y-in-header") && !error.contains("t0ken-in-query"), "{error}");
}

#[tokio::test]
async fn another_host_never_sees_the_headers() {
    let (home, elsewhere) = (server().await, server().await);
    let to =
        |url: String| format!("{}/RedirectTo?url={}", home.base_url(), url.replace(':', "%3A").replace('/', "%2F"));
    let with_key = |url: &str| {
        let mut wanted = request(url);
        wanted.headers.push(("X-Api-Key".to_owned(), "k3y-in-header".to_owned()));
        source(wanted)
    };
    let at_home = with_key(&to(format!("{}/Echo", home.base_url()))).page(None).await.expect("echo");
    assert!(String::from_utf8_lossy(&at_home.items[0]).contains("k3y-in-header"));
    let abroad = with_key(&to(format!("{}/Echo", elsewhere.base_url()))).page(None).await.expect("echo");
    assert!(!String::from_utf8_lossy(&abroad.items[0]).contains("k3y-in-header"));
    assert_eq!(elsewhere.requests(), 1);
}

#[tokio::test]
async fn hosts_that_are_not_there_say_how() {
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("port");
        listener.local_addr().expect("address").to_string()
    };
    let (plain, hangs_up) = (Shop::start(ShopConfig::default()).await.expect("shop"), server().await);
    let with_tls = |base_url: String| base_url.replace("http://", "https://");
    for (url, code, class, part) in [
        (format!("http://{closed}/"), Code::SourceUnreachable, SOON, "refused"),
        ("http://no-such-host.invalid/".to_owned(), Code::SourceUnreachable, SOON, "name of the host is not found"),
        (with_tls(plain.base_url()), Code::SourceTls, Class::Permanent, "no TLS connection"),
        (with_tls(hangs_up.base_url()), Code::SourceTls, SOON, "no TLS connection"),
    ] {
        let error = refused(&url).await;
        assert_eq!((error.code(), error.class()), (code, class), "{error}");
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(error.effort().tries, 3);
    }
}

#[tokio::test]
async fn a_body_is_sent_as_json() {
    let server = server().await;
    let mut wanted = request(&format!("{}/Echo", server.base_url()));
    wanted.method = HttpMethod::Post;
    wanted.body = Some(json!({ "query": "{ orders }" }));
    let page = source(wanted).page(None).await.expect("echo");
    let head = String::from_utf8_lossy(&page.items[0]).to_ascii_lowercase();
    for line in ["post /echo", "content-type: application/json", "accept: application/json", "accept-encoding: gzip"] {
        assert!(head.contains(line), "{head}");
    }
    assert!(head.contains("content-length: 22"), "{head}");
}

#[test]
fn requests_that_cannot_be_sent_are_refused() {
    let refused = |change: fn(&mut prunella_sources::HttpRequest), part: &str| {
        let mut wanted = request("http://a.example/");
        change(&mut wanted);
        let error = HttpSource::new(&common::client(), wanted).err().expect(part);
        assert_eq!(error.code(), Code::SourceUrl);
        assert!(error.to_string().contains(part), "{error}");
    };
    refused(|request| request.url = "file:///etc/passwd".parse().expect("url"), "expected an http or https address");
    refused(|request| request.headers.push(("a b".to_owned(), String::new())), "not the name of a header");
    refused(|request| request.headers.push(("a".to_owned(), "x\r\nb: c".to_owned())), "line break");
    refused(|request| request.headers.push(("Accept-Encoding".to_owned(), "br".to_owned())), "leave it out");
    refused(
        |request| request.pagination = Some(Pagination { cursor: by_cursor().cursor, ..by_page(None) }),
        "exactly one",
    );
    refused(|request| (request.pagination, request.items) = (Some(by_page(None)), None), "`items` must say");
}

#[test]
fn a_client_that_cannot_be_made_says_why() {
    let directory = tempfile::tempdir().expect("directory");
    let empty = directory.path().join("ca.pem");
    std::fs::write(&empty, "no certificate").expect("written");
    for path in [directory.path().join("missing.pem"), empty] {
        let config = HttpClientConfig { ca_file: Some(path.clone()), ..HttpClientConfig::default() };
        let error = HttpClient::new(&config).err().expect("unusable");
        assert_eq!(error.code(), Code::Config);
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }
}
