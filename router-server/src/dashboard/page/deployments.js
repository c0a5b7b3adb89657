// Provisioned throughput, speed and state, each by deployment.

import { Areas, Numbers, steps } from "./charts.js";
import { Table, byId, h, keyed, s, text } from "./dom.js";
import { billing, brief, cause, count, duration, percent, usd, whenIn } from "./format.js";
import { Figures, meter, share, titled } from "./parts.js";

const PARTS = [["used", "used"], ["reserved", "reserved"], ["idle", "idle"]];

/** Used, reserved and idle in whole percent, so that the three add up to 100 unless the deployment is over-full. */
export function parts({ capacity, used, reserved }) {
  if (!(capacity > 0)) return [0, 0, 0];
  const [full, held] = [Math.round((used / capacity) * 100), Math.round((reserved / capacity) * 100)];
  return [full, held, Math.max(0, 100 - full - held)];
}

/** By how much it is over-full: a deployment admits a call while its level is at most 100 %, however much the call reserves. */
export function excess([full, held]) {
  return Math.max(0, full + held - 100);
}

const LEAVINGS = { entered: "entered", spilled: "spilled", refused: "refused", gave_up: "hung up", shed: "shed" };

/** How requests have left a queue: 12 entered, 3 shed. */
function leavings(left) {
  const some = Object.entries(LEAVINGS).filter(([how]) => left[how]);
  return some.length ? some.map(([how, word]) => `${count(left[how])} ${word}`).join(", ") : "nobody waited";
}

/** How full each provisioned deployment is: three parts that add up. */
export class Provisioned {
  constructor() {
    this.host = byId("ptu");
    this.charts = new Map();
    this.waits = new Figures(byId("waits"));
  }

  update({ now, view }, page) {
    const shown = now.deployments.filter((each) => each.ptu_level && (!page.deployment || page.deployment === each.name));
    keyed(this.host, shown.length ? shown : [{ name: "" }], {
      key: ({ name }) => name,
      make: (each) => this.make(each),
      update: (node, each) => each.name && this.draw(each, view),
    });
    for (const name of this.charts.keys()) if (!shown.some((each) => each.name === name)) this.charts.delete(name);
    const { entered, in_vain: vain, entered_p50_ms: p50, entered_p95_ms: p95 } = view.waits;
    this.waits.update([
      ["Waited and entered", count(entered), entered ? `p50 ${duration(p50)}, p95 ${duration(p95)}` : ""],
      ["Waited in vain", count(vain), ""],
    ]);
  }

  make({ name }) {
    if (!name) return h("p", { class: "empty" }, "No provisioned deployment here.");
    const [sub, queue] = [h("p", { class: "sub" }), h("p", { class: "sub queue" })];
    const now = h("dl", { class: "now" }, ...PARTS.map(([tone, word]) =>
      h("div", {}, h("dt", {}, h("span", { class: `swatch tone-${tone}`, "aria-hidden": "true" }), word), h("dd", {}))));
    const node = h("figure", { class: "multiple" }, h("div", { class: "top" }, h("h3", {}, name), now), sub, queue);
    const chart = new Areas(node, { height: 150, label: `Capacity of ${name} over time` });
    const numbers = new Numbers(node, `Capacity of ${name} over time`, ["From", "Used", "Reserved", "Idle", "Peak", "429s"]);
    this.charts.set(name, { now, sub, queue, chart, numbers });
    return node;
  }

  draw(each, view) {
    const { now, sub, queue, chart, numbers } = this.charts.get(each.name);
    const level = each.ptu_level;
    const shown = parts(level);
    [...now.querySelectorAll("dd")].forEach((node, at) => text(node, `${shown[at]} %`));
    const price = each.usd_per_hour === null ? "no price" : `${usd(each.usd_per_hour)} an hour`;
    const over = excess(shown) ? `over-reserved by ${excess(shown)} % · ` : "";
    text(sub, `${over}${each.ptu} PTU · ${brief(level.capacity)} tokens · ${price} · ${each.model}`);
    const waiting = each.queue?.waiting ? `${count(each.queue.waiting)} waiting, the longest for ${duration(each.queue.longest_ms)}` : "nobody waits";
    text(queue, `Queue: ${waiting}; since the start ${leavings(each.queue?.left ?? {})}`);
    const { start_ms: start, end_ms: end, step_ms: step } = view;
    const none = new Array(view.ways.length).fill(null);
    const { used = none, reserved = none, idle = none, peak = none, throttled = [] } = view.ptu[each.name] ?? {};
    const known = peak.filter((value) => value !== null);
    const top = Math.max(1, ...used.map((value, at) => (value ?? 0) + (reserved[at] ?? 0))) * 1.06;
    chart.draw({
      time: { start, end, step }, top, axis: top > 1.5 ? steps(top, 4) : [0, 0.5, 1], word: percent, limit: 1,
      layers: PARTS.map(([tone, name], kind) => ({ name, tone, values: [used, reserved, idle][kind], word: percent })),
      marks: throttled.flatMap((value, at) => (value > 0 ? [at] : [])),
      head: (at) => whenIn(start + at * step, step),
      more: (at) => [["peak", percent(peak[at])], ...(throttled[at] ? [["429s", count(throttled[at])]] : [])],
    }, `Now ${over}${PARTS.map(([, word], at) => `${shown[at]} % ${word}`).join(", ")}; peak ${percent(Math.max(0, ...known))}`);
    numbers.draw(() => used.flatMap((value, at) => (value === null ? []
      : [[whenIn(start + at * step, step), percent(value), percent(reserved[at]), percent(idle[at]), percent(peak[at]), count(throttled[at])]])).reverse());
  }
}

