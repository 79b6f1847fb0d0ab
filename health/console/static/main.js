// The console: which page is open, what it follows, and who has signed in. Each page is a module with a title and
// open(app), which returns follow(), the requests that it shows, and view(), what it looks like now.

import { get, hasToken, useToken } from "./api.js";
import { ask, note } from "./dialog.js";
import { el, nodes, patchChildren } from "./dom.js";
import { follow } from "./events.js";
import { button, field } from "./parts.js";
import { pages } from "./pages.js";

const mayNot = "Sign in with a token that may change things.";

// app is what pages know of the console.
const app = {
  args: {}, // of the page, from the address
  caller: { who: "", known: false, may_change: false },
  names: { node: "", nodes: [], servers: [], databases: [], commands: [] },
  answers: new Map(),

  // body returns the answer to a request that the page follows, undefined before it has come.
  body(path) {
    const answer = app.answers.get(path);
    return answer?.status === 200 ? answer.body : undefined;
  },
  // waiting is shown in the place of an answer that has not come, or is an error.
  waiting(path) {
    const answer = app.answers.get(path);
    if (!answer) return el("p", { class: "empty" }, "Loading…");
    return el("p", { class: "problem" }, answer.body?.detail ?? `Portico answered with status ${answer.status}.`);
  },
  redraw() {
    drawn ??= requestAnimationFrame(() => {
      drawn = undefined;
      draw();
    });
  },
  // refollow follows what the page wants now.
  refollow() {
    followPage();
    app.redraw();
  },
  // go opens a page.
  go(page, args = {}) {
    location.hash = `${page}?${new URLSearchParams(args)}`;
  },
  // changes is a button for a change that is asked about first. The page asks for everything again after it.
  changes(text, spec, options = {}) {
    const reason = app.caller.may_change ? options.reason : mayNot;
    const run = async (values, known) => {
      const told = await spec.run(values, known);
      app.refollow();
      return told;
    };
    return button(text, () => ask({ ...spec, run }), { ...options, reason });
  },
};

let drawn, page, opened, unfollow, broken;

// openPage opens the page that the address names.
function openPage() {
  const [name, query] = location.hash.slice(1).split("?");
  opened?.close?.();
  page = pages.find((p) => p.name === name) ?? pages[0];
  app.args = Object.fromEntries(new URLSearchParams(query));
  opened = page.open(app);
  followPage();
  document.getElementById("main").replaceChildren();
  draw();
}

// followPage follows what the page shows, unless nobody sees it.
function followPage() {
  unfollow?.();
  unfollow = undefined;
  const paths = opened.follow();
  for (const path of app.answers.keys()) {
    if (!paths.includes(path)) app.answers.delete(path);
  }
  if (document.hidden || paths.length === 0 || !app.caller.who) return;
  unfollow = follow(
    paths,
    (path, status, body) => {
      app.answers.set(path, { status, body });
      app.redraw();
    },
    (problem) => {
      if (problem?.status === 401) return dropToken();
      if (broken?.message === problem?.message) return;
      broken = problem;
      app.redraw();
    },
  );
}

// dropToken forgets a token that is not valid any more.
function dropToken() {
  useToken("");
  app.answers.clear();
  app.caller = { who: "", known: false, may_change: false };
  unfollow?.();
  app.redraw();
}

function draw() {
  if (!opened) return;
  document.title = `${page.title} - ${app.names.node} - Portico`;
  patchChildren(
    document.getElementById("top"),
    nodes(
      el("span", { class: "brand" }, "Portico"),
      el("span", { class: "node" }, app.names.node),
      broken && el("span", { class: "state bad", role: "alert" }, broken.message),
      callerBar(),
    ),
  );
  patchChildren(
    document.getElementById("nav"),
    nodes(
      el(
        "ul",
        null,
        pages
          .filter((p) => !p.hidden)
          .map((p) =>
            el(
              "li",
              { key: p.name },
              el("a", { href: `#${p.name}`, "aria-current": p === page ? "page" : undefined }, p.title),
            ),
          ),
      ),
    ),
  );
  const title = el("h1", null, opened.title?.() ?? page.title);
  patchChildren(
    document.getElementById("main"),
    app.caller.who
      ? nodes(title, opened.view())
      : nodes(
          el("h1", null, "Sign in"),
          el(
            "p",
            null,
            "This address shows nothing without a token. To make one, run ",
            el("code", null, "portico token new"),
            " on the node, or take the one in the file of ",
            el("code", null, "admin.token_file"),
            ".",
          ),
          el("p", null, button("Sign in", signIn, { kind: "primary" })),
        ),
  );
}

// callerBar says who has signed in, with the button for that.
function callerBar() {
  const { who, known, may_change: may } = app.caller;
  return el(
    "span",
    { class: "who" },
    who && el("span", null, !known ? "not signed in: read only" : may ? who : `${who}: read only`),
    hasToken() ? button("Sign out", signOut) : button(known ? "Use a token" : "Sign in", signIn),
  );
}

function signIn() {
  ask({
    title: "Sign in",
    verb: "Sign in",
    fields: [
      el("input", { type: "hidden", name: "username", value: "portico", autocomplete: "username" }),
      field("Token", "token", { type: "password", required: true, autocomplete: "current-password" }),
    ],
    say: () => el("p", null, "The token is forgotten when this page is closed or loaded again."),
    async run({ token }) {
      useToken(token.trim());
      try {
        await loadCaller();
        if (!app.caller.known) throw new Error("That token is not valid here.");
      } catch (error) {
        useToken("");
        await loadCaller().catch(dropToken);
        if (error.status === 401) throw new Error("That token is not valid here.");
        throw error;
      }
      openPage();
      return `Signed in: ${app.caller.who}.`;
    },
  });
}

async function signOut() {
  useToken("");
  app.answers.clear();
  await loadCaller().catch(dropToken);
  app.refollow();
  note("Signed out.");
}

// loadCaller asks who the caller is, and which names there are.
async function loadCaller() {
  app.caller = await get("/api/v1/caller");
  app.names = await get("/api/v1/names");
}

// start opens the page when Portico answers.
async function start() {
  try {
    await loadCaller();
    broken = undefined;
  } catch (error) {
    if (error.status === 401) dropToken();
    else {
      broken = error;
      setTimeout(start, 3000);
    }
  }
  openPage();
}

addEventListener("hashchange", () => {
  openPage();
  document.getElementById("main").focus({ preventScroll: true });
  scrollTo(0, 0);
});
document.addEventListener("visibilitychange", followPage);
document.querySelector(".skip").onclick = (event) => {
  event.preventDefault(); // the address names the page
  document.getElementById("main").focus();
};
await start();
