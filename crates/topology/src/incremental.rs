//! IncrementalAlterConfigs, which `rdkafka` does not wrap. Its `alter_configs` replaces all settings of a
//! topic, so one that somebody else set between our reading and our writing would be dropped.

use std::ffi::{CStr, CString, NulError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::bindings as native;
use rdkafka::client::Client;
use rdkafka::error::RDKafkaErrorCode;

/// Sets `settings` of `topic` in one request and leaves all its other settings alone.
/// Blocks until the broker answers, at most for `timeout`.
#[allow(unsafe_code)]
pub(crate) fn set_topic_config<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    settings: &[(&str, &str)],
    timeout: Duration,
) -> Result<(), (RDKafkaErrorCode, String)> {
    let refuse_nul = |error: NulError| (RDKafkaErrorCode::InvalidConfig, error.to_string());
    let topic = CString::new(topic).map_err(refuse_nul)?;
    let mut native_settings = Vec::with_capacity(settings.len());
    for (key, value) in settings {
        let key = CString::new(*key).map_err(refuse_nul)?;
        native_settings.push((key, CString::new(*value).map_err(refuse_nul)?));
    }
    let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    let mut message = [0; 256];

    // SAFETY: `client` keeps its rd_kafka_t alive for the whole call. Every object made here is owned here
    // and destroyed exactly once below: the request copies the resource and the options, and the
    // event is destroyed only after all that was read from it has been copied. Strings passed in are
    // NUL-terminated and outlive their calls; strings read out are NUL-terminated by librdkafka.
    unsafe {
        let mut resource = native::rd_kafka_ConfigResource_new(
            native::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC,
            topic.as_ptr(),
        );
        for (key, value) in &native_settings {
            let error = native::rd_kafka_ConfigResource_add_incremental_config(
                resource,
                key.as_ptr(),
                native::rd_kafka_AlterConfigOpType_t::RD_KAFKA_ALTER_CONFIG_OP_TYPE_SET,
                value.as_ptr(),
            );
            if !error.is_null() {
                let failure = (
                    native::rd_kafka_error_code(error).into(),
                    CStr::from_ptr(native::rd_kafka_error_string(error)).to_string_lossy().into_owned(),
                );
                native::rd_kafka_error_destroy(error);
                native::rd_kafka_ConfigResource_destroy(resource);
                return Err(failure);
            }
        }
        let options = native::rd_kafka_AdminOptions_new(
            client.native_ptr(),
            native::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_INCREMENTALALTERCONFIGS,
        );
        // Out of range means longer than librdkafka can wait; its default is then as good.
        native::rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, message.as_mut_ptr(), message.len());
        let queue = native::rd_kafka_queue_new(client.native_ptr());
        native::rd_kafka_IncrementalAlterConfigs(client.native_ptr(), &mut resource, 1, options, queue);
        native::rd_kafka_AdminOptions_destroy(options);
        native::rd_kafka_ConfigResource_destroy(resource);

        // The request has a timeout, so an answer always comes.
        let event = native::rd_kafka_queue_poll(queue, -1);
        let outcome = read_outcome(event);
        native::rd_kafka_event_destroy(event);
        native::rd_kafka_queue_destroy(queue);
        outcome
    }
}

/// The error of the request, or else that of its one resource.
///
/// # Safety
/// `event` is a live result event of IncrementalAlterConfigs, or null.
#[allow(unsafe_code)]
unsafe fn read_outcome(event: *mut native::rd_kafka_event_t) -> Result<(), (RDKafkaErrorCode, String)> {
    let failure = |code: native::rd_kafka_resp_err_t, text: *const std::ffi::c_char| {
        let code = RDKafkaErrorCode::from(code);
        if text.is_null() {
            return Err((code, code.to_string()));
        }
        // SAFETY: librdkafka's strings are NUL-terminated and live as long as the event.
        let text = unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned();
        Err((code, text))
    };
    let no_error = native::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
    if event.is_null() {
        let code = RDKafkaErrorCode::OperationTimedOut;
        return Err((code, code.to_string()));
    }
    // SAFETY: the caller promises a live event when it is not null.
    unsafe {
        let code = native::rd_kafka_event_error(event);
        if code != no_error {
            return failure(code, native::rd_kafka_event_error_string(event));
        }
        let result = native::rd_kafka_event_IncrementalAlterConfigs_result(event);
        if result.is_null() {
            let code = RDKafkaErrorCode::BadMessage;
            return Err((code, "the broker's answer is not one to this request".to_owned()));
        }
        let mut count = 0;
        let resources = native::rd_kafka_IncrementalAlterConfigs_result_resources(result, &mut count);
        for index in 0..count {
            let resource = *resources.add(index);
            let code = native::rd_kafka_ConfigResource_error(resource);
            if code != no_error {
                return failure(code, native::rd_kafka_ConfigResource_error_string(resource));
            }
        }
        Ok(())
    }
}
