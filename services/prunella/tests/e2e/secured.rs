//! A cluster with TLS, passwords and ACLs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use prunella_localkafka::{Credentials, SecuredListener, Security};
use prunella_testkit::harness::{Broker, Installation};
use serde_json::{Value, json};

use crate::support::{PRUNELLA, assert_status};

/// The configuration that reaches `listener` as this user.
fn reaching(listener: &SecuredListener, user: &str, password: &str, ca_file: &Path) -> Value {
    json!({ "kafka": {
        "brokers": listener.bootstrap_servers,
        "librdkafka": {
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": ca_file,
            "sasl.mechanisms": "SCRAM-SHA-256",
            "sasl.username": user,
            "sasl.password": password,
        },
    } })
}

/// A certificate that has signed nothing here, in PEM.
fn other_authority(directory: &Path) -> PathBuf {
    let (store, certificate) = (directory.join("other.p12"), directory.join("other.pem"));
    let keytool = |arguments: &[&str]| {
        let mut command = Command::new("keytool");
        command.args(arguments).arg("-keystore").arg(&store).args(["-storepass", "changeit", "-alias", "other"]);
        let output = command.output().expect("keytool starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    };
    keytool(&["-genkeypair", "-keyalg", "EC", "-dname", "CN=somebody else", "-ext", "bc:c"]);
    keytool(&["-exportcert", "-rfc", "-file", &certificate.display().to_string()]);
    certificate
}

fn assert_refused(broker: &Broker, settings: &Value, code: &str) {
    let installation = Installation::on(broker, PRUNELLA, settings);
    let refused = installation.cli(&["topics", "apply"]);
    assert!(refused.status.is_some_and(|status| status != 0), "{code}");
    assert_eq!(refused.error()["code"], code, "{}", refused.stderr);
    let doctor = installation.cli(&["doctor"]).exits_with(1).json();
    let told = doctor["findings"].as_array().expect("findings").iter().any(|finding| {
        finding["ok"] == false && finding["detail"].as_str().is_some_and(|detail| detail.contains(code))
    });
    assert!(told, "{code}: {doctor:#}");
}

#[test]
fn tls_and_scram_work_and_every_mistake_has_its_code() {
    let user = Credentials::new("reader", "reader-password");
    let broker = Broker::start(Security::SaslSsl { users: vec![user.clone()] });
    let listener = broker.secured().expect("a secured listener");
    let admin = &listener.administrator;

    // The password from the environment, then from a file.
    let settings = reaching(listener, &admin.user, "env:PRUNELLA_TEST_PASSWORD", &listener.ca_file);
    let installation = Installation::on(&broker, PRUNELLA, &settings);
    let refused = installation.cli(&["doctor"]);
    assert!(refused.stdout.contains("PRUNELLA_TEST_PASSWORD") || refused.stderr.contains("PRUNELLA_TEST_PASSWORD"));
    assert_ne!(refused.status, Some(0));
    let installation = installation.with_environment("PRUNELLA_TEST_PASSWORD", &admin.password);
    installation.cli(&["topics", "apply"]).exits_with(0);
    let doctor = installation.cli(&["doctor"]).exits_with(0).json();
    assert_eq!(doctor["ok"], true, "{doctor:#}");

    let directory = tempfile::tempdir().expect("a directory");
    let secret = directory.path().join("password");
    fs::write(&secret, format!("{}\n", admin.password)).expect("written");
    let settings = reaching(listener, &admin.user, &format!("file:{}", secret.display()), &listener.ca_file);
    let installation = Installation::on(&broker, PRUNELLA, &settings);
    let running = installation.up();
    installation.apply(
        "workflow: copy\ntrigger: {}\nsteps: [{ id: all, extract: { trigger: {}, items: list } }]\noutput: { from: all }\n",
    );
    let report = installation.run_to_end("copy", &json!({ "list": [1, 2, 3] }));
    assert_status(&report, "succeeded");
    assert_eq!(installation.read("output.default.copy").len(), 3);
    assert!(!running.log().contains(&admin.password), "the password is in the log");

    assert_refused(&broker, &reaching(listener, &admin.user, "wrong", &listener.ca_file), "PRN-0206");
    assert_refused(
        &broker,
        &reaching(listener, &admin.user, &admin.password, &other_authority(directory.path())),
        "PRN-0207",
    );
    assert_refused(&broker, &reaching(listener, &user.user, &user.password, &listener.ca_file), "PRN-0208");
}
