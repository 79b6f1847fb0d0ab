// Settings: where each value comes from, change and reset.

import { post } from "../api.js";
import { el } from "../dom.js";
import { field, state, table } from "../parts.js";

const settings = "/api/v1/settings";
const sources = { default: "Portico's default", file: "the configuration file", stored: "changed at run time" };

export default {
  name: "settings",
  title: "Settings",
  open(app) {
    let search = "";
    const oninput = (event) => {
      search = event.target.value.trim().toLowerCase();
      app.redraw();
    };
    return {
      follow: () => [settings],
      view() {
        const all = app.body(settings);
        return [
          el(
            "form",
            { class: "filter", role: "search", "aria-label": "Settings", onsubmit: (e) => e.preventDefault() },
            field("Name contains", "name", { oninput }),
          ),
          all
            ? settingTable(
                app,
                all.filter((s) => s.name.toLowerCase().includes(search)),
              )
            : app.waiting(settings),
        ];
      },
    };
  },
};

const shown = (value) => value || "empty";

function settingTable(app, rows) {
  const actions = (s) => [changeButton(app, s), s.source === "stored" && resetButton(app, s)];
  const columns = [
    ["Setting", (s) => el("code", null, s.name)],
    ["Value", (s) => shown(s.value)],
    ["From", (s) => (s.source === "stored" ? state(sources.stored, "fair") : (sources[s.source] ?? s.source))],
    ["Configuration file", (s) => s.file ?? ""],
    ["Actions", (s) => el("span", { class: "buttons" }, actions(s))],
  ];
  return table("Settings", columns, rows, (s) => s.name, "No setting fits.");
}

function changeButton(app, s) {
  const what = (value) =>
    value === s.value
      ? `${s.name} is ${shown(value)} already.`
      : `${s.name} is ${shown(s.value)}, and becomes ${shown(value)} at once. It stays so after a restart, whatever ` +
        "the configuration file says, until it is reset.";
  const spec = {
    title: `Change ${s.name}?`,
    verb: "Change the setting",
    fields: [field("New value", "value", { value: s.value })],
    say: ({ value }) => el("p", null, what(value)),
    run: async ({ value }) => becomes(s.name, await post(settings, { set: { [s.name]: value } })),
  };
  return app.changes("Change", spec, { label: `Change ${s.name}` });
}

function resetButton(app, s) {
  const then = s.file === undefined ? ", or Portico's default" : `: ${shown(s.file)}`;
  const spec = {
    title: `Reset ${s.name}?`,
    verb: "Reset the setting",
    say: () => el("p", null, `${s.name} is ${shown(s.value)}. It becomes what the configuration file says${then}.`),
    run: async () => becomes(s.name, await post(settings, { reset: [s.name] })),
  };
  return app.changes("Reset", spec, { label: `Reset ${s.name}` });
}

// becomes tells the value of a setting after a change.
function becomes(name, after) {
  return `${name} is ${shown(after.find((s) => s.name === name)?.value)} now.`;
}
