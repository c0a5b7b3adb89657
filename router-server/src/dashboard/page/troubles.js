// Troubles: one entry for each problem that an operator should act on.

import { byId, h, keyed, s, text } from "./dom.js";
import { duration, when } from "./format.js";

const SEVERITIES = { critical: "critical", warning: "warning", info: "note" };

const SHAPES = {
  critical: () => s("path", { d: "M8 1 15.5 14.5H.5Z", fill: "currentColor" }),
  warning: () => s("circle", { cx: 8, cy: 8, r: 6.5, fill: "currentColor" }),
  info: () => s("rect", { x: 2, y: 2, width: 12, height: 12, rx: 2, fill: "none", stroke: "currentColor", "stroke-width": 2 }),
};

/** Sets a text in which words between backticks are code. */
function coded(node, value) {
  if (node.textContent === value.replaceAll("`", "")) return;
  node.replaceChildren(...value.split("`").map((part, at) => (at % 2 ? h("code", {}, part) : part)));
}

export class Troubles {
  update({ now }) {
    const { problems, at_ms: at } = now;
    keyed(byId("troubles"), problems, {
      key: ({ kind, subject, severity }) => `${kind} ${subject} ${severity}`,
      make: (trouble) => h("li", { class: "trouble", "data-kind": trouble.kind, "data-severity": trouble.severity },
        h("div", { class: "top" },
          s("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, SHAPES[trouble.severity]()),
          h("span", { class: "severity" }, SEVERITIES[trouble.severity]),
          h("h3", {}), h("span", { class: "since" })),
        h("p", { class: "cause-text" }),
        h("p", { class: "action" }, h("b", {}, "To do: "), h("span", {}), " ",
          h("a", { href: trouble.docs, rel: "noreferrer", target: "_blank" }, "Troubleshooting", h("span", { class: "unseen" }, ` ${trouble.kind.replaceAll("_", " ")}`)))),
      update: (node, trouble) => {
        text(node.querySelector("h3"), trouble.title);
        text(node.querySelector(".since"), `since ${when(trouble.since_ms, at)} (${duration(Math.max(0, at - trouble.since_ms))})`);
        coded(node.querySelector(".cause-text"), trouble.cause);
        coded(node.querySelector(".action span"), trouble.action);
      },
    });
    text(byId("trouble-count"), problems.length ? `${problems.length} open` : "");
    byId("fine").hidden = problems.length > 0;
    text(byId("fine"), "Nothing is wrong.");
  }
}
