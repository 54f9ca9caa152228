use jlens_core::input::{Sink, Source};
use serde_json::Value;

/// A `serde_json` value as the input of an evaluation, read as far as the expression reaches.
pub(super) struct Root<'a>(pub(super) &'a Value);

struct Items<'a>(&'a [Value]);
struct Fields<'a>(&'a serde_json::Map<String, Value>);

impl<'a> Source<'a> for Root<'a> {
    fn read(&self, sink: &mut Sink<'_, 'a>) -> Result<(), String> {
        write(sink, self.0);
        Ok(())
    }
}

impl<'a> Source<'a> for Items<'a> {
    fn read(&self, sink: &mut Sink<'_, 'a>) -> Result<(), String> {
        sink.reserve(self.0.len());
        self.0.iter().for_each(|item| write(sink, item));
        Ok(())
    }

    fn length(&self) -> Option<usize> {
        Some(self.0.len())
    }

    fn read_item(&self, index: usize, sink: &mut Sink<'_, 'a>) -> Result<bool, String> {
        if let Some(item) = self.0.get(index) {
            write(sink, item);
        }
        Ok(true)
    }
}

impl<'a> Source<'a> for Fields<'a> {
    fn read(&self, sink: &mut Sink<'_, 'a>) -> Result<(), String> {
        sink.reserve(self.0.len());
        for (key, field) in self.0 {
            sink.key(key);
            write(sink, field);
        }
        Ok(())
    }

    fn read_field(&self, key: &str, sink: &mut Sink<'_, 'a>) -> Result<bool, String> {
        if let Some(field) = self.0.get(key) {
            write(sink, field);
        }
        Ok(true)
    }
}

fn write<'a>(sink: &mut Sink<'_, 'a>, value: &'a Value) {
    match value {
        Value::Null => sink.null(),
        Value::Bool(boolean) => sink.bool(*boolean),
        Value::Number(number) => sink.number(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => sink.string(text),
        Value::Array(items) => sink.array(Items(items)),
        Value::Object(fields) => sink.object(Fields(fields)),
    }
}
