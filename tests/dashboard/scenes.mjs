// One scene for each kind of trouble: a router that has it, and a page that says so with the cause, since when and what to do.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

import { PATIENCE, accessible, ask, fits, live, open, picture, programs, router, shots } from "./stage.mjs";

const many = (url, count, more) => Promise.all(Array.from({ length: count }, (_, at) => ask(url, `request ${at}`, more)));

/** The date so many days from now. */
const day = (days) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);

const made = (name, ...flags) => {
  const text = spawnSync(path.join(programs, "router-server"), ["key", "new", "--name", name, ...flags], { encoding: "utf8" }).stdout;
  return { key: /^mr_\w+/m.exec(text)[0], toml: text.slice(text.indexOf("[keys.")) };
};

const ops = made("ops");
const spender = made("spender");

/** `{config, act(url, set), words, severity}`: what the router has in addition, what happens, and what must be read. */
const SCENES = {
  deployment_refused: {
    config: '[deployments.chat_payg]\nazure_deployment = "gpt-4o-nowhere"\n[deployments.chat_ptu]\nenabled = false\n',
    act: (url) => many(url, 2, { model: "gpt-4o" }),
    severity: "critical", words: ["chat_payg is refused: 404 DeploymentNotFound", "gpt-4o-nowhere", "check --live"],
  },
  error_rate: {
    config: '[deployments.chat_payg]\nazure_deployment = "gpt-4o-nowhere"\n[deployments.chat_ptu]\nenabled = false\n',
    act: (url) => many(url, 12, { model: "gpt-4o" }),
    severity: "critical", words: ["100 % of requests are unanswered", "12 of 12", "upstream_misconfigured"],
  },
  deployment_failing: {
    config: '[endpoints.dead]\nurl = "http://127.0.0.1:9"\napi = "azure_v1"\nanonymous = true\n[deployments.chat_payg]\nendpoint = "dead"\n[deployments.chat_ptu]\nenabled = false\n[limits]\nfault_cooldown_ms = 10\nfault_cooldown_max_ms = 10\n',
    act: async (url) => {
      for (let at = 0; at < 40; at += 1) await ask(url, `request ${at}`, { model: "gpt-4o" });
    },
    severity: "warning", words: ["100 % of attempts at chat_payg fail", "no connection"],
  },
  queue_standing: {
    config: "[deployments.chat_payg]\nenabled = false\n[capacity]\nbound_wait_ms = 60_000\n",
    act: (url) => {
      // Long prompts take minutes of the deployment's throughput. They wait as long as the scene lasts.
      for (let at = 0; at < 40; at += 1) ask(url, `${at} ${"word ".repeat(3_000)}`, { model: "gpt-4o", max_tokens: 50 }).catch(() => {});
    },
    severity: "warning", words: ["wait for chat_ptu", "The oldest has waited", "Add PTU"],
  },
  budget_spent: {
    config: `${ops.toml}\noperator = true\n${spender.toml}\nmonthly_budget_usd = 0.01\n`,
    key: ops.key,
    act: async (url) => {
      for (let at = 0; at < 6; at += 1) await ask(url, `request ${at}`, { model: "o1", max_tokens: 4_000 }, spender.key);
    },
    severity: "critical", words: ["Key spender has spent", "of its budget for the month", "insufficient_quota"],
  },
  model_retiring: {
    config: `[models."gpt-4o"]\nretires = "${day(12)}"\n`,
    severity: "warning", words: ["gpt-4o of chat_payg retires in 1", `on ${day(12)}`, "Deploy its successor"],
  },
  price_missing: {
    config: '[models.house]\ncontext_window_tokens = 8_000\nmax_output_tokens = 2_000\n[deployments.house_payg]\nmodel = "house"\nendpoint = "azure"\nbilling = "pay_as_you_go"\narea = "global"\n',
    severity: "info", words: ["house_payg has no price", "usd_per_million_tokens"],
  },
  reload_refused: {
    config: "",
    act: (url, set) => set('[routing]\nmode = "sideways"\n'),
    severity: "warning", words: ["The new configuration has 1 fault", "routing.mode", "stays in use"],
  },
  replica_disconnected: {
    config: '[replicas]\nurl = "redis://127.0.0.1:9"\n',
    severity: "warning", words: ["This replica has lost the others", "Redis has not answered", "replicas.url"],
  },
};

/** Plays all scenes. */
export async function troubles({ browser, emulator }) {
  for (const [kind, scene] of Object.entries(SCENES)) {
    const file = path.join(shots, `scene-${kind}.toml`);
    const set = (text) => {
      fs.writeFileSync(`${file}.new`, text);
      fs.renameSync(`${file}.new`, file);
    };
    set(scene.config);
    const [address, process_] = await router(emulator, "127.0.0.1:0", "--config", file);
    const url = `http://${address}`;
    const login = scene.key ? { httpCredentials: { username: "anybody", password: scene.key } } : {};
    const page = await open(browser, url, { viewport: { width: 1280, height: 800 }, ...login });
    await live(page);
    await scene.act?.(url, set);
    const entry = await page.waitForSelector(`.trouble[data-kind="${kind}"]`, { timeout: PATIENCE }).catch(async (fault) => {
      throw new Error(`${kind}: ${await page.textContent("#troubles")} ${fault}`);
    });
    const said = (await entry.textContent()).replaceAll(/\s+/g, " ");
    for (const words of scene.words) assert.ok(said.includes(words), `${kind}: "${words}" is not in "${said}"`);
    assert.match(said, /since (\w+ \d+, )?\d\d:\d\d(:\d\d)? \(/, kind);
    assert.match(said, /To do: \S/, kind);
    assert.equal(await entry.getAttribute("data-severity"), scene.severity, kind);
    const link = await page.getAttribute(`.trouble[data-kind="${kind}"] a`, "href");
    assert.ok(link.endsWith(`/docs/troubleshooting.md#${kind}`), link);
    assert.match(await page.title(), /^\(\d+\) /);
    await picture(page, "trouble-title", `wrong-${kind}`);
    await accessible(page, kind);
    await page.setViewportSize({ width: 360, height: 800 });
    await fits(page, kind);
    await page.close();
    process_.removeAllListeners("exit").kill("SIGKILL");
    fs.rmSync(file);
  }
}
