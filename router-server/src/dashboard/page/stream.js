// The server's events, read over fetch: unlike EventSource it tells a refusal from a server that is away, and notices one that
// has fallen silent. Reconnects by itself, sooner after the first failure than after the tenth, unless it is refused. Where
// the server asks for a key, the browser has asked for it as a password and sends it along; it is never ours to hold.

/** The server sends something each second; after this long without, the connection is taken for dead. */
const SILENCE_MS = 6_000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;

/** Splits a text stream into events, however it is cut. */
export class Events {
  #rest = "";

  /** The events that are complete with this piece: `{name, data}`. */
  push(piece) {
    this.#rest += piece;
    const parts = this.#rest.split("\n\n");
    this.#rest = parts.pop();
    return parts.map((part) => {
      const event = { name: "message", data: "" };
      for (const line of part.split("\n")) {
        if (line.startsWith("event: ")) event.name = line.slice(7);
        if (line.startsWith("data: ")) event.data += line.slice(6);
      }
      return event;
    }).filter((event) => event.data !== "");
  }
}

/** Keeps a connection; `told(state)` hears how it stands, `event(name, value)` what comes. */
export class Stream {
  #ending = null;
  #failures = 0;
  #timer = null;

  constructor({ path, event, told }) {
    Object.assign(this, { path, event, told });
  }

  /** Connects now, whatever was before. */
  start() {
    this.stop();
    const ending = new AbortController();
    this.#ending = ending;
    this.#run(ending).catch(() => ending.signal.aborted || this.#lost());
  }

  /** Ends the connection and does not come back by itself. */
  stop() {
    clearTimeout(this.#timer);
    this.#ending?.abort();
    this.#ending = null;
  }

  async #run(ending) {
    const watch = { timer: null };
    const alive = () => {
      clearTimeout(watch.timer);
      watch.timer = setTimeout(() => {
        ending.abort();
        this.#lost();
      }, SILENCE_MS);
    };
    ending.signal.addEventListener("abort", () => clearTimeout(watch.timer));
    alive();
    try {
      const headers = { accept: "text/event-stream" };
      const answer = await fetch(this.path, { headers, signal: ending.signal, cache: "no-store" });
      if (answer.status === 401 || answer.status === 403) {
        this.stop();
        return this.told("refused");
      }
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const events = new Events();
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        alive();
        for (const { name, data } of events.push(value)) {
          this.#failures = 0;
          this.event(name, JSON.parse(data));
        }
      }
      throw new Error("the server ended the stream");
    } finally {
      clearTimeout(watch.timer);
    }
  }

  #lost() {
    const pause = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures, LONGEST_PAUSE_MS) * (0.75 + Math.random() / 2);
    this.#failures += 1;
    this.told("lost");
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.start(), pause);
  }
}
