//! On a real Redis: what is shared, and that nothing that happens to it is more than a loss of time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use prunella_cache::{RedisSettings, SharedCache};
use prunella_model::{ByteSize, Period};
use prunella_testkit::harness::Redis;
use prunella_vault::{MasterKey, PlainValues, Vault};

const STORE: &str = "answers";
const TIMEOUT: Duration = Duration::from_millis(300);
const PAUSE: Duration = Duration::from_millis(400);

fn settings(redis: &Redis) -> RedisSettings {
    RedisSettings {
        url: Some(redis.url()),
        timeout: Period::from_millis(300),
        pause: Period::from_millis(400),
        max_value: ByteSize::from_kib(64),
        ..RedisSettings::default()
    }
}

fn cache_with(settings: &RedisSettings, vault: Vault) -> Arc<SharedCache> {
    SharedCache::new(settings, "t.", Arc::new(vault)).expect("an address").expect("a cache")
}

fn cache(redis: &Redis) -> Arc<SharedCache> {
    cache_with(&settings(redis), Vault::plain())
}

fn sealed_vault() -> Vault {
    let key = MasterKey::parse("test", "k3y-0123456789abcdefghijklmnopqrstuv").expect("a key");
    Vault::new(key, Vec::new(), PlainValues::Refuse)
}

async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    (work.await, began.elapsed())
}

#[tokio::test]
async fn what_one_process_puts_another_finds() {
    let redis = Redis::start();
    let (one, other) = (cache(&redis), cache(&redis));
    assert_eq!(other.get(STORE, "a").await, None);
    one.put(STORE, "a", b"value").await;
    assert_eq!(other.get(STORE, "a").await.as_deref(), Some(b"value".as_slice()));
    assert_eq!(other.get("others", "a").await, None);
    one.put(STORE, "large", &vec![7; 64 * 1024]).await;
    assert_eq!(other.get(STORE, "large").await.map(|value| value.len()), Some(64 * 1024));
    one.put(STORE, "too large", &vec![7; 64 * 1024 + 1]).await;
    assert_eq!(other.get(STORE, "too large").await, None);
}

#[tokio::test]
async fn whatever_else_stands_there_is_never_used() {
    let redis = Redis::start();
    for (what, vault) in [("plain", Vault::plain()), ("sealed", sealed_vault())] {
        let cache = cache_with(&settings(&redis), vault);
        cache.put(STORE, "a", b"value of a").await;
        cache.put(STORE, "b", b"value of b").await;
        let real = redis.ask(&[b"GET", b"t.answers:a"]);
        let mut changed = real.clone();
        *changed.last_mut().expect("bytes") ^= 1;
        let junk: [&[u8]; 6] = [b"x", b"{}", &[0; 5000], &real[..real.len() - 1], &changed, &[255; 3]];
        for junk in junk {
            redis.ask(&[b"SET", b"t.answers:b", junk]);
            assert_eq!(cache.get(STORE, "b").await, None, "{what}: {junk:?}");
        }
        // The right value of another key.
        redis.ask(&[b"COPY", b"t.answers:a", b"t.answers:b", b"REPLACE"]);
        assert_eq!(cache.get(STORE, "b").await, None, "{what}");
        // Of another type, and larger than anything that was ever put.
        redis.ask(&[b"DEL", b"t.answers:b"]);
        redis.ask(&[b"LPUSH", b"t.answers:b", b"x"]);
        assert_eq!(cache.get(STORE, "b").await, None, "{what}");
        redis.ask(&[b"DEL", b"t.answers:b"]);
        redis.ask(&[b"SETRANGE", b"t.answers:b", b"50000000", b"x"]);
        let (found, took) = timed(cache.get(STORE, "b")).await;
        assert!(found.is_none() && took < TIMEOUT, "{what}: {took:?}");
        // It heals by being written.
        cache.put(STORE, "b", b"value of b").await;
        assert_eq!(cache.get(STORE, "b").await.as_deref(), Some(b"value of b".as_slice()), "{what}");
        redis.ask(&[b"FLUSHALL"]);
        assert_eq!(cache.get(STORE, "a").await, None, "{what}: wiped");
        cache.put(STORE, "a", b"again").await;
        assert_eq!(cache.get(STORE, "a").await.as_deref(), Some(b"again".as_slice()), "{what}");
    }
}

