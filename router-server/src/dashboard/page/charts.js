// Charts in SVG, drawn anew from their data at each change: a line, stacked bars, a histogram. Each can be walked with the
// pointer or, once it has the focus, with the arrow keys; what stands under the cursor shows in a tip and is spoken.

import { byId, h, s, text } from "./dom.js";
import { time } from "./format.js";

const GAP = { top: 12, right: 2, bottom: 20, left: 44 };

/** How far apart the words of a time axis may be. */
const AGO_STEPS_MS = [30_000, 60_000, 120_000, 300_000];

/** Steps of an axis from zero: at most `most` of them, at round numbers. */
export function steps(top, most = 4) {
  if (!(top > 0)) return [0];
  const raw = top / most;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((times) => times * power).find((step) => step >= raw - power * 1e-9);
  const count = Math.floor(top / step + 1e-9);
  return Array.from({ length: count + 1 }, (_, at) => at * step);
}

const tip = byId("tip");

class Chart {
  constructor(host, { height, label }) {
    this.height = height;
    this.svg = s("svg", { height, "aria-hidden": "true", focusable: "false" });
    this.box = h("div", { class: "chart", tabindex: "0", role: "img", "aria-label": label }, this.svg);
    this.label = label;
    host.append(this.box);
    this.at = null;
    new ResizeObserver(() => this.paint()).observe(this.box);
    this.box.addEventListener("pointermove", (event) => this.point(event));
    this.box.addEventListener("pointerdown", (event) => this.point(event));
    this.box.addEventListener("pointerleave", () => this.leave());
    this.box.addEventListener("blur", () => this.leave());
    this.box.addEventListener("keydown", (event) => this.key(event));
  }

  /** New data; `summary` is what a screen reader hears of the whole. */
  draw(data, summary) {
    this.data = data;
    const label = summary ? `${this.label}. ${summary}` : this.label;
    if (this.box.getAttribute("aria-label") !== label) this.box.setAttribute("aria-label", label);
    this.paint();
  }

  paint() {
    const width = this.box.clientWidth;
    if (!this.data || width < 40) return;
    this.inner = { x: GAP.left, y: GAP.top, w: width - GAP.left - GAP.right, h: this.height - GAP.top - GAP.bottom };
    this.svg.setAttribute("viewBox", `0 0 ${width} ${this.height}`);
    this.svg.replaceChildren(...this.parts());
    if (this.at !== null) this.show(this.at, false);
  }

  /** The axis on the left: rules at these values. */
  rules(values, top, word, bottom = 0) {
    const { x, y, w, h: high } = this.inner;
    return values.flatMap((value) => {
      const at = Math.round(y + high - ((value - bottom) / (top - bottom)) * high) + 0.5;
      return [
        s("line", { class: value === 0 ? "base" : "rule", x1: x, x2: x + w, y1: at, y2: at }),
        s("text", { x: x - 7, y: at + 3.5, "text-anchor": "end" }, word(value)),
      ];
    });
  }

  /** The axis below: how long ago. */
  ago(span) {
    const { x, y, w, h: high } = this.inner;
    const most = w < 320 ? 3 : 6;
    const step = AGO_STEPS_MS.find((step) => span / step <= most) ?? span;
    return Array.from({ length: Math.floor(span / step) + 1 }, (_, at) => {
      const back = at * step;
      const anchor = at === 0 ? "end" : back === span ? "start" : "middle";
      return s("text", { x: x + w * (1 - back / span), y: y + high + 15, "text-anchor": anchor }, at === 0 ? "now" : `−${back % 60_000 ? `${back / 1_000} s` : `${back / 60_000} min`}`);
    });
  }

  blank(words) {
    const { x, y, w, h: high } = this.inner;
    return s("text", { class: "blank", x: x + w / 2, y: y + high / 2, "text-anchor": "middle" }, words);
  }

  point(event) {
    if (!this.inner || this.count() === 0) return;
    const { x, w } = this.inner;
    const place = (event.clientX - this.box.getBoundingClientRect().left - x) / w;
    this.show(Math.max(0, Math.min(this.count() - 1, Math.floor(place * this.count()))), false);
  }

