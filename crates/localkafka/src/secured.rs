//! Keys, certificates and users of the secured listener.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::config::{Credentials, Security, setting};
use crate::data_dir::{DataDir, remove_dir_if_there};
use crate::environment::Environment;
use crate::error::LocalKafkaError;
use crate::java::Java;
use crate::log_tail::telling_lines_of;
use crate::progress::Progress;
use crate::random;

const ADMINISTRATOR: &str = "admin";
const AUTHORIZER: &str = "org.apache.kafka.metadata.authorizer.StandardAuthorizer";
const LOGIN_MODULE: &str = "org.apache.kafka.common.security.scram.ScramLoginModule required;";

/// How to connect with TLS and SCRAM-SHA-256.
#[derive(Debug, Clone)]
pub struct SecuredListener {
    /// `127.0.0.1:port`
    pub bootstrap_servers: String,
    /// In PEM, for `ssl.ca.location`.
    pub ca_file: PathBuf,
    /// A super user, made when the data directory was first used.
    pub administrator: Credentials,
}

/// What lives in `secured/` of a data directory.
pub(crate) struct SecuredFiles {
    directory: PathBuf,
    store_password: String,
    /// The administrator first.
    credentials: Vec<Credentials>,
}

impl SecuredFiles {
    /// The files that were made when the data directory was first used, or new ones if this is the first use.
    pub(crate) fn prepare(
        security: &Security,
        data: &DataDir,
        formatted: bool,
        java: &Java,
        environment: &Environment,
        progress: &dyn Fn(Progress),
    ) -> Result<Option<Self>, LocalKafkaError> {
        let Security::SaslSsl { users } = security else { return Ok(None) };
        let directory = data.join("secured");
        let existing = Self::read(&directory)?.filter(|files| files.credentials[1..] == **users);
        if existing.is_some() {
            return Ok(existing);
        }
        if formatted {
            let reason = "the data directory was first used with other users or without a secured listener: use the same users \
                          or another data directory";
            return Err(setting("security", "SaslSsl", reason));
        }
        progress(Progress::MakingCertificates);
        let making = data.join("secured.making");
        remove_dir_if_there(&making)?;
        remove_dir_if_there(&directory)?;
        fs::create_dir(&making).map_err(LocalKafkaError::io("create", &making))?;
        fs::set_permissions(&making, fs::Permissions::from_mode(0o700))
            .map_err(LocalKafkaError::io("protect", &making))?;

        let mut credentials = vec![Credentials::new(ADMINISTRATOR, random::password()?)];
        credentials.extend(users.iter().cloned());
        let store_password = random::password()?;
        make_certificates(&java.keytool(environment)?, environment, &making, &store_password)?;
        let lines: String = credentials.iter().map(|entry| format!("{} {}\n", entry.user, entry.password)).collect();
        let users_file = making.join("users");
        fs::write(&users_file, lines).map_err(LocalKafkaError::io("write", &users_file))?;
        let password_file = making.join("store-password");
        fs::write(&password_file, &store_password).map_err(LocalKafkaError::io("write", &password_file))?;
        fs::rename(&making, &directory).map_err(LocalKafkaError::io("create", &directory))?;
        Ok(Some(Self { directory, store_password, credentials }))
    }

    fn read(directory: &Path) -> Result<Option<Self>, LocalKafkaError> {
        if !directory.is_dir() {
            return Ok(None);
        }
        let read = |name: &str| {
            let file = directory.join(name);
            fs::read_to_string(&file).map_err(LocalKafkaError::io("read", &file))
        };
        let users = read("users")?;
        let credentials: Vec<Credentials> = users
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(user, password)| Credentials::new(user, password))
            .collect();
        if credentials.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self { directory: directory.to_owned(), store_password: read("store-password")?, credentials }))
    }

    /// For `StorageTool format`.
    pub(crate) fn format_arguments(&self) -> impl Iterator<Item = String> {
        self.credentials.iter().flat_map(|entry| {
            ["--add-scram".to_owned(), format!("SCRAM-SHA-256=[name={},password={}]", entry.user, entry.password)]
        })
    }

    pub(crate) fn properties(&self) -> Vec<(String, String)> {
        let keystore = self.directory.join("server.p12").to_string_lossy().into_owned();
        [
            ("authorizer.class.name", AUTHORIZER.to_owned()),
            // Whoever comes by the plain listener: the broker itself, and tools on this machine.
            ("super.users", format!("User:{ADMINISTRATOR};User:ANONYMOUS")),
            ("sasl.enabled.mechanisms", "SCRAM-SHA-256".to_owned()),
            ("listener.name.secured.scram-sha-256.sasl.jaas.config", LOGIN_MODULE.to_owned()),
            ("listener.name.secured.ssl.keystore.type", "PKCS12".to_owned()),
            ("listener.name.secured.ssl.keystore.location", keystore),
            ("listener.name.secured.ssl.keystore.password", self.store_password.clone()),
            ("listener.name.secured.ssl.key.password", self.store_password.clone()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    pub(crate) fn listener(&self, port: u16) -> SecuredListener {
        SecuredListener {
            bootstrap_servers: format!("127.0.0.1:{port}"),
            ca_file: self.directory.join("ca.pem"),
            administrator: self.credentials[0].clone(),
        }
    }
}

/// A CA that signs one server certificate and whose key is then thrown away.
fn make_certificates(
    keytool: &Path,
    environment: &Environment,
    directory: &Path,
    password: &str,
) -> Result<(), LocalKafkaError> {
    let key = ["-keyalg", "EC", "-groupname", "secp256r1", "-validity", "3650"];
    let authority =
        ["-genkeypair", "-alias", "ca", "-dname", "CN=Prunella local CA", "-ext", "bc:c", "-ext", "ku:c=keyCertSign"];
    let names = "san=dns:localhost,ip:127.0.0.1";
    let server = [
        "-genkeypair",
        "-alias",
        "server",
        "-dname",
        "CN=localhost",
        "-signer",
        "ca",
        "-ext",
        names,
        "-ext",
        "eku=serverAuth",
    ];
    for arguments in [
        [&authority[..], &key[..]].concat(),
        [&server[..], &key[..]].concat(),
        vec!["-exportcert", "-rfc", "-alias", "ca", "-file", "ca.pem"],
        vec!["-delete", "-alias", "ca"],
    ] {
        let output = environment
            .command(keytool)
            .current_dir(directory)
            .env("PRUNELLA_STORE_PASSWORD", password)
            .args(arguments)
            .args(["-keystore", "server.p12", "-storetype", "PKCS12", "-storepass:env", "PRUNELLA_STORE_PASSWORD"])
            .output()
            .map_err(LocalKafkaError::io("run", keytool))?;
        require_success("keytool", &output)?;
    }
    Ok(())
}

pub(crate) fn require_success(tool: &'static str, output: &std::process::Output) -> Result<(), LocalKafkaError> {
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let text = String::from_utf8_lossy(&text);
    Err(LocalKafkaError::ToolFailed { tool, status: output.status.to_string(), output: telling_lines_of(&text) })
}