/** How long answers take, by deployment. */
export class Speed {
  constructor() {
    const time = (title, of, look) => ({ title, label: title, number: true, look, cell: (cell, each) => text(cell, duration(each[of])) });
    this.table = new Table(byId("speed"), {
      name: "speed",
      caption: "Times by deployment", hideCaption: true,
      empty: "No answer in this time.",
      key: ({ deployment }) => deployment,
      columns: [
        { title: "Deployment", head: true, look: "whole name", cell: (cell, each) => text(cell, each.deployment) },
        { title: "Answers", label: "Answers", number: true, cell: (cell, each) => text(cell, count(each.answers)) },
        time("p50", "p50_ms"),
        time("p95", "p95_ms"),
        time("First token p50", "first_p50_ms"),
        time("First token p95", "first_p95_ms"),
        { title: "p95 to scale", look: "drawn wide", cell: (cell, each) => meter(cell, each.part, "provisioned") },
      ],
    });
  }

  update({ view }) {
    const answered = view.speed.filter(({ answers }) => answers > 0);
    const slowest = Math.max(0, ...answered.map((each) => each.p95_ms ?? 0));
    this.table.update(answered.map((each) => ({ ...each, part: share(each.p95_ms ?? 0, slowest) })));
  }
}

const SHAPES = {
  ready: () => s("circle", { cx: 5, cy: 5, r: 4.5, fill: "currentColor" }),
  full: () => s("path", { d: "M5 .5a4.5 4.5 0 1 0 .01 0ZM5 2v6a3 3 0 0 1 0-6Z", fill: "currentColor", "fill-rule": "evenodd" }),
  cooling: () => s("circle", { cx: 5, cy: 5, r: 3.7, fill: "none", stroke: "currentColor", "stroke-width": 1.7 }),
  recovering: () => s("circle", { cx: 5, cy: 5, r: 3.7, fill: "none", stroke: "currentColor", "stroke-width": 1.7, "stroke-dasharray": "3 2" }),
  misconfigured: () => s("path", { d: "M5 .3 10 9.5H0Z", fill: "currentColor" }),
  disabled: () => s("path", { d: "M1.5 1.5l7 7m0-7l-7 7", stroke: "currentColor", "stroke-width": 2 }),
};

const STANDINGS = { ready: "ready", full: "full", cooling: "cooling down", recovering: "recovering", misconfigured: "refused", disabled: "switched off" };

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
  const level = each.ptu_level;
  const left = each.requests_left === null ? [] : [`${brief(each.requests_left)} of ${brief(each.requests_limit)} requests`];
  if (each.tokens_left !== null) left.push(`${brief(each.tokens_left)} of ${brief(each.tokens_limit)} tokens`);
  const full = level?.utilization ?? Math.max(share(each.requests_limit - each.requests_left, each.requests_limit) ?? 0, share(each.tokens_limit - each.tokens_left, each.tokens_limit) ?? 0);
  const words = level ? `${percent(level.utilization)} full` : left.length ? `${left.join(", ")} left` : "no quota known";
  if (!cell.firstChild) cell.append(h("span"), h("div"));
  text(cell.firstChild, words);
  cell.lastChild.hidden = !level && left.length === 0;
  meter(cell.lastChild, full, full > 0.95 ? "unanswered" : level ? "used" : "pay_as_you_go");
}

/** The state of each deployment. */
export class Health {
  constructor() {
    const figure = (title, of) => ({ title, label: title, number: true, cell: (cell, each) => text(cell, count(of(each))) });
    this.table = new Table(byId("health"), {
      name: "health",
      caption: "State of the deployments", hideCaption: true,
      empty: "No deployment in this configuration.",
      key: ({ name }) => name,
      columns: [
        { title: "Deployment", head: true, look: "whole", cell: (cell, each) => titled(cell, each.name, `${each.model} · ${billing(each.billing)} · ${each.area}`) },
        { title: "State", look: "half", cell: standing },
        { title: "Room", look: "half", cell: room },
        { title: "In flight", label: "In flight", number: true, cell: (cell, each) => text(cell, each.max_in_flight === null ? count(each.in_flight) : `${count(each.in_flight)} of ${count(each.max_in_flight)}`) },
        figure("Attempts", (each) => each.tried.all),
        figure("429s", (each) => each.tried.throttled),
        figure("Faults", (each) => each.tried.faults + each.tried.refused),
        { title: "Cost", label: "Cost", number: true, cell: (cell, each) => text(cell, each.billing === "provisioned" && !each.paid ? "by the hour" : usd(each.paid)) },
      ],
    });
  }

  update({ now, view }, page) {
    const none = { all: 0, throttled: 0, faults: 0, refused: 0 };
    const paid = new Map(view.speed.map((each) => [each.deployment, each.paid_usd]));
    const shown = now.deployments.filter(({ name }) => !page.deployment || page.deployment === name);
    this.table.update(shown.map((each) => ({ ...each, tried: view.attempts[each.name] ?? none, paid: paid.get(each.name) ?? 0 })));
  }
}

