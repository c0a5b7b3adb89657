// The official `openai` package for Node: what its users do, and what they must see.
//
//     node openai_node.mjs ROUTER_URL EMULATOR_URL

import OpenAI, { AzureOpenAI, toFile } from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

import { HELLO, Orders, PLACE, PROOF, WEATHER, deepEqual, equal, ok, raises, run, sleep, took, version } from "./checks.mjs";

const SAY_HELLO = [{ role: "user", content: HELLO }];
const SAY_PROOF = [{ role: "user", content: PROOF }];
const SCHEMA = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const LOOK_UP = { type: "function", function: { name: "get_weather", parameters: SCHEMA } };
const PLACE_SHAPE = z.object({ city: z.string(), country: z.string() });

// --- what users do ---------------------------------------------------------------------------------------------------

async function chat(client) {
  const answer = await client.chat.completions.create({ model: "auto", messages: SAY_HELLO });
  equal(answer.object, "chat.completion");
  equal(answer.model, "gpt-4o");
  equal(answer.choices[0].finish_reason, "stop");
  ok(answer.choices[0].message.content && answer.id && answer.created);
  equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
}

async function reasoning(client) {
  const ask = { model: "auto", messages: SAY_PROOF, max_tokens: 2000, temperature: 0 };
  const { data, response, request_id } = await client.chat.completions.create(ask).withResponse();
  equal(response.headers.get("x-router-model"), "o1");
  ok(response.headers.get("x-router-adapted").includes("max_tokens"));
  ok(data.usage.completion_tokens_details.reasoning_tokens > 0 && request_id);
}

async function stream(client) {
  let [said, ended, usage] = ["", null, null];
  for await (const chunk of await client.chat.completions.create({ model: "chat", messages: SAY_HELLO, stream: true })) {
    usage ??= chunk.usage;
    for (const choice of chunk.choices) {
      said += choice.delta.content ?? "";
      ended = choice.finish_reason ?? ended;
    }
  }
  ok(said);
  deepEqual([ended, usage ?? null], ["stop", null]);
}

async function streamWithUsage(client) {
  const ask = { model: "chat", messages: SAY_HELLO, stream: true, stream_options: { include_usage: true } };
  const chunks = [];
  for await (const chunk of await client.chat.completions.create(ask)) chunks.push(chunk);
  const last = chunks.at(-1);
  ok(last.usage.total_tokens > 0 && last.choices.length === 0, JSON.stringify(last));
  ok(chunks.slice(0, -1).every((chunk) => !chunk.usage));
}

async function streamHelper(client) {
  for (const model of ["chat", "o1"]) {
    const helper = client.chat.completions.stream({ model, messages: SAY_PROOF });
    let said = "";
    helper.on("content", (delta) => (said += delta));
    const answer = await helper.finalChatCompletion();
    ok(said);
    equal(answer.choices[0].message.content, said);
  }
}

async function tools(client) {
  const messages = [{ role: "user", content: WEATHER }];
  const answer = await client.chat.completions.create({ model: "auto", messages, tools: [LOOK_UP] });
  equal(answer.choices[0].finish_reason, "tool_calls");
  ok("city" in JSON.parse(answer.choices[0].message.tool_calls[0].function.arguments));
}

async function runTools(client) {
  const asked = [];
  const lookUp = (given) => {
    asked.push(given);
    return "sunny";
  };
  const wanted = { ...LOOK_UP.function, function: lookUp, parse: JSON.parse };
  for (const stream of [false, true]) {
    const messages = [{ role: "user", content: WEATHER }];
    const runner = client.chat.completions.runTools({ model: "chat", messages, stream, tools: [{ type: "function", function: wanted }] });
    ok(await runner.finalContent());
  }
  ok(asked.length === 2 && asked.every((given) => "city" in given), JSON.stringify(asked));
}

async function structured(client) {
  const response_format = zodResponseFormat(PLACE_SHAPE, "place");
  for (const model of ["gpt-4o", "o1"]) {
    const messages = [{ role: "user", content: PLACE }];
    const answer = await client.chat.completions.parse({ model, messages, response_format });
    PLACE_SHAPE.parse(answer.choices[0].message.parsed);
  }
}

async function models(client) {
  const listed = [];
  for await (const model of client.models.list()) listed.push(model.id);
  for (const name of ["auto", "auto:fast", "reasoning", "chat", "gpt-4o", "o1"]) ok(listed.includes(name), `${name} of ${listed}`);
  const found = await client.models.retrieve("gpt-4o");
  deepEqual([found.id, found.object], ["gpt-4o", "model"]);
}

async function responses(client) {
  const { data, response } = await client.responses.create({ model: "auto", input: HELLO }).withResponse();
  deepEqual([data.object, data.status], ["response", "completed"]);
  equal(response.headers.get("x-router-model"), "gpt-4o");
  ok(data.output_text && data.usage.total_tokens > 0);
}

async function responsesStreamed(client) {
  const helper = client.responses.stream({ model: "chat", input: HELLO });
  const kinds = [];
  for await (const event of helper) kinds.push(event.type);
  deepEqual([kinds[0], kinds.at(-1)], ["response.created", "response.completed"]);
  ok((await helper.finalResponse()).output_text);
}

async function responsesWithTools(client) {
  const tools = [{ type: "function", name: "get_weather", parameters: SCHEMA, strict: false }];
  const answer = await client.responses.create({ model: "chat", input: WEATHER, tools });
  const call = answer.output.find((item) => item.type === "function_call");
  ok("city" in JSON.parse(call.arguments));
  const input = [{ type: "function_call_output", call_id: call.call_id, output: "sunny" }];
  ok((await client.responses.create({ model: "chat", previous_response_id: answer.id, input, tools })).output_text);
}

