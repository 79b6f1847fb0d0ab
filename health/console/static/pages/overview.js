// Whether all is well, and if not, where to look.

import { el } from "../dom.js";
import { count, since } from "../format.js";
import { kindOf, link, section, state, table } from "../parts.js";
import { plots, seriesPath } from "../series.js";
import { signIns } from "./servers.js";

const report = "/api/v1/health/report";
const alerts = "/api/v1/alerts";
const servers = "/api/v1/servers";
const maintenance = "/api/v1/maintenance";
const series = seriesPath("server", 15);

export default {
  name: "overview",
  title: "Overview",
  open(app) {
    return {
      follow: () => [report, alerts, servers, maintenance, series],
      view: () => [
        verdict(app.body(alerts), app.body(report), app.body(maintenance)),
        section("Last 15 minutes", app.body(series) ? plots(app.body(series), shown) : app.waiting(series)),
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
    bad.map((s) => el("li", null, state(s.alert_value), ` ${s.health_set} `, link("why", "health"))),
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
