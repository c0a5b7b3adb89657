// One panel a thing that is shown: each is built once and updated from the model.

import { Bars, Lines, Numbers, legend, steps } from "./charts.js";
import { Table, attribute, byId, h, keyed, s, text } from "./dom.js";
import { UNKNOWN, WAYS, billing, brief, cause, count, duration, percent, task, time, usd, usdInColumn } from "./format.js";

const sum = (list) => list.reduce((total, value) => total + value, 0);
const share = (part, whole) => (whole > 0 ? part / whole : null);

/** Labelled figures, kept by label: `[label, value, note, tone]`. */
class Figures {
  constructor(host, look) {
    Object.assign(this, { host, look });
  }

  update(figures) {
    keyed(this.host, figures, {
      key: ([label]) => label,
      make: ([label, , , tone]) => this.look === "tile"
        ? h("div", { class: "tile" }, h("dt", {}, label), h("dd", { class: "value" }), h("dd", { class: "note" }))
        : h("div", {}, h("dt", {}, tone ? h("span", { class: `swatch tone-${tone}`, "aria-hidden": "true" }) : null, label), h("dd", {}, h("span"), " ", h("small"))),
      update: (node, [, value, note]) => {
        const [shown, small] = this.look === "tile" ? [node.children[1], node.children[2]] : node.children[1].children;
        text(shown, value);
        text(small, note ?? "");
      },
    });
  }
}

/** The numbers that matter most. */
export class Glance {
  constructor() {
    this.tiles = new Figures(byId("tiles"), "tile");
  }

  update(model) {
    const { ways, holds, money, requests } = model.now.totals;
    const answered = requests - ways.failed;
    const provisioned = ways.provisioned + ways.held;
    this.tiles.update([
      ["Requests", count(requests), `${count(Math.round(model.rate()))} a minute, ${count(ways.failed)} unanswered`],
      ["On provisioned", percent(share(provisioned, answered)), `${count(provisioned)} of ${count(answered)} answers`],
      ["Spilled", percent(share(ways.spilled, answered)), `${count(ways.spilled)} went to pay-as-you-go`],
      ["Held for room", count(holds.entered + holds.gave_up), `${count(holds.entered)} found it, ${count(holds.gave_up)} went on`],
      ["Saved vs pay-as-you-go", usd(money.saved_payg_usd), `${percent(share(money.saved_payg_usd, money.payg_usd))} of ${usd(money.payg_usd)}`],
      ["Saved vs all reasoning", usd(money.saved_reasoning_usd), `${percent(share(money.saved_reasoning_usd, money.reasoning_usd))} of ${usd(money.reasoning_usd)}`],
    ]);
  }
}

/** How full each provisioned deployment is, over time. */
export class Provisioned {
  constructor() {
    this.host = byId("ptu");
    this.charts = new Map();
  }

  update(model, minutes) {
    const shown = model.now.deployments.filter((each) => each.utilization !== null);
    keyed(this.host, shown.length ? shown : [{ name: "" }], {
      key: ({ name }) => name,
      make: (each) => this.make(each),
      update: (node, each) => each.name && this.draw(node, each, model, minutes),
    });
    for (const name of this.charts.keys()) if (!shown.some((each) => each.name === name)) this.charts.delete(name);
  }

  make({ name }) {
    if (!name) return h("p", { class: "empty" }, "No provisioned deployment in this configuration.");
    const [now, sub] = [h("span", { class: "now" }), h("p", { class: "sub" })];
    const node = h("figure", { class: "multiple" }, h("div", { class: "top" }, h("h3", {}, name), now), sub);
    const chart = new Lines(node, { height: 150, label: `Utilization of ${name} over time` });
    const numbers = new Numbers(node, `Utilization of ${name}, each tenth second`, ["Time", "Utilization", "Level, tokens", "429s"]);
    this.charts.set(name, { now, sub, chart, numbers });
    return node;
  }

