//! A provider of language models that says what it is told to say, in the protocols of the real ones:
//!
//! * OpenAI and those who speak like it: `POST /v1/chat/completions`;
//! * Anthropic: `POST /v1/messages`;
//! * Gemini: `POST /v1beta/models/<model>:generateContent`;
//! * Ollama: `POST /api/chat`.
//!
//! A request that a real provider would refuse is refused here too.

mod answers;
mod fake;
mod protocols;

pub use answers::FakeAnswer;
pub use fake::{FakeLlm, FakeLlmHandle, ReceivedCall};
pub use protocols::FakeProtocol;
