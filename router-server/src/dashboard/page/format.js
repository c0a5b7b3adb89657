// Numbers, money and time as people read them. English forms throughout, since the page is English.

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const minute = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric" });
const date = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });

/** What stands where nothing is known. */
export const UNKNOWN = "–";

const known = (value) => value !== null && value !== undefined && Number.isFinite(value);

/** A count: 12,345. */
export const count = (value) => (known(value) ? whole.format(value) : UNKNOWN);

/** A count where space is short: 12.3K. */
export const brief = (value) => (known(value) ? (Math.abs(value) < 10_000 ? count(value) : compact.format(value)) : UNKNOWN);

/** A share of one: 7.3 %, and 92 % from ten on. */
export function percent(share) {
  if (!known(share)) return UNKNOWN;
  const value = share * 100;
  const digits = value !== 0 && Math.abs(value) < 9.95 ? 1 : 0;
  return `${value.toFixed(digits)} %`;
}

/** Dollars, with as many digits as make sense: $1,234, $12.34, $0.0123. */
export function usd(value) {
  if (!known(value)) return UNKNOWN;
  const size = Math.abs(value);
  let text;
  if (size >= 1_000) text = whole.format(size);
  else if (size >= 1 || size === 0) text = size.toFixed(2);
  else if (size >= 0.01) text = size.toFixed(3);
  else text = size < 0.000_000_5 ? "0.00" : size.toFixed(6).replace(/0+$/, "");
  return `${value < 0 && Number(text.replaceAll(",", "")) !== 0 ? "−" : ""}$${text}`;
}

/** Dollars in a column, all with as many digits. */
export function usdInColumn(value) {
  if (!known(value)) return UNKNOWN;
  return value === 0 ? "$0" : `$${value.toFixed(value >= 1 ? 2 : 5)}`;
}

/** Milliseconds: 84 ms, 1.2 s, 3 min. */
export function duration(ms) {
  if (!known(ms)) return UNKNOWN;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1_000).toFixed(ms < 9_950 ? 1 : 0)} s`;
  if (ms < 3_570_000) return `${Math.round(ms / 60_000)} min`;
  if (ms < 86_400_000) return `${Math.floor(ms / 3_600_000)} h ${Math.floor((ms % 3_600_000) / 60_000)} min`;
  return `${Math.floor(ms / 86_400_000)} d ${Math.floor((ms % 86_400_000) / 3_600_000)} h`;
}

/** The time of day. */
export const time = (ms) => clock.format(ms);

const DAY_MS = 86_400_000;

/** A moment as seen from another: the time of day, with the day if that is not the same one. */
export const when = (ms, now) => (now - ms < DAY_MS / 2 ? clock.format(ms) : `${day.format(ms)}, ${minute.format(ms)}`);

/** A moment in a series of steps: to the second if they are short, with the day if they are long. */
export const whenIn = (ms, step) => (step < 60_000 ? clock.format(ms) : step < 600_000 ? minute.format(ms) : `${day.format(ms)}, ${minute.format(ms)}`);

/** A moment that may be long ago. */
export const whenLong = (ms) => `on ${date.format(ms)}`;

/** The mark of a moment on an axis whose marks are `apart`. */
export const whenMarked = (ms, apart) => (apart >= DAY_MS ? day.format(ms) : minute.format(ms));

/** A share of one with two places: 0.62. */
export const share2 = (value) => (known(value) ? value.toFixed(2) : UNKNOWN);

const TASKS = { chat: "chat", reasoning: "reasoning" };

/** A task, or that the caller named a model instead. */
export const task = (word) => TASKS[word] ?? "named";

const BILLING = { provisioned: "provisioned", pay_as_you_go: "pay-as-you-go" };

/** How a deployment is paid. */
export const billing = (word) => BILLING[word] ?? UNKNOWN;

const CAUSES = {
  "": "first choice",
  full: "PTU full",
  held: "held, no room in time",
  throttled: "429",
  cooling: "cooling down",
  recovering: "recovering",
  too_large: "too large for now",
  in_flight: "at max_in_flight",
  connect: "no connection",
  timeout: "no answer in time",
  broken: "broke off",
  error_event: "error in the stream",
  status_5xx: "5xx",
  misconfigured: "misconfigured",
  retired: "model retired",
  field_refused: "field refused",
  context_length: "prompt too long",
  outrun: "another was quicker",
  native_spillover: "Azure's own spillover",
  rejected: "rejected",
};

/** Why a request went where it went; `waited` where it was held and found room. */
export const cause = (word, waited = false) =>
  (waited && !word ? "first choice, after a wait" : CAUSES[word ?? ""] ?? word.replaceAll("_", " "));

/** The ways that requests take, as the server lists them, with their names here. */
export const WAYS = {
  provisioned: "provisioned",
  held: "provisioned, after a wait",
  spilled: "spilled to pay-as-you-go",
  fell_back: "elsewhere after a fault",
  pay_as_you_go: "pay-as-you-go by plan",
  unanswered: "unanswered",
  refused: "refused, or the caller left",
};