  draw(_, each, model, minutes) {
    const { now, sub, chart, numbers } = this.charts.get(each.name);
    const { start, step, values } = model.window(model.history.levels[each.name], minutes);
    const part = (at) => values.map((value) => (value === null ? null : value[at]));
    const [full, level, throttled] = [part(0), part(1), part(2)];
    const peak = Math.max(1, ...full.filter((value) => value !== null));
    const top = peak > 1.08 ? peak * 1.08 : 1.08;
    const axis = steps(top, 4).filter((value) => value <= top);
    text(now, percent(each.utilization));
    text(sub, `${each.ptu} PTU · ${brief(Math.round(each.level))} of ${brief(Math.round(each.capacity))} tokens · ${each.model}`);
    chart.draw({
      start, step, top, axis: peak > 1.5 ? axis : [0, 0.5, 1], word: percent, limit: 1,
      lines: [{ name: "utilization", tone: "provisioned", values: full, area: true, word: percent }],
      marks: throttled.flatMap((value, at) => (value > 0 ? [at] : [])),
      more: (at) => [["level", `${brief(Math.round(level[at]))} tokens`], ...(throttled[at] ? [["429s", count(throttled[at])]] : [])],
    }, `Now ${percent(each.utilization)}, at most ${percent(Math.max(0, ...full.filter((value) => value !== null)))} in the last ${minutes} minutes`);
    numbers.draw(() => tenths(values).map(([at, value]) =>
      [time(start + at * step), percent(value[0]), count(value[1]), count(value[2])]).reverse());
  }
}

/** Each tenth point that is known, for tables. */
const tenths = (values) => values.flatMap((value, at) => (value && (values.length - 1 - at) % 10 === 0 ? [[at, value]] : []));

/** What was saved, in sums and over time. */
export class Saved {
  constructor() {
    this.figures = new Figures(byId("saved-figures"));
    const host = byId("saved-chart");
    this.chart = new Lines(host, { height: 168, label: "Dollars saved over time" });
    this.numbers = new Numbers(host, "Dollars saved, each tenth second", ["Time", "Against all on pay-as-you-go", "Against all on reasoning"]);
  }

  update(model, minutes) {
    const { money } = model.now.totals;
    this.figures.update([
      ["against all on pay-as-you-go", usd(money.saved_payg_usd), `of ${usd(money.payg_usd)}`, "provisioned"],
      ["against all on reasoning", usd(money.saved_reasoning_usd), `of ${usd(money.reasoning_usd)}`, "reasoning"],
    ]);
    const observed = model.now.observe ? ` Scores, were they heeded, would save ${usd(money.would_save_usd)} of ${usd(money.observed_usd)} at pay-as-you-go prices.` : "";
    const unpriced = money.unpriced ? ` ${count(money.unpriced)} answers have no known price.` : "";
    text(byId("saved-paid"), `Paid by the token so far: ${usd(money.paid_usd)}.${unpriced}${observed}`);
    const { start, step, values } = model.window(model.history.saved, minutes);
    const lines = [["against pay-as-you-go", "provisioned", money.saved_payg_usd], ["against all reasoning", "reasoning", money.saved_reasoning_usd]]
      .map(([name, tone, total], kind) => ({ name, tone, word: usd, values: runningUpTo(total, values.map((value) => value?.[kind] ?? null)) }));
    const known = lines.flatMap((line) => line.values).filter((value) => value !== null);
    const [least, most] = [Math.min(0, ...known), Math.max(0, ...known)];
    const top = most > 0 ? most * 1.08 : 1;
    this.chart.draw({
      start, step, lines, top, bottom: least < 0 ? least * 1.08 : 0, axis: steps(top, 4), word: usd,
    }, `${usd(money.saved_payg_usd)} against all on pay-as-you-go, ${usd(money.saved_reasoning_usd)} against all on reasoning`);
    this.numbers.draw(() => values.flatMap((value, at) => (value && (values.length - 1 - at) % 10 === 0
      ? [[time(start + at * step), ...lines.map((line) => usd(line.values[at]))]] : [])).reverse());
  }
}

