//! How answers are written: the JSON of the `OpenAI` protocol and its events.
//! Nothing here waits or counts.

use serde_json::{Value, json};

use crate::plan::{Finish, Plan};

/// What ends every stream.
pub(crate) const DONE: &str = "data: [DONE]\n\n";

/// The two shapes of the same engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Messages.
    Chat,
    /// Bare text.
    Text,
}

impl Shape {
    /// The path it is served under, which is its name in the metrics too.
    pub(crate) fn handler(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Text => "/v1/completions",
        }
    }
}

/// How one request's answer is written.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Messages or text.
    pub(crate) shape: Shape,
    /// The model that was asked for.
    pub(crate) model: String,
    /// The answer's name.
    pub(crate) id: String,
}

impl Answer {
    /// The whole answer in one piece.
    pub(crate) fn whole(&self, tokens: u64, finish: Finish, usage: &Value) -> Value {
        let choice = match self.shape {
            Shape::Chat => {
                json!({"index": 0, "message": {"role": "assistant", "content": words(tokens)}, "finish_reason": finish.word()})
            }
            Shape::Text => {
                json!({"index": 0, "text": words(tokens), "finish_reason": finish.word()})
            }
        };
        let kind = match self.shape {
            Shape::Chat => "chat.completion",
            Shape::Text => "text_completion",
        };
        json!({"id": self.id, "object": kind, "created": 0, "model": self.model, "choices": [choice], "usage": usage})
    }

    /// One piece of a stream; the last says why it ended.
    pub(crate) fn piece(&self, tokens: u64, finish: Option<Finish>) -> Value {
        let finish = finish.map(Finish::word);
        let choice = match self.shape {
            Shape::Chat => {
                json!({"index": 0, "delta": {"content": words(tokens)}, "finish_reason": finish})
            }
            Shape::Text => json!({"index": 0, "text": words(tokens), "finish_reason": finish}),
        };
        json!({"id": self.id, "object": self.chunk(), "created": 0, "model": self.model, "choices": [choice]})
    }

    /// What follows the last piece: the usage.
    pub(crate) fn last(&self, usage: &Value) -> Value {
        json!({"id": self.id, "object": self.chunk(), "created": 0, "model": self.model, "choices": [], "usage": usage})
    }

    fn chunk(&self) -> &'static str {
        match self.shape {
            Shape::Chat => "chat.completion.chunk",
            Shape::Text => "text_completion",
        }
    }
}

/// One event of a stream.
pub(crate) fn event(value: &Value) -> String {
    format!("data: {value}\n\n")
}

/// What the answer cost.
pub(crate) fn usage(plan: &Plan) -> Value {
    json!({
        "prompt_tokens": plan.prompt_tokens,
        "completion_tokens": plan.tokens,
        "total_tokens": plan.prompt_tokens + plan.tokens,
        "prompt_tokens_details": {"cached_tokens": plan.cached_tokens},
    })
}

/// An error as the protocol words it.
pub(crate) fn error_body(status: u16, message: &str) -> Value {
    let kind = match status {
        400 => "BadRequestError",
        404 => "NotFoundError",
        429 => "RateLimitError",
        503 => "ServiceUnavailableError",
        _ => "InternalServerError",
    };
    json!({"error": {"message": message, "type": kind, "param": null, "code": status}})
}

#[expect(clippy::cast_possible_truncation, reason = "an answer has few tokens")]
fn words(tokens: u64) -> String {
    "word ".repeat(tokens as usize)
}
