// The pages of the command line's reports: the same charts, with their origin, on both themes and from 360 pixels.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

import { accessible, ask, close, configs, fits, open, programs, router, shots } from "./stage.mjs";

/** A request log of a few requests. */
async function log(emulator) {
  const [file, config] = ["requests.jsonl", "log.toml"].map((name) => path.join(shots, name));
  fs.rmSync(file, { force: true });
  fs.writeFileSync(config, `[request_log]\npath = "${file}"\n`);
  const [address, process_] = await router(emulator, "127.0.0.1:0", "--config", config);
  for (let at = 0; at < 12; at += 1) await ask(`http://${address}`, `request ${at}`);
  const ended = new Promise((resolve) => process_.removeAllListeners("exit").on("exit", resolve));
  process_.kill("SIGTERM");
  await ended;
  return file;
}

/** Labelled rows for `evaluate`. */
function labelled() {
  const file = path.join(shots, "rows.jsonl");
  const rows = [["Prove that there are infinitely many primes.", "reasoning"], ["Hello, how are you?", "chat"], ["Derive the closed form of the sum of squares.", "reasoning"], ["Translate 'good morning' to Korean.", "chat"]];
  fs.writeFileSync(file, rows.map(([text, label], at) => JSON.stringify({ text, label, source: `s${at}` })).join("\n"));
  return file;
}

export async function reports({ browser, emulator }) {
  const requests = await log(emulator);
  const commands = {
    simulate: { args: ["--generate", "steady", "--compare"], plots: 4 },
    size: { args: ["--trace", requests, "--ptu-hourly-usd", "0.5"], plots: 3 },
    replay: { args: ["--log", requests, "--config", path.join(configs, "router.toml")], plots: 3 },
    evaluate: { args: ["--data", labelled()], plots: 3 },
  };
  for (const [command, { args, plots }] of Object.entries(commands)) {
    const page_ = path.join(shots, `${command}.html`);
    const done = spawnSync(path.join(programs, "router-server"), [command, ...args, "--html", page_], { encoding: "utf8" });
    assert.equal(done.status, 0, `${command}: ${done.stderr.slice(-2_000)}`);
    const url = pathToFileURL(page_).href;
    for (const [width, colorScheme] of [[1280, "light"], [360, "dark"]]) {
      const page = await open(browser, url, { viewport: { width, height: 900 }, colorScheme }, "");
      // A line along the axis has no height, which Playwright takes for hidden.
      await page.waitForSelector("#plots .chart path", { state: "attached" });
      assert.equal(await page.locator("#plots figure").count(), plots, command);
      const facts = await page.textContent(".facts");
      assert.match(facts, new RegExp(`router-server ${command} .*--html`), command);
      assert.match(facts, /Version\d+\.\d+\.\d+.*Date\d{4}-\d\d-\d\d/, command);
      // The axis ends with the data: the cursor at the end stands on the right edge of the plot.
      await page.focus("#plots .chart");
      await page.keyboard.press("End");
      await page.waitForSelector("#tip:not([hidden])");
      const edge = await page.$eval("#plots .chart svg", (svg) => {
        const [cursor, base] = [".cursor", ".base, .rule"].map((name) => svg.querySelector(name));
        return Math.abs(cursor.getAttribute("x1") - base.getAttribute("x2"));
      });
      assert.ok(edge < 1.5, `${command}: the last value is ${edge} px from the edge`);
      await page.keyboard.press("Escape");
      await page.locator("#plots summary").first().click();
      await page.waitForSelector("#plots details[open] tbody tr");
      await accessible(page, `${command}, ${width} px`);
      await fits(page, `${command}, ${width} px`);
      await page.screenshot({ path: path.join(shots, `${command}-${colorScheme}.png`), fullPage: true });
      await close(page);
    }
  }
}
