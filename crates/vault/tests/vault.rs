//! What a vault promises, and that every byte of a sealed value is guarded.

use proptest::collection::vec;
use proptest::prelude::*;
use prunella_vault::{MasterKey, Place, PlainValues, Vault, VaultError};

const MASTER: &str = "prunella-known-answer-key-0123456789";
const OTHER: &str = "another-key-of-another-installation-42";
const PLACE: Place<'_> = Place { store: "state.samples", key: b"default/orders/fetch@1" };
const VALUE: &[u8] = br#"{"customer":"Ann","total":19.90}"#;

/// Printed by `sh tests/vector.sh`, which uses the OpenSSL command line alone.
const SEALED_BY_OPENSSL: &str = "fe5601ac577fedf4fb8c61000102030405060708090a0b0c0d0e0f710e67ec834ab80a6cd7432e3fcf19f5\
744e9447d469c8d52e4eac6f02c5656b0db7f3310bd9030b6c6f6c3e36a4729989cdf57db2bb2788e05d973d203bad38473a45cdd0aab6da403999717d497a26";

fn key(text: &str) -> MasterKey {
    MasterKey::parse("MASTER_ENCRYPTION_KEY", text).expect("key")
}

fn vault(text: &str) -> Vault {
    Vault::new(key(text), Vec::new(), PlainValues::Refuse)
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        hex.bytes().filter_map(|digit| char::from(digit).to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn environment(variables: &[(&str, &str)]) -> Result<Vault, VaultError> {
    Vault::from_environment(|name| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    })
}

#[test]
fn opens_what_openssl_sealed() {
    let opened = vault(MASTER).open(PLACE, &bytes(SEALED_BY_OPENSSL)).expect("opens");
    assert_eq!(opened.value.as_slice(), VALUE);
    assert!(!opened.is_stale);
}

#[test]
fn a_changed_byte_anywhere_is_an_error_and_never_a_value() {
    let vault = vault(MASTER);
    let sealed = vault.seal(PLACE, VALUE);
    for at in 0..sealed.len() {
        for bit in 0..8 {
            let mut changed = sealed.clone();
            changed[at] ^= 1 << bit;
            let error = vault.open(PLACE, &changed).expect_err("refused");
            let expected: &[&str] = match at {
                0..2 => &["PRN-1005"],
                // Version 0 is a plain value.
                2 => &["PRN-1004", "PRN-1005"],
                3..11 => &["PRN-1002"],
                _ => &["PRN-1003"],
            };
            assert!(expected.contains(&error.code().id()), "byte {at}, bit {bit}: {error}");
        }
    }
}

#[test]
fn a_cut_or_lengthened_value_is_an_error() {
    let vault = vault(MASTER);
    let sealed = vault.seal(PLACE, VALUE);
    for length in 0..sealed.len() {
        assert!(vault.open(PLACE, &sealed[..length]).is_err(), "{length} bytes");
    }
    for more in 1..40 {
        let longer = [&sealed[..], &vec![0; more][..]].concat();
        assert_eq!(vault.open(PLACE, &longer).expect_err("refused").code().id(), "PRN-1003", "{more} more");
    }
}

#[test]
fn a_value_opens_only_in_its_place() {
    let vault = vault(MASTER);
    let sealed = vault.seal(PLACE, VALUE);
    let elsewhere = [
        Place { key: b"default/orders/fetch@2", ..PLACE },
        Place { store: "state.connections", ..PLACE },
        // The same bytes, divided in another way.
        Place { store: "state.samplesd", key: b"efault/orders/fetch@1" },
        Place { store: "", key: b"" },
    ];
    for place in elsewhere {
        let error = vault.open(place, &sealed).expect_err("refused");
        assert_eq!(error.code().id(), "PRN-1003");
        assert!(error.to_string().starts_with(&place.to_string()), "{error}");
    }
}

#[test]
fn keys_are_rotated() {
    let before = vault(MASTER).seal(PLACE, VALUE);
    let rotated = Vault::new(key(OTHER), vec![key(MASTER)], PlainValues::Refuse);
    let opened = rotated.open(PLACE, &before).expect("opens");
    assert_eq!((opened.value.as_slice(), opened.is_stale), (VALUE, true));
    let after = rotated.seal(PLACE, &opened.value);
    assert!(!rotated.open(PLACE, &after).expect("opens").is_stale);
    assert!(vault(OTHER).open(PLACE, &after).is_ok());

    let error = vault(OTHER).open(PLACE, &before).expect_err("its key is gone");
    assert_eq!(error.code().id(), "PRN-1002");
    let shown = error.to_string();
    assert!(shown.contains(&key(MASTER).id().to_string()) && shown.contains("MASTER_ENCRYPTION_KEYS_OLD"), "{shown}");
}

#[test]
fn without_a_key_values_pass_and_secrets_do_not() {
    let plain = Vault::plain();
    assert_eq!(plain.seal(PLACE, VALUE), VALUE);
    assert_eq!(plain.open(PLACE, VALUE).expect("opens").value.as_slice(), VALUE);
    assert_eq!(plain.seal_secret(PLACE, VALUE).expect_err("refused").code().id(), "PRN-1001");
    let error = plain.open(PLACE, &vault(MASTER).seal(PLACE, VALUE)).expect_err("sealed");
    assert_eq!(error.code().id(), "PRN-1001");
    assert!(error.to_string().contains("set MASTER_ENCRYPTION_KEY"), "{error}");
}

#[test]
fn plain_values_are_taken_only_during_a_change_over() {
    let error = vault(MASTER).open(PLACE, VALUE).expect_err("plain");
    assert_eq!(error.code().id(), "PRN-1005");
    let accepting = Vault::new(key(MASTER), Vec::new(), PlainValues::Accept);
    let opened = accepting.open(PLACE, VALUE).expect("opens");
    assert_eq!((opened.value.as_slice(), opened.is_stale), (VALUE, true));
}

#[test]
fn keys_come_from_the_environment_and_from_files() {
    assert!(environment(&[]).expect("plain").current_key().is_none());
    assert!(environment(&[("MASTER_ENCRYPTION_KEY", " ")]).expect("plain").current_key().is_none());
    let file = tempfile::NamedTempFile::new().expect("file");
    std::fs::write(file.path(), format!("{OTHER}\n")).expect("written");
    let reference = format!("file:{}", file.path().display());
    let old = format!("{MASTER}, {reference}");
    let vault = environment(&[
        ("MASTER_ENCRYPTION_KEY", "env:VAULT_KEY"),
        ("VAULT_KEY", "yet-another-key-of-this-installation-7"),
        ("MASTER_ENCRYPTION_KEYS_OLD", &old),
        ("MASTER_ENCRYPTION_ACCEPT_PLAIN", "true"),
    ])
    .expect("vault");
    assert_eq!(vault.current_key(), Some(key("yet-another-key-of-this-installation-7").id()));
    for text in [MASTER, OTHER] {
        assert!(vault.open(PLACE, &self::vault(text).seal(PLACE, VALUE)).expect("opens").is_stale);
    }
    assert!(vault.open(PLACE, VALUE).expect("accepted").is_stale);
    assert!(!format!("{vault:?}").contains("another"));

    for (variables, code) in [
        ([("MASTER_ENCRYPTION_KEY", "secret"), ("", "")], "PRN-1006"),
        ([("MASTER_ENCRYPTION_KEY", "env:NOT_SET"), ("", "")], "PRN-1007"),
        ([("MASTER_ENCRYPTION_KEY", MASTER), ("MASTER_ENCRYPTION_KEYS_OLD", "a,b")], "PRN-1006"),
        ([("MASTER_ENCRYPTION_KEY", MASTER), ("MASTER_ENCRYPTION_ACCEPT_PLAIN", "yes")], "PRN-1006"),
    ] {
        let error = environment(&variables).expect_err(code);
        assert_eq!(error.code().id(), code, "{error}");
    }
}

#[test]
fn equal_values_look_different() {
    let vault = vault(MASTER);
    let (one, other) = (vault.seal(PLACE, VALUE), vault.seal(PLACE, VALUE));
    assert_ne!(one[11..], other[11..]);
    assert!(!one.windows(4).any(|part| VALUE.windows(4).any(|plain| plain == part)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_value_comes_back(value in vec(any::<u8>(), 0..200), store in ".{0,20}", record in vec(any::<u8>(), 0..30)) {
        let place = Place { store: &store, key: &record };
        for vault in [vault(MASTER), Vault::plain()] {
            let opened = vault.open(place, &vault.seal(place, &value)).expect("opens");
            prop_assert_eq!(opened.value.as_slice(), &value);
        }
    }

    #[test]
    fn a_plain_value_like_a_sealed_one_comes_back(rest in vec(any::<u8>(), 0..120)) {
        let value = [&[0xFE, b'V'][..], &rest].concat();
        let opened = Vault::plain().open(PLACE, &Vault::plain().seal(PLACE, &value)).expect("opens");
        prop_assert_eq!(opened.value.as_slice(), &value);
    }

    #[test]
    fn what_nobody_sealed_never_opens(bytes in vec(any::<u8>(), 0..200)) {
        let header = &bytes_of_header();
        prop_assert!(vault(MASTER).open(PLACE, &bytes).is_err());
        prop_assert!(vault(MASTER).open(PLACE, &[header, &bytes[..]].concat()).is_err());
    }
}

fn bytes_of_header() -> Vec<u8> {
    bytes(SEALED_BY_OPENSSL)[..11].to_vec()
}