#[tokio::test]
async fn with_a_master_key_nothing_readable_is_stored_and_nothing_forged_is_used() {
    let redis = Redis::start();
    let (sealed, plain) = (cache_with(&settings(&redis), sealed_vault()), cache(&redis));
    sealed.put(STORE, "a", b"nobody else reads this").await;
    let stored = redis.ask(&[b"GET", b"t.answers:a"]);
    assert!(!stored.windows(6).any(|bytes| bytes == b"nobody"), "{stored:?}");
    assert_eq!(plain.get(STORE, "a").await, None, "without the key");
    assert_eq!(sealed.get(STORE, "a").await.as_deref(), Some(b"nobody else reads this".as_slice()));
    plain.put(STORE, "a", b"forged").await;
    assert_eq!(sealed.get(STORE, "a").await, None);
}

#[tokio::test]
async fn a_redis_that_is_away_costs_one_timeout_and_is_left_alone_for_a_while() {
    let mut redis = Redis::start();
    let cache = cache(&redis);
    cache.put(STORE, "a", b"value").await;
    redis.kill();
    let (found, took) = timed(cache.get(STORE, "a")).await;
    assert!(found.is_none() && took < 2 * TIMEOUT, "{took:?}");
    let (_, took) = timed(async {
        for _ in 0..1000 {
            assert_eq!(cache.get(STORE, "a").await, None);
            cache.put(STORE, "a", b"value").await;
        }
    })
    .await;
    assert!(took < PAUSE / 2, "left alone, a look-up costs nothing: {took:?} for two thousand");
    redis.restart();
    tokio::time::sleep(PAUSE).await;
    cache.put(STORE, "a", b"value").await;
    assert_eq!(cache.get(STORE, "a").await.as_deref(), Some(b"value".as_slice()), "it is back");
}

#[tokio::test]
async fn a_redis_that_hangs_costs_one_timeout() {
    let redis = Redis::start();
    let (connected, new) = (cache(&redis), cache(&redis));
    connected.put(STORE, "a", b"value").await;
    redis.freeze();
    for cache in [&connected, &new] {
        let (found, took) = timed(cache.get(STORE, "a")).await;
        assert!(found.is_none() && took < 2 * TIMEOUT, "{took:?}");
        let (_, took) = timed(cache.get(STORE, "a")).await;
        assert!(took < TIMEOUT / 2, "{took:?}");
    }
    redis.thaw();
    tokio::time::sleep(PAUSE).await;
    assert_eq!(connected.get(STORE, "a").await.as_deref(), Some(b"value".as_slice()));
}

#[tokio::test]
async fn without_a_redis_there_is_nothing_and_a_wrong_address_is_told() {
    let none = SharedCache::new(&RedisSettings::default(), "t.", Arc::new(Vault::plain())).expect("no address is fine");
    assert!(none.is_none());
    let nobody = RedisSettings { url: Some("redis://127.0.0.1:1".to_owned()), ..RedisSettings::default() };
    let cache = cache_with(&nobody, Vault::plain());
    cache.put(STORE, "a", b"value").await;
    assert_eq!(cache.get(STORE, "a").await, None);
    for wrong in ["http://127.0.0.1", "env:PRUNELLA_NO_SUCH_VARIABLE"] {
        let settings = RedisSettings { url: Some(wrong.to_owned()), ..RedisSettings::default() };
        let error = SharedCache::new(&settings, "t.", Arc::new(Vault::plain())).err().expect("a mistake");
        assert!(error.to_string().starts_with("redis.url"), "{error}");
    }
}
