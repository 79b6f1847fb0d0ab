// Sessions of all nodes: search, kill, log; and the slowest commands.

import { path } from "../api.js";
import { el } from "../dom.js";
import { amount, count, seconds, time } from "../format.js";
import { field, link, section, table } from "../parts.js";
import { missing, postAll, rowsOf, silent, site } from "../site.js";

const most = 200; // rows
const generations = site("service/generations");

// orders are the ways to sort: in words, in the API's word, and as a comparison that joins the rows of several nodes.
const orders = {
  user: ["by user", "User", (a, b) => a.user.localeCompare(b.user)],
  age: ["longest command", "-Age", (a, b) => (b.age ?? 0) - (a.age ?? 0)],
  commands: ["most commands", "-Commands", (a, b) => b.commands - a.commands],
};

export default {
  name: "sessions",
  title: "Sessions",
  open(app) {
    const filter = { user: "", server: "", ip: "", order: "user", ...app.args };
    const asked = () => site("sessions", { ...condition(filter), sort: orders[filter.order][1], limit: most + 1 });
    const slow = () => site("slow", { server: filter.server, limit: 20 });
    let typing;
    const set = (name) => (event) => {
      filter[name] = event.target.value.trim();
      clearTimeout(typing);
      typing = setTimeout(app.refollow, 300);
    };
    return {
      follow: () => [asked(), slow(), generations],
      close: () => clearTimeout(typing),
      view() {
        const [answer, slowest] = [app.body(asked()), app.body(slow())];
        return [
          filterForm(app, filter, set),
          app.body(generations) && silent(app.body(generations)),
          answer ? found(app, answer, orders[filter.order][2]) : app.waiting(asked()),
          section(
            "Slowest commands of the last day",
            slowest ? [missing(slowest), slowTable(app, rowsOf(slowest))] : app.waiting(slow()),
          ),
        ];
      },
    };
  },
};

// condition is a filter in the API's words.
function condition({ user, server, ip }) {
  const like = [user && `User -like *${user}*`, ip && `Client -like *${ip}*`];
  return { server, where: like.filter(Boolean).join(" -and ") };
}

function filterForm(app, filter, set) {
  const servers = [["", "all"], ...app.names.servers.map((name) => [name])];
  const words = Object.entries(orders).map(([name, [text]]) => [name, text]);
  return el(
    "form",
    { class: "filter", role: "search", "aria-label": "Sessions", onsubmit: (e) => e.preventDefault() },
    field("User contains", "user", { value: filter.user, oninput: set("user") }),
    field("Mailbox server", "server", { value: filter.server, onchange: set("server") }, servers),
    field("Address contains", "ip", { value: filter.ip, oninput: set("ip") }),
    field("Order", "order", { value: filter.order, onchange: set("order") }, words),
  );
}

function found(app, answer, order) {
  const all = rowsOf(answer).toSorted(order);
  const sum =
    all.length > most
      ? `More than ${most} sessions fit. The first ${most} are shown: search for less.`
      : `${count(all.length, "session")}.`;
  return [missing(answer), el("p", { class: "sum" }, sum), sessionTable(app, all.slice(0, most))];
}

// nodeColumn shows the node of a row, if there are several.
function nodeColumn(app) {
  return app.names.nodes.length > 0 ? [["Node", (row) => row.node]] : [];
}

// sessionTable shows sessions, with what can be done about them.
export function sessionTable(app, rows) {
  const actions = (s) => [logButton(app, { session: s.id }, `session ${s.id} of ${s.user}`), kickButton(app, s)];
  const columns = [
    ["User", (s) => link(s.user, "user", { user: s.user })],
    ["Client", (s) => s.remote],
    ...nodeColumn(app),
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
    run: () => end("sessions/kick", { session: s.id }, s.user),
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
    run: () => end(path`users/${user}/kick`, {}, user),
  };
  return app.changes("End all sessions", spec, { kind: "danger", reason: n ? "" : "There is no session." });
}

// end ends sessions on all nodes, and says how many.
async function end(at, body, user) {
  const ended = (await postAll(at, body)).reduce((all, answer) => all + answer.ended, 0);
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
      await postAll("log/on", { ...filter, for: Number(values.time) });
      app.go("log", filter);
      return `Logging ${what} for ${seconds(Number(values.time))}.`;
    },
  };
  return app.changes("Log", spec, { label: `Log ${what}` });
}

// slowTable shows the slowest commands. Their links show since when the command, or all on the server, is slow.
export function slowTable(app, rows, most = 20) {
  const columns = [
    ["Ended", (c) => time(c.ended), "word"],
    ["User", (c) => link(c.user, "user", { user: c.user })],
    ["Command", (c) => link(c.command, "traffic", { by: "server", verb: c.command, minutes: 60 })],
    ["Took", (c) => seconds(c.seconds), "number"],
    ["Result", (c) => c.result],
    ...nodeColumn(app),
    ["Server", (c) => link(c.server, "traffic", { by: "verb", server: c.server, minutes: 60 })],
    ["Rows", (c) => link("rows", "log", { past: c.session })],
  ];
  const slowest = rows.toSorted((a, b) => b.seconds - a.seconds).slice(0, most);
  return table("Slowest commands", columns, slowest, (c) => `${c.session} ${c.ended} ${c.command}`, "None so far.");
}
