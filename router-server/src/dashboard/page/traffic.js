// Traffic: the number of requests and their destinations.

import { Bars, Numbers, legend } from "./charts.js";
import { Table, byId, text } from "./dom.js";
import { WAYS, cause, count, duration, percent, usd, whenIn } from "./format.js";
import { Figures, meter, share, sum } from "./parts.js";

/** The figures that matter most. */
export class Glance {
  constructor() {
    this.tiles = new Figures(byId("tiles"), "tile");
  }

  update({ view }) {
    const { ways, requests, net_usd: net, net_per_day_usd: perDay, paid_usd: paid, unpriced } = view.totals;
    const answered = requests - ways.unanswered - ways.refused;
    const minutes = Math.max(view.covered_ms, 1_000) / 60_000;
    const provisioned = ways.provisioned + ways.held;
    this.tiles.update([
      ["Requests", count(requests), `${count(Math.round(requests / minutes))} a minute${ways.refused ? `, ${count(ways.refused)} refused or left` : ""}`],
      ["Unanswered", count(ways.unanswered), `${percent(share(ways.unanswered, answered + ways.unanswered))} of valid requests`],
      ["On provisioned", percent(share(provisioned, answered)), `${count(provisioned)} of ${count(answered)} answers`],
      ["Spilled", percent(share(ways.spilled, answered)), `${count(ways.spilled)} went to pay-as-you-go`],
      ["Net saved", usd(net), perDay === null ? "per day: after a minute" : `${usd(perDay)} a day`],
      ["Paid by the token", usd(paid), unpriced ? `${count(unpriced)} answers without a price` : "pay-as-you-go"],
    ]);
  }
}

/** Where requests go, over time and by cause. */
export class Ways {
  constructor() {
    const host = byId("ways-chart");
    this.keys = Object.keys(WAYS);
    this.chart = new Bars(host, { height: 190, label: "Requests over time, by the way they took" });
    legend(host, Object.entries(WAYS));
    this.numbers = new Numbers(host, "Requests by the way they took", ["From", ...Object.values(WAYS)]);
    this.table = new Table(byId("routes"), {
      caption: "Requests by deployment and cause",
      empty: "No request in this time. Send one to /v1/chat/completions and it shows here within seconds.",
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

  update({ view }) {
    const { start_ms: start, end_ms: end, step_ms: step, ways: bars, routes, totals } = view;
    const names = Object.values(WAYS);
    this.chart.draw({
      bars, names, tones: this.keys, time: { start, end, step }, blank: "No request in this time",
      head: (at) => `${whenIn(start + at * step, step)}, ${duration(step)}`,
    }, names.map((name, kind) => `${name}: ${sum(bars.map((bar) => bar?.[kind] ?? 0))}`).join(", "));
    this.numbers.draw(() => bars.flatMap((bar, at) => (bar && sum(bar) ? [[whenIn(start + at * step, step), ...bar.map(count)]] : [])).reverse());
    this.table.update(routes.map((route) => ({ ...route, share: share(route.requests, totals.requests) })));
  }
}
