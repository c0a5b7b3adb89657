// The latest requests; each row opens to its decision, attempts, waits and price.

import { Table, attribute, byId, h, keyed, text } from "./dom.js";
import { UNKNOWN, brief, cause, count, duration, share2, task, time, usd, usdInColumn } from "./format.js";

const GRAVE = new Set(["misconfigured", "retired"]);

/** How many are shown unless all are asked for. */
const FEW = 20;

/** Rows that are open, by number. */
const opened = new Set();

function why(cell, each) {
  const words = each.error ? `${each.way === "unanswered" ? "unanswered" : "refused"}: ${each.error.replaceAll("_", " ")}` : cause(each.cause, each.held_ms > 0);
  const instead = each.would && each.would !== each.task ? `; its score says ${each.would}` : "";
  const tries = each.attempts > 1 ? `, ${each.attempts} attempts` : "";
  attribute(cell, "data-grave", each.way === "unanswered" || GRAVE.has(each.cause) ? "true" : null);
  cell.classList.add("cause");
  text(cell, `${words}${tries}${instead}`);
}

const COLUMNS = [
  { title: "Time", head: true, look: "in-time unbroken", cell: (cell, each) => opener(cell, each) },
  { title: "Key", look: "aside aside-soon", cell: (cell, each) => text(cell, each.key ?? UNKNOWN) },
  { title: "Task", look: "in-task unbroken", cell: (cell, each) => text(cell, task(each.task)) },
  { title: "Score", number: true, look: "aside", cell: (cell, each) => text(cell, share2(each.score)) },
  { title: "Model", look: "name aside aside-soon", cell: (cell, each) => text(cell, each.model ?? UNKNOWN) },
  { title: "Deployment", look: "name in-deployment", cell: (cell, each) => text(cell, each.deployment ?? UNKNOWN) },
  { title: "Why there", look: "in-why", cell: why },
  { title: "Tokens", number: true, look: "in-tokens", cell: (cell, each) => text(cell, each.prompt_tokens === null ? UNKNOWN : `${brief(each.prompt_tokens)} → ${brief(each.completion_tokens)}`) },
  { title: "Cost", number: true, look: "in-cost", cell: (cell, each) => text(cell, usdInColumn(each.cost_usd)) },
  { title: "Waited", number: true, look: "aside", cell: (cell, each) => text(cell, each.held_ms ? duration(each.held_ms) : UNKNOWN) },
  { title: "Took", number: true, look: "in-took", cell: (cell, each) => text(cell, duration(each.took_ms)) },
];

/** The button that opens a row. */
function opener(cell, each) {
  if (!cell.firstChild) {
    const button = h("button", { type: "button", class: "opener" }, h("span", { class: "turn", "aria-hidden": "true" }, "›"), h("span", {}), h("span", { class: "unseen" }, ": details"));
    button.addEventListener("click", () => {
      const number = Number(button.dataset.number);
      if (!opened.delete(number)) opened.add(number);
      cell.dispatchEvent(new CustomEvent("opened", { bubbles: true }));
    });
    cell.append(button);
  }
  const button = cell.firstChild;
  button.dataset.number = each.number;
  attribute(button, "aria-expanded", String(opened.has(each.number)));
  text(button.children[1], time(each.at_ms));
}

const said = (value) => value !== null && value !== undefined && value !== "" && value !== false;

/** A list of terms; those that are not known are left out. */
const terms = (title, pairs) => h("section", {}, h("h3", {}, title),
  h("dl", { class: "terms" }, ...pairs.filter(([, value]) => said(value)).map(([name, value]) =>
    h("div", {}, h("dt", {}, name), h("dd", {}, String(value))))));

const list = (title, items, none) => h("section", {}, h("h3", {}, title),
  items.length ? h("ol", { class: "trail" }, ...items.map((item) => h("li", {}, ...item))) : h("p", { class: "sub" }, none));

const mono = (name) => h("span", { class: "name" }, name);

const outcomeWords = (word) => cause(word) || word;

function attempt(step) {
  const status = step.status ? `${step.status}${step.code && step.code !== String(step.status) ? ` ${step.code}` : ""}` : null;
  const came = step.outcome === "served" ? "answered" : status ?? outcomeWords(step.outcome);
  const wait = step.wait_ms ? `, asked to wait ${duration(step.wait_ms)}` : "";
  return [mono(step.deployment), ` ${came}${wait} · sent after ${duration(step.began_ms)}, took ${duration(step.took_ms)}`];
}

