// Money: the router's savings, and usage by key.

import { Bars, Numbers } from "./charts.js";
import { Table, byId, text } from "./dom.js";
import { UNKNOWN, brief, count, duration, percent, usd, whenIn } from "./format.js";
import { Figures, meter, share, titled } from "./parts.js";

/** Net savings over the range and for a day. */
export class Saved {
  constructor() {
    this.figures = new Figures(byId("saved-figures"));
    const host = byId("saved-chart");
    this.chart = new Bars(host, { height: 150, label: "Net dollars saved over time" });
    this.numbers = new Numbers(host, "Net dollars saved over time", ["From", "Net"]);
  }

  update({ now, view }, page) {
    const { totals, start_ms: start, end_ms: end, step_ms: step, net_usd: net } = view;
    const divided = Boolean(page.key || page.task);
    this.figures.update([
      ["Net", usd(totals.net_usd), ""],
      ["Net a day", totals.net_per_day_usd === null ? UNKNOWN : usd(totals.net_per_day_usd), "at this rate"],
      ["By the choice of models", usd(totals.saved_by_choice_usd), ""],
      ["By answers of the PTU", usd(totals.saved_by_ptu_usd), ""],
      ["Cost of the PTU", divided ? UNKNOWN : usd(totals.ptu_usd), "by the hour"],
    ]);
    const unpriced = now.deployments.filter(({ ptu, usd_per_hour: price }) => ptu !== null && price === null).map(({ name }) => name);
    const words = ["Against what the same tokens would have cost at pay-as-you-go prices, and chat tasks at the reasoning model."];
    if (divided) words.push("The hourly cost of a PTU belongs to no single key or task and is left out here.");
    else if (unpriced.length) words.push(`The hourly price of ${unpriced.join(", ")} is not set, so its cost is left out.`);
    if (totals.unpriced) words.push(`${count(totals.unpriced)} answers have no known price.`);
    if (now.observe) words.push(`The scores, if they were applied, would save ${usd(totals.observed_usd - totals.would_usd)} of ${usd(totals.observed_usd)}.`);
    text(byId("saved-about"), words.join(" "));
    const known = net.filter((value) => value !== null);
    this.chart.draw({
      bars: net.map((value) => (value === null ? null : [value])), names: ["net"], tones: ["saved"], word: usd,
      time: { start, end, step }, blank: "Nothing saved in this time", head: (at) => `${whenIn(start + at * step, step)}, ${duration(step)}`,
    }, `${usd(totals.net_usd)} in all, from ${usd(Math.min(0, ...known))} to ${usd(Math.max(0, ...known))} a step`);
    this.numbers.draw(() => net.flatMap((value, at) => (value ? [[whenIn(start + at * step, step), usd(value)]] : [])).reverse());
  }
}

/** Columns of a table of users. */
const columns = (title) => [
  { title, head: true, look: "name", cell: (cell, each) => (each.team && title === "Key" ? titled(cell, each.name || "no key", each.team) : text(cell, each.name || (title === "Key" ? "no key" : "no team"))) },
  { title: "Requests", number: true, cell: (cell, each) => text(cell, brief(each.requests)) },
  { title: "Unanswered", number: true, look: "wide", cell: (cell, each) => text(cell, count(each.unanswered)) },
  { title: "Tokens", number: true, cell: (cell, each) => text(cell, brief(each.prompt_tokens + each.completion_tokens)) },
  { title: "Paid", number: true, cell: (cell, each) => text(cell, usd(each.paid_usd)) },
  { title: "Saved", number: true, cell: (cell, each) => text(cell, usd(each.saved_usd)) },
];

/** Keys, teams and their budgets. */
export class Users {
  constructor() {
    const key = (each) => `${each.name} ${each.team}`;
    this.keys = new Table(byId("keys"), { name: "users", caption: "Keys", empty: "No request in this time.", key, columns: columns("Key") });
    this.teams = new Table(byId("teams"), { name: "users", caption: "Teams", empty: "No key has a team.", key, columns: columns("Team") });
    this.budgets = new Table(byId("budgets"), {
      name: "users", caption: "Budgets", empty: "No budget is set.",
      key: (each) => `${each.owner} ${each.name} ${each.span}`,
      columns: [
        { title: "Owner", head: true, cell: (cell, each) => titled(cell, each.name, `${each.owner}, by the ${each.span}, renews ${each.renews}`) },
        { title: "Spent", number: true, cell: (cell, each) => text(cell, `${usd(each.spent_usd)} of ${usd(each.limit_usd)}`) },
        { title: "Share", number: true, cell: (cell, each) => text(cell, percent(share(each.spent_usd, each.limit_usd))) },
        { title: "Share drawn", silent: true, look: "drawn", cell: (cell, each) => meter(cell, share(each.spent_usd, each.limit_usd), each.spent_usd >= each.limit_usd ? "unanswered" : "used") },
      ],
    });
  }

  update({ now, view }) {
    this.keys.update(view.keys);
    this.teams.update(view.teams.filter(({ name }) => name));
    this.budgets.update(now.budgets);
  }
}
