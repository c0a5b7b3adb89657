// Helpers of the Node scripts in this folder, like checks.py for the Python ones.

import { AssertionError, deepEqual, equal, ok } from "node:assert/strict";
import { readFileSync } from "node:fs";

export const HELLO = "안녕하세요! 오늘 기분이 어때요?";
export const PROOF = "Prove by induction that the sum of the first n odd numbers is n squared.";
export const WEATHER = "What is the weather in Seoul?";
export const PLACE = "Where is Gyeongbokgung?";
const CHAT_DEPLOYMENTS = ["gpt-4o-ptu", "gpt-4o-payg"];

/** The version of an installed package. */
export function version(name) {
  return JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url))).version;
}

/** Calls what must reject; gives what it rejected with. */
export async function raises(kind, call) {
  let value;
  try {
    value = await call();
  } catch (error) {
    const right = kind.isInstance?.(error) ?? error instanceof kind;
    ok(right, `expected ${kind.name}, found ${error?.name}: ${error?.message}`);
    return error;
  }
  throw new AssertionError({ message: `expected ${kind.name}, and nothing was raised: ${JSON.stringify(value)}` });
}

/** How many seconds a call took, and what it gave. */
export async function took(call) {
  const began = performance.now();
  const value = await call();
  return [(performance.now() - began) / 1000, value];
}

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

const post = (url, body) =>
  fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

/** What the emulator shall do next, for all deployments of chat. */
export class Orders {
  #placed = false;

  constructor(router, emulator) {
    this.router = router;
    this.emulator = emulator;
  }

  async place(step, deployments = CHAT_DEPLOYMENTS) {
    this.#placed = true;
    for (const deployment of deployments) {
      const answer = await post(`${this.emulator}/emulator/script`, { deployment, steps: [step] });
      ok(answer.ok, await answer.text());
    }
  }

  /** Forgets what was ordered, and waits until the router's first choice answers again. */
  async clear() {
    if (!this.#placed) return;
    await fetch(`${this.emulator}/emulator/script`, { method: "DELETE" });
    const ask = { model: "chat", messages: [{ role: "user", content: "hi" }] };
    for (let turn = 0; turn < 500; turn += 1) {
      const answer = await post(`${this.router}/v1/chat/completions`, ask);
      await answer.text();
      if (answer.headers.get("x-router-deployment") === "gpt4o_ptu") {
        this.#placed = false;
        return;
      }
      await sleep(20);
    }
    throw new Error("the router does not return to its first choice");
  }
}

/** Runs checks; gives how many failed. */
export async function run(title, checks, client, order) {
  let failed = 0;
  for (const check of checks) {
    try {
      await check(client, order);
    } catch (error) {
      failed += 1;
      const at = (error.stack ?? "").split("\n").find((line) => line.includes(".mjs:") && !line.includes("node_modules"));
      console.log(`FAILED ${title}: ${check.name}: ${String(error).slice(0, 800)} ${at?.trim() ?? ""}`);
    }
    await order.clear();
  }
  console.log(`${title}: ${checks.length} checks`);
  return failed;
}

export { deepEqual, equal, ok, sleep };
