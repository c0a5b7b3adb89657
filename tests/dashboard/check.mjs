// Drives the dashboard as people use it: empty, under traffic, with each kind of trouble, narrow and wide, light and dark, by
// keyboard, through a restart.
//
//     node check.mjs CHROMIUM PROGRAMS CONFIGS SHOTS

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

import { chromium } from "playwright-core";

import { reports } from "./reports.mjs";
import { troubles } from "./scenes.mjs";
import {
  MARK, PATIENCE, accessible, ask, close, configs, counted, ended, executablePath, fits, live, metrics, number, open, picture,
  programs, router, rows, running, shots, start, state, sum, tile, traffic,
} from "./stage.mjs";

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

const steps = {
  async empty({ browser, url }) {
    const page = await open(browser, url);
    await live(page);
    assert.equal(await tile(page, "Requests"), "0");
    const body = await page.textContent("main");
    assert.ok(await page.isVisible("#fine"), await page.textContent("#troubles"));
    for (const words of ["No request yet", "No request in this time", "No scored request", "No answer in this time"]) {
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
    for (const [name, , , , attempts, throttled, faults, cost] of await rows(page, "table.health")) {
      const deployment = `deployment="${name.split(/(?<=_ptu|_payg)/)[0]}"`;
      assert.equal(number(attempts), of("attempts_total", deployment), `attempts at ${name}`);
      assert.equal(number(throttled), of("attempts_total", deployment, 'outcome="throttled"'), `429s of ${name}`);
      assert.equal(number(faults), 0, `faults of ${name}`);
      const paid = of("cost_usd_total", deployment);
      if (cost === "by the hour") assert.equal(paid, 0);
      else assert.ok(Math.abs(number(cost) - paid) <= Math.max(paid * 0.02, 0.001), `${cost} for ${paid}`);
    }
    const routes = await rows(page, ".routes");
    assert.equal(routes.reduce((total, row) => total + number(row[2]), 0), sent, "routes");
    assert.equal(number(await tile(page, "Unanswered")), of("unanswered_total"), "unanswered");
    assert.ok(number(await tile(page, "Spilled").then((text) => text.split(" ")[0])) > 0, "nothing spilled: the burst is too small");
    const view = await (await fetch(`${url}/dashboard/range?range=15m`)).json();
    const now = await (await fetch(`${url}/dashboard/state`)).json();
    for (const task of ["chat", "reasoning"]) {
      const scores = view.scores[task];
      assert.equal(scores.reduce((total, more) => total + more, 0), of("score_count", `task="${task}"`), `scores of ${task}`);
      const below = sum(lines, "model_router_score_bucket", `task="${task}"`, 'le="0.5"');
      assert.equal(scores.slice(0, 10).reduce((total, more) => total + more, 0), below, `scores of ${task} up to 0.5`);
    }
    const { totals, waits } = view;
    assert.equal(waits.entered + waits.in_vain, of("holds_total"), "waits");
    assert.ok(Math.abs(totals.saved_by_ptu_usd - of("saved_usd_total")) < 1e-6, `${totals.saved_by_ptu_usd} saved by PTU`);
    assert.ok(Math.abs(totals.saved_by_choice_usd - of("saved_by_choice_usd_total")) < 1e-6, `${totals.saved_by_choice_usd} saved by choice`);
    assert.ok(Math.abs(totals.paid_usd - of("cost_usd_total")) < 1e-6, `${totals.paid_usd} paid`);
    assert.ok(totals.ptu_usd > 0);
    assert.ok(Math.abs(totals.saved_by_choice_usd + totals.saved_by_ptu_usd - totals.ptu_usd - totals.net_usd) < 1e-6, "net");
    const level = now.deployments.find(({ name }) => name === "chat_ptu").ptu_level;
    assert.ok(level.utilization > 0 && level.utilization < 2, `${level.utilization} full`);
    // The three parts that are shown add up.
    const parts = await page.$$eval("#ptu dd", (found) => found.map((node) => parseInt(node.textContent, 10)));
    assert.equal(parts.length, 3);
    assert.ok(parts[2] === 0 || parts.reduce((total, part) => total + part, 0) === 100, `${parts}`);
    const [fast] = await rows(page, "table.speed");
    assert.match(fast.slice(2, 6).join(" "), /^(\d+ ms|[\d.]+ s)( (\d+ ms|[\d.]+ s)){3}$/, "p50, p95 and first token");
    const [user] = await rows(page, "#keys table");
    assert.deepEqual([user[0], number(user[1])], ["no key", sent]);
    assert.equal((await rows(page, ".decisions")).length, 20);
    const body = await page.textContent("#decisions");
    assert.ok(body.includes("refused: model not found"));
    const content = await page.content();
    assert.ok(!content.includes(MARK) && !JSON.stringify([view, now]).includes(MARK), "a prompt is shown");
    for (const question of ["trouble", "ways", "ptu", "speed", "saved", "users", "decisions", "health", "score"]) {
      await picture(page, `${question}-title`, `answer-${question}`);
    }
    await close(page);
  },

  async rows({ browser, url }) {
    const page = await open(browser, url);
    await live(page);
    // On a slow machine the latest twenty may all have found room.
    await page.click("#more");
    await page.waitForFunction(() => document.querySelectorAll(".decisions tbody tr").length > 20);
    await page.click("#pause");
    const spilled = page.locator(".decisions tbody tr:not(.details)", { hasText: "429" }).or(page.locator(".decisions tbody tr", { hasText: "PTU full" })).first();
    await spilled.locator("button.opener").click();
    const open_ = await page.textContent("tr.details");
    for (const words of ["Decision", "What was asked", "Attempts", "Waits", "Price and time", "score", "reasoning from", "residency", "tokens", "chat_payg", "answered", "$", "router's own time"]) {
      assert.ok(open_.includes(words), `"${words}" in "${open_}"`);
    }
    assert.equal(await spilled.locator("button.opener").getAttribute("aria-expanded"), "true");
    await picture(page, "decisions-title", "answer-row");
    await accessible(page, "an open row");
    await page.setViewportSize({ width: 360, height: 900 });
    await fits(page, "an open row at 360 px");
    await spilled.locator("button.opener").press("Enter");
    assert.equal(await page.locator("tr.details").count(), 0);
    await close(page);
  },

  async filters({ browser, url }) {
    const page = await open(browser, url);
    await live(page);
    await page.waitForSelector(".decisions tbody tr");
    const all = number(await tile(page, "Requests"));
    await page.selectOption("#filter-deployment", "o1_payg");
    await page.waitForFunction((all) => Number(document.querySelector(".tile .value").textContent) < all, all, { timeout: PATIENCE });
    assert.deepEqual((await rows(page, "table.speed")).map(([name]) => name), ["o1_payg"]);
    const went = await page.$$eval(".decisions .in-deployment", (found) => found.slice(1).map((cell) => cell.textContent));
    assert.deepEqual([...new Set(went)], ["o1_payg"]);
    await page.selectOption("#filter-task", "chat");
    await page.waitForFunction(() => document.querySelector(".tile .value").textContent === "0", null, { timeout: PATIENCE });
    assert.match(page.url(), /deployment=o1_payg&task=chat/);
    await page.reload();
    await live(page);
    assert.equal(await page.inputValue("#filter-deployment"), "o1_payg", "a link keeps its filters");
    await page.selectOption("#filter-deployment", "");
    await page.selectOption("#filter-task", "");
    for (const range of ["1h", "6h", "24h", "7d"]) {
      await page.click(`[data-range="${range}"]`);
      await page.waitForFunction((all) => Number(document.querySelector(".tile .value").textContent) >= all, all, { timeout: PATIENCE });
      await accessible(page, range);
    }
    await page.screenshot({ path: path.join(shots, "7d.png"), fullPage: true });
    await close(page);
  },

  async trial({ browser, url }) {
    const page = await open(browser, url);
    await live(page);
    const before = number(await tile(page, "Requests"));
    await page.fill("#try-prompt", "Prove that there are infinitely many primes");
    await page.press("#try-prompt", "Tab");
    await page.click("#try button");
    await page.waitForSelector("#try-result .verdict");
    const said = await page.textContent("#try-result");
    for (const words of ["reasoning with score", "goes to o1_payg", "What weighed most", "chat_ptu", "yes"]) assert.ok(said.includes(words), `"${words}" in "${said}"`);
    await picture(page, "try-title", "answer-try");
    await accessible(page, "a tried prompt");
    await page.fill("#try-model", "gpt-9");
    page.forgiven.push("404");
    await page.click("#try button");
    await page.waitForSelector('#try-result .notice:has-text("gpt-9")');
    assert.equal(number(await tile(page, "Requests")), before, "trying a prompt counts as a request");
    await close(page);
  },

  troubles,

  reports,

  async sizes({ browser, url }) {
    for (const colorScheme of ["light", "dark"]) {
      for (const width of [360, 768, 1440, 1920]) {
        const page = await open(browser, url, { viewport: { width, height: 900 }, colorScheme });
        await live(page);
        await page.waitForSelector(".decisions tbody tr");
        await fits(page, `${width} px`);
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
    await page.waitForSelector(".decisions tbody tr");
    const focus = () => page.evaluate(() => {
      const { id, dataset, className, tagName } = document.activeElement;
      return id || dataset.range || className || tagName.toLowerCase();
    });
    const seen = [];
    for (let at = 0; at < 10; at += 1) {
      await page.keyboard.press("Tab");
      seen.push(await focus());
    }
    assert.deepEqual(seen, ["skip", "pause", "15m", "1h", "6h", "24h", "7d", "filter-deployment", "filter-task", "chart"]);
    await page.focus("#ptu .chart");
    await page.keyboard.press("End");
    await page.keyboard.press("ArrowLeft");
    await page.waitForSelector("#tip:not([hidden])");
    assert.match(await page.textContent("#spoken"), /\d\d:\d\d:\d\d, used [\d.]+ %, reserved [\d.]+ %, idle [\d.]+ %, peak/);
    await page.keyboard.press("Escape");
    assert.ok(await page.isHidden("#tip"));
    await page.focus('[data-range="1h"]');
    await page.keyboard.press("Enter");
    await page.waitForSelector('[data-range="1h"][aria-pressed="true"]');
    await page.focus("#ways-chart summary");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#ways-chart details[open] tbody tr");
    await accessible(page, "numbers opened");
    await page.focus("#pause");
    await page.keyboard.press("Space");
    const before = await tile(page, "Requests");
    await ask(url, "while it is paused");
    await counted(page, number(before) + 1);
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
    await page.fill("#try-prompt", "hello");
    await page.click("#try button");
    await page.waitForSelector("#try-result .verdict");
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
    const standing = (name) => page.$eval(`table.health tbody tr:has-text("${name}") .pill`, (pill) => pill.textContent.trim());
    assert.deepEqual([await standing("chat_ptu"), await standing("chat_payg")], ["switched off", "ready"]);
    await fits(page, "with badges");
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
    await page.waitForFunction(() => document.querySelector(".tile .value").textContent === "0", null, { timeout: PATIENCE });
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
  const wanted = process.argv.slice(6);
  for (const [name, step] of Object.entries(steps).filter(([name]) => wanted.length === 0 || wanted.includes(name))) {
    const from = performance.now();
    await step(stage);
    console.log(`${name}: ${((performance.now() - from) / 1_000).toFixed(1)} s`);
  }
  console.log(`dashboard: all passed in ${((performance.now() - began) / 1_000).toFixed(1)} s; screenshots in ${shots}`);
} finally {
  await browser.close();
  for (const process_ of running) process_.removeAllListeners("exit").kill("SIGKILL");
}
