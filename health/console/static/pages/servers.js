// Mailbox servers: pause, block, and maintenance, which drains one.

import { get, path, post } from "../api.js";
import { el } from "../dom.js";
import { count, seconds, since } from "../format.js";
import { field, link, section, state, table } from "../parts.js";
import { nowPath, sessionsOf } from "../series.js";

const servers = "/api/v1/servers";
const databases = "/api/v1/databases";
const maintenance = "/api/v1/maintenance";
const figures = nowPath("server");

const hint = "Each server is asked for its greeting every five seconds while this page is open.";

export default {
  name: "servers",
  title: "Servers",
  open(app) {
    return {
      follow: () => [servers, maintenance, figures],
      view() {
        const all = app.body(servers);
        if (!all) return app.waiting(servers);
        const worked = app.body(maintenance) ?? [];
        return [
          el("p", { class: "hint" }, hint),
          serverTable(app, all, worked),
          worked.length > 0 && section("In maintenance", maintenanceTable(worked)),
        ];
      },
    };
  },
};

function serverTable(app, all, worked) {
  const sessions = (s) => String(sessionsOf(app.body(figures), s.name) ?? "list");
  const resting = (s) => worked.some((m) => m.server === s.name);
  const actions = (s) => [
    pauseButton(app, s),
    resting(s) ? endButton(app, s) : drainButton(app, s),
    blockButton(app, s),
  ];
  const columns = [
    ["Server", (s) => el("strong", null, s.name)],
    ["State", (s) => states(s, resting(s))],
    ["Sign-ins", signIns],
    ["Active databases", (s) => String(s.active), "number"],
    ["Activation", (s) => (s.blocked ? [state("blocked", "fair"), ` by ${blockers(s)}`] : s.policy), "word"],
    ["Error", (s) => s.error ?? ""],
    ["Sessions", (s) => link(sessions(s), "sessions", { server: s.name }), "number"],
    ["Actions", (s) => el("span", { class: "buttons" }, actions(s))],
  ];
  return table("Mailbox servers", columns, all, (s) => s.name, "No mailbox server is configured.");
}

// states are all that is to be known of a server at a glance.
function states(s, resting) {
  const all = [state(s.state)];
  if (resting) all.push(" ", state("maintenance", "fair"));
  if (s.breaker_open) all.push(" ", state("circuit breaker open", "bad"));
  return all;
}

// signIns says what becomes of new sign-ins.
export function signIns(s) {
  if (s.paused) return [state("paused", "fair"), ` ${seconds(s.paused)} left, ${s.waiting ?? 0} wait`];
  if (s.breaker_open) return "refused until a trial succeeds";
  return s.waiting ? `${s.waiting} wait` : "admitted";
}

function maintenanceTable(worked) {
  const left = (m) => (m.server ? m.active?.join(", ") || "no active database" : count(m.sessions ?? 0, "session"));
  const columns = [
    ["What", (m) => m.server ?? `this node, ${m.node}`],
    ["Since", (m) => since(m.since)],
    ["Still there", left],
  ];
  return table("In maintenance", columns, worked, (m) => m.server ?? m.node, "");
}

// blockers names those that block activation on a server.
function blockers(s) {
  return (s.blockers ?? [])
    .map((b) => [b.by, b.who, b.monitor && `for ${b.monitor}: ${b.why}`].filter(Boolean).join(" "))
    .join(", ");
}

function pauseButton(app, s) {
  if (s.paused) return resumeButton(app, s);
  const choices = [
    ["30", "30 seconds"],
    ["60", "1 minute"],
    ["300", "5 minutes"],
  ];
  const what = (time) =>
    `New sign-ins to ${s.name} wait for up to ${seconds(time)}. Existing sessions continue. The pause ends by itself.`;
  const spec = {
    title: `Pause sign-ins to ${s.name}?`,
    verb: "Pause",
    fields: [field("For", "time", { value: "60" }, choices)],
    say: ({ time }) => el("p", null, what(Number(time))),
    async run({ time }) {
      await post(path`/api/v1/servers/${s.name}/pause`, { seconds: Number(time) });
      return `Sign-ins to ${s.name} are paused.`;
    },
  };
  return app.changes("Pause", spec, { label: `Pause sign-ins to ${s.name}` });
}

