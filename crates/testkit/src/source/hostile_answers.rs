//! The answers of the hostile server, as bytes.

use std::io::Write;
use std::sync::LazyLock;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

/// What the server does with a connection, one after the other; then it closes it.
pub(crate) enum Act {
    Write(Vec<u8>),
    Repeat { bytes: Vec<u8>, times: u64, every: Duration },
    Wait,
    Reset,
}

const FOR_EVER: u64 = u64::MAX;
const GOOD: &str = r#"{"data":[{"id":1},{"id":2}]}"#;

/// Answers the request with this head.
pub(crate) fn acts(head: &str) -> Vec<Act> {
    let target = head.split_whitespace().nth(1).unwrap_or("/");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let parameter = |name: &str| {
        let pair = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name);
        pair.map(|(_, value)| value)
    };
    let page = parameter("cursor").and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    let paged = |next: serde_json::Value| json_answer(&json!({ "data": [{ "id": page }], "next": next }).to_string());
    match path {
        "/Html" => answer("text/html", b"<!DOCTYPE html><html><body>Maintenance</body></html>"),
        "/Xml" => answer("application/xml", b"<?xml version=\"1.0\"?><orders/>"),
        "/NotJson" => answer("application/json", b"{'data': [1, 2]}"),
        "/HalfJson" => json_answer(&GOOD[..20]),
        "/CutBody" => vec![Act::Write(head_of(200, &[("Content-Length", "1000")])), Act::Write(GOOD.into())],
        "/CutChunk" => {
            let head = head_of(200, &[("Transfer-Encoding", "chunked")]);
            vec![Act::Write(head), Act::Write(b"1f4\r\n{\"data\":[".to_vec())]
        }
        "/Hangup" => vec![],
        "/Reset" => vec![Act::Reset],
        "/Silence" => vec![Act::Wait],
        "/EndlessHead" => {
            let line = format!("X-More: {}\r\n", "x".repeat(1000)).into_bytes();
            vec![Act::Write(b"HTTP/1.1 200 OK\r\n".to_vec()), repeat(line, 0)]
        }
        "/Dribble" => vec![Act::Write(head_of(200, &[("Content-Length", "100000")])), repeat(b"[".to_vec(), 20)],
        "/Endless" => vec![Act::Write(head_of(200, &[])), Act::Write(b"[".to_vec()), repeat(b"1,".repeat(4096), 0)],
        "/FiveGigabytes" => {
            let head = head_of(200, &[("Content-Length", "5000000000")]);
            vec![Act::Write(head), repeat(b"[".repeat(4096), 0)]
        }
        "/NoContent" => vec![Act::Write(head_of(204, &[]))],
        "/Empty" => json_answer(""),
        "/Gzip" => gzipped(&compressed(GOOD.as_bytes())),
        "/GzipBomb" => gzipped(&BOMB),
        "/NoGzip" => gzipped(GOOD.as_bytes()),
        "/CutGzip" => {
            let whole = compressed(&GOOD.repeat(50).into_bytes());
            gzipped(&whole[..whole.len() / 2])
        }
        "/Brotli" => coded("br", b"\x1b\x1b\x00\x00"),
        "/RedirectToItself" => redirect(path),
        "/RedirectCircle" => redirect("/RedirectBack"),
        "/RedirectBack" => redirect("/RedirectCircle"),
        "/RedirectFlight" => {
            let number = parameter("n").and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
            redirect(&format!("/RedirectFlight?n={}", number + 1))
        }
        "/RedirectNowhere" => redirect("http://[not an address"),
        "/RedirectTo" => redirect(&parameter("url").unwrap_or_default().replace("%3A", ":").replace("%2F", "/")),
        "/Echo" => json_answer(&json!({ "data": [head] }).to_string()),
        "/Utf16" => {
            let text = format!("\u{feff}{}", GOOD.replace("\"id\"", "\"é€\""));
            answer("application/json", &text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>())
        }
        "/Latin1" => answer("application/json; charset=ISO-8859-1", b"{\"data\":[\"caf\xe9\"]}"),
        "/UndeclaredLatin1" => answer("application/json", b"{\"data\":[\"caf\xe9\"]}"),
        "/Bom" => json_answer(&format!("\u{feff}{GOOD}")),
        "/UnknownCharset" => answer("application/json; charset=klingon", GOOD.as_bytes()),
        "/DeepNesting" => json_answer(&format!("{{\"data\":{}{}}}", "[".repeat(5000), "]".repeat(5000))),
        "/OddItems" => json_answer(r#"{"data":[ {"a":1,"a":2} ,1.0,1e3,12345678901234567890,"\u00e9\ud83d\ude00é"]}"#),
        "/Unauthorized" => status(401, &[], head.as_bytes()),
        "/Forbidden" => status(403, &[], b"not for you"),
        "/ForbiddenForAWhile" => status(403, &[("Retry-After", "120")], b"secondary rate limit"),
        "/status" => {
            let code = parameter("code").and_then(|code| code.parse().ok()).unwrap_or(500);
            status(code, &[], b"<html><body>something\nbroke</body></html>")
        }
        "/retry-after" => {
            let wish = parameter("wish").unwrap_or_default().replace(['_', '+'], " ").replace("%20", " ");
            status(503, &[("Retry-After", &wish)], b"later")
        }
        "/SameCursor" => paged(json!(7)),
        "/CursorCircle" => paged(json!((page + 1) % 7)),
        "/EveryPageHasANext" => paged(json!(page + 1)),
        "/SamePage" => json_answer(GOOD),
        "/NextElsewhere" => paged(json!("http://other.example/orders?page=2")),
        "/StrangeCursor" => paged(json!({ "page": 2 })),
        _ => status(404, &[], b"no such page"),
    }
}

fn head_of(status: u16, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} Whatever\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    head.into_bytes()
}

fn status(code: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<Act> {
    let length = body.len().to_string();
    let headers = [headers, &[("Content-Length", length.as_str())]].concat();
    vec![Act::Write(head_of(code, &headers)), Act::Write(body.to_vec())]
}

fn answer(content_type: &str, body: &[u8]) -> Vec<Act> {
    status(200, &[("Content-Type", content_type)], body)
}

fn json_answer(body: &str) -> Vec<Act> {
    answer("application/json", body.as_bytes())
}

fn coded(encoding: &str, body: &[u8]) -> Vec<Act> {
    status(200, &[("Content-Type", "application/json"), ("Content-Encoding", encoding)], body)
}

fn gzipped(body: &[u8]) -> Vec<Act> {
    coded("gzip", body)
}

fn redirect(target: &str) -> Vec<Act> {
    status(302, &[("Location", target)], b"")
}

fn repeat(bytes: Vec<u8>, every_milliseconds: u64) -> Act {
    Act::Repeat { bytes, times: FOR_EVER, every: Duration::from_millis(every_milliseconds) }
}

/// Writing into memory cannot fail.
fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// Made once: it takes a moment.
static BOMB: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let blanks = vec![b' '; 1 << 20];
    for _ in 0..64 {
        let _ = encoder.write_all(&blanks);
    }
    encoder.finish().unwrap_or_default()
});
