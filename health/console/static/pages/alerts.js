// Open alerts: what is at fault, and what was tried.

import { el } from "../dom.js";
import { since } from "../format.js";
import { facts, link, state } from "../parts.js";
import { idOf, repairButton, runbookLink } from "./health.js";

const alerts = "/api/v1/alerts";
const report = "/api/v1/health/report";

export default {
  name: "alerts",
  title: "Alerts",
  open(app) {
    return {
      follow: () => [alerts, report],
      view() {
        const open = app.body(alerts);
        if (!open) return app.waiting(alerts);
        return [
          open.length ? open.map((a) => alert(app, a)) : el("p", { class: "empty" }, "No alert is open."),
          el("p", null, link("What recovery has done", "health")),
        ];
      },
    };
  },
};

function alert(app, a) {
  const monitors = (app.body(report) ?? []).flatMap((s) => s.monitors);
  const line = (id) => {
    const m = monitors.find((other) => idOf(other) === id);
    const actions = m && el("span", { class: "buttons" }, runbookLink(m), repairButton(app, m));
    return [m && [state(m.alert_value), " "], id, actions];
  };
  return el(
    "article",
    { key: a.cause + a.since, class: "fault" },
    el("h2", null, state("open", "bad"), ` ${[a.cause, ...(a.servers ?? [])].join(" of ")}`),
    facts([
      ["Since", since(a.since)],
      ["Error", a.error],
      ["Mailbox server", a.mailbox],
      ["Monitors", list((a.monitors ?? []).map(line))],
      ["Tried so far", a.tried?.length ? list(a.tried) : "nothing yet"],
      ["Seen by nodes", (a.holders ?? []).join(", ")],
      ["Diagnostic bundle", a.bundle && el("code", null, a.bundle)],
    ]),
  );
}

function list(items) {
  return el(
    "ul",
    null,
    items.map((item) => el("li", null, item)),
  );
}
