"use strict";
// The real binary, on free ports.

const { spawn } = require("node:child_process");
const { createHash } = require("node:crypto");
const { mkdtempSync, rmSync, writeFileSync } = require("node:fs");
const { tmpdir } = require("node:os");
const path = require("node:path");
const readline = require("node:readline");

const KEY = "key-that-may-use-everything";
const NARROW_KEY = "key-that-may-use-one-model";
const UPSTREAM_KEY = "key-of-the-provider";

const BINARY = process.env.TOLLGATE_BINARY || path.resolve(__dirname, "../../../target/debug/tollgate");

function config(upstream) {
  const digest = (key) => createHash("sha256").update(key).digest("hex");
  return `
listen: 127.0.0.1:0
server: { max_body: 8MiB }
defaults: { retry: { attempts: 1 }, health: off }
providers:
  demo: { dialect: simulated }
  recorder: { dialect: openai, base_url: "${upstream}", api_key: ${UPSTREAM_KEY}, limits: { learn: false } }
  nobody: { dialect: openai, base_url: "http://127.0.0.1:1/v1", api_key: none }
models:
  fast: { target: demo/small }
  recorded: { target: recorder/upstream-model }
  refused: { target: nobody/there }
  impatient: { target: recorder/upstream-model, timeout: { first_token: 500ms, total: 500ms } }
  "demo/*": {}
teams:
  everybody:
    models: "*"
    keys:
      - { name: wide, sha256: "${digest(KEY)}" }
      - { name: narrow, sha256: "${digest(NARROW_KEY)}", models: [fast] }
`;
}

/** A running gateway. */
class Gateway {
  static start(upstream) {
    return Gateway.startWith(config(upstream));
  }

  /** Starts with this text as the configuration file. */
  static async startWith(text) {
    const gateway = new Gateway();
    gateway.directory = mkdtempSync(path.join(tmpdir(), "tollgate-sdk-"));
    const file = path.join(gateway.directory, "tollgate.yaml");
    writeFileSync(file, text);
    const environment = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !name.toUpperCase().endsWith("_PROXY")),
    );
    gateway.log = "";
    gateway.process = spawn(BINARY, ["serve", "--config", file], { env: environment, stdio: ["ignore", "pipe", "pipe"] });
    gateway.process.stderr.on("data", (text) => (gateway.log += text));
    gateway.address = await gateway.#printedAddress();
    return gateway;
  }

  get baseUrl() {
    return `http://${this.address}/v1`;
  }

  stop() {
    this.process.kill("SIGKILL");
    rmSync(this.directory, { recursive: true, force: true });
  }

  #printedAddress() {
    return new Promise((resolve, reject) => {
      this.process.on("error", reject);
      this.process.on("close", () => reject(new Error(`the gateway ended before it listened:\n${this.log}`)));
      readline.createInterface({ input: this.process.stdout }).on("line", (line) => {
        const found = /^listening on http:\/\/(.+)$/.exec(line);
        if (found) resolve(found[1]);
      });
    });
  }
}

module.exports = { Gateway, KEY, NARROW_KEY, UPSTREAM_KEY };