  key(event) {
    const count = this.count();
    const moves = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -count, End: count };
    if (event.key === "Escape") return this.leave();
    if (!(event.key in moves) || count === 0) return;
    event.preventDefault();
    const from = this.at ?? (moves[event.key] > 0 ? -1 : count);
    this.show(Math.max(0, Math.min(count - 1, from + moves[event.key])), true);
  }

  show(at, spoken) {
    const lines = this.describe(at);
    if (!lines) return this.leave();
    this.at = at;
    const { x, y, w, h: high } = this.inner;
    const middle = x + ((at + 0.5) * w) / this.count();
    this.svg.querySelector(".cursor")?.remove();
    this.svg.append(s("line", { class: "cursor", x1: middle, x2: middle, y1: y, y2: y + high }));
    const [head, ...rest] = lines;
    tip.replaceChildren(h("b", {}, head), ...rest.map(([name, value]) => h("div", {}, h("span", {}, name), h("span", {}, value))));
    tip.hidden = false;
    const box = this.box.getBoundingClientRect();
    const left = box.left + middle + 14;
    const over = left + tip.offsetWidth > document.documentElement.clientWidth - 6;
    tip.style.left = `${Math.max(6, over ? box.left + middle - 14 - tip.offsetWidth : left)}px`;
    tip.style.top = `${Math.max(6, box.top + y)}px`;
    if (spoken) text(byId("spoken"), [head, ...rest.map((pair) => pair.join(" "))].join(", "));
  }

  leave() {
    if (this.at === null) return;
    this.at = null;
    tip.hidden = true;
    this.svg.querySelector(".cursor")?.remove();
  }
}

/** Lines over time: `{start, step, top, word, limit, lines: [{name, tone, values, area, word}], marks}`. */
export class Lines extends Chart {
  count() {
    return this.data.lines[0]?.values.length ?? 0;
  }

  parts() {
    const { lines, top, bottom = 0, word, limit, marks = [], step, blank } = this.data;
    const { x, y, w, h: high } = this.inner;
    const count = this.count();
    const across = (at) => x + ((at + 0.5) * w) / count;
    const up = (value) => y + high - ((value - bottom) / (top - bottom)) * high;
    const parts = this.rules(this.data.axis ?? steps(top), top, word, bottom);
    if (limit !== undefined) {
      const at = Math.round(up(limit)) + 0.5;
      parts.push(s("line", { class: "limit", x1: x, x2: x + w, y1: at, y2: at }));
    }
    for (const { values, tone, area } of lines) {
      for (const run of runs(values)) {
        const path = run.map(([at, value], place) => `${place ? "L" : "M"}${across(at).toFixed(1)} ${up(value).toFixed(1)}`).join("");
        if (area && run.length > 1) {
          const [first, last] = [across(run[0][0]), across(run.at(-1)[0])].map((place) => place.toFixed(1));
          parts.push(s("path", { class: `area tone-${tone}`, d: `${path}L${last} ${y + high}L${first} ${y + high}Z` }));
        }
        parts.push(s("path", { class: `stroke tone-${tone}`, d: run.length > 1 ? path : `${path}h.01` }));
      }
    }
    for (const at of marks) {
      parts.push(s("line", { class: "tick429", x1: across(at), x2: across(at), y1: y - 7, y2: y - 1 }));
    }
    if (lines.every(({ values }) => values.every((value) => value === null))) parts.push(this.blank(blank ?? "No sample yet"));
    return [...parts, ...this.ago(count * step)];
  }

  describe(at) {
    const { lines, start, step, more } = this.data;
    if (lines.every(({ values }) => values[at] === null || values[at] === undefined)) return null;
    const shown = lines.map(({ name, values, word }) => [name, word(values[at])]);
    return [time(start + at * step), ...shown, ...(more?.(at) ?? [])];
  }
}

