// Drives the dashboard as people use it: empty, under traffic, narrow and wide, light and dark, by keyboard, through a restart.
//
//     node check.mjs CHROMIUM PROGRAMS CONFIGS SHOTS

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

import { chromium } from "playwright-core";

const [executablePath, programs, configs, shots] = process.argv.slice(2);
const axe = fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
/** No step takes longer on the slowest machine. */
const PATIENCE = 20_000;
/** In every prompt that is sent, so that it can be looked for. */
const MARK = "zebra-marked";

const running = [];

/** Starts a program and gives the first group of `pattern` in what it says. */
function start(command, args, pattern, env = {}) {
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

const router = (emulator, listen, ...more) =>
  start("router-server", ["serve", "--config", path.join(configs, "router.toml"), ...more, "--unready-ms", "0"], /"address": ?"([^"]+)"/, {
    ROUTER__SERVER__LISTEN: listen,
    ROUTER__SERVER__LOG: "json",
    ROUTER__ENDPOINTS__AZURE__URL: emulator,
  });

const ended = (process_) => new Promise((resolve) => (process_.exitCode === null ? process_.on("exit", resolve) : resolve()));

const CHAT = ["Hello there!", "안녕하세요! 점심 메뉴 추천해 줘", "Translate 'good morning' to Korean", "Summarize: the meeting moved to Tuesday."];
const HARD = ["Prove that there are infinitely many primes", "이 수열의 일반항을 증명해 줘: 1, 1, 2, 3, 5"];

/** Sends one request and waits for its whole answer. */
async function ask(url, text, more = {}) {
  const body = { model: "auto", max_tokens: 160, messages: [{ role: "user", content: `${text} (${MARK})` }], ...more };
  const answer = await fetch(`${url}/v1/chat/completions`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  await answer.text();
  return answer.status;
}

/** Traffic of all kinds: calm, a burst that fills the provisioned deployment, reasoning, streams, a model that is none. */
async function traffic(url) {
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
async function metrics(url) {
  const text = await (await fetch(`${url}/metrics`)).text();
  const pairs = text.split("\n").filter((line) => line && !line.startsWith("#")).map((line) => {
    const at = line.lastIndexOf(" ");
    return [line.slice(0, at), Number(line.slice(at + 1))];
  });
  return pairs;
}

/** The sum of a metric's lines that have all these labels. */
const sum = (lines, name, ...labels) => lines
  .filter(([line]) => (line === name || line.startsWith(`${name}{`)) && labels.every((label) => line.includes(label)))
  .reduce((total, [, value]) => total + value, 0);

const number = (text) => Number(text.replaceAll(",", "").replace("$", ""));

/** The cells of a table's rows, by the text of the row's head. */
const rows = (page, table) => page.$$eval(`${table} tbody tr`, (found) =>
  found.map((row) => [...row.children].map((cell) => cell.textContent.trim())));

const tile = (page, label) => page.$eval(`.tile:has(dt:text-is("${label}")) .value`, (node) => node.textContent);

/** Zero violations, by axe-core's rules for WCAG 2.2 A and AA and its good practices. */
async function accessible(page, where) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => globalThis.axe.run(document, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
  }));
  const told = found.violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((node) => node.html).join(" ").slice(0, 400)}`);
  assert.deepEqual(told, [], where);
}

const live = (page) => page.waitForSelector('#link[data-state="live"]', { timeout: PATIENCE });

const state = (page, word) => page.waitForSelector(`#link[data-state="${word}"]`, { timeout: PATIENCE });

/** A page that fails the check by whatever it complains of. */
async function open(browser, url, options = {}, path_ = "/") {
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
    if (!request.url().startsWith(url)) page.complaints.push(`asked elsewhere: ${request.url()}`);
  });
  await page.goto(url + path_);
  return page;
}

async function close(page) {
  assert.deepEqual(page.complaints, [], "what the page complained of");
  await page.context().close();
}

