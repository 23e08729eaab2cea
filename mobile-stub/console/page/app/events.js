// The stream of changes. Read by fetch, because an EventSource cannot send the session token in a header, and cookies
// are shared by all ports of a host.

import { call } from "./api.js";

const SILENCE = 25000;  // the console says something at least every ten seconds
const FIRST_PAUSE = 250;
const LONGEST_PAUSE = 4000;

/** Parts of an event stream as they come; calls back with {id, data} for each event that is whole. */
class Parser {
  #rest = "";
  constructor(onEvent) {
    this.onEvent = onEvent;
  }
  take(text) {
    const blocks = (this.#rest + text).split("\n\n");
    this.#rest = blocks.pop();
    for (const block of blocks) {
      const event = { id: "", data: "" };
      for (const line of block.split("\n")) {
        const colon = line.indexOf(":");
        if (colon > 0) event[line.slice(0, colon)] = line.slice(colon + 1).trimStart();
      }
      if (event.data !== "") this.onEvent(event);
    }
  }
}

/**
 * Follows until stopped. `on.changes(content)`, `on.link(state)` with "open" or "lost", and `on.locked()` when the
 * console does not know the token: then it ends.
 */
export async function follow(on) {
  let last = null;
  let pause = FIRST_PAUSE;
  for (;;) {
    const abort = new AbortController();
    let watchdog = setTimeout(() => abort.abort(), SILENCE);
    try {
      const headers = last === null ? {} : { "Last-Event-ID": last };
      const response = await call("/api/v1/events", { headers, signal: abort.signal });
      on.link("open");
      const parser = new Parser((event) => {
        last = event.id;
        pause = FIRST_PAUSE;
        on.changes(JSON.parse(event.data));
      });
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        clearTimeout(watchdog);
        watchdog = setTimeout(() => abort.abort(), SILENCE);
        parser.take(value);
      }
    } catch (error) {
      if (error.status === 401) return on.locked();
    } finally {
      clearTimeout(watchdog);
    }
    on.link("lost");
    await new Promise((resolve) => setTimeout(resolve, pause));
    pause = Math.min(2 * pause, LONGEST_PAUSE);
  }
}