/** What is known of one request. The fields of later versions of the record are shown as soon as they exist. */
function details(each) {
  const features = (each.features ?? []).map((word) => word.replaceAll("_", " "));
  return [
    terms("Decision", [
      ["task", each.task ? `${each.task}${each.downgraded ? " (no reasoning deployment: chat serves)" : ""}` : "named by the caller"],
      ["score", said(each.score) ? `${share2(each.score)}, reasoning from ${share2(each.threshold)}` : null],
      ["benefit", said(each.benefit) ? share2(each.benefit) : null],
      ["value", said(each.value_usd) ? usd(each.value_usd) : null],
      ["decided by", each.decided_by?.replaceAll("_", " ")],
      ["rule", each.rule],
      ["the score says", each.would && each.would !== each.task ? each.would : null],
      ["effort", each.effort],
      ["residency", each.residency],
      ["priority", each.priority],
    ]),
    terms("What was asked", [
      ["operation", each.operation],
      ["prompt", said(each.estimated_prompt_tokens) ? `about ${count(each.estimated_prompt_tokens)} tokens` : null],
      ["answer cap", said(each.max_output) ? `${count(each.max_output)} tokens` : "none"],
      ["streamed", each.streamed ? "yes" : "no"],
      ["uses", features.join(", ")],
      ["fields adapted", each.adapted.join(", ")],
      ["key", each.key],
      ["team", each.team],
    ]),
    list("Attempts", each.trail.map(attempt), "Nothing was sent."),
    list("Waits", [
      ...each.holds.map((hold) => [mono(hold.deployment), ` waited ${duration(hold.took_ms)} for room, ${hold.entered ? "then entered" : "in vain"}`]),
      ...each.spills.map((spill) => [mono(spill.deployment), ` left for another deployment: ${cause(spill.why)}`]),
      ...(each.passed_over ?? []).map((one) => [mono(one.deployment), ` passed over: ${cause(one.why)}`]),
    ], "It did not wait, and no provisioned deployment was passed over."),
    terms("Price and time", [
      ["cost", each.cost_usd === null ? "unknown" : `${each.cost_at_least ? "at least " : ""}${usd(each.cost_usd)}`],
      ["on pay-as-you-go", said(each.payg_usd) ? usd(each.payg_usd) : null],
      ["prompt tokens", said(each.prompt_tokens) ? `${count(each.prompt_tokens)}${each.cached_tokens ? `, ${count(each.cached_tokens)} of them cached` : ""}` : null],
      ["answer tokens", said(each.completion_tokens) ? `${count(each.completion_tokens)}${each.reasoning_tokens ? `, ${count(each.reasoning_tokens)} of them reasoning` : ""}${each.usage_estimated ? ", estimated" : ""}` : null],
      ["first token", said(each.first_ms) ? duration(each.first_ms) : null],
      ["all", duration(each.took_ms)],
      ["router's own time", said(each.overhead_us) ? `${count(each.overhead_us)} µs` : null],
    ]),
  ];
}

/** A table whose rows have a second one below while they are open. */
class Opening extends Table {
  update(items) {
    this.table.hidden = items.length === 0;
    this.empty.hidden = items.length > 0;
    const rows = items.flatMap((item) => (opened.has(item.number) ? [{ item }, { item, below: true }] : [{ item }]));
    keyed(this.body, rows, {
      key: ({ item, below }) => (below ? `${item.number} details` : item.number),
      make: ({ item, below }) => (below
        ? h("tr", { role: "row", class: "details" }, h("td", { role: "cell", colspan: this.columns.length }, h("div", { class: "opened" }, ...details(item))))
        : this.row()),
      update: (row, { item, below }) => below || this.columns.forEach((column, at) => column.cell(row.children[at], item)),
    });
  }
}

export class Requests {
  constructor() {
    this.table = new Opening(byId("decisions"), {
      name: "decisions", caption: "Latest requests", hideCaption: true, empty: "No request yet.",
      key: ({ number }) => number, columns: COLUMNS,
    });
    this.all = false;
    const more = byId("more");
    more.addEventListener("click", () => {
      this.all = !this.all;
      more.setAttribute("aria-pressed", String(this.all));
      this.draw();
    });
    byId("decisions").addEventListener("opened", () => this.draw());
  }

  update({ view }) {
    this.decisions = view.decisions;
    this.draw();
  }

  draw() {
    const known = new Set(this.decisions.map(({ number }) => number));
    for (const number of opened) if (!known.has(number)) opened.delete(number);
    this.table.update(this.decisions.slice(0, this.all ? 100 : FEW));
    byId("more").hidden = this.decisions.length <= FEW;
  }
}
