// Requests to the API of this node, as any client sends them. The token is only in this module's memory, and ends with
// the page. It travels in a header that no other site can make a browser send, so no request can be forged.

let token = "";

// useToken sends a token with each request from now on; "" sends none.
export function useToken(given) {
  token = given;
}

// hasToken says whether one is sent.
export function hasToken() {
  return token !== "";
}

// Problem is an answer that is an error. Its message is the sentence that the API sends.
class Problem extends Error {
  constructor(status, body) {
    super(body?.detail ?? `Portico answered with status ${status}.`);
    this.status = status;
    this.kind = body?.kind ?? "";
    this.advice = body?.advice ?? "";
  }
}

async function send(path, options = {}) {
  const headers = { ...options.headers };
  if (token) headers.Authorization = `Bearer ${token}`;
  let answer;
  try {
    answer = await fetch(path, { ...options, headers, credentials: "same-origin", redirect: "error" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { detail: "Portico does not answer.", advice: "Look whether it runs, and try again." });
  }
  if (answer.ok) return answer;
  let body;
  try {
    body = await answer.json();
  } catch {
    body = undefined;
  }
  throw new Problem(answer.status, body);
}

// get returns the answer to a request that reads.
export async function get(path, signal) {
  return (await send(path, { signal })).json();
}

// getTagged returns the answer to a request that reads, and its ETag, which names the state that the answer shows.
export async function getTagged(path) {
  const answer = await send(path);
  return { body: await answer.json(), etag: answer.headers.get("ETag") };
}

// post sends a change, and returns the answer. With an ETag, the change is made only in the state that the tag names.
export async function post(path, body, etag) {
  const headers = { "Content-Type": "application/json" };
  if (etag) headers["If-Match"] = etag;
  const answer = await send(path, { method: "POST", body: JSON.stringify(body ?? {}), headers });
  return answer.json();
}

// lines calls onLine for each line of an answer that does not end by itself.
export async function lines(path, signal, onLine) {
  const reader = (await send(path, { signal })).body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const whole = (rest + value).split("\n");
    rest = whole.pop();
    whole.forEach(onLine);
  }
}

// path writes names into a path of the API, such as path`/api/v1/users/${name}/kick`.
export function path(texts, ...names) {
  return texts.reduce((all, text, i) => all + encodeURIComponent(names[i - 1]) + text);
}

// query adds the values that are not empty to a path.
export function query(at, values) {
  const given = Object.entries(values).filter(([, value]) => value !== "" && value !== undefined);
  return given.length ? `${at}?${new URLSearchParams(given)}` : at;
}
