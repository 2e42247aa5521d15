//! What a pair of dialects makes of a scenario, held against what it should.

use serde_json::Value;

use super::complaints::{Complaints, brief};
use super::inbound::{Client, Seen};
use super::outbound::{Asked, Provider};
use super::scenario::{
    Failing, Finish, OUTCOME, OUTCOMES, Outcome, PIXEL, PIXEL_TYPE, RETRY_AFTER, STOPS, SYSTEM,
    Said, Scenario, answer_schema, arguments, tools,
};
use crate::raw::{Answer, Request};

/// One thing that is tried: a caller in one dialect, a provider in another, and what happens between them.
#[derive(Clone, Copy)]
pub struct Case {
    /// The caller.
    pub client: &'static dyn Client,
    /// The provider.
    pub provider: &'static dyn Provider,
    /// What happens.
    pub scenario: Scenario,
    /// Whether the caller wants a stream.
    pub stream: bool,
}

impl Case {
    /// What it is called in a list of failures.
    pub fn title(&self) -> String {
        let (client, provider) = (self.client.name(), self.provider.name());
        let form = if self.stream { "stream" } else { "whole" };
        format!("{client} → {provider}, {} ({form})", self.scenario.title())
    }

    /// A word that finds its way through every dialect, and tells this case from every other.
    pub fn marker(&self) -> String {
        let form = if self.stream { "stream" } else { "whole" };
        let (client, provider) = (self.client.name(), self.provider.name());
        format!("{client}-{provider}-{}-{form}", self.scenario.name())
    }

    /// What the user says.
    pub fn prompt(&self) -> String {
        format!(
            "What is it like \"there\", where ä is ä? case:{};",
            self.marker()
        )
    }

    /// The upstream model's name.
    pub fn model(&self) -> String {
        format!("{}{}", self.provider.model(), self.scenario.name())
    }

    /// The caller's first request to what knows the model as `model`.
    pub fn request(&self, model: &str, key: &str) -> Request {
        let body = self
            .client
            .request(self.scenario, model, &self.prompt(), self.stream);
        self.request_of(&body, model, key)
    }

    /// The caller's second request, with the result of the call in `first`, the answer to the first.
    pub fn second_request(&self, first: &Seen, model: &str, key: &str) -> Request {
        let body = self
            .client
            .request(self.scenario, model, &self.prompt(), self.stream);
        let calls: Vec<(String, Outcome)> = first
            .calls
            .iter()
            .map(|(id, ..)| (id.clone(), OUTCOME))
            .collect();
        let body = self.client.go_on(&body, &first.echo, &calls);
        self.request_of(&body, model, key)
    }

    /// What the client reads in an answer.
    pub fn read(&self, answer: &Answer) -> Seen {
        match self.stream {
            true => self.client.read_stream(&answer.body),
            false => self.client.read_whole(&answer.body),
        }
    }

    /// Judges what the provider was asked the first time.
    pub fn judge_asked(&self, asked: &Asked) -> Complaints {
        let mut complaints = told("asked", &asked.complaints);
        self.judge_common(asked, &mut complaints);
        let has_past = self.scenario == Scenario::Results;
        complaints.equal(
            "asked: the number of calls",
            &asked.calls.len(),
            &if has_past { 2 } else { 0 },
        );
        if has_past {
            let expected = OUTCOMES.iter().zip(arguments());
            for ((call, (outcome, arguments)), result) in
                asked.calls.iter().zip(expected).zip(&asked.results)
            {
                complaints.equal(
                    "asked: a past call",
                    &(call.1.as_str(), &call.2),
                    &(outcome.name, &arguments),
                );
                complaints.equal("asked: the result's call", &result.0, &call.0);
                self.judge_result(result, outcome, &mut complaints);
            }
        }
        complaints.equal(
            "asked: the number of results",
            &asked.results.len(),
            &asked.calls.len(),
        );
        complaints.equal("asked: seals", &asked.seals.len(), &0);
        complaints
    }

    /// Judges what the provider was asked the second time.
    pub fn judge_asked_again(&self, asked: &Asked) -> Complaints {
        let mut complaints = told("asked again", &asked.complaints);
        self.judge_common(asked, &mut complaints);
        let [arguments, _] = arguments();
        let calls: Vec<(&str, &Value)> = asked
            .calls
            .iter()
            .map(|(_, name, arguments)| (name.as_str(), arguments))
            .collect();
        complaints.equal(
            "asked again: the calls",
            &calls,
            &vec![("get_weather", &arguments)],
        );
        if let (Some(id), Some((found, ..))) = (self.provider.call_id(0), asked.calls.first()) {
            complaints.equal(
                "asked again: the call's id, which the provider gave",
                found,
                &id,
            );
        }
        complaints.equal(
            "asked again: the number of results",
            &asked.results.len(),
            &1,
        );
        if let Some(result) = asked.results.first() {
            self.judge_result(result, &OUTCOME, &mut complaints);
        }
        let seal: Vec<&str> = self.provider.seal().into_iter().collect();
        complaints.equal("asked again: the seals that come back", &asked.seals, &seal);
        complaints
    }

