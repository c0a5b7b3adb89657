// Connects the server's data to the panels, and the reader's choices (pause, range, filters) to both.

import { byId, keyed, h, text } from "./dom.js";
import { duration, task, whenLong } from "./format.js";
import { Glance, Ways } from "./traffic.js";
import { Health, Provisioned, Speed } from "./deployments.js";
import { Requests } from "./requests.js";
import { Saved, Users } from "./money.js";
import { Scores, Trial } from "./scores.js";
import { Stream } from "./stream.js";
import { Troubles } from "./troubles.js";

const panels = [Troubles, Glance, Ways, Provisioned, Speed, Saved, Users, Requests, Health, Scores].map((Panel) => new Panel());
new Trial();

/** Milliseconds between two readings of a range: a long one changes slowly. */
const EVERY_MS = { "15m": 2_000, "1h": 5_000, "6h": 15_000, "24h": 30_000, "7d": 60_000 };

const FILTERS = ["key", "deployment", "task"];

const page = { range: "15m", key: "", deployment: "", task: "", paused: false, link: "connecting", read: 0, reading: null };
const model = { now: null, view: null };

const LINKS = {
  connecting: "Connecting",
  live: "Live",
  lost: "Reconnecting",
  draining: "Server is draining",
  refused: "Signed out",
};

function link(state) {
  page.link = state;
  byId("link").dataset.state = state;
  const words = state === "live" && page.paused ? "Live, view paused" : LINKS[state];
  text(byId("link-text"), words);
  const wrong = model.now?.problems.length ?? 0;
  const title = state === "live" ? "Model router" : `${words} · Model router`;
  document.title = wrong ? `(${wrong}) ${title}` : title;
}

/** Offers these values in a filter, and the chosen one even if it is gone. */
function options(filter, names) {
  const select = byId(`filter-${filter}`);
  const chosen = page[filter];
  const all = ["", ...names, ...(chosen && !names.includes(chosen) ? [chosen] : [])];
  keyed(select, all, { key: (name) => name, make: (name) => h("option", { value: name }, name || "all") });
  if (select.value !== chosen) select.value = chosen;
  select.closest("label").hidden = all.length < 2;
}

function draw() {
  const { now, view } = model;
  if (!now || !view || page.paused) return;
  text(byId("fact-config"), now.config.version.slice(0, 8));
  byId("fact-config").title = now.config.version;
  text(byId("fact-uptime"), duration(Math.max(0, now.at_ms - now.started_ms)));
  text(byId("fact-version"), now.version);
  byId("observe").hidden = !now.observe;
  byId("forced").hidden = !now.forced;
  if (now.forced) text(byId("forced"), `All to ${task(now.forced)}`);
  options("key", now.keys);
  options("deployment", now.deployments.map(({ name }) => name));
  const shown = Math.min(view.covered_ms, view.step_ms * view.ways.length);
  text(byId("covered"), view.covered_ms < view.step_ms * view.ways.length * 0.98 ? `${duration(shown)} of it recorded` : "");
  text(byId("since"), now.counted_since_ms ? `The history begins ${whenLong(now.counted_since_ms)}.` : "");
  link(now.draining ? "draining" : "live");
  for (const panel of panels) panel.update(model, page);
}

/** Reads the range as it is chosen; an earlier reading that is under way is dropped. */
async function read() {
  page.reading?.abort();
  const reading = new AbortController();
  page.reading = reading;
  page.read = performance.now();
  const query = new URLSearchParams({ range: page.range });
  for (const filter of FILTERS) if (page[filter]) query.set(filter, page[filter]);
  try {
    const answer = await fetch(`/dashboard/range?${query}`, { signal: reading.signal, cache: "no-store" });
    if (answer.ok) {
      model.view = await answer.json();
      draw();
    }
  } catch {
    // The stream reports a server that is away.
  }
}

const stream = new Stream({
  path: "/dashboard/events",
  event(_, now) {
    model.now = now;
    byId("notice").hidden = true;
    link(now.draining ? "draining" : "live");
    if (page.paused) return;
    if (!model.view || performance.now() - page.read >= EVERY_MS[page.range] - 100) read();
    else draw();
  },
  told(state) {
    link(state);
    if (state !== "refused") return;
    byId("notice").hidden = false;
    text(byId("notice"), "The server no longer accepts the key that this page was opened with. Reload the page to enter another.");
  },
});

byId("pause").addEventListener("click", () => {
  page.paused = !page.paused;
  byId("pause").setAttribute("aria-pressed", String(page.paused));
  if (page.link === "live") link("live");
  if (!page.paused) read();
});

/** Another choice of range or filter shows at once, even while the page is paused. */
async function choose(choice) {
  Object.assign(page, choice);
  const chosen = new URLSearchParams();
  if (page.range !== "15m") chosen.set("range", page.range);
  for (const filter of FILTERS) if (page[filter]) chosen.set(filter, page[filter]);
  history.replaceState(null, "", chosen.size ? `#${chosen}` : location.pathname);
  for (const button of document.querySelectorAll("[data-range]")) {
    button.setAttribute("aria-pressed", String(button.dataset.range === page.range));
  }
  const { paused } = page;
  page.paused = false;
  await read();
  page.paused = paused;
}

for (const button of document.querySelectorAll("[data-range]")) {
  button.addEventListener("click", () => choose({ range: button.dataset.range }));
}
for (const filter of FILTERS) {
  byId(`filter-${filter}`).addEventListener("change", (event) => choose({ [filter]: event.target.value }));
}
byId("filters").addEventListener("submit", (event) => event.preventDefault());

// A link to this page carries its range and filters.
const linked = new URLSearchParams(location.hash.slice(1));
if (linked.get("range") in EVERY_MS) page.range = linked.get("range");
for (const filter of FILTERS) page[filter] = linked.get(filter) ?? "";
byId("filter-task").value = page.task;
for (const button of document.querySelectorAll("[data-range]")) {
  button.setAttribute("aria-pressed", String(button.dataset.range === page.range));
}

stream.start();
