"use strict";
// The official Node client against the real binary. Its modules are found by NODE_PATH; tests/run sets it.

const assert = require("node:assert/strict");
const { after, before, beforeEach, describe, test } = require("node:test");

const OpenAI = require("openai");
const { AzureOpenAI } = OpenAI;

const { Gateway, KEY, NARROW_KEY, UPSTREAM_KEY } = require("./gateway.js");
const { Upstream, chunk, completion, error } = require("./upstream.js");

const QUESTION = [{ role: "user", content: "What is a gateway good for?" }];
const TWO_CITIES = [{ role: "user", content: "Use the tool: what is the weather in Paris and Tokyo?" }];
const WEATHER = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Current weather in a city",
    parameters: {
      type: "object",
      properties: { city: { type: "string" } },
      required: ["city"],
      additionalProperties: false,
    },
    strict: true,
  },
};

let upstream;
let gateway;
let client;

before(async () => {
  upstream = await Upstream.start();
  gateway = await Gateway.start(upstream.baseUrl);
  client = new OpenAI({ baseURL: gateway.baseUrl, apiKey: KEY, maxRetries: 0, timeout: 60_000 });
});

beforeEach(() => upstream.begin());

after(() => {
  gateway?.stop();
  upstream?.close();
});

function ask(model = "fast", options = {}, of = client) {
  return of.chat.completions.create({ model, messages: QUESTION }, options);
}

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

function textOf(chunks) {
  return chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");
}

async function fails(promise, kind, status, code, type) {
  const failure = await promise.then(
    () => assert.fail("it was answered"),
    (reason) => reason,
  );
  assert.ok(failure instanceof kind, failure);
  assert.deepEqual([failure.status, failure.code, failure.type], [status, code, type]);
  assert.ok(failure.requestID);
  return failure;
}

describe("chat", () => {
  test("a chat is answered", async () => {
    const answer = await ask();
    assert.ok(answer.choices[0].message.content);
    assert.equal(answer.choices[0].finish_reason, "stop");
    assert.ok(answer.usage.total_tokens > 0);
    assert.ok(answer._request_id);
  });

  test("a stream says what the whole answer says", async () => {
    const whole = await ask();
    const chunks = await collect(
      await client.chat.completions.create({ model: "fast", messages: QUESTION, stream: true }),
    );
    assert.equal(textOf(chunks), whole.choices[0].message.content);
    assert.equal(chunks.at(-1).choices[0].finish_reason, "stop");
    assert.ok(chunks.every((chunk) => !chunk.usage));
  });

  test("a stream ends with its usage if asked to", async () => {
    const options = { model: "fast", messages: QUESTION, stream: true, stream_options: { include_usage: true } };
    const chunks = await collect(await client.chat.completions.create(options));
    assert.deepEqual(chunks.at(-1).choices, []);
    assert.ok(chunks.at(-1).usage.completion_tokens > 0);
  });

  test("a hundred streams run at once", async () => {
    const numbers = Array.from({ length: 100 }, (_, number) => number);
    const streams = await Promise.all(
      numbers.map((number) => {
        const messages = [{ role: "user", content: `Tell me about the number ${number}.` }];
        return client.chat.completions.create({ model: "fast", messages, stream: true });
      }),
    );
    const all = await Promise.all(streams.map(collect));
    assert.ok(all.every((chunks) => textOf(chunks) && chunks.at(-1).choices[0].finish_reason === "stop"));
  });

  test("tools are called in parallel", async () => {
    const options = { model: "fast", messages: TWO_CITIES, tools: [WEATHER], tool_choice: "required" };
    const answer = await client.chat.completions.create(options);
    assert.equal(answer.choices[0].finish_reason, "tool_calls");
    const calls = answer.choices[0].message.tool_calls;
    assert.deepEqual(calls.map((call) => JSON.parse(call.function.arguments).city), ["Paris", "Tokyo"]);
  });

  test("the SDK's stream helper collects parallel tool calls", async () => {
    const options = { model: "fast", messages: TWO_CITIES, tools: [WEATHER], tool_choice: "required" };
    const { choices } = await client.chat.completions.stream(options).finalChatCompletion();
    const cities = choices[0].message.tool_calls.map((call) => JSON.parse(call.function.arguments).city);
    assert.deepEqual(cities, ["Paris", "Tokyo"]);
  });

  test("the SDK runs a tool and gets an answer", async () => {
    let asked;
    const get_weather = async ({ city }) => {
      asked = city;
      return { sky: "clear" };
    };
    const tool = { ...WEATHER, function: { ...WEATHER.function, function: get_weather, parse: JSON.parse } };
    const messages = [{ role: "user", content: "Use the tool: what is the weather in Paris?" }];
    const runner = client.chat.completions.runTools({ model: "fast", messages, tools: [tool] });
    assert.ok(await runner.finalContent());
    assert.equal(asked, "Paris");
  });

  test("a JSON schema is satisfied", async () => {
    const schema = {
      type: "object",
      properties: { name: { type: "string" }, age: { type: "integer" } },
      required: ["name", "age"],
      additionalProperties: false,
    };
    const answer = await client.chat.completions.parse({
      model: "fast",
      messages: [{ role: "user", content: "Ada Lovelace is 36." }],
      response_format: { type: "json_schema", json_schema: { name: "person", strict: true, schema } },
    });
    const person = JSON.parse(answer.choices[0].message.content);
    assert.equal(typeof person.name, "string");
    assert.ok(Number.isInteger(person.age));
  });

  test("image parts reach the provider", async () => {
    const content = [
      { type: "text", text: "What is in this picture?" },
      { type: "image_url", image_url: { url: "data:image/png;base64,iVBORw0KGgo=", detail: "low" } },
    ];
    const messages = [{ role: "user", content }];
    assert.ok((await client.chat.completions.create({ model: "fast", messages })).choices[0].message.content);
    await client.chat.completions.create({ model: "recorded", messages });
    assert.deepEqual(upstream.requests[0].json.messages, messages);
  });

  test("a prompt of 5 MB is taken", async () => {
    const messages = [{ role: "user", content: "All work and no play. ".repeat(240_000) }];
    await client.chat.completions.create({ model: "recorded", messages });
    assert.deepEqual(upstream.requests[0].json.messages, messages);
  });

  test("unknown fields reach the provider and come back", async () => {
    upstream.begin({ body: { ...completion({ content: "Hi." }), vendor: { note: 1 } } });
    const vendor_option = { nested: [1, null, "ü"] };
    const answer = await client.chat.completions.create({ model: "recorded", messages: QUESTION, vendor_option });
    assert.deepEqual(upstream.requests[0].json.vendor_option, vendor_option);
    assert.equal(upstream.requests[0].json.model, "upstream-model");
    assert.equal(upstream.requests[0].headers.authorization, `Bearer ${UPSTREAM_KEY}`);
    assert.deepEqual(answer.vendor, { note: 1 });
  });
});

