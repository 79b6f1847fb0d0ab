// Whether all is well, and if not, where to look.

import { el } from "../dom.js";
import { count, since } from "../format.js";
import { kindOf, link, section, state, table } from "../parts.js";
import { plots, seriesPath } from "../series.js";
import { rowsOf, site } from "../site.js";
import { signIns } from "./servers.js";
import { sessionTable, slowTable } from "./sessions.js";

const report = "/api/v1/health/report";
const alerts = "/api/v1/alerts";
const servers = "/api/v1/servers";
const maintenance = "/api/v1/maintenance";
const series = seriesPath("server", 15);
const waits = site("sessions", { where: "Age -gt 1s -and Command -ne IDLE", sort: "-Age", limit: 5 });

export default {
  name: "overview",
  title: "Overview",
  open(app) {
    const lately = new Date(Date.now() - 3600_000).toISOString();
    const slow = site("slow", { from: lately, limit: 5 });
    return {
      follow: () => [report, alerts, servers, maintenance, series, waits, slow],
      view: () => [
        verdict(app.body(alerts), app.body(report), app.body(maintenance)),
        section(
          "Last 15 minutes",
          app.body(series) ? plots(app.body(series), shown) : app.waiting(series),
          el("p", null, link("The last hour, by command, database or listener", "traffic", { minutes: 60 })),
        ),
        section("Who waits for more than a second", whoWaits(app)),
        section(
          "Slowest commands of the last hour",
          app.body(slow) ? slowTable(app, rowsOf(app.body(slow)), 5) : app.waiting(slow),
        ),
        section("Health sets", sets(app)),
        section("Mailbox servers", serverTable(app)),
      ],
    };
  },
};

const shown = ["commands", "p95", "queued", "sessions"];

// verdict says in a sentence how things are.
function verdict(open, sets, worked) {
  if (!open || !sets) return el("p", { class: "empty" }, "Loading…");
  const bad = sets.filter((s) => kindOf(s.alert_value) === "bad");
  const lines = [
    open.length > 0 &&
      el(
        "li",
        null,
        state(count(open.length, "open alert"), "bad"),
        " ",
        link(open.map((a) => a.cause).join(", "), "alerts"),
      ),
    bad.map((s) => el("li", null, state(s.alert_value), ` ${s.health_set}: ${faults(s)} `, link("why", "health"))),
    (worked ?? []).map((m) =>
      el(
        "li",
        null,
        state("maintenance", "fair"),
        ` ${m.server ?? `this node, ${m.node}`} since ${since(m.since)} `,
        link("show", m.server ? "servers" : "nodes"),
      ),
    ),
  ]
    .flat()
    .filter(Boolean);
  if (lines.length) return el("ul", { class: "verdict" }, lines);
  return el("p", { class: "verdict" }, state("ok", "good"), " Every health set is well, and no alert is open.");
}

// faults names the monitors that make a health set unhealthy, and since when.
function faults(set) {
  const bad = set.monitors.filter((m) => kindOf(m.alert_value) === "bad");
  const names = bad.slice(0, 3).map((m) => [m.name, m.target_resource].filter(Boolean).join(" "));
  if (bad.length > 3) names.push(`${bad.length - 3} more`);
  return `${names.join(", ")}, since ${since(set.last_transition_time)}`;
}

// whoWaits shows the sessions whose commands wait longest, and whether for the mailbox server.
function whoWaits(app) {
  const answer = app.body(waits);
  if (!answer) return app.waiting(waits);
  const rows = rowsOf(answer).toSorted((a, b) => b.age - a.age);
  return rows.length ? sessionTable(app, rows.slice(0, 5)) : el("p", { class: "empty" }, "Nobody.");
}

function sets(app) {
  const all = app.body(report);
  if (!all) return app.waiting(report);
  const columns = [
    ["Health set", (s) => link(s.health_set, "health")],
    ["State", (s) => state(s.alert_value)],
    ["Since", (s) => since(s.last_transition_time)],
    ["Monitors", (s) => String(s.monitor_count), "number"],
  ];
  return table("Health sets", columns, all, (s) => s.health_set, "There is no health set.");
}

function serverTable(app) {
  const all = app.body(servers);
  if (!all) return app.waiting(servers);
  const columns = [
    ["Server", (s) => link(s.name, "servers")],
    ["State", (s) => state(s.state)],
    ["Active databases", (s) => String(s.active), "number"],
    ["Sign-ins", signIns],
    ["Sessions", (s) => link("sessions", "sessions", { server: s.name })],
  ];
  return table("Mailbox servers", columns, all, (s) => s.name, "No mailbox server is configured.");
}
