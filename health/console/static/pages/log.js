// The protocol log of this node: rules, rows as they come, and rows of the files.

import { lines, post, query } from "../api.js";
import { el } from "../dom.js";
import { count, seconds, since, time, until } from "../format.js";
import { button, facts, field, section, table } from "../parts.js";

const status = "/api/v1/log";
const most = 300; // rows shown; older ones go

export default {
  name: "log",
  title: "Protocol log",
  open(app) {
    const { past, ...given } = app.args;
    const filter = { user: "", server: "", session: "", command: "", ip: "", ...given };
    const reader = new Reader(app.redraw);
    const watch = () => reader.read(query("/api/v1/log/stream", { format: "json", ...filter }), true);
    if (app.caller.who && past) reader.read(query("/api/v1/log/rows", { format: "json", session: past }), false);
    else if (app.caller.who && Object.keys(given).length) watch();
    const onsubmit = (event) => {
      event.preventDefault();
      Object.assign(filter, Object.fromEntries(new FormData(event.target)));
      watch();
    };
    return {
      follow: () => [status],
      close: () => reader.stop(),
      view: () => [
        filterForm(filter, reader, onsubmit),
        past && el("p", { class: "sum" }, `Rows of session ${past} in the files.`),
        reader.problem && el("p", { class: "problem", role: "alert" }, reader.problem),
        reader.lost > 0 &&
          el("p", { class: "problem" }, `${count(reader.lost, "row")} came faster than this page could show.`),
        rowTable(reader),
        section("Rules", app.body(status) ? rules(app, app.body(status)) : app.waiting(status)),
      ],
    };
  },
};

// Reader reads rows, until it is told to read others.
class Reader {
  rows = [];
  lost = 0;
  problem = "";
  held = false; // rows that come are not shown

  constructor(changed) {
    this.changed = changed;
  }

  get reads() {
    return Boolean(this.end);
  }

  stop() {
    this.end?.abort();
    this.end = undefined;
    this.changed();
  }

  hold() {
    this.held = !this.held;
    this.changed();
  }

  // read reads the rows of an answer, or with live as they come.
  async read(at, live) {
    this.end?.abort();
    const end = (this.end = new AbortController());
    Object.assign(this, { rows: [], lost: 0, problem: "", live });
    this.changed();
    try {
      await lines(at, end.signal, (line) => line && this.end === end && this.take(JSON.parse(line)));
      if (live && this.end === end) this.problem = "The stream has ended.";
    } catch (error) {
      if (end.signal.aborted) return;
      this.problem = error.message;
    }
    if (this.end === end) this.stop();
  }

  take(row) {
    if (this.held) return;
    if (row.lost) this.lost += row.lost;
    else this.rows.push({ ...row, n: (this.rows.at(-1)?.n ?? 0) + 1 });
    if (this.rows.length > most) this.rows = this.live ? this.rows.slice(-most) : this.rows.slice(0, most);
    this.changed();
  }
}

function filterForm(filter, reader, onsubmit) {
  return el(
    "form",
    { class: "filter", role: "search", "aria-label": "Protocol log", onsubmit },
    field("User", "user", { value: filter.user, placeholder: "* is any characters" }),
    field("Server", "server", { value: filter.server }),
    field("Session", "session", { value: filter.session }),
    field("Command", "command", { value: filter.command }),
    field("Address", "ip", { value: filter.ip }),
    el("button", { type: "submit", class: "primary" }, reader.reads ? "Watch these" : "Watch"),
    reader.reads && button("Stop", () => reader.stop()),
    reader.reads && button(reader.held ? "Go on" : "Hold", () => reader.hold()),
  );
}

function rowTable(reader) {
  const columns = [
    ["Time", (r) => time(r.dateTime), "word"],
    ["User", (r) => r.user],
    ["Command", (r) => el("strong", null, r.command)],
    ["Parameters", (r) => el("code", null, r.parameters)],
    ["Took", (r) => (r.duration ? seconds(r.duration / 1000) : ""), "number"],
    ["Context", (r) => r.context],
    ["Session", (r) => el("code", null, r.sessionId)],
  ];
  const rows = reader.live ? reader.rows.toReversed() : reader.rows;
  const empty = reader.reads
    ? "No row so far. Rows come with the next command."
    : "Watch shows the rows of commands as they come. Nothing is written.";
  return table("Rows", columns, rows, (r) => r.n, empty);
}

const hint = "A rule writes rows to the files. The buttons Log on the pages of sessions and users begin one.";

function rules(app, log) {
  const columns = [
    ["Logs", what],
    ["Since", (r) => since(r.since)],
    ["Until", (r) => (r.until ? until(r.until) : "somebody ends it")],
    ["Actions", (r) => endButton(app, r)],
  ];
  return [
    el("p", { class: "hint" }, hint),
    table("Rules", columns, log.rules, (r) => r.id, "No rule is in force."),
    facts([
      ["Written", count(log.rows, "row")],
      ["Not written", log.dropped ? count(log.dropped, "row") : ""],
      ["File", log.file && el("code", null, log.file)],
      ["Failing", log.failing],
    ]),
  ];
}

function endButton(app, r) {
  const spec = {
    title: "End the rule?",
    verb: "End the rule",
    say: () => el("p", null, `${what(r)} is logged no longer. The rows that are written stay.`),
    async run() {
      await post("/api/v1/log/off", { id: r.id });
      return "The rule has ended.";
    },
  };
  return app.changes("End", spec, { label: `End the rule for ${what(r)}` });
}

// what says what a rule logs.
function what(r) {
  const parts = ["user", "ip", "server", "session", "command"].filter((k) => r[k]).map((k) => `${k} ${r[k]}`);
  if (r.slower) parts.push(`slower than ${seconds(r.slower)}`);
  return parts.join(", ") || "everything";
}
