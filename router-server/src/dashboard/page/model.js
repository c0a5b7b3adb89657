// What the page knows: the server's last word, and as much history as the longest chart shows.

/** What the server keeps, and so the most that a chart can show. */
const MOST_STEPS = 900;

const push = (list, value) => {
  list.push(value);
  if (list.length > MOST_STEPS) list.shift();
};

export class Model {
  /** A full state, in place of all that was known. */
  state(state) {
    const { history, decisions, ...now } = state;
    Object.assign(this, { now, history, decisions });
  }

  /** One second more; false where it does not follow on what is known, so that the full state is needed again. */
  tick(tick) {
    if (!this.now || tick.boot !== this.now.boot || tick.second !== this.now.second + 1) return false;
    const { decisions, step, ...now } = tick;
    const history = this.history;
    push(history.ways, step.ways);
    push(history.saved, step.saved);
    for (const name of new Set([...Object.keys(history.levels), ...Object.keys(step.levels)])) {
      history.levels[name] ??= new Array(history.ways.length - 1).fill(null);
      push(history.levels[name], step.levels[name] ?? null);
    }
    history.end_ms = step.at_ms;
    this.decisions = [...decisions, ...this.decisions].slice(0, this.now.decisions_kept);
    this.now = now;
    return true;
  }

  /** The last `minutes` of a history, each point with its time; missing ones are null, so that now is at the right. */
  window(list, minutes) {
    const steps = minutes * 60;
    const shown = (list ?? []).slice(-steps);
    const lacking = new Array(steps - shown.length).fill(null);
    const start = this.history.end_ms - (steps - 1) * 1_000;
    return { start, step: 1_000, values: [...lacking, ...shown] };
  }

  /** How many requests a minute, by the last minute. */
  rate() {
    const last = this.history.ways.slice(-60);
    const sum = last.flat().reduce((sum, more) => sum + more, 0);
    return last.length === 0 ? 0 : (sum * 60) / last.length;
  }
}
