// Databases and their copies: move, resume, rebalance.

import { path, post } from "../api.js";
import { el } from "../dom.js";
import { field, state, table } from "../parts.js";
import { nowPath, sessionsOf } from "../series.js";
import { moved } from "./servers.js";

const databases = "/api/v1/databases";
const figures = nowPath("database");

export default {
  name: "databases",
  title: "Databases",
  open(app) {
    return {
      follow: () => [databases, figures],
      view() {
        const copies = app.body(databases);
        if (!copies) return app.waiting(databases);
        return [el("p", { class: "buttons" }, rebalanceButton(app)), copyTable(app, copies)];
      },
    };
  },
};

function copyTable(app, copies) {
  const sessions = (c) => (c.active ? sessionsOf(app.body(figures), c.database) : undefined);
  const actions = (c) => [c.active && moveButton(app, c, copies, sessions(c)), c.failed && resumeButton(app, c)];
  const columns = [
    ["Database", (c) => el("strong", null, c.database)],
    ["Server", (c) => c.server],
    ["Copy", (c) => (c.active ? "active" : "passive")],
    ["Status", (c) => state(c.status)],
    ["Sessions", (c) => String(sessions(c) ?? ""), "number"],
    ["Activation", activation],
    ["Why", (c) => c.failed ?? c.error ?? ""],
    ["Actions", (c) => el("span", { class: "buttons" }, actions(c))],
  ];
  const empty = "No database is configured: each user has a server.";
  return table("Copies of databases", columns, copies, (c) => `${c.database}/${c.server}`, empty);
}

// activation says whether a copy may become the active one by itself.
function activation(c) {
  if (c.blocked) return [state("blocked", "fair"), c.barred && ` ${c.barred}`];
  return c.barred ?? "allowed";
}

function moveButton(app, active, copies, sessions) {
  const others = copies.filter((c) => c.database === active.database && !c.active);
  const forces = [
    ["", "do not move"],
    ["yes", "move nevertheless"],
  ];
  const servers = others.map((c) => [c.server, `${c.server} (${c.status})`]);
  const spec = {
    title: `Move ${active.database}?`,
    verb: "Move the database",
    danger: true,
    fields: [
      field("To the copy on", "server", { value: others[0]?.server }, servers),
      field("If that server does not answer", "force", { value: "" }, forces),
    ],
    say: ({ server, force }) => whatMoves(active, others.find((c) => c.server === server) ?? {}, force, sessions),
    async run({ server, force }) {
      const at = path`/api/v1/databases/${active.database}/move`;
      const change = await post(at, { server, force: force === "yes" });
      return `${active.database} was on ${change.was}, and is on ${change.now} now.`;
    },
  };
  const reason = others.length ? "" : "There is no other copy.";
  return app.changes("Move", spec, { label: `Move ${active.database}`, reason });
}

// whatMoves says what a move does, and what speaks against it.
function whatMoves(active, to, force, sessions) {
  const doubts = [];
  if (to.blocked) doubts.push(`Activation on ${to.server} is blocked.`);
  if (to.status !== "Healthy" && !force) {
    const why = to.error ? `: ${to.error}` : "";
    doubts.push(`The copy on ${to.server} is ${to.status}${why}. Portico may refuse the move.`);
  }
  const steps = [
    `Sign-ins to ${active.database} wait.`,
    `Its sessions on ${active.server} end${sessions === undefined ? "" : `: ${sessions} now`}.`,
    `Users sign in at ${to.server} from then on.`,
  ];
  return [
    el(
      "ol",
      null,
      steps.map((step) => el("li", null, step)),
    ),
    doubts.map((doubt) => el("p", { class: "problem" }, doubt)),
  ];
}

function resumeButton(app, copy) {
  const which = `the copy of ${copy.database} on ${copy.server}`;
  const spec = {
    title: `Resume ${which}?`,
    verb: "Resume",
    say: () =>
      el("p", null, `The copy is Failed: ${copy.failed}. Resume it only if you know that its mail can be read.`),
    async run() {
      await post(path`/api/v1/databases/${copy.database}/resume`, { server: copy.server });
      return `Resumed ${which}.`;
    },
  };
  return app.changes("Resume", spec, { label: `Resume ${which}` });
}

function rebalanceButton(app) {
  const what =
    "Each database moves to its first copy that is Healthy and not blocked. Sessions of those that move end. " +
    "Databases that are there already stay as they are.";
  return app.changes("Rebalance", {
    title: "Rebalance all databases?",
    verb: "Rebalance",
    danger: true,
    say: () => el("p", null, what),
    async run() {
      const moves = await post("/api/v1/rebalance");
      return moves.length ? moves.map(moved).join(" ") : "Every database is where it should be.";
    },
  });
}
