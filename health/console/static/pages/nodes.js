// Nodes side by side, and maintenance of this one.

import { post } from "../api.js";
import { el } from "../dom.js";
import { amount, seconds, since, time } from "../format.js";
import { facts, field, kindOf, section, state, table } from "../parts.js";
import { site } from "../site.js";
import { steps } from "./servers.js";

const components = "/api/v1/components";
const maintenance = "/api/v1/maintenance";
const generations = "/api/v1/service/generations";
const asked = {
  report: site("health/report"),
  stats: site("stats", { since: 60 }),
  alerts: site("alerts"),
  worked: site("maintenance"),
};

export default {
  name: "nodes",
  title: "Nodes",
  open(app) {
    return {
      follow: () => [...Object.values(asked), components, maintenance, generations],
      view() {
        const own = app.body(maintenance)?.find((m) => m.node);
        return [
          section("Side by side", app.body(asked.report) ? sideBySide(app) : app.waiting(asked.report)),
          section(
            `This node, ${app.names.node}`,
            own &&
              facts([
                ["Maintenance since", since(own.since)],
                ["Sessions left", String(own.sessions ?? 0)],
              ]),
            el("p", { class: "buttons" }, own ? endButton(app) : drainButton(app)),
            componentTable(app),
          ),
          processes(app),
        ];
      },
    };
  },
};

// sideBySide compares the nodes: figures first, then their health sets.
function sideBySide(app) {
  const of = (what, n) => app.body(asked[what])?.nodes.find((other) => other.node === n.node)?.answer;
  const nodes = app.body(asked.report).nodes;
  const columns = [
    ["Node", (n) => el("strong", null, n.node)],
    ["State", (n) => (n.problem ? state("no answer", "bad") : worst(n.answer))],
    ["Sessions", (n) => sum(of("stats", n), (r) => r.sessions ?? 0), "number"],
    ["Commands", (n) => rate(of("stats", n)), "number"],
    ["95 % within", (n) => highest(of("stats", n)), "number"],
    ["Queued", (n) => sum(of("stats", n), (r) => r.queued ?? 0), "number"],
    ["Open alerts", (n) => String(of("alerts", n)?.length ?? ""), "number"],
    ["In maintenance", (n) => (of("worked", n) ?? []).map((m) => m.server ?? "the node").join(", ")],
    ["Why", (n) => n.problem?.detail ?? ""],
  ];
  const all = table("Nodes", columns, nodes, (n) => n.node, "There is no node.");
  return nodes.length > 1 ? [all, el("h3", null, "Health sets"), setTable(nodes)] : all;
}

function setTable(nodes) {
  const sets = [...new Set(nodes.flatMap((n) => (n.answer ?? []).map((s) => s.health_set)))];
  const stateOf = (n, set) => n.answer?.find((s) => s.health_set === set)?.alert_value;
  const columns = [
    ["Health set", (set) => el("strong", null, set)],
    ...nodes.map((n) => [n.node, (set) => (stateOf(n, set) ? state(stateOf(n, set)) : "no answer")]),
  ];
  return table("Health sets of nodes", columns, sets, (set) => set, "No node answers.");
}

const badness = { good: 0, fair: 1, bad: 2 };

// worst shows the worst state of health sets.
function worst(sets) {
  const [word] = sets.map((s) => s.alert_value).toSorted((a, b) => badness[kindOf(b)] - badness[kindOf(a)]);
  return word ? state(word) : "";
}

function sum(stats, value) {
  return stats ? amount(stats.rows.reduce((all, r) => all + value(r), 0)) : "";
}

function rate(stats) {
  return stats ? `${amount(stats.rows.reduce((all, r) => all + r.commands, 0) / (stats.seconds || 1))}/s` : "";
}

// highest is the 95th percentile of the mailbox server that is slowest.
function highest(stats) {
  const times = (stats?.rows ?? []).filter((r) => r.commands).map((r) => r.p95);
  return times.length ? seconds(Math.max(...times)) : "";
}

// processes shows which process carries what, after an upgrade.
function processes(app) {
  const all = app.body(generations) ?? [];
  if (all.length < 2) return null;
  const columns = [
    ["Process", (g) => String(g.pid)],
    ["Version", (g) => g.version],
    ["Since", (g) => since(g.since)],
    ["Sessions", (g) => String(g.sessions), "number"],
    ["State", processState],
  ];
  return section("Its processes", table("Processes", columns, all, (g) => String(g.pid), ""));
}

function processState(g) {
  if (g.silent) return state(`no answer for ${seconds(g.silent)}`, "bad");
  if (g.serving) return state("takes clients", "good");
  return state(g.until ? `ends by ${time(g.until)}` : "ends with its last session", "fair");
}

function componentTable(app) {
  const all = app.body(components);
  if (!all) return app.waiting(components);
  const request = (r) => `${r.state} by ${r.requester} since ${since(r.at)}`;
  const columns = [
    ["Component", (c) => [c.component, c.server].filter(Boolean).join(" of ")],
    ["State", (c) => state(c.state)],
    ["Asked for", (c) => (c.requests ?? []).map(request).join("; ")],
  ];
  return table("Components", columns, all, (c) => `${c.component} ${c.server}`, "There is no component.");
}

function endButton(app) {
  return app.changes("End maintenance of this node", {
    title: `End maintenance of ${app.names.node}?`,
    verb: "End maintenance",
    say: () => el("p", null, "The node takes clients again."),
    run: async () => steps(await post("/api/v1/maintenance/stop")),
  });
}

function drainButton(app) {
  const choices = [
    ["30", "30 seconds"],
    ["120", "2 minutes"],
    ["240", "4 minutes"],
  ];
  const alone = "The configuration names no other node: nobody may be left to serve users.";
  const spec = {
    title: `Drain ${app.names.node}?`,
    verb: "Drain the node",
    danger: true,
    fields: [field("Sessions end within", "time", { value: "30" }, choices)],
    say: () => [
      el("p", null, "The node refuses new clients, and all its sessions end. Load balancers see it as down."),
      app.names.nodes.length === 0 && el("p", { class: "problem" }, alone),
    ],
    run: async ({ time }) => steps(await post("/api/v1/maintenance/start", { seconds: Number(time) })),
  };
  return app.changes("Drain this node", spec, { kind: "danger" });
}
