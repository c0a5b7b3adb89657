// Charts in SVG, drawn from their data at each change: stacked bars, stacked areas, lines. The pointer or, with the focus, the
// arrow keys move a cursor; what it stands on shows in a tip and is spoken. The reports of the command line use them too.

import { byId, h, s, text } from "./dom.js";
import { whenMarked } from "./format.js";

const GAP = { top: 12, right: 4, bottom: 20, left: 48 };

/** How far apart the marks of a time axis may be. */
const APART_MS = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1_440, 2_880].map((minutes) => minutes * 60_000);

/** Round values from `bottom` to `top`: about `most` of them. */
export function steps(top, most = 4, bottom = 0) {
  if (!(top > bottom)) return [bottom];
  const raw = (top - bottom) / most;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((times) => times * power).find((step) => step >= raw - power * 1e-9);
  const first = Math.ceil(bottom / step - 1e-9);
  const count = Math.floor(top / step + 1e-9) - first;
  return Array.from({ length: count + 1 }, (_, at) => Number(((first + at) * step).toPrecision(12)));
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

  /** The axis below: words at these places, from 0 to 1. Words at the edges stay inside. */
  words(places) {
    const { x, y, w, h: high } = this.inner;
    return places.map(([place, word]) => {
      const anchor = place < 0.04 ? "start" : place > 0.96 ? "end" : "middle";
      return s("text", { x: x + place * w, y: y + high + 15, "text-anchor": anchor }, word);
    });
  }

  /** Words of a time axis at round moments. It ends with the last step, which contains now. */
  moments({ start, step }) {
    const span = this.count() * step;
    const most = Math.max(2, Math.min(7, Math.floor(this.inner.w / 74)));
    const apart = APART_MS.find((apart) => span / apart <= most) ?? span;
    const shift = new Date(start).getTimezoneOffset() * 60_000;
    const first = Math.ceil((start - shift) / apart) * apart + shift;
    const marks = Array.from({ length: Math.floor((start + span - first) / apart) + 1 }, (_, at) => first + at * apart);
    return this.words(marks.map((mark) => [(mark - start) / span, whenMarked(mark, apart)]));
  }

  blank(words) {
    const { x, y, w, h: high } = this.inner;
    return s("text", { class: "blank", x: x + w / 2, y: y + high / 2, "text-anchor": "middle" }, words);
  }

  /** Where a point stands, from 0 to 1. */
  place(at) {
    return (at + 0.5) / this.count();
  }

  /** The point at a place. */
  nearest(place) {
    return Math.max(0, Math.min(this.count() - 1, Math.floor(place * this.count())));
  }

  point(event) {
    if (!this.inner || this.count() === 0) return;
    const { x, w } = this.inner;
    this.show(this.nearest((event.clientX - this.box.getBoundingClientRect().left - x) / w), false);
  }

  key(event) {
    const count = this.count();
    const moves = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -count, End: count };
    if (event.key === "Escape") return this.leave();
    if (!(event.key in moves) || count === 0) return;
    event.preventDefault();
    const move = moves[event.key];
    const from = this.at ?? (move > 0 ? -1 : count);
    let at = Math.max(0, Math.min(count - 1, from + move));
    // A step without a value is passed over: the last one has none until its first second is over.
    const on = event.key === "Home" ? 1 : event.key === "End" ? -1 : Math.sign(move);
    while (at >= 0 && at < count && !this.describe(at)) at += on;
    if (at >= 0 && at < count) this.show(at, true);
  }

  show(at, spoken) {
    const lines = this.describe(at);
    if (!lines) return this.leave();
    this.at = at;
    const { x, y, w, h: high } = this.inner;
    const middle = x + this.place(at) * w;
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

const path = (points) => points.map(([x, y], at) => `${at ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

/** Stacked areas over time: `{time: {start, step}, top, axis, word, limit, layers: [{name, tone, values, word}], marks, head, more}`. */
export class Areas extends Chart {
  count() {
    return this.data.layers[0].values.length;
  }

  parts() {
    const { layers, top, axis, word, limit, marks = [], time, blank } = this.data;
    const { x, y, w, h: high } = this.inner;
    const across = (at) => x + this.place(at) * w;
    const up = (value) => y + high - (value / top) * high;
    const parts = this.rules(axis ?? steps(top), top, word);
    const below = new Array(this.count()).fill(0);
    for (const { values, tone } of layers) {
      for (const run of runs(values)) {
        const upper = run.map(([at, value]) => [across(at), up(below[at] + value)]);
        const lower = run.map(([at]) => [across(at), up(below[at])]).reverse();
        if (run.length > 1) parts.push(s("path", { class: `area tone-${tone}`, d: `${path(upper)}${path(lower).replace("M", "L")}Z` }));
        parts.push(s("path", { class: `stroke tone-${tone}`, d: run.length > 1 ? path(upper) : `${path(upper)}h.01` }));
      }
      values.forEach((value, at) => (below[at] += value ?? 0));
    }
    if (limit !== undefined) {
      const at = Math.round(up(limit)) + 0.5;
      parts.push(s("line", { class: "limit", x1: x, x2: x + w, y1: at, y2: at }));
    }
    for (const at of marks) {
      parts.push(s("line", { class: "tick429", x1: across(at), x2: across(at), y1: y - 7, y2: y - 1 }));
    }
    if (layers.every(({ values }) => values.every((value) => value === null))) parts.push(this.blank(blank ?? "No sample in this time"));
    return [...parts, ...this.moments(time)];
  }

  describe(at) {
    const { layers, head, more } = this.data;
    if (layers.every(({ values }) => values[at] === null || values[at] === undefined)) return null;
    return [head(at), ...layers.map(({ name, values, word }) => [name, word(values[at])]), ...(more?.(at) ?? [])];
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

/** Lines over a number: `{lines: [{name, tone, points: [[x, y], ..]}], across, word, wordAcross}`. Both axes end with the data. */
export class Curves extends Chart {
  draw(data, summary) {
    const all = data.lines.flatMap(({ points }) => points);
    this.stops = [...new Set(all.map(([x]) => x))].sort((one, other) => one - other);
    this.left = this.stops[0] ?? 0;
    this.right = this.stops.at(-1) ?? 1;
    this.bottom = Math.min(0, ...all.map(([, y]) => y));
    this.top = Math.max(0, ...all.map(([, y]) => y));
    if (this.top === this.bottom) this.top = this.bottom + 1;
    super.draw(data, summary);
  }

  count() {
    return this.stops.length;
  }

  place(at) {
    return this.right > this.left ? (this.stops[at] - this.left) / (this.right - this.left) : 0.5;
  }

  nearest(place) {
    const wanted = this.left + place * (this.right - this.left);
    let best = 0;
    this.stops.forEach((stop, at) => {
      if (Math.abs(stop - wanted) < Math.abs(this.stops[best] - wanted)) best = at;
    });
    return best;
  }

  parts() {
    const { lines, word, wordAcross, blank } = this.data;
    const { x, y, w, h: high } = this.inner;
    const span = this.right - this.left || 1;
    const across = (value) => x + ((value - this.left) / span) * w;
    const up = (value) => y + high - ((value - this.bottom) / (this.top - this.bottom)) * high;
    const parts = this.rules(steps(this.top, 4, this.bottom), this.top, word, this.bottom);
    for (const { points, tone, dashed } of lines) {
      if (points.length === 0) continue;
      const drawn = path(points.map(([px, py]) => [across(px), up(py)]));
      parts.push(s("path", { class: `stroke tone-${tone}${dashed ? " dashed" : ""}`, d: points.length > 1 ? drawn : `${drawn}h.01` }));
    }
    if (this.stops.length === 0) parts.push(this.blank(blank ?? "No data"));
    const marks = steps(this.right, Math.max(2, Math.min(8, Math.floor(w / 70))), this.left);
    return [...parts, ...this.words(marks.map((mark) => [(mark - this.left) / span, wordAcross(mark)]))];
  }

  describe(at) {
    const { lines, word, wordAcross, across } = this.data;
    const stop = this.stops[at];
    const shown = lines.flatMap(({ name, points, silent }) => {
      const value = silent ? undefined : valueAt(points, stop);
      return value === undefined ? [] : [[name, word(value)]];
    });
    return [`${wordAcross(stop)} ${across}`, ...shown];
  }
}

/** The value of a line at a place; between two points it is on the line between them. */
function valueAt(points, place) {
  const next = points.findIndex(([x]) => x >= place);
  if (next < 0) return undefined;
  const [x, y] = points[next];
  if (x === place) return y;
  if (next === 0) return undefined;
  const [before, low] = points[next - 1];
  return low + ((y - low) * (place - before)) / (x - before);
}

/** Bars over time or over classes: `{bars: [[n, ..] | null], tones, names, head(at), word, time | below, mark, blank}`. */
export class Bars extends Chart {
  count() {
    return this.data.bars.length;
  }

  parts() {
    const { bars, tones, below, mark, blank, time, word } = this.data;
    const { x, y, w, h: high } = this.inner;
    const total = (bar) => (bar ?? []).reduce((sum, part) => sum + part, 0);
    const most = Math.max(0, ...bars.map(total));
    const least = Math.min(0, ...bars.map(total));
    const axis = word ? steps(most, 4, least) : steps(most).filter(Number.isInteger);
    const top = Math.max(most, axis.at(-1), least < 0 || word ? 0 : 1) * 1.02 || (word ? 1 : 0);
    const bottom = least * 1.02;
    const shown = word ?? ((value) => value.toLocaleString("en-US", { notation: "compact" }));
    const parts = this.rules(axis, top, shown, bottom);
    const wide = w / bars.length;
    const gap = wide > 6 ? 1.5 : wide > 3 ? 1 : 0.4;
    const tallness = (value) => (Math.abs(value) / (top - bottom)) * high;
    const zero = y + high - tallness(bottom);
    bars.forEach((bar, at) => {
      let base = zero;
      (bar ?? []).forEach((part, kind) => {
        if (!part) return;
        const tall = Math.max(tallness(part), 1);
        if (part > 0) base -= tall;
        const tone = part < 0 ? "lost" : tones[kind];
        parts.push(s("rect", { class: `fill tone-${tone}`, x: x + at * wide + gap / 2, y: base, width: Math.max(wide - gap, 0.6), height: tall }));
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
    if (most === 0 && least === 0) parts.push(this.blank(blank));
    return [...parts, ...(time ? this.moments(time) : this.words(below))];
  }

  describe(at) {
    const { bars, names, head, word } = this.data;
    const bar = bars[at];
    if (!bar) return null;
    const shown = word ?? ((value) => value.toLocaleString("en-US"));
    const some = names.map((name, kind) => [name, bar[kind]]).filter(([, value]) => value !== 0);
    return [head(at), ...(some.length ? some.map(([name, value]) => [name, shown(value)]) : [["none", ""]])];
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