/** What was added in each step, as the sum so far, which ends at `total`. */
function runningUpTo(total, added) {
  const sums = new Array(added.length).fill(null);
  let left = total;
  for (let at = added.length - 1; at >= 0; at -= 1) {
    if (added[at] === null) break;
    sums[at] = left;
    left -= added[at];
  }
  return sums;
}

/** Where requests go, over time and by cause. */
export class Ways {
  constructor() {
    const host = byId("ways-chart");
    this.keys = Object.keys(WAYS);
    this.chart = new Bars(host, { height: 178, label: "Requests over time, by the way they took" });
    legend(host, Object.entries(WAYS));
    this.numbers = new Numbers(host, "Requests by the way they took", ["From", ...Object.values(WAYS)]);
    this.table = new Table(byId("routes"), {
      caption: "Requests by deployment and cause",
      empty: "No request yet. Send one to /v1/chat/completions and it shows here within a second.",
      name: "routes",
      key: (route) => `${route.deployment} ${route.cause} ${route.way}`,
      columns: [
        { title: "Deployment", head: true, look: "name", cell: (cell, route) => text(cell, route.deployment || "none") },
        { title: "Why", cell: (cell, route) => text(cell, cause(route.cause, route.way === "held")) },
        { title: "Requests", number: true, cell: (cell, route) => text(cell, count(route.requests)) },
        { title: "Share", number: true, cell: (cell, route) => text(cell, percent(route.share)) },
        { title: "Share drawn", silent: true, look: "wide drawn", cell: (cell, route) => meter(cell, route.share, route.way) },
      ],
    });
  }

  update(model, minutes) {
    const { start, step, values } = model.window(model.history.ways, minutes);
    const wide = minutes <= 2 ? 2 : minutes <= 5 ? 5 : 15;
    const groups = Array.from({ length: values.length / wide }, (_, at) => values.slice(at * wide, (at + 1) * wide).filter(Boolean));
    const bars = groups.map((group) => (group.length ? this.keys.map((_, kind) => sum(group.map((each) => each[kind]))) : null));
    const names = Object.values(WAYS);
    const span = wide * step;
    this.chart.draw({
      bars, names, tones: this.keys, span: values.length * step, blank: "No request in this time",
      head: (at) => `${time(start + at * span)}, ${duration(span)}`,
    }, names.map((name, kind) => `${name}: ${sum(bars.map((bar) => bar?.[kind] ?? 0))}`).join(", "));
    this.numbers.draw(() => bars.flatMap((bar, at) => (bar && sum(bar) ? [[time(start + at * span), ...bar.map(count)]] : [])).reverse());
    const { routes, requests } = model.now.totals;
    const sorted = [...routes].sort((one, other) => other.requests - one.requests);
    this.table.update(sorted.map((route) => ({ ...route, share: share(route.requests, requests) })));
  }
}

function meter(cell, part, tone) {
  if (!cell.firstChild) {
    const rect = s("rect", { height: 7 });
    cell.append(h("div", { class: "meter", "aria-hidden": "true" }, s("svg", { viewBox: "0 0 100 7", preserveAspectRatio: "none" }, rect)));
  }
  cell.firstChild.className = `meter tone-${tone}`;
  attribute(cell.querySelector("rect"), "width", (Math.max(0, Math.min(1, part ?? 0)) * 100).toFixed(2));
}

/** How the scores lie about the threshold. */
export class Scores {
  constructor() {
    const host = byId("score-chart");
    this.chart = new Bars(host, { height: 178, label: "Requests by score" });
    legend(host, [["chat", "chat"], ["reasoning", "reasoning"]]);
    this.numbers = new Numbers(host, "Requests by score", ["From", "chat", "reasoning"]);
  }