async function responsesStructured(client) {
  const text = { format: zodTextFormat(PLACE_SHAPE, "place") };
  PLACE_SHAPE.parse((await client.responses.parse({ model: "chat", input: PLACE, text })).output_parsed);
}

async function responsesStored(client) {
  const made = await client.responses.create({ model: "chat", input: HELLO, store: true });
  equal((await client.responses.retrieve(made.id)).id, made.id);
  await client.responses.delete(made.id);
  await raises(OpenAI.NotFoundError, () => client.responses.retrieve(made.id));
}

async function embeddings(client) {
  // The package asks for base64 on its own and decodes it.
  const found = await client.embeddings.create({ model: "text-embedding-3-small", input: [HELLO, PROOF] });
  deepEqual(found.data.map((each) => each.index), [0, 1]);
  ok(found.data.every((each) => each.embedding.length > 100 && typeof each.embedding[0] === "number"));
}

async function legacyCompletions(client) {
  const ask = { model: "gpt-35-turbo-instruct", prompt: "Say hello." };
  ok((await client.completions.create(ask)).choices[0].text);
  let said = "";
  for await (const chunk of await client.completions.create({ ...ask, stream: true })) said += chunk.choices[0]?.text ?? "";
  ok(said);
}

/** A form with a file, and JSON, to models that do not chat. */
async function passedThrough(client) {
  const file = await toFile(Buffer.from([0xff, 0xfb, 0x90, 0x00]), "hello.mp3", { type: "audio/mpeg" });
  ok((await client.audio.transcriptions.create({ model: "whisper-1", file })).text);
  // Azure's dated URLs have no moderations.
  if (client instanceof AzureOpenAI) return;
  ok((await client.moderations.create({ model: "omni-moderation-latest", input: HELLO })).results);
}

async function manyAtOnce(client) {
  const ask = async (_, nth) => {
    const answer = await client.chat.completions.create({ model: "auto", messages: SAY_HELLO, stream: nth % 2 === 0 });
    if (nth % 2 === 0) for await (const chunk of answer) ok(chunk);
    else ok(answer.choices);
  };
  await Promise.all(Array.from({ length: 40 }, ask));
}

// --- what users must see when it goes wrong --------------------------------------------------------------------------

async function notFound(client) {
  const ask = () => client.chat.completions.create({ model: "gpt-none", messages: SAY_HELLO });
  const error = await raises(OpenAI.NotFoundError, ask);
  deepEqual([error.code, error.param, error.type], ["model_not_found", "model", "invalid_request_error"]);
  await raises(OpenAI.NotFoundError, () => client.models.retrieve("gpt-none"));
}

async function badRequest(client) {
  const ask = () => client.chat.completions.create({ model: "auto", messages: [] });
  equal((await raises(OpenAI.BadRequestError, ask)).param, "messages");
}

async function brokenStream(client, order) {
  for (const stream of [{ cut_after: 2 }, { end_after: 2 }, { error_event_after: 2 }]) {
    await order.place({ stream });
    await raises(OpenAI.APIError, async () => {
      const chunks = await client.chat.completions.create({ model: "chat", messages: SAY_HELLO, stream: true });
      for await (const chunk of chunks) ok(chunk);
    });
  }
}

async function allFull(client, order) {
  await order.place({ throttled_ms: 600 });
  const error = await raises(OpenAI.RateLimitError, () => client.chat.completions.create({ model: "chat", messages: SAY_HELLO }));
  equal(error.code, "capacity_exhausted");
  const wait = Number(error.headers.get("retry-after-ms"));
  ok(wait > 0 && wait <= 600, `${wait}`);
  deepEqual([error.headers.get("retry-after"), error.headers.get("x-should-retry")], ["1", "true"]);
  await sleep(wait);
  ok((await client.chat.completions.create({ model: "chat", messages: SAY_HELLO })).choices);
}

async function waitedOut(client, order) {
  await order.place({ throttled_ms: 700 });
  const ask = () => client.chat.completions.create({ model: "chat", messages: SAY_HELLO }, { maxRetries: 3 });
  const [seconds, answer] = await took(ask);
  ok(answer.choices && seconds >= 0.5 && seconds < 10, `took ${seconds} s`);
}

// ---------------------------------------------------------------------------------------------------------------------

const [router, emulator] = process.argv.slice(2);
const azure = { endpoint: router, apiVersion: "2024-12-01-preview", maxRetries: 0 };
const clients = {
  OpenAI: new OpenAI({ baseURL: `${router}/v1`, apiKey: "sk-test", maxRetries: 0 }),
  AzureOpenAI: new AzureOpenAI({ apiKey: "test", ...azure }),
  "AzureOpenAI with a token": new AzureOpenAI({ azureADTokenProvider: async () => "token", ...azure }),
};
const table = [chat, reasoning, stream, streamWithUsage, streamHelper, tools, runTools, structured, models];
table.push(responses, responsesStreamed, responsesWithTools, responsesStructured, responsesStored, embeddings);
table.push(legacyCompletions, passedThrough, manyAtOnce);
table.push(notFound, badRequest, brokenStream, allFull, waitedOut);
let failed = 0;
for (const [name, client] of Object.entries(clients)) {
  failed += await run(`openai ${version("openai")} for Node, ${name}`, table, client, new Orders(router, emulator));
}
process.exit(failed ? 1 : 0);
