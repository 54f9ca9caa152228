//! Proof, for a transaction, that its member is still in the group.

use std::ffi::CStr;

use rdkafka::ClientContext;
use rdkafka::bindings::{rd_kafka_mem_free, rd_kafka_memberid};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata};

/// The group metadata of a member, or `None` when it is not one at the moment.
///
/// Kafka checks the generation of a transaction's offsets only when the metadata names a member. A
/// client that was put out of its group gives metadata without one, and with those a process that
/// lost its partitions could still commit. The member's id changes with every admission: the same
/// id before and after is the id inside.
pub(crate) fn group_metadata<C: ConsumerContext>(consumer: &BaseConsumer<C>) -> Option<ConsumerGroupMetadata> {
    let before = member_id(consumer).filter(|id| !id.is_empty())?;
    let metadata = consumer.group_metadata()?;
    (member_id(consumer)? == before).then_some(metadata)
}

#[allow(unsafe_code, reason = "the client library does not offer the member id")]
fn member_id<C: ConsumerContext + ClientContext>(consumer: &BaseConsumer<C>) -> Option<String> {
    let client = consumer.client().native_ptr();
    // SAFETY: the client lives as long as `consumer`; the text is a new allocation of the client, read
    // here and given back to it.
    unsafe {
        let text = rd_kafka_memberid(client);
        if text.is_null() {
            return None;
        }
        let id = CStr::from_ptr(text).to_string_lossy().into_owned();
        rd_kafka_mem_free(client, text.cast());
        Some(id)
    }
}