function resumeButton(app, s) {
  const spec = {
    title: `Resume sign-ins to ${s.name}?`,
    verb: "Resume",
    say: () => el("p", null, `${count(s.waiting ?? 0, "waiting sign-in")}: admitted in order of arrival.`),
    async run() {
      await post(path`/api/v1/servers/${s.name}/pause`, { seconds: 0 });
      return `Sign-ins to ${s.name} are admitted again.`;
    },
  };
  return app.changes("Resume", spec, { label: `Resume sign-ins to ${s.name}` });
}

// expected lists what would become of the databases that are active on a server if they had to leave it.
function expected(server, copies) {
  const leaving = copies.filter((c) => c.active && c.server === server);
  return leaving.map(({ database }) => {
    const own = copies.filter((c) => c.database === database);
    const at = own.findIndex((c) => c.active);
    const next = [...own.slice(at + 1), ...own.slice(0, at)].find((c) => c.status === "Healthy" && !c.blocked);
    return el(
      "li",
      null,
      next ? `${database} moves to ${next.server}` : `${database} stays: no other copy can take it`,
    );
  });
}

// whatMoves says in a dialog what would move.
function whatMoves(server, copies) {
  const moves = expected(server, copies);
  return moves.length
    ? [
        el("p", null, "As things are now:"),
        el("ul", null, moves),
        el("p", null, "Sign-ins to these databases wait meanwhile, and their sessions end."),
      ]
    : el("p", null, `No database is active on ${server}: nothing moves.`);
}

function endButton(app, s) {
  const what =
    `${s.name} may have active databases again, and its monitors are on. No database moves back by itself: ` +
    "Rebalance on the page Databases does that.";
  const spec = {
    title: `End maintenance of ${s.name}?`,
    verb: "End maintenance",
    say: () => el("p", null, what),
    run: async () => steps(await post(path`/api/v1/servers/${s.name}/maintenance/stop`)),
  };
  return app.changes("End maintenance", spec, { label: `End maintenance of ${s.name}` });
}

function drainButton(app, s) {
  const rest = `Nothing is activated on ${s.name}, and its monitors are off, until somebody ends the maintenance.`;
  const spec = {
    title: `Drain ${s.name} for maintenance?`,
    verb: "Drain the server",
    danger: true,
    load: () => get(databases),
    say: (_, copies) => [whatMoves(s.name, copies), el("p", null, rest)],
    run: async () => steps(await post(path`/api/v1/servers/${s.name}/maintenance/start`)),
  };
  return app.changes("Drain", spec, { label: `Drain ${s.name}`, kind: "danger" });
}

// steps tells what became of the steps of maintenance.
export function steps(all) {
  return all.map((s) => `${s.what}: ${s.result}`).join("; ") + ".";
}

function blockButton(app, s) {
  if (s.blockers?.some((b) => b.by === "operator")) return unblockButton(app, s);
  const choices = [
    ["", "stay"],
    ["yes", "move away now"],
  ];
  const spec = {
    title: `Block activation on ${s.name}?`,
    verb: "Block",
    fields: [field("Databases that are active there", "move", { value: "" }, choices)],
    load: () => get(databases),
    say: ({ move }, copies) => [
      el("p", null, `No database is activated on ${s.name} until it is unblocked.`),
      move && whatMoves(s.name, copies),
    ],
    async run({ move }) {
      const moves = await post(path`/api/v1/servers/${s.name}/block`, { move: move === "yes" });
      return [`Activation on ${s.name} is blocked.`, ...moves.map(moved)].join(" ");
    },
  };
  return app.changes("Block", spec, { label: `Block activation on ${s.name}` });
}

function unblockButton(app, s) {
  const spec = {
    title: `Unblock ${s.name}?`,
    verb: "Unblock",
    say: () => el("p", null, `Databases may be activated on ${s.name} again. None moves back by itself.`),
    async run() {
      const change = await post(path`/api/v1/servers/${s.name}/unblock`);
      return `${change.what}: ${change.was}, now ${change.now}.`;
    },
  };
  return app.changes("Unblock", spec, { label: `Unblock ${s.name}` });
}

// moved tells what became of a database that was to move.
export function moved(m) {
  return m.to ? `${m.database} moved to ${m.to}.` : `${m.database} stays: ${m.reason}.`;
}