describe("the other endpoints", () => {
  test("embeddings come in base64 by default and as numbers when asked", async () => {
    const packed = await client.embeddings.create({ model: "fast", input: ["one", "two"] });
    const plain = await client.embeddings.create({ model: "fast", input: ["one", "two"], encoding_format: "float" });
    assert.equal(packed.data.length, 2);
    packed.data.forEach(({ embedding }, index) => {
      assert.equal(embedding.length, plain.data[index].embedding.length);
      embedding.forEach((value, at) => assert.ok(Math.abs(value - plain.data[index].embedding[at]) < 1e-5));
    });
  });

  test("completions come", async () => {
    const answer = await client.completions.create({ model: "fast", prompt: "Once upon a time", max_tokens: 16 });
    assert.ok(answer.choices[0].text);
  });

  test("the models of a key are listed, and found by name", async () => {
    const names = (await collect(await client.models.list())).map((model) => model.id);
    assert.deepEqual(names.sort(), ["fast", "impatient", "recorded", "refused"]);
    assert.equal((await client.models.retrieve("demo/whatever-it-is")).id, "demo/whatever-it-is");
  });

  test("Azure's client needs nothing but the address", async () => {
    const azure = new AzureOpenAI({
      endpoint: `http://${gateway.address}`,
      apiKey: KEY,
      apiVersion: "2024-10-21",
      maxRetries: 0,
    });
    for (const model of ["fast", "demo/some-model", "recorded"]) {
      assert.ok((await ask(model, {}, azure)).choices[0].message.content);
    }
    assert.equal(upstream.requests[0].json.model, "upstream-model");
    assert.ok((await azure.embeddings.create({ model: "fast", input: "one" })).data[0].embedding.length > 0);
  });

  test("answers say where they come from", async () => {
    const { response } = await ask().withResponse();
    assert.equal(response.headers.get("x-tollgate-model"), "demo/small");
    assert.equal(response.headers.get("x-tollgate-attempts"), "1");
    assert.equal(response.headers.get("x-tollgate-route"), "demo/small;ok");
    assert.equal(response.headers.get("x-tollgate-cache"), "off");
    assert.ok(response.headers.get("x-request-id"));
  });
});