    /// Judges an answer that is none of [`Scenario`]'s errors, and what the client read in it.
    pub fn judge_seen(
        &self,
        answer: &Answer,
        seen: &Seen,
        said: &Said,
        asked: &Asked,
    ) -> Complaints {
        let mut complaints = told("seen", &seen.complaints);
        complaints.equal("seen: the status", &answer.status, &200);
        let media_type = answer.header("content-type").unwrap_or_default();
        let expected = if self.stream {
            self.client.stream_type()
        } else {
            "application/json"
        };
        complaints.unless(media_type.starts_with(expected), || {
            format!("seen: the media type {media_type:?}")
        });
        self.judge_words(seen, said, &mut complaints);
        let thought = match said.thought {
            Some(thought) if asked.shows => thought,
            None if self.is_plan(said) => said.text,
            _ => "",
        };
        complaints.equal("seen: the thoughts", &seen.thoughts.as_str(), &thought);
        let calls: Vec<(&str, &Value)> = seen
            .calls
            .iter()
            .map(|(_, name, arguments)| (name.as_str(), arguments))
            .collect();
        let expected: Vec<(&str, &Value)> = said
            .calls
            .iter()
            .map(|(name, arguments)| (*name, arguments))
            .collect();
        complaints.equal("seen: the calls", &calls, &expected);
        let is_repeated = |(number, (id, ..)): (usize, &(String, String, Value))| {
            !id.is_empty() && seen.calls[..number].iter().any(|(other, ..)| other == id)
        };
        complaints.unless(!seen.calls.iter().enumerate().any(is_repeated), || {
            "seen: two calls of one id".to_owned()
        });
        complaints.equal("seen: an error", &seen.error, &None::<String>);
        complaints.unless(seen.is_ended, || "seen: no end".to_owned());
        if said.finish != Finish::Refusal || self.client.tells_refusals() {
            complaints.equal("seen: the finish", &seen.finish, &said.finish);
        }
        let mut usage = self.provider.usage();
        let mut found = seen.usage;
        if !self.client.tells_reasoning_tokens() {
            usage.reasoning = 0;
            found = found.map(|mut found| {
                found.reasoning = 0;
                found
            });
        }
        complaints.equal("seen: the usage", &found, &Some(usage));
        complaints
    }

    /// Judges what is left of a stream that was cut.
    pub fn judge_cut(&self, answer: &Answer, seen: &Seen, said: &Said) -> Complaints {
        let mut complaints = told("seen", &seen.complaints);
        complaints.equal("seen: the status", &answer.status, &200);
        let is_beginning = !seen.text.is_empty() && said.text.starts_with(&seen.text);
        complaints.unless(is_beginning, || format!("seen: the text {:?}", seen.text));
        complaints.unless(
            seen.error.as_ref().is_some_and(|error| !error.is_empty()),
            || "seen: no error event".to_owned(),
        );
        complaints.unless(!seen.is_ended, || "seen: an end that never was".to_owned());
        complaints
    }

    /// Judges the answer to a request that the provider refused.
    pub fn judge_failure(&self, answer: &Answer, failing: Failing) -> Complaints {
        let failure = self.client.read_error(answer);
        let mut complaints = told("the error", &failure.complaints);
        complaints.equal("the error's status", &answer.status, &failing.status());
        let is_word = |word| failure.kind == word;
        let expected = self.client.word_for(failing);
        complaints.unless(expected.split('|').any(is_word), || {
            format!(
                "the error's kind: found {:?}, expected {expected:?}",
                failure.kind
            )
        });
        let message = self.provider.message(failing);
        complaints.unless(failure.message.contains(message), || {
            format!("the error's message {:?}", brief(&failure.message))
        });
        if failing == Failing::RateLimited {
            complaints.equal(
                "retry-after",
                &answer.header("retry-after"),
                &Some(RETRY_AFTER),
            );
        }
        complaints
    }

