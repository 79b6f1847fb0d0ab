// Rates and times by server, verb, database or listener, as they are and over the last hour.

import { el } from "../dom.js";
import { amount, bytes, seconds } from "../format.js";
import { field, section, table } from "../parts.js";
import { nowPath, plots, refusals, seriesPath } from "../series.js";

const words = { server: "mailbox server", verb: "command", database: "database", listener: "listener" };
const minutes = { 5: "5 minutes", 15: "15 minutes", 60: "hour" };
const all = ["commands", "p50", "p95", "p99", "queued", "sessions", "signIns", "refused", "traffic"];
const ofVerbs = ["commands", "p50", "p95", "p99"]; // nothing else is counted by verb

export default {
  name: "traffic",
  title: "Traffic",
  open(app) {
    const asked = { by: "server", minutes: "15", server: "", verb: "", ...app.args };
    // narrow are the filters, which only some figures have
    const narrow = () => (["server", "verb"].includes(asked.by) ? { server: asked.server, verb: asked.verb } : {});
    const series = () => seriesPath(asked.by, asked.minutes, narrow());
    const now = () => nowPath(asked.by, narrow());
    const set = (name) => (event) => {
      asked[name] = event.target.value;
      app.refollow();
    };
    return {
      follow: () => [series(), now()],
      view() {
        const [past, latest] = [app.body(series()), app.body(now())];
        const shown = asked.by === "verb" || narrow().verb ? ofVerbs : all;
        return [
          chooser(app, asked, set),
          past ? plots(past, shown) : app.waiting(series()),
          section("Last minute", latest ? figures(latest, words[asked.by], shown === all) : app.waiting(now())),
        ];
      },
    };
  },
};

function chooser(app, asked, set) {
  const names = (list) => [["", "all"], ...list.map((name) => [name])];
  const choice = (label, name, options) => field(label, name, { value: asked[name], onchange: set(name) }, options);
  return el(
    "form",
    { class: "filter", "aria-label": "What to plot", onsubmit: (e) => e.preventDefault() },
    choice("By", "by", Object.entries(words)),
    choice("Of the last", "minutes", Object.entries(minutes)),
    choice("Only mailbox server", "server", names(app.names.servers)),
    choice("Only command", "verb", names(app.names.commands)),
  );
}

// figures are those of the last minute; with whole, also those that are not counted by verb.
function figures(answer, noun, whole) {
  const span = answer.seconds || 1;
  const timed = (name) => (r) => (r.commands ? seconds(r[name]) : "");
  const columns = [
    [noun[0].toUpperCase() + noun.slice(1), (r) => el("strong", null, r.name)],
    whole && ["Sessions", (r) => amount(r.sessions ?? 0), "number"],
    ["Commands", (r) => `${amount(r.commands / span)}/s`, "number"],
    ["50 % within", timed("p50"), "number"],
    ["95 % within", timed("p95"), "number"],
    ["99 % within", timed("p99"), "number"],
    whole && ["Queued", (r) => amount(r.queued ?? 0), "number"],
    whole && ["Sign-ins", (r) => `${amount((r.sign_ins ?? 0) / span)}/s`, "number"],
    whole && ["Refused", (r) => amount(refusals(r)), "number"],
    whole && ["To clients", (r) => `${bytes((r.server_bytes ?? 0) / span)}/s`, "number"],
  ].filter(Boolean);
  const rows = answer.rows.toSorted((a, b) => b.commands - a.commands);
  return table(`Figures by ${noun}`, columns, rows, (r) => r.name, "Nothing was counted in the last minute.");
}