  update(model) {
    const { scores } = model.now.totals;
    const { threshold } = model.now;
    const bars = scores.chat.map((chat, at) => [chat, scores.reasoning[at]]);
    const edge = (at) => (at / bars.length).toFixed(2);
    text(byId("score-about"), `How probable it is that a request needs reasoning; from ${threshold} on it counts as reasoning.`);
    this.chart.draw({
      bars, tones: ["chat", "reasoning"], names: ["chat", "reasoning"], blank: "No scored request yet",
      head: (at) => `${edge(at)} to ${edge(at + 1)}`,
      below: [[0, "0"], [0.25, "0.25"], [0.5, "0.5"], [0.75, "0.75"], [1, "1"]],
      mark: { place: threshold, word: `threshold ${threshold}` },
    }, `${sum(scores.chat)} chat, ${sum(scores.reasoning)} reasoning, threshold ${threshold}`);
    this.numbers.draw(() => bars.map(([chat, reasoning], at) => [edge(at), count(chat), count(reasoning)]));
  }
}

const LEAVINGS = { entered: "entered", spilled: "spilled", refused: "refused", gave_up: "hung up", shed: "shed" };

/** How requests have left a queue: 12 entered, 3 shed. */
function leavings(left) {
  const some = Object.entries(LEAVINGS).filter(([how]) => left[how]);
  return some.length ? some.map(([how, word]) => `${count(left[how])} ${word}`).join(", ") : "none yet";
}

/** Who was held, and who left full deployments. */
export class Waits {
  constructor() {
    this.figures = new Figures(byId("waits-figures"));
    const host = byId("waits-chart");
    this.chart = new Bars(host, { height: 132, label: "Requests that were held, by how long" });
    legend(host, [["held", "found room"], ["spilled", "went on"]]);
    this.numbers = new Numbers(host, "Requests that were held, by how long", ["Up to", "found room", "went on"]);
    this.queues = new Table(byId("queues"), {
      caption: "Queues of provisioned deployments",
      empty: "No provisioned deployment.",
      key: ({ name }) => name,
      columns: [
        { title: "Deployment", head: true, cell: (cell, { name, queue }) => titled(cell, name, `left: ${leavings(queue.left)}`) },
        { title: "Waiting", number: true, cell: (cell, { queue }) => text(cell, count(queue.waiting)) },
        { title: "Longest", number: true, cell: (cell, { queue }) => text(cell, queue.waiting ? duration(queue.longest_ms) : UNKNOWN) },
      ],
    });
    this.table = new Table(byId("spills"), {
      caption: "Left a provisioned deployment",
      empty: "Nothing has spilled.",
      key: (spill) => `${spill.deployment} ${spill.cause}`,
      columns: [
        { title: "Deployment", head: true, look: "name", cell: (cell, spill) => text(cell, spill.deployment) },
        { title: "Why", cell: (cell, spill) => text(cell, cause(spill.cause)) },
        { title: "Requests", number: true, cell: (cell, spill) => text(cell, count(spill.requests)) },
      ],
    });
  }

  update(model) {
    this.queues.update(model.now.deployments.filter(({ queue }) => queue));
    const { holds, spills } = model.now.totals;
    const bars = holds.buckets.map(({ entered, gave_up: gone }) => [entered, gone]);
    const upTo = (at) => (holds.buckets[at].up_to_ms === null ? "longer" : duration(holds.buckets[at].up_to_ms));
    this.figures.update([
      ["Found room", count(holds.entered), holds.entered + holds.gave_up ? `${percent(share(holds.entered, holds.entered + holds.gave_up))} of those held` : ""],
      ["Held on average", duration(share(holds.held_ms, holds.entered + holds.gave_up)), ""],
    ]);
    this.chart.draw({
      bars, tones: ["held", "spilled"], names: ["found room", "went on"], blank: "Nobody was held yet",
      head: (at) => (holds.buckets[at].up_to_ms === null ? "longer" : `up to ${upTo(at)}`),
      below: [[0, "0"], [0.5, upTo(Math.floor(bars.length / 2) - 1)], [1, "longer"]],
    }, `${holds.entered} found room, ${holds.gave_up} went on`);
    this.numbers.draw(() => bars.map(([entered, gone], at) => [upTo(at), count(entered), count(gone)]));
    this.table.update([...spills].sort((one, other) => other.requests - one.requests));
  }
}

