// One user: where the mailbox is, whether a sign-in works, what is slow.

import { path, post } from "../api.js";
import { el } from "../dom.js";
import { count, seconds, since } from "../format.js";
import { facts, field, link, section, state, table } from "../parts.js";
import { missing, rowsOf, site } from "../site.js";
import { kickAll, logButton, sessionTable, slowTable } from "./sessions.js";

export default {
  name: "user",
  title: "User",
  open(app) {
    const typed = app.args.user ?? "";
    const at = path`/api/v1/users/${typed}`;
    let name = ""; // the one form of the user's name, once it is known
    const more = () => ({
      sessions: site("sessions", { user: name, limit: 200 }),
      slow: site("slow", { user: name, limit: 20 }),
    });
    const onsubmit = (event) => {
      event.preventDefault();
      app.go("user", { user: new FormData(event.target).get("user").trim() });
    };
    return {
      title: () => (typed ? `User ${typed}` : "User"),
      follow: () => [typed && at, ...(name ? Object.values(more()) : [])].filter(Boolean),
      view() {
        const user = app.body(at);
        if (user && user.user !== name) {
          name = user.user;
          queueMicrotask(app.refollow);
        }
        return [
          el(
            "form",
            { class: "filter", role: "search", "aria-label": "User", onsubmit },
            field("User", "user", { value: typed, placeholder: "alice@example.org" }),
            el("button", { type: "submit" }, "Show"),
          ),
          typed && (user ? view(app, user, more()) : app.waiting(at)),
        ];
      },
    };
  },
};

const hint =
  "The time is that of the mailbox server. If nothing here is slow, Portico and the server answer fast: look at the " +
  "network between the client and here.";

function view(app, user, more) {
  const signIn = user.sign_in ?? {};
  const [sessions, slow] = [app.body(more.sessions), app.body(more.slow)];
  const open = sessions && rowsOf(sessions);
  return [
    about(user, signIn),
    el(
      "p",
      { class: "buttons" },
      logButton(app, { user: user.user }, user.user),
      kickAll(app, user.user, open?.length ?? user.sessions),
      clearButton(app, user.user, signIn.penalties),
      moveButton(app, user),
    ),
    section("Sessions now", open ? [missing(sessions), sessionTable(app, open)] : app.waiting(more.sessions)),
    section(
      "Slowest commands of the last day",
      slow ? [missing(slow), slowTable(app, rowsOf(slow))] : app.waiting(more.slow),
      el("p", { class: "hint" }, hint),
    ),
    section("Copies of the database", copyTable(signIn.copies ?? [])),
  ];
}

const standings = {
  known: "by the directory",
  unknown: "the directory does not know the user",
  undecided: "the directory does not say",
};

// about says where the mailbox is, and whether a sign-in works.
function about(user, signIn) {
  const penalty = (p) =>
    `${count(p.failures, "sign-in")} with a wrong password${p.address ? ` from ${p.address}` : ""}, the last at ` +
    `${since(p.last)}; the next refusal waits ${seconds(p.wait)}`;
  const traffic = link(user.server, "traffic", { by: "verb", server: user.server, minutes: 60 });
  return facts([
    ["Mailbox", [user.database ? `database ${user.database}, active on ` : "server ", traffic]],
    ["Known", user.no_directory ? "no directory is configured" : (standings[user.standing] ?? user.standing)],
    [
      "Sign-in",
      [signIn.possible ? state("possible", "good") : state("not possible", "bad"), ` ${signIn.reason ?? ""}`],
    ],
    [
      "Server",
      [state(signIn.server_state ?? "unknown"), signIn.since && ` its monitor fails since ${since(signIn.since)}`],
    ],
    ["Penalties", signIn.penalties?.map(penalty).join("; ")],
  ]);
}

function copyTable(copies) {
  const columns = [
    ["Server", (c) => c.server],
    ["Status", (c) => state(c.status)],
    ["Why", (c) => c.error ?? c.failed ?? c.barred ?? ""],
  ];
  return table("Copies", columns, copies, (c) => c.server, "The mailbox is on one server, without copies.");
}

function clearButton(app, user, penalties) {
  const spec = {
    title: `Lift the penalties of ${user}?`,
    verb: "Lift them",
    say: () => el("p", null, `Failed sign-ins of ${user} so far delay no further one.`),
    async run() {
      await post("/api/v1/penalties/clear", { user });
      return `The penalties of ${user} are lifted.`;
    },
  };
  return app.changes("Lift penalties", spec, { reason: penalties?.length ? "" : "There is none." });
}

function moveButton(app, user) {
  const others = app.names.databases.filter((d) => d !== user.database).map((d) => [d]);
  if (user.moved) others.push(["", "where the directory says"]);
  const what =
    `${count(user.sessions, "session")} of ${user.user} end, and the user signs in at the other database from then ` +
    "on. Portico does not copy mail: it has to be there already.";
  const spec = {
    title: `Move ${user.user} to another database?`,
    verb: "Move the user",
    danger: true,
    fields: [field("Database", "database", { value: others[0]?.[0] }, others)],
    say: () => el("p", null, what),
    async run({ database }) {
      const now = await post(path`/api/v1/users/${user.user}/move`, { database });
      return `${now.user} is in ${now.database} now.`;
    },
  };
  return app.changes("Move", spec, { reason: others.length ? "" : "There is no other database." });
}
