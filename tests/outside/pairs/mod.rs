//! Every dialect that callers speak with every dialect that providers speak: one generated suite.
//!
//! A pair is right when the same scenarios pass as for every other. What a pair cannot do stands in [`EXCUSED`], with
//! the reason; an excuse that is no longer needed fails the suite.

mod complaints;
mod frames;
mod inbound;
mod judge;
mod outbound;
mod recorded;
mod scenario;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::complaints::Complaints;
use self::inbound::clients;
use self::judge::Case;
use self::outbound::{Asked, Provider, Reply, SECRET, providers};
use self::scenario::{SCENARIOS, Scenario};
use crate::harness::{Gateway, KEY, config, in_time};
use crate::raw::{Answer, Connection, Request};
use crate::upstream::{Received, Upstream, chunk};

/// What a pair cannot do: the caller's dialect, the provider's (`*` is any), the scenario, and why.
const EXCUSED: &[(&str, &str, Scenario, &str)] = &[];

/// How many cases run at once.
const AT_ONCE: usize = 32;

#[tokio::test(flavor = "multi_thread")]
async fn every_pair_of_dialects_understands_each_other() {
    let stage = Arc::new(Stage::set().await);
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for case in cases() {
        let (stage, permits) = (Arc::clone(&stage), Arc::clone(&permits));
        running.spawn(async move {
            let _permit = permits.acquire().await.expect("never closed");
            let complaints = stage.play(case).await;
            (case, complaints)
        });
    }
    report(running.join_all().await);
}

/// The instruments by themselves: each client against the stand-in of its own dialect, with nothing between them.
#[test]
fn the_clients_and_the_stand_ins_understand_each_other() {
    let of_one = cases()
        .into_iter()
        .filter(|case| case.client.name() == case.provider.name());
    let played: Vec<(Case, Complaints)> = of_one
        .map(|case| (case, play_without_a_gateway(case)))
        .collect();
    assert!(played.len() > 6 * 25, "all six dialects");
    let wrong = played
        .iter()
        .filter(|(_, complaints)| !complaints.0.is_empty());
    let wrong: Vec<String> = wrong
        .map(|(case, complaints)| line(case, complaints))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// A gateway in front of every provider's stand-in.
struct Stage {
    gateway: Gateway,
    /// What arrived, by the case's marker.
    asked: Arc<Mutex<HashMap<String, Vec<Asked>>>>,
    _upstream: Upstream,
}

/// Everything that is tried.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for client in clients() {
        for provider in providers() {
            for scenario in SCENARIOS {
                if !client.can_ask(scenario) || !provider.has(scenario) {
                    continue;
                }
                let forms: &[bool] = match scenario {
                    Scenario::Cut => &[true],
                    _ => &[false, true],
                };
                cases.extend(forms.iter().map(|stream| Case {
                    client,
                    provider,
                    scenario,
                    stream: *stream,
                }));
            }
        }
    }
    cases
}

fn report(played: Vec<(Case, Complaints)>) {
    let count = played.len();
    let mut wrong = BTreeMap::new();
    for (case, complaints) in &played {
        let is_excused = excuse(case).is_some();
        match (complaints.0.is_empty(), is_excused) {
            (false, false) => drop(wrong.insert(case.title(), line(case, complaints))),
            (true, true) => {
                let text = format!("{}: excused, but it works", case.title());
                wrong.insert(case.title(), text);
            }
            _ => {}
        }
    }
    let lines: Vec<&str> = wrong.values().map(String::as_str).collect();
    assert!(
        wrong.is_empty(),
        "{} of {count} fail:\n{}",
        wrong.len(),
        lines.join("\n")
    );
}

fn excuse(case: &Case) -> Option<&'static str> {
    let is_this = |(client, provider, scenario, _): &&(&str, &str, Scenario, &str)| {
        *client == case.client.name()
            && (*provider == "*" || *provider == case.provider.name())
            && *scenario == case.scenario
    };
    EXCUSED.iter().find(is_this).map(|(.., reason)| *reason)
}

