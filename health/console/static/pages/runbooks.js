// Runbooks: check, act, check again, with the progress so far. A run goes on while other pages are open.

import { get, path, post, query } from "../api.js";
import { note } from "../dialog.js";
import { el } from "../dom.js";
import { time } from "../format.js";
import { button, field, section, state } from "../parts.js";

let books; // as the API lists them
let run; // the Run under way

// resultKinds say how good the results of steps are; the others may be either.
const resultKinds = { Succeeded: "good", done: "good", Failed: "bad" };

const hint =
  "A runbook checks that the fault is there, takes one step after another, and checks after each. Nothing is done " +
  "without a question.";

export default {
  name: "runbooks",
  title: "Runbooks",
  open(app) {
    const chosen = { book: app.args.book ?? run?.book.name, target: app.args.target ?? run?.target };
    if (app.caller.who) load(app);
    return {
      follow: () => [],
      view() {
        if (!books) return el("p", { class: "empty" }, "Loading…");
        return [
          el("p", { class: "hint" }, hint),
          chooser(app, chosen),
          run && section(`${run.book.monitor} ${run.target}`, progress(app)),
        ];
      },
    };
  },
};

async function load(app) {
  books ??= await get("/api/v1/runbooks").catch((error) => {
    note(error.message, "bad");
  });
  app.redraw();
}

// chooser chooses a runbook and its target.
function chooser(app, chosen) {
  const book = books.find((b) => b.name === chosen.book) ?? books[0];
  const targets = { server: app.names.servers, database: app.names.databases }[book.of] ?? [];
  if (!targets.includes(chosen.target)) chosen.target = targets[0] ?? "";
  const onsubmit = (event) => {
    event.preventDefault();
    run = new Run(book, chosen.target, app.redraw);
    run.check();
  };
  const set = (name) => (event) => {
    chosen[name] = event.target.value;
    app.redraw();
  };
  const monitors = books.map((b) => [b.name, b.monitor]);
  const of = book.of === "server" ? "Mailbox server" : "Database";
  return el(
    "form",
    { class: "filter", "aria-label": "Runbook", onsubmit },
    field("When this is unhealthy", "book", { value: book.name, onchange: set("book") }, monitors),
    targets.length > 0 &&
      field(
        of,
        `target-${book.of}`,
        { value: chosen.target, onchange: set("target") },
        targets.map((t) => [t]),
      ),
    el("button", { type: "submit", class: "primary", disabled: !app.caller.may_change }, "Check"),
  );
}

// Run is a runbook for one target, and how far it is.
class Run {
  at = 0; // the step to take next
  well = false;
  checks = 0; // that were made
  busy = false;
  said = [];
  results = []; // of the steps that were taken or skipped
  lifts = []; // requests that undo what steps have done

  constructor(book, target, changed) {
    Object.assign(this, { book, target, changed, server: book.of === "server" ? target : "" });
  }

  get over() {
    return this.well || this.at >= this.book.steps.length;
  }

  say(parts, kind = "") {
    this.said.push({
      n: this.said.length,
      at: new Date().toISOString(),
      text: parts.filter(Boolean).join(". "),
      kind,
    });
    this.changed();
  }

  // check runs the probe, or asks for the monitor where there is none.
  async check() {
    this.busy = true;
    this.changed();
    try {
      const { word, error, well } = this.book.probe ? await this.probe() : await this.monitor();
      this.well = well;
      this.checks++;
      this.say([`${this.book.probe || this.book.monitor}: ${word}`, error], well ? "good" : "bad");
    } catch (error) {
      this.say([`The check failed: ${error.message}`], "bad");
    }
    this.busy = false;
    this.changed();
  }

  async probe() {
    const at = path`/probes/${this.book.health_set}/${this.book.probe}`;
    const [result] = await post(at, this.target ? { target: this.target } : {});
    if (!result) throw new Error("the probe returned no result.");
    this.server = result._mbx || this.server;
    return { word: result.result_type, error: result.error, well: result.result_type === "Succeeded" };
  }

