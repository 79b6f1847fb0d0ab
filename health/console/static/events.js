// The stream of server-sent events: the answers of the requests that a page follows, again whenever they change.
// EventSource cannot send a token, so this reads the stream itself.

import { lines } from "./api.js";

const again = 2000; // milliseconds before a stream that broke is opened again

// follow calls onAnswer(path, status, body) for each answer, and onState(problem) when the stream breaks, or with
// nothing when it works. It returns a function that ends it.
export function follow(paths, onAnswer, onState) {
  const end = new AbortController();
  run(paths, onAnswer, onState, end.signal);
  return () => end.abort();
}

async function run(paths, onAnswer, onState, signal) {
  const at = `/api/v1/events?${new URLSearchParams(paths.map((path) => ["path", path]))}`;
  while (!signal.aborted) {
    let failed;
    try {
      await lines(at, signal, (line) => {
        if (signal.aborted || !line.startsWith("data: ")) return;
        const { path, status, body } = JSON.parse(line.slice("data: ".length));
        onState();
        onAnswer(path, status, body);
      });
    } catch (error) {
      failed = error;
    }
    if (signal.aborted) return;
    if (failed) {
      onState(failed);
      await new Promise((done) => setTimeout(done, again));
    }
  }
}