/** The unbroken runs of a list with gaps, as pairs of place and value. */
function runs(values) {
  const found = [];
  let run = null;
  values.forEach((value, at) => {
    if (value === null || value === undefined) run = null;
    else if (run) run.push([at, value]);
    else found.push((run = [[at, value]]));
  });
  return found;
}

/** Bars over time or over classes: `{bars: [[n, ..] | null], tones, names, head(at), word, axis..}`. */
export class Bars extends Chart {
  count() {
    return this.data.bars.length;
  }

  parts() {
    const { bars, tones, below, mark, blank, span } = this.data;
    const { x, y, w, h: high } = this.inner;
    const most = Math.max(0, ...bars.map((bar) => (bar ?? []).reduce((sum, part) => sum + part, 0)));
    const axis = steps(most).filter(Number.isInteger);
    const top = Math.max(most, axis.at(-1), 1) * 1.02;
    const parts = this.rules(axis, top, (value) => value.toLocaleString("en-US", { notation: "compact" }));
    const wide = w / bars.length;
    const gap = wide > 6 ? 1.5 : wide > 3 ? 1 : 0.4;
    bars.forEach((bar, at) => {
      let base = y + high;
      (bar ?? []).forEach((part, kind) => {
        if (!part) return;
        const tall = Math.max((part / top) * high, 1);
        base -= tall;
        parts.push(s("rect", { class: `fill tone-${tones[kind]}`, x: x + at * wide + gap / 2, y: base, width: Math.max(wide - gap, 0.6), height: tall }));
      });
    });
    if (mark) {
      const at = Math.round(x + mark.place * w) + 0.5;
      const late = mark.place > 0.6;
      parts.push(
        s("line", { class: "mark-line", x1: at, x2: at, y1: y - 4, y2: y + high }),
        s("text", { class: "mark-text", x: at + (late ? -5 : 5), y: y + 4, "text-anchor": late ? "end" : "start" }, mark.word),
      );
    }
    if (most === 0) parts.push(this.blank(blank));
    if (span) return [...parts, ...this.ago(span)];
    const words = below.map(([place, word]) => {
      const anchor = place === 0 ? "start" : place === 1 ? "end" : "middle";
      return s("text", { x: x + place * w, y: y + high + 15, "text-anchor": anchor }, word);
    });
    return [...parts, ...words];
  }

  describe(at) {
    const { bars, names, head, tones } = this.data;
    const bar = bars[at];
    if (!bar) return null;
    const shown = names.map((name, kind) => [name, bar[kind].toLocaleString("en-US"), tones[kind]]);
    const some = shown.filter(([, value]) => value !== "0");
    return [head(at), ...(some.length ? some : [["none", ""]])].map((line) => (Array.isArray(line) ? line.slice(0, 2) : line));
  }
}

/** Names of the tones, below a chart. */
export function legend(host, entries) {
  host.append(h("ul", { class: "legend" }, ...entries.map(([tone, name]) =>
    h("li", {}, h("span", { class: `swatch tone-${tone}`, "aria-hidden": "true" }), name))));
}

/** The numbers of a chart as a table that can be opened; filled only while it is open. */
export class Numbers {
  constructor(host, caption, titles) {
    this.body = h("tbody");
    const heads = titles.map((title, at) => h("th", { scope: "col", class: at ? "number" : null }, title));
    this.scroll = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
      h("table", {}, h("caption", {}, caption), h("thead", {}, h("tr", {}, ...heads)), this.body));
    this.details = h("details", {}, h("summary", {}, "Numbers"), this.scroll);
    this.details.addEventListener("toggle", () => this.fill());
    host.append(this.details);
  }

  draw(rows) {
    this.rows = rows;
    if (this.details.open) this.fill();
  }

  fill() {
    if (!this.details.open || !this.rows) return;
    this.body.replaceChildren(...this.rows().map(([head, ...cells]) =>
      h("tr", {}, h("th", { scope: "row" }, head), ...cells.map((cell) => h("td", { class: "number" }, cell)))));
  }
}
