"use strict";
// Vercel's AI SDK, with its client of every dialect, and every provider: a tool's round trip in a stream.

const assert = require("node:assert/strict");
const { spawn } = require("node:child_process");
const path = require("node:path");
const readline = require("node:readline");
const { after, before, test } = require("node:test");

const { createAmazonBedrock } = require("@ai-sdk/amazon-bedrock");
const { createAnthropic } = require("@ai-sdk/anthropic");
const { createCohere } = require("@ai-sdk/cohere");
const { createGoogleGenerativeAI } = require("@ai-sdk/google");
const { createOpenAI } = require("@ai-sdk/openai");
const { jsonSchema, stepCountIs, streamText, tool } = require("ai");

const { Gateway, KEY } = require("./gateway.js");

const QUESTION = "What is the weather in Örlikon?";
const WORDS = 'It is 21 °C in Örlikon, and "sunny".';
const USAGE = { input: 120, output: 45 };

const MODELS = {
  chat: "chat/deepseek-chat",
  responses: "responses/gpt-5-mini",
  anthropic: "anthropic/claude-sonnet-4-5",
  gemini: "gemini/gemini-3-flash-preview",
  bedrock: "bedrock/eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
  cohere: "cohere/command-a-03-2025",
};

/** The client of each dialect; `root` is what stands before the version in every path. */
const CLIENTS = {
  chat: (root, apiKey) => createOpenAI({ baseURL: `${root}/v1`, apiKey }).chat,
  responses: (root, apiKey) => createOpenAI({ baseURL: `${root}/v1`, apiKey }).responses,
  anthropic: (root, apiKey) => createAnthropic({ baseURL: `${root}/v1`, apiKey }),
  // A name with a slash is taken for a path, and sent without `models/` before it.
  gemini: (root, apiKey) => createGoogleGenerativeAI({ baseURL: `${root}/v1beta`, apiKey }),
  bedrock: (root, apiKey) => createAmazonBedrock({ baseURL: root, apiKey, region: "eu-west-1" }),
  cohere: (root, apiKey) => createCohere({ baseURL: `${root}/v2`, apiKey }),
};

let providers;
let address;
let gateway;

before(async () => {
  // The stand-ins for the providers are the Python tests' own: one description of each provider for both.
  const script = path.resolve(__dirname, "../python/providers.py");
  const environment = { ...process.env, PYTHONDONTWRITEBYTECODE: "1" };
  providers = spawn("python3", [script], { env: environment, stdio: ["ignore", "pipe", "inherit"] });
  address = await new Promise((resolve, reject) => {
    providers.on("error", reject);
    providers.on("close", () => reject(new Error("the providers ended before they listened")));
    readline.createInterface({ input: providers.stdout }).on("line", (line) => {
      const found = /^listening on http:\/\/(.+)$/.exec(line);
      if (found) resolve(found[1]);
    });
  });
  gateway = await Gateway.startWith(await ask("config"));
});

after(() => {
  gateway?.stop();
  providers?.kill("SIGKILL");
});

for (const client of Object.keys(CLIENTS)) {
  for (const provider of Object.keys(MODELS)) {
    test(`a tool goes round from ${client} to ${provider}`, { timeout: 60_000 }, async () => {
      const make = CLIENTS[client](`http://${gateway.address}`, KEY);
      await roundTrip(make(MODELS[provider]));
      assert.deepEqual(JSON.parse(await ask("problems")), []);
    });
  }
}

async function ask(what) {
  return (await fetch(`http://${address}/${what}`)).text();
}

async function roundTrip(model) {
  const called = [];
  const stream = streamText({
    model,
    prompt: QUESTION,
    tools: {
      get_weather: tool({
        description: "The weather in a city.",
        inputSchema: jsonSchema({
          type: "object",
          properties: { city: { type: "string", description: "The city." } },
          required: ["city"],
        }),
        execute: async (input) => {
          called.push(input);
          return "21 degrees and sunny";
        },
      }),
    },
    stopWhen: stepCountIs(3),
    maxOutputTokens: 500,
    maxRetries: 0,
    onError: () => {},
  });
  for await (const part of stream.fullStream) {
    if (part.type === "error") throw part.error;
  }
  assert.deepEqual(called, [{ city: "Oerlikon" }]);
  assert.equal((await stream.steps).length, 2);
  assert.equal(await stream.text, WORDS);
  assert.equal(await stream.finishReason, "stop");
  const usage = await stream.usage;
  assert.deepEqual({ input: usage.inputTokens, output: usage.outputTokens }, USAGE);
}

module.exports = { CLIENTS, MODELS, roundTrip };