const steps = {
  async empty({ browser, url }) {
    const page = await open(browser, url);
    await live(page);
    assert.equal(await tile(page, "Requests"), "0");
    const body = await page.textContent("main");
    for (const words of ["No request yet", "No request in this time", "No scored request yet", "Nobody was held yet", "Nothing has spilled"]) {
      assert.ok(body.includes(words), words);
    }
    await accessible(page, "empty");
    // The rules are at work: a picture without words is found.
    await page.evaluate(() => document.getElementById("main").append(document.createElement("img")));
    await assert.rejects(accessible(page, "a fault of ours"), /image-alt/);
    await close(page);
  },

  async numbers({ browser, url }) {
    const page = await open(browser, url);
    await live(page);
    const statuses = await traffic(url);
    assert.equal(statuses.filter((status) => status !== 200).length, 1, `${statuses}`);
    const sent = statuses.length;
    await page.waitForFunction((sent) => document.querySelector(".tile .value").textContent === String(sent), sent, { timeout: PATIENCE });
    const lines = await metrics(url);
    const of = (name, ...labels) => sum(lines, `model_router_${name}`, ...labels);
    for (const [name, , , , answers, throttled, faults, cost] of await rows(page, ".health")) {
      const deployment = `deployment="${name.split(/(?<=_ptu|_payg)/)[0]}"`;
      assert.equal(number(answers), of("attempts_total", deployment, 'outcome="served"'), `answers of ${name}`);
      assert.equal(number(throttled), of("attempts_total", deployment, 'outcome="throttled"'), `429s of ${name}`);
      assert.equal(number(faults), 0, `faults of ${name}`);
      const paid = of("cost_usd_total", deployment);
      if (cost === "paid") assert.equal(paid, 0);
      else assert.ok(Math.abs(number(cost) - paid) <= Math.max(paid * 0.02, 0.001), `${cost} for ${paid}`);
    }
    const spills = await rows(page, "#spills table");
    assert.ok(spills.length > 0, "nothing spilled: the burst is too small");
    assert.equal(spills.reduce((total, row) => total + number(row[2]), 0), of("spills_total"), "spills");
    const queues = await rows(page, "#queues table");
    const entered = queues.reduce((total, row) => total + number(row[0].match(/([\d,]+) entered/)?.[1] ?? "0"), 0);
    assert.equal(entered, of("queue_left_total", 'how="entered"'), "requests that entered from a queue");
    assert.equal(number(await tile(page, "Held for room")), of("holds_total"), "holds");
    const routes = await rows(page, ".routes");
    assert.equal(routes.reduce((total, row) => total + number(row[2]), 0), sent, "routes");
    const told = await (await fetch(`${url}/dashboard/state`)).json();
    const { scores, money } = told.totals;
    for (const task of ["chat", "reasoning"]) {
      const counted = scores[task].reduce((total, more) => total + more, 0);
      assert.equal(counted, of("score_count", `task="${task}"`), `scores of ${task}`);
      const below = sum(lines, "model_router_score_bucket", `task="${task}"`, 'le="0.5"');
      assert.equal(scores[task].slice(0, 10).reduce((total, more) => total + more, 0), below, `scores of ${task} up to 0.5`);
    }
    assert.ok(Math.abs(money.saved_payg_usd - of("saved_usd_total")) < 1e-6, `${money.saved_payg_usd} saved`);
    assert.ok(Math.abs(money.paid_usd - of("cost_usd_total")) < 1e-6, `${money.paid_usd} paid`);
    assert.ok(money.saved_reasoning_usd > money.saved_payg_usd);
    const utilization = told.deployments.find(({ name }) => name === "chat_ptu").utilization;
    assert.ok(utilization > 0 && utilization < 2, `${utilization} full`);
    const decisions = await rows(page, ".decisions");
    assert.equal(decisions.length, 20);
    assert.ok(decisions.some((row) => row.join(" ").includes("model not found")));
    const content = await page.content();
    assert.ok(!content.includes(MARK) && !JSON.stringify(told).includes(MARK), "a prompt is shown");
    await close(page);
  },

  async sizes({ browser, url }) {
    for (const colorScheme of ["light", "dark"]) {
      for (const width of [360, 768, 1440, 1920]) {
        const page = await open(browser, url, { viewport: { width, height: 900 }, colorScheme });
        await live(page);
        await page.waitForSelector(".decisions tbody tr");
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        assert.equal(wide, 0, `at ${width} px the page is ${wide} px too wide`);
        const cut = await page.$$eval(".card", (cards) => cards.filter((card) => card.scrollWidth > card.clientWidth + 1).map((card) => card.textContent.trim().slice(0, 40)));
        assert.deepEqual(cut, [], `too wide for its card at ${width} px`);
        await page.screenshot({ path: path.join(shots, `${width}-${colorScheme}.png`), fullPage: true });
        if ([360, 1440].includes(width)) await accessible(page, `${width} px, ${colorScheme}`);
        assert.equal(await page.evaluate(() => document.getAnimations().length), 0, "something moves");
        await close(page);
      }
    }
  },

  async keyboard({ browser, url }) {
    const page = await open(browser, url);
    await live(page);
    const focus = () => page.evaluate(() => {
      const { id, dataset, className, tagName } = document.activeElement;
      return id || dataset.minutes || className || tagName.toLowerCase();
    });
    const seen = [];
    for (let at = 0; at < 6; at += 1) {
      await page.keyboard.press("Tab");
      seen.push(await focus());
    }
    assert.deepEqual(seen, ["skip", "pause", "2", "5", "15", "chart"]);
    await page.keyboard.press("End");
    await page.keyboard.press("ArrowLeft");
    await page.waitForSelector("#tip:not([hidden])");
    assert.match(await page.textContent("#spoken"), /\d\d:\d\d:\d\d, utilization [\d.]+ %, level/);
    await page.keyboard.press("Escape");
    assert.ok(await page.isHidden("#tip"));
    await page.focus('[data-minutes="15"]');
    await page.keyboard.press("Enter");
    assert.equal(await page.getAttribute('[data-minutes="15"]', "aria-pressed"), "true");
    await page.focus("#ways-chart summary");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#ways-chart details[open] tbody tr");
    await accessible(page, "numbers opened");
    await page.focus("#pause");
    await page.keyboard.press("Space");
    const before = await tile(page, "Requests");
    await ask(url, "while it is paused");
    await page.waitForFunction(async (before) => {
      const state = await (await fetch("/dashboard/state")).json();
      return state.totals.requests > Number(before.replaceAll(",", ""));
    }, before, { timeout: PATIENCE });
    assert.equal(await tile(page, "Requests"), before, "paused, and yet it changed");
    await page.keyboard.press("Space");
    await page.waitForFunction((before) => document.querySelector(".tile .value").textContent !== before, before, { timeout: PATIENCE });
    await close(page);
  },

  async keys({ browser, emulator }) {
    const made = spawnSync(path.join(programs, "router-server"), ["key", "new", "--name", "ops"], { encoding: "utf8" }).stdout;
    const key = /^mr_\w+/m.exec(made)[0];
    const file = path.join(shots, "keys.toml");
    fs.writeFileSync(file, `${made.slice(made.indexOf("[keys."))}\noperator = true\n`);
    const [address] = await router(emulator, "127.0.0.1:0", "--config", file);
    fs.rmSync(file);
    const url = `http://${address}`;
    const page = await open(browser, url, { httpCredentials: { username: "anybody", password: key } });
    await live(page);
    assert.ok(!(await page.content()).includes(key) && !page.url().includes(key));
    await close(page);
    const stranger = await (await browser.newContext()).newPage();
    // Without anybody to ask for a password the browser shows what the server said.
    const answer = await stranger.goto(url).catch(() => null);
    assert.ok(answer === null || answer.status() === 401, `${answer?.status()}`);
    await stranger.context().close();
  },

  async switches({ browser, emulator }) {
    const file = path.join(shots, "switches.toml");
    const set = (text) => {
      fs.writeFileSync(`${file}.new`, text);
      fs.renameSync(`${file}.new`, file);
    };
    set('[routing]\nmode = "observe"\nforce_role = "chat"\n[deployments.chat_ptu]\nenabled = false\n');
    const [address] = await router(emulator, "127.0.0.1:0", "--config", file);
    const url = `http://${address}`;
    const page = await open(browser, url, { viewport: { width: 360, height: 800 } });
    await live(page);
    assert.ok(await page.isVisible("#observe"));
    assert.equal(await page.textContent("#forced:not([hidden])"), "All to chat");
    const standing = (name) => page.$eval(`.health tbody tr:has-text("${name}") .pill`, (pill) => pill.textContent.trim());
    assert.deepEqual([await standing("chat_ptu"), await standing("chat_payg")], ["switched off", "ready"]);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.equal(wide, 0, "with its badges the page is too wide");
    await accessible(page, "switches");
    assert.equal(await ask(url, "hello"), 200);
    set('[routing]\nforce_role = "reasoning"\n');
    await page.waitForSelector("#observe", { state: "hidden", timeout: PATIENCE });
    await page.waitForSelector('#forced:text-is("All to reasoning")', { timeout: PATIENCE });
    assert.equal(await standing("chat_ptu"), "ready");
    set("");
    await page.waitForSelector("#forced", { state: "hidden", timeout: PATIENCE });
    fs.rmSync(file);
    await close(page);
  },

  async restart(stage) {
    const { browser, emulator, url } = stage;
    const page = await open(browser, url);
    page.forgiven.push("net::ERR_", "503");
    await live(page);
    const began = performance.now();
    stage.router.kill("SIGTERM");
    await ended(stage.router);
    assert.ok(performance.now() - began < 8_000, "a page that watches held up the server's end");
    await state(page, "lost");
    assert.equal(await page.textContent("#link-text"), "Reconnecting");
    [, stage.router] = await router(emulator, new URL(url).host);
    await live(page);
    assert.equal(await tile(page, "Requests"), "0");
    await ask(url, "after the restart");
    await page.waitForFunction(() => document.querySelector(".tile .value").textContent === "1", null, { timeout: PATIENCE });
    await close(page);
  },
};

const began = performance.now();
const browser = await chromium.launch({ executablePath, args: FLAGS });
try {
  const [emulator] = await start("azure-emulator", ["serve", "--listen", "127.0.0.1:0", "--config", path.join(configs, "emulator.toml")], /endpoint +(http:\/\/\S+)/);
  const [address, process_] = await router(emulator, "127.0.0.1:0");
  const stage = { browser, emulator, url: `http://${address}`, router: process_ };
  for (const [name, step] of Object.entries(steps)) {
    const from = performance.now();
    await step(stage);
    console.log(`${name}: ${((performance.now() - from) / 1_000).toFixed(1)} s`);
  }
  console.log(`dashboard: all passed in ${((performance.now() - began) / 1_000).toFixed(1)} s; screenshots in ${shots}`);
} finally {
  await browser.close();
  for (const process_ of running) process_.removeAllListeners("exit").kill("SIGKILL");
}