fn line(case: &Case, complaints: &Complaints) -> String {
    format!("{}: {}", case.title(), complaints.0.join("\n    "))
}

// === impl Stage ===

impl Stage {
    async fn set() -> Self {
        let asked = Arc::new(Mutex::new(HashMap::<String, Vec<Asked>>::new()));
        let record = Arc::clone(&asked);
        let upstream = Upstream::start(move |received, stream| {
            let reply = answer(&received, &record);
            send(reply, stream)
        });
        let upstream = upstream.await;
        let address = format!("http://{}", upstream.address);
        let mut yaml =
            String::from("defaults: { retry: { attempts: 1 }, health: off }\nproviders:\n");
        for provider in providers() {
            let section = provider.yaml(&address);
            let section = section.strip_suffix('}').expect("a mapping");
            // Everyone who asks shall be told when to come again by the provider itself.
            let name = provider.name();
            yaml += &format!("  {name}: {section}, limits: {{ learn: false }} }}\n");
        }
        yaml += "models:\n";
        for provider in providers() {
            yaml += &format!("  \"{}/*\": {{}}\n", provider.name());
        }
        Self {
            gateway: Gateway::start(&config(&yaml)).await,
            asked,
            _upstream: upstream,
        }
    }

    async fn play(&self, case: Case) -> Complaints {
        let model = format!("{}/{}", case.provider.name(), case.model());
        let mut complaints = Complaints::default();
        let answer = match ask(self.gateway.address, case.request(&model, KEY)).await {
            Ok(answer) => answer,
            Err(complaint) => return Complaints(vec![complaint]),
        };
        let Some(asked) = self.asked(&case, 0) else {
            let text = complaints::brief(&String::from_utf8_lossy(&answer.body));
            return Complaints(vec![format!(
                "nothing arrived; the answer is {} {text}",
                answer.status
            )]);
        };
        complaints.0.extend(case.judge_asked(&asked).0);
        complaints.0.extend(case.judge_dropped(&answer).0);
        let said = case.scenario.said(false);
        if let Some(failing) = said.failure {
            complaints.0.extend(case.judge_failure(&answer, failing).0);
            return complaints;
        }
        let seen = case.read(&answer);
        if said.is_cut {
            complaints.0.extend(case.judge_cut(&answer, &seen, &said).0);
            return complaints;
        }
        complaints
            .0
            .extend(case.judge_seen(&answer, &seen, &said, &asked).0);
        if case.scenario != Scenario::Sealed {
            return complaints;
        }
        let answer = match ask(
            self.gateway.address,
            case.second_request(&seen, &model, KEY),
        )
        .await
        {
            Ok(answer) => answer,
            Err(complaint) => {
                complaints.add(complaint);
                return complaints;
            }
        };
        let Some(asked) = self.asked(&case, 1) else {
            let text = complaints::brief(&String::from_utf8_lossy(&answer.body));
            complaints.add(format!(
                "nothing arrived again; the answer is {} {text}",
                answer.status
            ));
            return complaints;
        };
        complaints.0.extend(case.judge_asked_again(&asked).0);
        let said = case.scenario.said(true);
        complaints.0.extend(
            case.judge_seen(&answer, &case.read(&answer), &said, &asked)
                .0,
        );
        complaints
    }

    /// What the provider was asked the first or the second time.
    fn asked(&self, case: &Case, turn: usize) -> Option<Asked> {
        let asked = self.asked.lock().expect("never poisoned");
        let mut asked = asked.get(&case.marker())?.get(turn..)?.to_vec();
        let mut first = asked.drain(..1).next()?;
        first.complaints.equal("further requests", &asked.len(), &0);
        Some(first)
    }
}

