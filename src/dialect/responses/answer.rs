//! A provider's answer in one piece, and what the ends of streams share with it.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::Fault;
use super::fields::Text;
use super::items::Items;
use super::usage::{Tokens, searches};
use crate::dialect::Error;
use crate::dialect::common::{Answer, Choice, Collector, Context, Delta, Finish, Malformed};

/// Reads a whole answer. One that failed is read, too; [`failure`] tells.
///
/// # Errors
/// The body is no answer of this dialect.
pub fn read_answer(body: &[u8], context: &Context) -> Result<Answer, Malformed> {
    let response: Response<'_> = serde_json::from_slice(body)?;
    let mut deltas = vec![response.start()];
    let mut items = Items::of(&context.id);
    let output = response.output.as_deref().unwrap_or_default();
    items.all(output, &mut deltas)?;
    response.end(&items, 0, &mut deltas);

    let mut collector = Collector::default();
    deltas.into_iter().for_each(|delta| collector.push(delta));
    collector.push(Delta::End);
    let answer = collector.finish();
    let mut answer = answer.map_err(|_| Malformed("no answer".to_owned()))?;
    if answer.choices.is_empty() {
        answer.choices.push(Choice::default());
    }
    Ok(answer)
}

/// The error of a whole answer that says, with status 200, that it failed.
pub fn failure(body: &[u8]) -> Option<Error> {
    let response: Response<'_> = serde_json::from_slice(body).ok()?;
    let has_failed = matches!(response.status(), Some("failed" | "cancelled"));
    has_failed.then(|| response.error.unwrap_or_default().without_status())
}

/// The object that an answer is, and that a stream's first and last events hold.
#[derive(Deserialize)]
pub struct Response<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    model: Option<Text<'a>>,
    created_at: Option<f64>,
    #[serde(borrow)]
    status: Option<Text<'a>>,
    #[serde(borrow)]
    error: Option<Fault<'a>>,
    #[serde(borrow)]
    incomplete_details: Option<Incomplete<'a>>,
    /// The items.
    #[serde(borrow)]
    pub output: Option<Vec<&'a RawValue>>,
    usage: Option<Tokens>,
    #[serde(borrow)]
    service_tier: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Incomplete<'a> {
    #[serde(borrow)]
    reason: Option<Text<'a>>,
}

impl Response<'_> {
    /// How the answer begins.
    pub fn start(&self) -> Delta {
        let text = |text: &Option<Text<'_>>| {
            let text = text.as_ref().map(|Text(text)| text.to_string());
            text.unwrap_or_default()
        };
        Delta::Start {
            id: text(&self.id),
            model: text(&self.model),
            // Seconds, by some servers with a fraction.
            created: self.created_at.map(|seconds| seconds as u64),
        }
    }

    /// What stands behind the items. `searched`: how many searches of the web were seen before.
    pub fn end(mut self, items: &Items, searched: u64, out: &mut Vec<Delta>) {
        let finish = self.finish(items);
        self.tell_usage(searched, out);
        let tier = self.service_tier.map(|Text(tier)| tier.into_owned());
        out.extend(tier.map(Delta::ServiceTier));
        out.extend(finish.map(|finish| Delta::Finish { choice: 0, finish }));
    }

    /// What a failed answer cost, and its error.
    pub fn fail(mut self, searched: u64, out: &mut Vec<Delta>) {
        self.tell_usage(searched, out);
        let fault = self.error.unwrap_or_default();
        out.push(Delta::Error(fault.without_status()));
    }

    /// Some servers end a stream without the items that they have told before.
    fn tell_usage(&mut self, searched: u64, out: &mut Vec<Delta>) {
        let output = self.output.as_deref().unwrap_or_default();
        let searches = searches(output).max(searched);
        let usage = self.usage.take();
        out.extend(usage.map(|usage| Delta::Usage(usage.read(searches))));
    }

    fn status(&self) -> Option<&str> {
        self.status.as_ref().map(|Text(status)| &**status)
    }

    fn finish(&self, items: &Items) -> Option<Finish> {
        let finish = match self.status() {
            Some("queued" | "in_progress" | "failed" | "cancelled") => return None,
            Some("incomplete") => {
                let details = self.incomplete_details.as_ref();
                let reason = details.and_then(|details| details.reason.as_ref());
                match reason.map_or("incomplete", |Text(reason)| reason) {
                    "max_output_tokens" => Finish::Length,
                    "content_filter" => Finish::ContentFilter,
                    PAUSED => Finish::Pause,
                    MALFORMED_CALL => Finish::MalformedCall,
                    reason => Finish::Other(reason.to_owned()),
                }
            }
            _ if items.has_call => Finish::ToolCalls,
            _ if items.has_refusal => Finish::Refusal,
            _ => Finish::Stop,
        };
        Some(finish)
    }
}

/// Reasons that only our own answers give, for what OpenAI has no word for.
pub const PAUSED: &str = "pause_turn";
/// The same for a call that cannot be read.
pub const MALFORMED_CALL: &str = "malformed_function_call";
