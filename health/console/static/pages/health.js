// Health sets with their monitors: what failed last, and what recovery does about it.

import { post } from "../api.js";
import { el } from "../dom.js";
import { count, since, time, until } from "../format.js";
import { facts, kindOf, link, section, state, table } from "../parts.js";

const report = "/api/v1/health/report";
const recovery = "/api/v1/recovery";
const runbooks = {
  ImapSelfTestMonitor: "selftest",
  ImapDeepTestMonitor: "deep",
  ImapProxyTestMonitor: "proxy",
  ImapCTPMonitor: "ctp",
  RequestsQueuedGt500Monitor: "queue",
  AverageCommandProcessingTimeGt60sMonitor: "average",
};

export default {
  name: "health",
  title: "Health",
  open(app) {
    return {
      follow: () => [report, recovery],
      view() {
        const sets = app.body(report);
        if (!sets) return app.waiting(report);
        const acts = app.body(recovery);
        const bad = sets.flatMap((s) => s.monitors).filter((m) => kindOf(m.alert_value) === "bad" || m.error);
        const faults = bad.map((m) => fault(app, m, acts));
        return [
          faults.length > 0 && section("To look at", faults),
          section("Health sets", sets.map(healthSet)),
          section("Recovery", acts ? recoveryView(acts) : app.waiting(recovery)),
        ];
      },
    };
  },
};

export const idOf = (m) => [m.health_set_name, m.name, m.target_resource].filter(Boolean).join("/");

function healthSet(set) {
  const about = `${count(set.monitor_count, "monitor")}, since ${time(set.last_transition_time)}`;
  return el(
    "details",
    { key: set.health_set, open: set.alert_value !== "Healthy" },
    el("summary", null, state(set.alert_value), ` ${set.health_set} `, el("small", null, about)),
    monitors(set),
  );
}

function monitors(set) {
  const probe = (m) => (m.last_execution_time ? `${m.last_execution_result} ${time(m.last_execution_time)}` : "");
  const columns = [
    ["Monitor", (m) => el("span", { title: m.description }, m.name), "word"],
    ["Target", (m) => m.target_resource],
    ["State", states],
    ["Since", (m) => time(m.last_transition_time), "word"],
    ["Last probe", probe, "word"],
    ["Last failure", (m) => m.error ?? ""],
  ];
  return table(`Monitors of ${set.health_set}`, columns, set.monitors, idOf, "It has no monitors.");
}

function states(m) {
  const all = [state(m.alert_value)];
  if (m.flapping) all.push(" ", state("flaps", "fair"));
  if (m.is_stale) all.push(" ", state("stale", "fair"));
  return all;
}

// fault is an unhealthy monitor: why, since when, and what recovery does.
function fault(app, m, acts) {
  const id = idOf(m);
  const ladder = acts?.ladders.find((l) => l.monitor === id);
  const steps = acts?.steps[m.name] ?? [];
  return el(
    "article",
    { key: id, class: "fault" },
    el("h3", null, state(m.alert_value), ` ${m.name} ${m.target_resource}`),
    facts([
      ["It means", m.description],
      ["Since", since(m.first_alert_observed_time ?? m.last_transition_time)],
      ["Error", m.error],
      ["At fault", [m.dependency, m._mbx].filter(Boolean).join(" of ")],
      ["Recovery", ladder ? progress(ladder, steps, acts) : steps.length ? "has not begun" : "has no steps for it"],
    ]),
    el(
      "p",
      { class: "buttons" },
      runbookLink(m),
      m.mailbox_server && link("Server", "servers"),
      repairButton(app, m),
    ),
  );
}

// progress says how far recovery's steps are.
function progress(ladder, steps, acts) {
  const far = (i) => {
    if (i < ladder.rung) return ": done or passed over";
    if (i > ladder.rung) return "";
    if (ladder.begun) return ": in progress";
    return acts.mode === "act" && !ladder.told ? `: due ${until(ladder.next) || "now"}` : "";
  };
  const step = (name, i) =>
    el("li", { "aria-current": i === ladder.rung && "step" }, name.replaceAll("_", " "), far(i));
  return [
    el("ol", { class: "steps" }, steps.map(step)),
    ladder.note && el("p", null, ladder.note),
    ladder.told && el("p", null, "It is for people now."),
  ];
}

// runbookLink goes to the runbook of a monitor, if it has one.
export function runbookLink(m) {
  const book = runbooks[m.name];
  return book && link("Runbook", "runbooks", { book, target: m.target_resource });
}

// repairButton says that somebody works on a fault, which silences its alerts.
export function repairButton(app, m) {
  const id = idOf(m);
  const on = m.alert_value !== "Repairing";
  const what = on
    ? "The monitor shows Repairing: recovery leaves it alone, and it sends no alerts."
    : "The monitor is judged again, and recovery acts on it.";
  const spec = {
    title: on ? `Say that somebody repairs ${m.name}?` : `Say that nobody repairs ${m.name} any longer?`,
    verb: "Say so",
    say: () => el("p", null, what),
    async run() {
      await post("/api/v1/health/repairing", { monitor: id, on });
      return on ? `${m.name} is Repairing.` : `${m.name} is judged again.`;
    },
  };
  const text = on ? "Acknowledge" : "End Repairing";
  return app.changes(text, spec, { label: `${text}: ${m.name} ${m.target_resource}` });
}

function recoveryView(acts) {
  const columns = [
    ["Time", (r) => time(r.start_time), "word"],
    ["Action", (r) => r.id, "word"],
    ["For", (r) => r.resource_name, "word"],
    ["By", (r) => r.requestor_name, "word"],
    ["Result", (r) => state(r.result || r.state)],
    ["What", (r) => [r.context, r.exception_message].filter(Boolean).join(": ")],
  ];
  const records = acts.records.slice(0, 30);
  return [
    facts([
      ["Mode", acts.mode],
      ["RecoveryActionsEnabled", state(acts.active ? "Active" : "Inactive")],
      ["Off for", (acts.off_for ?? []).join(", ")],
      ["Alerts", acts.tells ? "are sent" : "only the log has them"],
    ]),
    table("Recovery log", columns, records, (r) => r.instance_id, "Recovery has done nothing so far."),
  ];
}
