// Parts that several panels share.

import { attribute, h, keyed, s, text } from "./dom.js";

export const sum = (list) => list.reduce((total, value) => total + value, 0);

/** A share; null where there is no whole. */
export const share = (part, whole) => (whole > 0 ? part / whole : null);

/** Labelled figures, kept by label: `[label, value, note, tone]`. */
export class Figures {
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

/** A bar that shows a share. */
export function meter(cell, part, tone) {
  if (!cell.firstChild) {
    const rect = s("rect", { height: 7 });
    cell.append(h("div", { class: "meter", "aria-hidden": "true" }, s("svg", { viewBox: "0 0 100 7", preserveAspectRatio: "none" }, rect)));
  }
  cell.firstChild.className = `meter tone-${tone}`;
  attribute(cell.querySelector("rect"), "width", (Math.max(0, Math.min(1, part ?? 0)) * 100).toFixed(2));
}

/** A name with a line below it. */
export function titled(cell, title, sub) {
  if (!cell.firstChild) cell.append(h("span", { class: "name" }), h("div", { class: "sub" }));
  text(cell.firstChild, title);
  text(cell.lastChild, sub);
}