const SHAPES = {
  ready: () => s("circle", { cx: 5, cy: 5, r: 4.5, fill: "currentColor" }),
  full: () => s("path", { d: "M5 .5a4.5 4.5 0 1 0 .01 0ZM5 2v6a3 3 0 0 1 0-6Z", fill: "currentColor", "fill-rule": "evenodd" }),
  cooling: () => s("circle", { cx: 5, cy: 5, r: 3.7, fill: "none", stroke: "currentColor", "stroke-width": 1.7 }),
  recovering: () => s("circle", { cx: 5, cy: 5, r: 3.7, fill: "none", stroke: "currentColor", "stroke-width": 1.7, "stroke-dasharray": "3 2" }),
  misconfigured: () => s("path", { d: "M5 .3 10 9.5H0Z", fill: "currentColor" }),
  disabled: () => s("path", { d: "M1.5 1.5l7 7m0-7l-7 7", stroke: "currentColor", "stroke-width": 2 }),
  removed: () => s("path", { d: "M1 5h8", stroke: "currentColor", "stroke-width": 2 }),
};

const STANDINGS = { ready: "ready", full: "full", cooling: "left alone", recovering: "coming back", misconfigured: "misconfigured", disabled: "switched off", removed: "no longer in config" };

function standing(cell, each) {
  const forTime = each.for_ms === null ? "" : `, ${duration(each.for_ms)}`;
  const why = each.standing === "cooling" && each.cause ? ` (${cause(each.cause === "fault" ? "faults" : each.cause)})` : "";
  if (!cell.firstChild || cell.firstChild.dataset.standing !== each.standing) {
    const shape = s("svg", { viewBox: "0 0 10 10", "aria-hidden": "true" }, SHAPES[each.standing]());
    cell.replaceChildren(h("span", { class: "pill", "data-standing": each.standing }, shape, h("span")));
  }
  text(cell.firstChild.lastChild, `${STANDINGS[each.standing]}${why}${forTime}`);
}

function room(cell, each) {
  const left = each.requests_left === null ? [] : [`${brief(each.requests_left)} of ${brief(each.requests_limit)} requests`];
  if (each.tokens_left !== null) left.push(`${brief(each.tokens_left)} of ${brief(each.tokens_limit)} tokens`);
  const full = each.utilization ?? Math.max(share(each.requests_limit - each.requests_left, each.requests_limit) ?? 0, share(each.tokens_limit - each.tokens_left, each.tokens_limit) ?? 0);
  const words = each.utilization === null ? (left.length ? `${left.join(", ")} left` : "no quota known") : `${percent(each.utilization)} full`;
  if (!cell.firstChild) cell.append(h("span"), h("div"));
  text(cell.firstChild, words);
  cell.lastChild.hidden = each.utilization === null && left.length === 0;
  meter(cell.lastChild, full, full > 0.95 ? "failed" : each.utilization === null ? "pay_as_you_go" : "provisioned");
}

function titled(cell, title, sub) {
  if (!cell.firstChild) cell.append(h("span", { class: "name" }), h("div", { class: "sub" }));
  text(cell.firstChild, title);
  text(cell.lastChild, sub);
}

