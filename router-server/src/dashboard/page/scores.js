// The scores of requests, and the decision for a prompt that the reader tries.

import { Bars, Numbers, legend } from "./charts.js";
import { Table, byId, h, text } from "./dom.js";
import { UNKNOWN, billing, count, duration, share2, task, usd } from "./format.js";
import { sum } from "./parts.js";

/** How the scores lie about the threshold. */
export class Scores {
  constructor() {
    const host = byId("score-chart");
    this.chart = new Bars(host, { height: 178, label: "Requests by score" });
    legend(host, [["chat", "chat"], ["reasoning", "reasoning"]]);
    this.numbers = new Numbers(host, "Requests by score", ["From", "chat", "reasoning"]);
  }

  update({ now, view }) {
    const { scores } = view;
    const { threshold } = now;
    const bars = scores.chat.map((chat, at) => [chat, scores.reasoning[at]]);
    const edge = (at) => (at / bars.length).toFixed(2);
    text(byId("score-about"), `How probable it is that a request needs reasoning; from ${threshold} on it counts as reasoning.`);
    this.chart.draw({
      bars, tones: ["chat", "reasoning"], names: ["chat", "reasoning"], blank: "No scored request in this time",
      head: (at) => `${edge(at)} to ${edge(at + 1)}`,
      below: [[0, "0"], [0.25, "0.25"], [0.5, "0.5"], [0.75, "0.75"], [1, "1"]],
      mark: { place: threshold, word: `threshold ${threshold}` },
    }, `${sum(scores.chat)} chat, ${sum(scores.reasoning)} reasoning, threshold ${threshold}`);
    this.numbers.draw(() => bars.map(([chat, reasoning], at) => [edge(at), count(chat), count(reasoning)]));
  }
}

/** The form of "try a prompt". */
export class Trial {
  constructor() {
    this.host = byId("try-result");
    byId("try").addEventListener("submit", (event) => {
      event.preventDefault();
      this.ask();
    });
  }

  async ask() {
    const [prompt, model, cap] = ["try-prompt", "try-model", "try-cap"].map((id) => byId(id).value);
    const body = { model, messages: [{ role: "user", content: prompt }], ...(cap ? { max_tokens: Number(cap) } : {}) };
    try {
      const answer = await fetch("/v1/route", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body), cache: "no-store" });
      const said = await answer.json();
      if (answer.ok) return this.show(said);
      this.fail(answer.status === 404 && said.error?.code === "unknown_path" ? "server.expose = \"minimal\" switches /v1/route off." : said.error?.message ?? `status ${answer.status}`);
    } catch {
      this.fail("The server did not answer.");
    }
  }

  fail(words) {
    this.host.replaceChildren(h("p", { class: "notice" }, words));
  }

  show(decision) {
    const { scored, plan, refusal } = decision;
    const goes = plan.length ? `goes to ${plan[0]}${plan.length > 1 ? `, then ${plan.slice(1).join(", ")}` : ""}` : `is refused: ${refusal?.message ?? UNKNOWN}`;
    const reasons = (scored?.reasons ?? []).map(({ feature, weight }) => h("li", {}, `${weight > 0 ? "+" : "−"}${Math.abs(weight).toFixed(2)} `, h("span", { class: "name" }, feature)));
    const host = h("div", {});
    const table = new Table(host, {
      caption: "Candidates, in order", name: "candidates", empty: "No deployment serves this model.",
      key: ({ at }) => at,
      columns: [
        { title: "Deployment", head: true, look: "name", cell: (cell, each) => text(cell, each.deployment) },
        { title: "Billing", look: "wide", cell: (cell, each) => text(cell, billing(each.billing)) },
        { title: "In the plan", cell: (cell, each) => text(cell, each.in_plan ? "yes" : `no: ${each.why}`) },
        { title: "Cost", number: true, cell: (cell, each) => text(cell, each.in_plan ? usd(each.cost_usd) : UNKNOWN) },
        { title: "Time", number: true, cell: (cell, each) => text(cell, each.in_plan ? duration(each.time_ms) : UNKNOWN) },
      ],
    });
    table.update(decision.candidates.map((each, at) => ({ ...each, at })));
    this.host.replaceChildren(
      h("p", { class: "verdict" }, h("b", {}, task(decision.task)), scored ? ` with score ${share2(scored.score)}, decided by ${scored.decided_by.replaceAll("_", " ")}; ` : "; ", goes, "."),
      reasons.length ? h("div", {}, h("h3", {}, "What weighed most"), h("ul", { class: "reasons" }, ...reasons)) : "",
      host,
    );
  }
}
