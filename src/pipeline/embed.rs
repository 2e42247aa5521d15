//! Embeddings at targets that do not speak OpenAI's dialect: asked in as many calls as such a target needs, and answered as
//! one.

use bytes::Bytes;
use futures_util::stream::{FuturesOrdered, StreamExt};
use http::StatusCode;

use super::attempt::{Attempt, Reply, Sent, Whole, malformed};
use super::failed::{Failed, Told};
use crate::dialect::common::{Dropped, Outgoing};
use crate::dialect::embedding::{self, EmbeddingRequest};
use crate::dialect::{Dialect, Error, Incoming, Usage};
use crate::provider::{Failure, FailureKind, Head};

/// How many calls of one request are under way at once. Some models at Bedrock take one text a call.
const CALLS_AT_ONCE: usize = 8;

/// What is asked, call by call.
pub struct Embedding {
    /// What the target cannot carry.
    pub dropped: Dropped,
    dialect: Dialect,
    model: String,
    encoding: embedding::Encoding,
    calls: Vec<Asked>,
}

/// One call.
struct Asked {
    body: [Bytes; 1],
    texts: usize,
}

/// What one call brought.
struct Embedded {
    head: Head,
    /// Bytes of its body.
    size: usize,
    vectors: Vec<Vec<f64>>,
    usage: Option<Usage>,
}

impl Embedding {
    /// Reads what the caller asks for, and writes the calls to a target of `dialect`.
    ///
    /// # Errors
    /// A field is at fault, or the target cannot embed what is asked.
    pub fn of(incoming: &Incoming, dialect: Dialect, to: &Outgoing<'_>) -> Result<Self, Error> {
        let request: EmbeddingRequest = embedding::read_request(incoming.body())?;
        let texts = request.texts()?;
        let batches = texts.chunks(embedding::texts_per_call(dialect, to.model));
        let calls = batches.map(|texts| {
            let body = embedding::write_request(dialect, &request, texts, to)?;
            Ok(Asked {
                body: [Bytes::from(body)],
                texts: texts.len(),
            })
        });
        Ok(Self {
            dropped: request.dropped(dialect),
            dialect,
            model: to.model.to_owned(),
            encoding: request.encoding,
            calls: calls.collect::<Result<_, Error>>()?,
        })
    }

    /// Makes the calls. The first that fails ends them all.
    pub async fn run(&self, attempt: &Attempt<'_>) -> Result<Reply, Failed> {
        let mut waiting = self.calls.iter();
        let mut running = FuturesOrdered::new();
        for asked in waiting.by_ref().take(CALLS_AT_ONCE) {
            running.push_back(self.call(asked, attempt));
        }
        let (mut vectors, mut size) = (Vec::new(), 0);
        let (mut usage, mut fields) = (None, None);
        while let Some(answer) = running.next().await {
            let embedded = match answer? {
                Ok(embedded) => embedded,
                // What was embedded so far has been paid for.
                Err(mut failed) => {
                    if let Told::Own(own, _) = &mut failed.told {
                        own.usage = usage;
                    }
                    return Err(failed);
                }
            };
            size += embedded.size as u64;
            if size > attempt.max_answer {
                let detail = format!("over {} bytes", attempt.max_answer);
                let failure = Failure::new(FailureKind::TooLarge, detail);
                return Err(attempt.no_answer(&failure));
            }
            vectors.extend(embedded.vectors);
            usage = match (usage, embedded.usage) {
                (Some(usage), Some(more)) => Some(usage.plus(more)),
                (usage, more) => usage.or(more),
            };
            fields.get_or_insert_with(|| attempt.fields_back(&embedded.head));
            if let Some(asked) = waiting.next() {
                running.push_back(self.call(asked, attempt));
            }
        }
        let body = embedding::write_answer(&vectors, &self.model, usage, self.encoding);
        let fields = fields.unwrap_or_default();
        Ok(Reply::Whole(Box::new(Whole {
            usage,
            // There is no more to an embedding than what was asked.
            unreported: usage.is_none().then(|| (self.dialect, Bytes::new())),
            ..Whole::new(StatusCode::OK, fields, Bytes::from(body))
        })))
    }

    async fn call(
        &self,
        asked: &Asked,
        attempt: &Attempt<'_>,
    ) -> Result<Result<Embedded, Failed>, Failed> {
        let mut answer = match attempt.send(&asked.body, asked.texts).await? {
            Sent::Answer(answer) => answer,
            Sent::Error(failed) => return Ok(Err(failed)),
        };
        let body = attempt.body(&mut answer).await?;
        let (vectors, usage) = embedding::read_answer(self.dialect, &body, asked.texts)
            .map_err(|fault| attempt.no_answer(&malformed(fault)))?;
        let told = answer.head.input_tokens.map(|input_tokens| Usage {
            input_tokens,
            ..Usage::default()
        });
        Ok(Ok(Embedded {
            head: answer.head,
            size: body.len(),
            vectors,
            usage: usage.or(told),
        }))
    }
}