    /// Judges what the gateway says that it lost on the way.
    pub fn judge_dropped(&self, answer: &Answer) -> Complaints {
        let mut complaints = Complaints::default();
        let dropped = answer.header("x-tollgate-dropped");
        let cannot_stop = self.scenario == Scenario::Stop && !self.provider.takes_stops();
        if cannot_stop {
            complaints.unless(dropped.is_some_and(|names| names.contains("stop")), || {
                format!("x-tollgate-dropped should name the stops, is {dropped:?}")
            });
        } else if !self.scenario.has_reasoning() && !self.has_foreign_seal() {
            complaints.equal("x-tollgate-dropped", &dropped, &None);
        }
        complaints
    }

    /// Gemini's clients send something in a seal's place, which other providers cannot take.
    fn has_foreign_seal(&self) -> bool {
        self.client.name() == "gemini" && self.scenario == Scenario::Results
    }

    fn request_of(&self, body: &Value, model: &str, key: &str) -> Request {
        let path = self.client.path(model, self.stream);
        let mut request = Request::post(&path, body.to_string()).without("authorization");
        for (name, value) in self.client.headers(key) {
            request = request.header(name, &value);
        }
        request
    }

    fn judge_common(&self, asked: &Asked, complaints: &mut Complaints) {
        let scenario = self.scenario;
        complaints.equal("asked: the model", &asked.model, &self.model());
        complaints.equal("asked: a stream", &asked.stream, &self.stream);
        let system = if scenario == Scenario::System {
            SYSTEM
        } else {
            ""
        };
        complaints.equal("asked: the instructions", &asked.system.as_str(), &system);
        complaints.equal(
            "asked: the turns",
            &asked.turns,
            &vec![("user", self.prompt())],
        );
        let expected: Vec<(String, String, Value)> = match scenario.has_tools() {
            true => tools()
                .map(|(name, description, schema)| {
                    (name.to_owned(), description.to_owned(), schema)
                })
                .to_vec(),
            false => Vec::new(),
        };
        complaints.equal("asked: the tools", &asked.tools, &expected);
        let choice = if scenario == Scenario::Tools {
            "required"
        } else {
            "auto"
        };
        complaints.equal(
            "asked: the tool choice",
            &asked.tool_choice.as_str(),
            &choice,
        );
        let image =
            (scenario == Scenario::Image).then(|| (PIXEL_TYPE.to_owned(), PIXEL.to_owned()));
        complaints.equal("asked: the images", &asked.images, &Vec::from_iter(image));
        let schema = (scenario == Scenario::Schema).then(answer_schema);
        complaints.equal("asked: the schema", &asked.schema, &schema);
        complaints.equal(
            "asked: the token limit",
            &asked.max_tokens,
            &Some(scenario.max_tokens()),
        );
        let stops: &[&str] = match scenario == Scenario::Stop && self.provider.takes_stops() {
            true => &STOPS,
            false => &[],
        };
        complaints.equal("asked: the stops", &asked.stops, &stops);
        if scenario.has_reasoning() {
            complaints.unless(asked.thinks, || "asked: no thoughts".to_owned());
            let is_shown = asked.shows || !self.client.asks_to_see_thoughts();
            complaints.unless(is_shown, || "asked: hidden thoughts".to_owned());
        }
    }

    fn judge_result(
        &self,
        result: &(String, String, bool),
        outcome: &Outcome,
        complaints: &mut Complaints,
    ) {
        let (_, text, is_error) = result;
        complaints.unless(text.contains(outcome.text), || {
            format!("asked: the result {text:?}, expected {:?}", outcome.text)
        });
        let expected = outcome.is_error && self.client.says_tool_failed();
        complaints.equal("asked: a failed tool", is_error, &expected);
    }

    /// Are the words a thought on the calls behind them?
    fn is_plan(&self, said: &Said) -> bool {
        self.provider.plans_calls() && !said.calls.is_empty()
    }

    /// Words of a refusal may stand apart or not; that it is one, the finish tells.
    fn judge_words(&self, seen: &Seen, said: &Said, complaints: &mut Complaints) {
        if said.finish == Finish::Refusal {
            let words = [seen.text.as_str(), &seen.refusal].concat();
            complaints.equal(
                "seen: the refusal",
                &words.as_str(),
                &self.provider.refusal(),
            );
        } else {
            let text = if self.is_plan(said) { "" } else { said.text };
            complaints.equal("seen: the text", &seen.text.as_str(), &text);
            complaints.equal("seen: a refusal", &seen.refusal.as_str(), &"");
        }
    }
}

fn told(whose: &str, complaints: &Complaints) -> Complaints {
    Complaints(
        complaints
            .0
            .iter()
            .map(|complaint| format!("{whose}: {complaint}"))
            .collect(),
    )
}