  async monitor() {
    const all = await get("/api/v1/health");
    const found = all.find((m) => m.name === this.book.monitor && m.target_resource === this.target);
    if (!found) throw new Error("there is no such monitor.");
    return {
      word: found.alert_value,
      error: found.error,
      well: ["Healthy", "UnInitialized"].includes(found.alert_value),
    };
  }

  // took goes on to the next step.
  took(result) {
    this.results.push(result);
    this.at++;
  }

  skip(step) {
    this.took("skipped");
    this.say([`Skipped: ${step.text}`]);
  }

  // wait is a step that only checks again.
  wait() {
    this.took("done");
    return this.check();
  }

  // showServer tells which monitors of the mailbox server are not Healthy.
  async showServer() {
    try {
      const all = await get(query("/api/v1/health", { server: this.server }));
      const bad = all.filter((m) => m.alert_value !== "Healthy");
      const words = bad.map((m) => `${m.name} ${m.target_resource} is ${m.alert_value}`).join("; ");
      this.took("done");
      this.say([words ? `${words}. Begin with these` : "They are all Healthy"]);
    } catch (error) {
      this.say([error.message], "bad");
    }
  }

  async act(step) {
    const ask = { action: step.action, server: this.server, by: `runbook ${this.book.name}` };
    if (this.book.of === "database") ask.database = this.target;
    const record = await post("/api/v1/recovery", ask);
    const said = [`${step.text}: ${record.result}`, record.context, record.exception_message];
    this.say(said, resultKinds[record.result]);
    if (["Succeeded", "Incomplete"].includes(record.result)) this.lifts.push({ ...ask, lift: true });
    this.took(record.result);
    this.check();
  }

  async undo() {
    for (const ask of this.lifts.splice(0).toReversed()) {
      const record = await post("/api/v1/recovery", ask);
      this.say([`Undo ${ask.action.replaceAll("_", " ")}: ${record.result || "nothing to undo"}`, record.context]);
    }
  }
}

function progress(app) {
  const line = (s) => el("li", { key: s.n, class: s.kind }, `${time(s.at)} ${s.text}`);
  return [
    el(
      "ol",
      { class: "steps" },
      run.book.steps.map((step, i) => stepLine(app, step, i)),
    ),
    el(
      "div",
      { role: "log", "aria-label": "What has happened" },
      el("ul", { class: "said" }, run.said.map(line), run.busy && el("li", { key: "busy" }, "Checking…")),
    ),
    run.checks > 0 && !run.busy && el("p", null, outcome()),
    el(
      "p",
      { class: "buttons" },
      button("Check again", () => run.check(), { reason: run.busy ? "A check is running." : "" }),
      run.lifts.length > 0 && undoButton(app),
    ),
  ];
}

function outcome() {
  if (run.well) return [state("recovered", "good"), " Check again in some minutes before you leave."];
  if (!run.over) return "Take the next step, or skip it.";
  return [state("not recovered", "bad"), " For whoever helps next: portico health bundle."];
}

function stepLine(app, step, i) {
  const due = i === run.at && !run.over && run.checks > 0;
  return el(
    "li",
    { "aria-current": due && "step" },
    step.text,
    i < run.at && [" ", state(run.results[i], resultKinds[run.results[i]] ?? "fair")],
    due &&
      el(
        "span",
        { class: "buttons" },
        stepButton(app, step),
        button("Skip", () => run.skip(step)),
      ),
  );
}

function stepButton(app, step) {
  if (!step.action && step.wait) return button("Check", () => run.wait());
  if (!step.action) return button("Show", () => run.showServer());
  return app.changes("Do it", {
    title: `${step.text}?`,
    verb: "Do it",
    danger: true,
    say: () => [el("p", null, step.help), run.server && el("p", null, `Mailbox server: ${run.server}.`)],
    run: () => run.act(step),
  });
}

function undoButton(app) {
  const what =
    "What the steps have blocked, taken out of service or logged is undone. A server whose probe still fails stays " +
    "blocked.";
  return app.changes("Undo the steps", {
    title: "Undo what the runbook has done?",
    verb: "Undo",
    say: () => el("p", null, what),
    run: () => run.undo(),
  });
}