describe("errors", () => {
  const OURS = "invalid_request_error";

  test("a bad field is a bad request", async () => {
    const promise = client.chat.completions.create({ model: 5, messages: QUESTION });
    const failure = await fails(promise, OpenAI.BadRequestError, 400, "invalid_request", OURS);
    assert.equal(failure.param, "model");
  });

  test("an unknown key is an authentication error", async () => {
    const stranger = client.withOptions({ apiKey: "unknown" });
    await fails(ask("fast", {}, stranger), OpenAI.AuthenticationError, 401, "invalid_api_key", OURS);
  });

  test("a model that the key may not use is a permission error", async () => {
    const narrow = client.withOptions({ apiKey: NARROW_KEY });
    const promise = ask("recorded", {}, narrow);
    await fails(promise, OpenAI.PermissionDeniedError, 403, "model_not_allowed", "permission_error");
  });

  test("an unknown model and an unknown path are not found", async () => {
    await fails(ask("fsat"), OpenAI.NotFoundError, 404, "model_not_found", OURS);
    await fails(client.get("/nothing/here"), OpenAI.NotFoundError, 404, "unknown_endpoint", OURS);
  });

  test("another method, media type and size are refused", async () => {
    await fails(client.get("/chat/completions"), OpenAI.APIError, 405, "unknown_endpoint", OURS);
    const typed = ask("fast", { headers: { "content-type": "text/plain" } });
    await fails(typed, OpenAI.APIError, 415, "unsupported_media_type", OURS);
    const messages = [{ role: "user", content: "x".repeat(9 << 20) }];
    const large = client.chat.completions.create({ model: "fast", messages });
    await fails(large, OpenAI.APIError, 413, "request_too_large", OURS);
  });

  test("too many headers are too large", async () => {
    const headers = Object.fromEntries(Array.from({ length: 101 }, (_, number) => [`x-field-${number}`, "1"]));
    await fails(ask("fast", { headers }), OpenAI.APIError, 431, "headers_too_large", OURS);
  });

  for (const [status, kind] of [
    [400, OpenAI.BadRequestError],
    [404, OpenAI.NotFoundError],
    [422, OpenAI.UnprocessableEntityError],
    [429, OpenAI.RateLimitError],
    [503, OpenAI.InternalServerError],
  ]) {
    test(`a provider's own ${status} comes through`, async () => {
      const body = error(`The provider's words for ${status}.`, "word", "words_of_the_provider");
      upstream.begin({ status, body, headers: { "retry-after": "7" } });
      const failure = await fails(ask("recorded"), kind, status, "word", "words_of_the_provider");
      assert.deepEqual(failure.error, body.error);
      assert.equal(failure.headers.get("retry-after"), "7");
    });
  }

  test("a credential that the provider refuses, and a provider that is not there, are server errors", async () => {
    upstream.begin({ status: 401, body: error("Incorrect API key provided", "invalid_api_key") });
    for (const model of ["recorded", "refused"]) {
      await fails(ask(model), OpenAI.InternalServerError, 502, "upstream_error", "server_error");
    }
  });

  test("a provider that says nothing times out", async () => {
    upstream.begin("silence");
    await fails(ask("impatient"), OpenAI.InternalServerError, 504, "upstream_timeout", "server_error");
  });

  test("the SDK does not repeat what failed upstream", async () => {
    upstream.begin({ body: "<html>It works!</html>" });
    const stubborn = client.withOptions({ maxRetries: 2 });
    const promise = ask("recorded", {}, stubborn);
    await fails(promise, OpenAI.InternalServerError, 502, "upstream_error", "server_error");
    assert.equal(upstream.requests.length, 1);
  });

  test("a stream that is cut ends with an error", async () => {
    upstream.begin({ frames: [JSON.stringify(chunk({ content: "Once upon" }))], isCut: true });
    const stream = await client.chat.completions.create({ model: "recorded", messages: QUESTION, stream: true });
    const texts = [];
    const reading = (async () => {
      for await (const chunk of stream) texts.push(chunk.choices[0].delta.content);
    })();
    await assert.rejects(reading, (failure) => failure instanceof OpenAI.APIError && failure.code === "upstream_error");
    assert.deepEqual(texts, ["Once upon"]);
  });

  test("the SDK's own timeout is its timeout error", async () => {
    await assert.rejects(ask("demo/slow-5000", { timeout: 500 }), OpenAI.APIConnectionTimeoutError);
  });

  test("a request can be aborted", async () => {
    const controller = new AbortController();
    const stream = await client.chat.completions.create(
      { model: "fast", messages: QUESTION, stream: true },
      { signal: controller.signal },
    );
    for await (const chunk of stream) {
      if (chunk.choices[0].delta.content) controller.abort();
    }
    assert.ok(controller.signal.aborted);
    assert.ok((await ask()).choices[0].message.content);
  });
});
