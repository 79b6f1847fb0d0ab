// Open alerts: what is at fault, and what was tried.

import { el } from "../dom.js";
import { since } from "../format.js";
import { facts, link, state } from "../parts.js";

const alerts = "/api/v1/alerts";

export default {
  name: "alerts",
  title: "Alerts",
  open(app) {
    return {
      follow: () => [alerts],
      view() {
        const open = app.body(alerts);
        if (!open) return app.waiting(alerts);
        return open.length ? open.map(alert) : el("p", { class: "empty" }, "No alert is open.");
      },
    };
  },
};

function alert(a) {
  return el(
    "article",
    { key: a.cause + a.since, class: "fault" },
    el("h2", null, state("open", "bad"), ` ${[a.cause, ...(a.servers ?? [])].join(" of ")}`),
    facts([
      ["Since", since(a.since)],
      ["Error", a.error],
      ["Mailbox server", a.mailbox],
      ["Monitors", list(a.monitors ?? [])],
      ["Tried so far", a.tried?.length ? list(a.tried) : "nothing yet"],
      ["Seen by nodes", (a.holders ?? []).join(", ")],
      ["Diagnostic bundle", a.bundle && el("code", null, a.bundle)],
    ]),
    el("p", { class: "buttons" }, link("Health", "health"), link("Runbooks", "runbooks")),
  );
}

function list(texts) {
  return el(
    "ul",
    null,
    texts.map((text) => el("li", null, text)),
  );
}
