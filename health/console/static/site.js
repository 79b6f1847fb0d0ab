// Questions to all nodes at once: /api/v1/site/ sends them on, and answers {nodes: [{node, answer or problem}]}.

import { post, query } from "./api.js";
import { el } from "./dom.js";
import { count } from "./format.js";

// site is the request that asks all nodes.
export function site(path, values = {}) {
  return query(`/api/v1/site/${path}`, values);
}

// rowsOf puts the rows of all nodes into one list. Each says its node.
export function rowsOf(answer) {
  return answer.nodes.flatMap((n) => (n.answer ?? []).map((row) => ({ ...row, node: n.node })));
}

// missing says which nodes have not answered, and why.
export function missing(answer) {
  return answer.nodes
    .filter((n) => n.problem)
    .map((n) => el("p", { class: "problem", key: `missing-${n.node}` }, `${n.node}: ${n.problem.detail}`));
}

// silent names the earlier processes that do not answer. Their sessions are missing.
export function silent(generations) {
  return rowsOf(generations)
    .filter((g) => g.silent)
    .map((g) => {
      const text = `${g.node}: process ${g.pid} does not answer. Its ${count(g.sessions, "session")} may be missing.`;
      return el("p", { class: "problem", key: `silent-${g.node}-${g.pid}` }, text);
    });
}

// postAll sends a change to all nodes, and returns what they answer. A node to which a name means nothing has nothing
// to change. It throws if a node has failed, and says where the change is made.
export async function postAll(path, body) {
  const { nodes } = await post(`/api/v1/site/${path}`, body);
  const done = nodes.filter((n) => !n.problem);
  const failed = nodes.filter((n) => n.problem && (done.length === 0 || n.problem.kind !== "unknown"));
  if (failed.length === 0) return done.map((n) => n.answer);
  if (nodes.length === 1) throw new Error(nodes[0].problem.detail);
  const text = failed.map((n) => `${n.node}: ${n.problem.detail}`).join("; ");
  throw new Error(done.length ? `Done on ${done.map((n) => n.node).join(", ")}. Not done on ${text}.` : `${text}.`);
}
