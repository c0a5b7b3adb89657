// The plots of a report of the command line, from the data in the page.

import { Curves, Numbers, legend } from "./charts.js";
import { byId, h } from "./dom.js";

const TONES = ["series-1", "series-2", "series-3", "series-4", "series-5"];

/** A number with as many digits as its size needs. */
const figure = (value) => (Math.abs(value) >= 10_000
  ? value.toLocaleString("en-US", { notation: "compact", maximumFractionDigits: 1 })
  : value.toLocaleString("en-US", Math.abs(value) >= 1 ? { maximumFractionDigits: Math.abs(value) >= 100 ? 0 : 1 } : { maximumSignificantDigits: 3 }));

/** The value of a line at the last point up to a place. */
const upTo = (points, place) => points.findLast(([x]) => x <= place + 1e-9)?.[1];

for (const { title, across, up, lines } of JSON.parse(byId("data").textContent)) {
  const host = h("figure", { class: "card" }, h("h2", {}, title), h("p", { class: "about" }, `${up}, by ${across}`));
  byId("plots").append(host);
  const chart = new Curves(host, { height: 300, label: `${title}: ${up} by ${across}` });
  let tone = 0;
  const drawn = lines.map(({ name, points, reference }) =>
    ({ name, points, dashed: reference, silent: reference, tone: reference ? "none" : TONES[tone++ % TONES.length] }));
  legend(host, drawn.map(({ name, tone }) => [tone, name]));
  chart.draw({ lines: drawn, across, word: figure, wordAcross: figure },
    drawn.filter(({ silent, points }) => !silent && points.length).map(({ name, points }) => `${name} ends at ${figure(points.at(-1)[1])}`).join(", "));
  const shown = drawn.filter(({ silent }) => !silent);
  const numbers = new Numbers(host, `${title}: ${up}`, [across, ...shown.map(({ name }) => name)]);
  const stops = [...new Set(shown.flatMap(({ points }) => points.map(([x]) => x)))].sort((one, other) => one - other);
  const stride = Math.max(1, Math.ceil(stops.length / 60));
  numbers.draw(() => stops.filter((_, at) => at % stride === 0 || at === stops.length - 1).map((stop) =>
    [figure(stop), ...shown.map(({ points }) => {
      const value = upTo(points, stop);
      return value === undefined ? "–" : figure(value);
    })]));
}