/// Sends a request and reads the whole answer; what goes wrong is a complaint.
async fn ask(address: SocketAddr, request: Request) -> Result<Answer, String> {
    let exchange = async {
        let mut connection = Connection::open(address).await?;
        connection.send(request.bytes()).await?;
        connection.answer().await
    };
    let answer = in_time("an answer", exchange).await?;
    answer.map_err(|error| format!("no whole answer: {error}"))
}

/// What the stand-in whose path this is answers; what it understood is recorded.
fn answer(received: &Received, record: &Mutex<HashMap<String, Vec<Asked>>>) -> Reply {
    let name = received.path.split('/').nth(1).unwrap_or_default();
    let provider = providers()
        .into_iter()
        .find(|provider| provider.name() == name);
    let Some(provider) = provider else {
        return Reply::whole(599, &serde_json::json!({"path": received.path}));
    };
    let (asked, reply) = reply(provider, received);
    let body = String::from_utf8_lossy(&received.body);
    let marker = body
        .split_once("case:")
        .and_then(|(_, rest)| rest.split_once(';'));
    let marker = marker.map_or(String::new(), |(marker, _)| marker.to_owned());
    record
        .lock()
        .expect("never poisoned")
        .entry(marker)
        .or_default()
        .push(asked);
    reply
}

fn reply(provider: &dyn Provider, received: &Received) -> (Asked, Reply) {
    let asked = provider.read(received);
    let Some(scenario) = asked.scenario(provider.model()) else {
        let reply = Reply::whole(599, &serde_json::json!({"model": asked.model}));
        return (asked, reply);
    };
    let said = scenario.said(!asked.results.is_empty());
    let reply = provider.answer(&said, &asked);
    (asked, reply)
}

/// Sends a reply in its pieces; a cut one ends with the connection.
async fn send(reply: Reply, mut stream: TcpStream) -> Option<TcpStream> {
    let mut head = format!("HTTP/1.1 {} Answer\r\n", reply.status);
    for (name, value) in &reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !reply.is_stream {
        let body = reply.pieces.concat();
        head += &format!("content-length: {}\r\n\r\n", body.len());
        stream
            .write_all(&[head.into_bytes(), body].concat())
            .await
            .ok()?;
        return Some(stream);
    }
    head += "transfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.ok()?;
    for piece in &reply.pieces {
        stream.write_all(&chunk(piece)).await.ok()?;
    }
    if reply.is_cut {
        stream.shutdown().await.ok()?;
        return None;
    }
    stream.write_all(&chunk("")).await.ok()?;
    Some(stream)
}

fn play_without_a_gateway(case: Case) -> Complaints {
    let model = case.model();
    let mut complaints = Complaints::default();
    let exchange = |request: Request| {
        let received = Received {
            method: request.method,
            path: format!("/{}{}", case.provider.name(), request.path),
            headers: request.headers,
            body: request.body.to_vec(),
        };
        let (asked, reply) = reply(case.provider, &received);
        let headers = reply
            .headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        let answer = Answer {
            status: reply.status,
            headers: headers.collect(),
            body: reply.pieces.concat(),
        };
        (asked, answer)
    };
    let (asked, answer) = exchange(case.request(&model, SECRET));
    complaints.0.extend(case.judge_asked(&asked).0);
    let said = case.scenario.said(false);
    if let Some(failing) = said.failure {
        complaints.0.extend(case.judge_failure(&answer, failing).0);
        return complaints;
    }
    let seen = case.read(&answer);
    if said.is_cut {
        complaints.unless(!seen.is_ended, || "an end that never was".to_owned());
        return complaints;
    }
    complaints
        .0
        .extend(case.judge_seen(&answer, &seen, &said, &asked).0);
    if case.scenario == Scenario::Sealed {
        let (asked, answer) = exchange(case.second_request(&seen, &model, SECRET));
        complaints.0.extend(case.judge_asked_again(&asked).0);
        let said = case.scenario.said(true);
        complaints.0.extend(
            case.judge_seen(&answer, &case.read(&answer), &said, &asked)
                .0,
        );
    }
    complaints
}
