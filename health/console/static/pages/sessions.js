// Sessions: search, kill, log; and the slowest commands.

import { path, post } from "../api.js";
import { el } from "../dom.js";
import { amount, count, seconds, time } from "../format.js";
import { field, link, section, table } from "../parts.js";

const most = 200; // rows

const sessions = "/api/v1/sessions";
const slow = "/api/v1/slow";

export default {
  name: "sessions",
  title: "Sessions",
  open(app) {
    const filter = { user: "", server: "", ip: "", ...app.args };
    const set = (name) => (event) => {
      filter[name] = event.target.value.trim();
      app.redraw();
    };
    const fits = (row) =>
      row.user.includes(filter.user) &&
      row.remote.includes(filter.ip) &&
      (filter.server || row.server) === row.server;
    return {
      follow: () => [sessions, slow],
      view() {
        const [all, slowest] = [app.body(sessions), app.body(slow)];
        return [
          filterForm(app, filter, set),
          all ? found(app, all.filter(fits)) : app.waiting(sessions),
          section(
            "Slowest commands of the last day",
            slowest ? slowTable(app, slowest.filter(fits)) : app.waiting(slow),
          ),
        ];
      },
    };
  },
};

function filterForm(app, filter, set) {
  const servers = [["", "all"], ...app.names.servers.map((name) => [name])];
  return el(
    "form",
    { class: "filter", role: "search", "aria-label": "Sessions", onsubmit: (e) => e.preventDefault() },
    field("User contains", "user", { value: filter.user, oninput: set("user") }),
    field("Mailbox server", "server", { value: filter.server, onchange: set("server") }, servers),
    field("Address contains", "ip", { value: filter.ip, oninput: set("ip") }),
  );
}

function found(app, all) {
  const more = all.length > most ? ` The first ${most} are shown: search for less.` : "";
  return [
    el("p", { class: "sum" }, `${count(all.length, "session")}.${more}`),
    sessionTable(app, all.slice(0, most)),
  ];
}

// sessionTable shows sessions, with what can be done about them.
export function sessionTable(app, rows) {
  const actions = (s) => [logButton(app, { session: s.id }, `session ${s.id} of ${s.user}`), kickButton(app, s)];
  const columns = [
    ["User", (s) => link(s.user, "user", { user: s.user })],
    ["Client", (s) => s.remote],
    ["Server", (s) => (s.database ? `${s.server} / ${s.database}` : s.server)],
    ["Now", now],
    ["Commands", (s) => amount(s.commands), "number"],
    ["Session", (s) => el("code", null, s.id)],
    ["Actions", (s) => el("span", { class: "buttons" }, actions(s))],
  ];
  return table("Sessions", columns, rows, (s) => s.id, "No session fits.");
}

// now says what a session does.
function now(s) {
  if (s.command) return `${s.command} for ${seconds(s.age)}, ${Math.round(100 * (s.waiting ?? 0))} % at the server`;
  return s.idling ? "waits for mail" : `nothing for ${seconds(s.silent)}`;
}

function kickButton(app, s) {
  const answer = s.command ? `, and the answer to ${s.command}` : "";
  const what = `${s.user} from ${s.remote} loses this connection at once${answer}. ` + again;
  const spec = {
    title: `End session ${s.id}?`,
    verb: "End the session",
    danger: true,
    say: () => el("p", null, what),
    run: () => end("/api/v1/sessions/kick", { session: s.id }, s.user),
  };
  return app.changes("End", spec, { label: `End session ${s.id} of ${s.user}`, kind: "danger" });
}

const again = "Mail programs connect again by themselves.";

// kickAll ends all sessions of a user.
export function kickAll(app, user, n) {
  const spec = {
    title: `End all sessions of ${user}?`,
    verb: "End the sessions",
    danger: true,
    say: () => el("p", null, `${count(n, "connection")} of ${user} end at once. ${again}`),
    run: () => end(path`/api/v1/users/${user}/kick`, {}, user),
  };
  return app.changes("End all sessions", spec, { kind: "danger", reason: n ? "" : "There is no session." });
}

// end ends sessions, and says how many.
async function end(at, body, user) {
  const { ended } = await post(at, body);
  return `${count(ended, "session")} of ${user} ended.`;
}

// logButton logs what fits a filter for a time.
export function logButton(app, filter, what) {
  const choices = [
    ["60", "1 minute"],
    ["600", "10 minutes"],
    ["3600", "1 hour"],
  ];
  const said = (time) =>
    `Each command and answer of ${what} becomes a row of the protocol log for ${seconds(time)}. Passwords and mail ` +
    "are masked. Sessions continue.";
  const spec = {
    title: `Log ${what}?`,
    verb: "Begin",
    fields: [field("For", "time", { value: "600" }, choices)],
    say: (values) => el("p", null, said(Number(values.time))),
    async run(values) {
      await post("/api/v1/log/on", { ...filter, for: Number(values.time) });
      app.go("log", filter);
      return `Logging ${what} for ${seconds(Number(values.time))}.`;
    },
  };
  return app.changes("Log", spec, { label: `Log ${what}` });
}

// slowTable shows slow commands.
export function slowTable(app, rows) {
  const columns = [
    ["Ended", (c) => time(c.ended)],
    ["User", (c) => link(c.user, "user", { user: c.user })],
    ["Command", (c) => c.command],
    ["Took", (c) => seconds(c.seconds), "number"],
    ["Result", (c) => c.result],
    ["Server", (c) => c.server],
    ["Rows", (c) => link("rows", "log", { past: c.session })],
  ];
  const slowest = rows.toSorted((a, b) => b.seconds - a.seconds).slice(0, 20);
  return table("Slowest commands", columns, slowest, (c) => `${c.session} ${c.ended} ${c.command}`, "None so far.");
}
