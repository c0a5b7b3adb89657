// The Vercel AI SDK: `ai` over `@ai-sdk/openai` and `@ai-sdk/azure`, chat completions and the Responses API, its default.
//
//     node ai_sdk_node.mjs ROUTER_URL EMULATOR_URL

import { createAzure } from "@ai-sdk/azure";
import { createOpenAI } from "@ai-sdk/openai";
import { APICallError, Output, embedMany, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

import { HELLO, Orders, PLACE, PROOF, WEATHER, deepEqual, equal, ok, raises, run, took, version } from "./checks.mjs";

const PLACE_SHAPE = z.object({ city: z.string(), country: z.string() });
const once = { maxRetries: 0 };

async function chat({ model }) {
  const found = await generateText({ model: model("auto"), system: "Be kind.", prompt: HELLO, ...once });
  ok(found.text && found.usage.totalTokens > 0);
  deepEqual([found.finishReason, found.response.modelId], ["stop", "gpt-4o"]);
}

async function reasoning({ model }) {
  const found = await generateText({ model: model("auto"), prompt: PROOF, maxOutputTokens: 3000, temperature: 0, ...once });
  equal(found.response.headers["x-router-model"], "o1");
}

function fail(error) {
  throw error;
}

async function stream({ model }) {
  for (const name of ["chat", "o1"]) {
    const found = streamText({ model: model(name), prompt: HELLO, onError: ({ error }) => fail(error), ...once });
    let said = "";
    for await (const delta of found.textStream) said += delta;
    ok(said);
    equal(await found.finishReason, "stop");
    ok((await found.usage).totalTokens > 0);
  }
}

async function tools({ model }) {
  const asked = [];
  const get_weather = tool({
    description: "The weather in a city.",
    inputSchema: z.object({ city: z.string() }),
    execute: async (given) => {
      asked.push(given);
      return "sunny";
    },
  });
  const found = await generateText({ model: model("chat"), prompt: WEATHER, tools: { get_weather }, stopWhen: stepCountIs(3), ...once });
  ok(found.text && asked.length === 1 && asked[0].city, JSON.stringify(asked));
}

async function structured({ model }) {
  for (const name of ["gpt-4o", "o1"]) {
    const found = await generateText({ model: model(name), prompt: PLACE, output: Output.object({ schema: PLACE_SHAPE }), ...once });
    PLACE_SHAPE.parse(found.output);
  }
}

async function embeddings({ embedder }) {
  const found = await embedMany({ model: embedder("text-embedding-3-small"), values: [HELLO, PROOF], ...once });
  ok(found.embeddings.length === 2 && found.embeddings.every((vector) => vector.length > 100));
}

async function notFound({ model }) {
  const error = await raises(APICallError, () => generateText({ model: model("gpt-none"), prompt: HELLO, ...once }));
  deepEqual([error.statusCode, error.isRetryable, error.data.error.code], [404, false, "model_not_found"]);
}

async function badRequest({ model }) {
  const headers = { "x-router-residency": "korea" };
  const error = await raises(APICallError, () => generateText({ model: model("auto"), prompt: HELLO, headers, ...once }));
  deepEqual([error.statusCode, error.isRetryable, error.data.error.code], [400, false, "invalid_header"]);
}

async function brokenStream({ model }, order) {
  for (const stream of [{ cut_after: 2 }, { error_event_after: 2 }]) {
    await order.place({ stream });
    const errors = [];
    const found = streamText({ model: model("chat"), prompt: HELLO, onError: ({ error }) => errors.push(error), ...once });
    let ended;
    for await (const part of found.fullStream) if (part.type === "finish") ended = part.finishReason;
    ok(errors.length > 0 && ended !== "stop", `ended ${ended}, ${errors.length} errors`);
  }
}

async function allFull({ model }, order) {
  await order.place({ throttled_ms: 600 });
  const error = await raises(APICallError, () => generateText({ model: model("chat"), prompt: HELLO, ...once }));
  deepEqual([error.statusCode, error.isRetryable], [429, true]);
  const wait = Number(error.responseHeaders["retry-after-ms"]);
  ok(wait > 0 && wait <= 600, `${wait}`);
}

async function waitedOut({ model }, order) {
  await order.place({ throttled_ms: 700 });
  const [seconds, found] = await took(() => generateText({ model: model("chat"), prompt: HELLO, maxRetries: 3 }));
  ok(found.text && seconds >= 0.5 && seconds < 10, `took ${seconds} s`);
}

const [router, emulator] = process.argv.slice(2);
globalThis.AI_SDK_LOG_WARNINGS = false;
const openai = createOpenAI({ baseURL: `${router}/v1`, apiKey: "sk-test" });
const dated = { apiKey: "test", baseURL: `${router}/openai`, apiVersion: "2024-12-01-preview", useDeploymentBasedUrls: true };
const azure = createAzure({ apiKey: "test", baseURL: `${router}/openai/v1` });
const azureDated = createAzure(dated);
// Its default, the Responses API, and chat completions; the deployments of Azure's dated URLs serve chat alone.
const clients = [
  ["openai.chat", { model: (name) => openai.chat(name), embedder: (name) => openai.embedding(name) }],
  ["azure.chat", { model: (name) => azure.chat(name), embedder: (name) => azure.embedding(name) }],
  ["azure.chat by deployments", { model: (name) => azureDated.chat(name), embedder: (name) => azureDated.embedding(name) }],
  ["openai", { model: (name) => openai(name), embedder: (name) => openai.embedding(name) }],
  ["azure", { model: (name) => azure(name), embedder: (name) => azure.embedding(name) }],
];
const table = [chat, reasoning, stream, tools, structured, embeddings];
table.push(notFound, badRequest, brokenStream, allFull, waitedOut);
let failed = 0;
for (const [name, client] of clients) {
  failed += await run(`ai ${version("ai")}, ${name}`, table, client, new Orders(router, emulator));
}
process.exit(failed ? 1 : 0);
