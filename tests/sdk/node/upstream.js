"use strict";
// A provider that keeps what it was sent and answers what a test wants.

const http = require("node:http");

/** The body of a chat completion. */
function completion(message, finishReason = "stop") {
  return {
    id: "chatcmpl-1",
    object: "chat.completion",
    created: 1763980000,
    model: "upstream-model-2026-01-01",
    choices: [
      { index: 0, message: { role: "assistant", ...message }, logprobs: null, finish_reason: finishReason },
    ],
    usage: { prompt_tokens: 9, completion_tokens: 4, total_tokens: 13 },
  };
}

/** An event of a streamed chat completion. */
function chunk(delta, finishReason = null) {
  return {
    id: "chatcmpl-1",
    object: "chat.completion.chunk",
    created: 1763980000,
    model: "upstream-model-2026-01-01",
    choices: [{ index: 0, delta, finish_reason: finishReason }],
  };
}

/** OpenAI's error body. */
function error(message, code, type = "invalid_request_error") {
  return { error: { message, type, param: null, code } };
}

/**
 * The server. `answers` are given in order, the last one again and again. An answer is `{status, body, headers}`, where a
 * string is sent as HTML and anything else as JSON; or `{frames, isCut}`, a stream; or `"silence"`.
 */
class Upstream {
  static async start() {
    const upstream = new Upstream();
    upstream.begin();
    upstream.server = http.createServer((request, response) => upstream.#receive(request, response));
    await new Promise((resolve) => upstream.server.listen(0, "127.0.0.1", resolve));
    upstream.baseUrl = `http://127.0.0.1:${upstream.server.address().port}/v1`;
    return upstream;
  }

  /** Forgets the past and prepares what comes next. */
  begin(...answers) {
    this.requests = [];
    this.answers = answers.length > 0 ? answers : [{ body: completion({ content: "Hello there." }) }];
  }

  close() {
    this.server.close();
    this.server.closeAllConnections();
  }

  #receive(request, response) {
    const parts = [];
    request.on("data", (part) => parts.push(part));
    request.on("end", () => {
      const body = Buffer.concat(parts).toString();
      this.requests.push({ path: request.url, headers: request.headers, body, json: JSON.parse(body) });
      const answer = this.answers.length > 1 ? this.answers.shift() : this.answers[0];
      if (answer !== "silence") {
        answer.frames === undefined ? sendWhole(response, answer) : sendStream(response, answer);
      }
    });
  }
}

function sendWhole(response, { status = 200, body, headers = {} }) {
  const isText = typeof body === "string";
  response.writeHead(status, { "content-type": isText ? "text/html" : "application/json", ...headers });
  response.end(isText ? body : JSON.stringify(body));
}

function sendStream(response, { frames, isCut = false }) {
  response.writeHead(200, { "content-type": "text/event-stream" });
  for (const frame of frames) {
    response.write(`data: ${frame}\n\n`);
  }
  if (isCut) {
    // What was written goes out before the connection ends without the last chunk.
    response.write("", () => response.socket.end());
  } else {
    response.end();
  }
}

module.exports = { Upstream, chunk, completion, error };