/** How each deployment stands. */
export class Health {
  constructor() {
    this.table = new Table(byId("health"), {
      name: "health",
      caption: "Deployments and how they stand", hideCaption: true,
      empty: "No deployment in this configuration.",
      key: ({ name }) => name,
      columns: [
        { title: "Deployment", head: true, look: "whole", cell: (cell, each) => titled(cell, each.name, `${each.model} · ${billing(each.billing)} · ${each.area}`) },
        { title: "Standing", look: "half", cell: standing },
        { title: "Room", look: "half", cell: room },
        { title: "In flight", label: "In flight", number: true, cell: (cell, each) => text(cell, each.max_in_flight === null ? count(each.in_flight) : `${count(each.in_flight)} of ${count(each.max_in_flight)}`) },
        { title: "Answers", label: "Answers", number: true, cell: (cell, each) => text(cell, count(each.answers)) },
        { title: "429s", label: "429s", number: true, cell: (cell, each) => text(cell, count(each.throttled)) },
        { title: "Faults", label: "Faults", number: true, cell: (cell, each) => text(cell, count(each.faults)) },
        { title: "Cost", label: "Cost", number: true, cell: (cell, each) => text(cell, each.billing === "provisioned" && !each.cost_usd ? "paid" : usd(each.cost_usd)) },
      ],
    });
  }

  update(model) {
    this.table.update(model.now.deployments);
  }
}

const GRAVE = new Set(["misconfigured", "retired"]);

/** The last decisions. */
export class Decisions {
  constructor() {
    this.table = new Table(byId("decisions"), {
      name: "decisions",
      caption: "Recent decisions", hideCaption: true,
      empty: "No request yet.",
      key: ({ number }) => number,
      columns: [
        { title: "Time", head: true, look: "in-time unbroken", cell: (cell, each) => text(cell, time(each.at_ms)) },
        { title: "Key", look: "aside aside-soon", cell: (cell, each) => text(cell, each.key ?? UNKNOWN) },
        { title: "Task", look: "in-task unbroken", cell: (cell, each) => text(cell, task(each.task)) },
        { title: "Score", number: true, look: "aside", cell: (cell, each) => text(cell, each.score === null ? UNKNOWN : each.score.toFixed(2)) },
        { title: "Model", look: "name aside aside-soon", cell: (cell, each) => text(cell, each.model ?? UNKNOWN) },
        { title: "Deployment", look: "name in-deployment", cell: (cell, each) => text(cell, each.deployment ?? UNKNOWN) },
        { title: "Why there", look: "in-why", cell: (cell, each) => why(cell, each) },
        { title: "Tokens", number: true, look: "in-tokens", cell: (cell, each) => text(cell, each.prompt_tokens === null ? UNKNOWN : `${brief(each.prompt_tokens)} → ${brief(each.completion_tokens)}`) },
        { title: "Cost", number: true, look: "in-cost", cell: (cell, each) => text(cell, usdInColumn(each.cost_usd)) },
        { title: "Held", number: true, look: "aside", cell: (cell, each) => text(cell, each.held_ms ? duration(each.held_ms) : UNKNOWN) },
        { title: "Took", number: true, look: "in-took", cell: (cell, each) => text(cell, duration(each.took_ms)) },
      ],
    });
    this.all = false;
    const more = byId("more");
    more.addEventListener("click", () => {
      this.all = !this.all;
      more.setAttribute("aria-pressed", String(this.all));
      if (this.model) this.update(this.model);
    });
  }

  update(model) {
    this.model = model;
    this.table.update(model.decisions.slice(0, this.all ? model.now.decisions_kept : 20));
    byId("more").hidden = model.decisions.length <= 20;
  }
}

function why(cell, each) {
  const words = each.error ? `no answer: ${each.error.replaceAll("_", " ")}` : cause(each.cause, each.held_ms > 0);
  const instead = each.would && each.would !== each.task ? `; its score says ${each.would}` : "";
  const tries = each.attempts > 1 ? `, ${each.attempts} attempts` : "";
  attribute(cell, "data-grave", each.error || GRAVE.has(each.cause) ? "true" : null);
  cell.classList.add("cause");
  text(cell, `${words}${tries}${instead}`);
}

