// Programs, requests and pages that the checks share.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

export const [executablePath, programs, configs, shots] = process.argv.slice(2);
const axe = fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/** No step takes longer on the slowest machine. */
export const PATIENCE = 30_000;
/** In every prompt that is sent, so that it can be looked for. */
export const MARK = "zebra-marked";

export const running = [];

/** Starts a program and gives the first group of `pattern` in its output. */
export function start(command, args, pattern, env = {}) {
  const process_ = spawn(path.join(programs, command), args, { env: { ...process.env, ...env } });
  running.push(process_);
  return new Promise((resolve, reject) => {
    let said = "";
    const hear = (piece) => {
      said += piece;
      const found = pattern.exec(said);
      if (found) resolve([found[1], process_]);
    };
    process_.stdout.on("data", hear);
    process_.stderr.on("data", hear);
    process_.on("exit", () => reject(new Error(`${command} ended: ${said.slice(-2_000)}`)));
  });
}

export const router = (emulator, listen, ...more) =>
  start("router-server", ["serve", "--config", path.join(configs, "router.toml"), ...more, "--unready-ms", "0"], /"address": ?"([^"]+)"/, {
    ROUTER__SERVER__LISTEN: listen,
    ROUTER__SERVER__LOG: "json",
    ROUTER__ENDPOINTS__AZURE__URL: emulator,
  });

export const ended = (process_) => new Promise((resolve) => (process_.exitCode === null ? process_.on("exit", resolve) : resolve()));

const CHAT = ["Hello there!", "안녕하세요! 점심 메뉴 추천해 줘", "Translate 'good morning' to Korean", "Summarize: the meeting moved to Tuesday."];
const HARD = ["Prove that there are infinitely many primes", "이 수열의 일반항을 증명해 줘: 1, 1, 2, 3, 5"];

/** Sends one request and waits for its whole answer. */
export async function ask(url, text, more = {}, key = null) {
  const body = { model: "auto", max_tokens: 160, messages: [{ role: "user", content: `${text} (${MARK})` }], ...more };
  const answer = await fetch(`${url}/v1/chat/completions`, { method: "POST", headers: { "content-type": "application/json", ...(key ? { authorization: `Bearer ${key}` } : {}) }, body: JSON.stringify(body) });
  await answer.text();
  return answer.status;
}

/** Traffic of all kinds: calm, a burst that fills the provisioned deployment, reasoning, streams, a model that is none. */
export async function traffic(url) {
  const statuses = [];
  for (let round = 0; round < 6; round += 1) {
    const burst = Array.from({ length: round % 2 ? 16 : 4 }, (_, at) =>
      ask(url, `${CHAT[at % CHAT.length]} ${"word ".repeat(at * 12)}`, at % 3 ? {} : { stream: true }));
    statuses.push(...(await Promise.all([...burst, ask(url, HARD[round % HARD.length], { max_tokens: undefined })])));
  }
  statuses.push(await ask(url, "hello", { model: "gpt-9" }));
  return statuses;
}

/** The lines of /metrics as `name{labels}` to number. */
export async function metrics(url) {
  const text = await (await fetch(`${url}/metrics`)).text();
  const pairs = text.split("\n").filter((line) => line && !line.startsWith("#")).map((line) => {
    const at = line.lastIndexOf(" ");
    return [line.slice(0, at), Number(line.slice(at + 1))];
  });
  return pairs;
}

/** The sum of a metric's lines that have all these labels. */
export const sum = (lines, name, ...labels) => lines
  .filter(([line]) => (line === name || line.startsWith(`${name}{`)) && labels.every((label) => line.includes(label)))
  .reduce((total, [, value]) => total + value, 0);

export const number = (text) => Number(text.replaceAll(",", "").replace("$", ""));

/** The cells of a table's rows, by the text of the row's head. */
export const rows = (page, table) => page.$$eval(`${table} tbody tr`, (found) =>
  found.map((row) => [...row.children].map((cell) => cell.textContent.trim())));

/** The value of a tile, once the page shows it. */
export async function tile(page, label) {
  const value = page.locator(`.tile:has(dt:text-is("${label}")) .value`);
  return value.textContent();
}

/** Zero violations, by axe-core's rules for WCAG 2.2 A and AA and its good practices. */
export async function accessible(page, where) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => globalThis.axe.run(document, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
  }));
  const told = found.violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((node) => node.html).join(" ").slice(0, 400)}`);
  assert.deepEqual(told, [], where);
}

export const live = (page) => page.waitForSelector('#link[data-state="live"]', { timeout: PATIENCE });

export const state = (page, word) => page.waitForSelector(`#link[data-state="${word}"]`, { timeout: PATIENCE });

/** A page that fails the check by whatever it complains of. */
export async function open(browser, url, options = {}, path_ = "/") {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, reducedMotion: "reduce", ...options });
  const page = await context.newPage();
  page.complaints = [];
  page.forgiven = [];
  page.on("console", (message) => {
    const text = message.text();
    if (["error", "warning"].includes(message.type()) && !page.forgiven.some((part) => text.includes(part))) page.complaints.push(text);
  });
  page.on("pageerror", (error) => page.complaints.push(error.message));
  page.on("request", (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith("data:")) page.complaints.push(`asked elsewhere: ${request.url()}`);
  });
  await page.goto(url + path_);
  return page;
}

export async function close(page) {
  assert.deepEqual(page.complaints, [], "what the page complained of");
  await page.context().close();
}


/** Zero pixels too wide, and no card that cuts its content. */
export async function fits(page, where) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(wide, 0, `${where}: the page is ${wide} px too wide`);
  const cut = await page.$$eval(".card", (cards) => cards.filter((card) => card.scrollWidth > card.clientWidth + 1).map((card) => card.textContent.trim().slice(0, 40)));
  assert.deepEqual(cut, [], `${where}: too wide for its card`);
}

/** Waits until a range of the server has counted this many requests. */
export async function counted(page, requests, query = "range=15m") {
  await page.waitForFunction(async ([requests, query]) => {
    const view = await (await fetch(`/dashboard/range?${query}`)).json();
    return view.totals.requests >= requests;
  }, [requests, query], { timeout: PATIENCE });
}

/** A picture of one card, by the id of its heading. */
export const picture = async (page, heading, name) =>
  (await page.$(`section[aria-labelledby="${heading}"]`)).screenshot({ path: path.join(shots, `${name}.png`) });
