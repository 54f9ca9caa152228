//! The schema behind each control record: the file in `schemas/`, parsed once per process.

use std::fmt;

use apache_avro::Schema;
use apache_avro::rabin::Rabin;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// CRC-64-AVRO of a schema's parsing canonical form, as single-object encoding carries it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 8]);

impl Fingerprint {
    pub fn of(schema: &Schema) -> Self {
        let digest = schema.fingerprint::<Rabin>();
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&digest.bytes);
        Self(bytes)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().rev().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A schema of this release.
pub struct RecordSchema {
    /// Full name, `prunella.StartRun`.
    pub name: &'static str,
    /// The text of the file in `schemas/`.
    pub text: &'static str,
    pub schema: &'static Schema,
    pub fingerprint: Fingerprint,
    pub(crate) writer: GenericDatumWriter<'static>,
    /// Reads what this release wrote.
    pub(crate) reader: GenericDatumReader<'static>,
}

impl RecordSchema {
    /// Parses an embedded schema. Lives as long as the process: there are as many as files in `schemas/`.
    pub(crate) fn load(name: &'static str, text: &'static str) -> Self {
        let parsed = Schema::parse_str(text)
            .unwrap_or_else(|error| panic!("the embedded schema of {name} does not parse: {error}"));
        let schema: &'static Schema = Box::leak(Box::new(parsed));
        let unresolved =
            |error: &apache_avro::Error| format!("the embedded schema of {name} does not resolve: {error}");
        let writer = GenericDatumWriter::builder(schema).human_readable(false).build();
        let writer = writer.unwrap_or_else(|error| panic!("{}", unresolved(&error)));
        let reader = GenericDatumReader::builder(schema).human_readable(false).build();
        let reader = reader.unwrap_or_else(|error| panic!("{}", unresolved(&error)));
        Self { name, text, schema, fingerprint: Fingerprint::of(schema), writer, reader }
    }
}

/// A type that has its Avro schema in `schemas/`.
pub trait ControlRecord: Serialize + DeserializeOwned + Send + 'static {
    const NAME: &'static str;
    fn schema() -> &'static RecordSchema;
}

macro_rules! control_records {
    ($($name:ident => $file:literal),* $(,)?) => {
        $(impl $crate::schema::ControlRecord for $name {
            const NAME: &'static str = concat!("prunella.", stringify!($name));
            fn schema() -> &'static $crate::schema::RecordSchema {
                static SCHEMA: std::sync::LazyLock<$crate::schema::RecordSchema> =
                    std::sync::LazyLock::new(|| {
                        $crate::schema::RecordSchema::load(
                            <$name as $crate::schema::ControlRecord>::NAME,
                            include_str!(concat!("../../../../schemas/", $file, ".avsc")),
                        )
                    });
                &SCHEMA
            }
        })*

        /// Every control record of this release.
        pub fn all() -> Vec<&'static $crate::schema::RecordSchema> {
            vec![$(<$name as $crate::schema::ControlRecord>::schema(),)*]
        }
    };
}
pub(crate) use control_records;
