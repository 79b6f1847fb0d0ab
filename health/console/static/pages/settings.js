// Settings: where each value comes from, change and reset.

import { getTagged, post } from "../api.js";
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
        const all = app.body(settings)?.toSorted((a, b) => changed(b) - changed(a)); // what somebody changed first
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

const changed = (s) => s.source === "stored";
const shown = (value) => value || "empty";

function settingTable(app, rows) {
  const actions = (s) => [changeButton(app, s), changed(s) && resetButton(app, s)];
  const columns = [
    ["Setting", (s) => el("code", null, s.name)],
    ["Value", (s) => shown(s.value)],
    ["From", (s) => (changed(s) ? state(sources.stored, "fair") : (sources[s.source] ?? s.source))],
    ["After a reset", (s) => s.file ?? ""],
    ["Actions", (s) => el("span", { class: "buttons" }, actions(s))],
  ];
  return table("Settings", columns, rows, (s) => s.name, "No setting fits.");
}

// asShown makes a change that holds only while all settings are as the dialog has shown them.
function asShown(name, change) {
  return {
    load: async () => {
      const { body, etag } = await getTagged(settings);
      return { now: body.find((s) => s.name === name), etag };
    },
    run: async (values, { etag }) => {
      const after = await post(settings, change(values), etag);
      return `${name} is ${shown(after.find((s) => s.name === name)?.value)} now.`;
    },
  };
}

function changeButton(app, { name, value: before }) {
  const what = (s, value) =>
    value === s.value
      ? `${s.name} is ${shown(value)} already.`
      : `${s.name} is ${shown(s.value)}, and becomes ${shown(value)} at once. It stays so after a restart, whatever ` +
        "the configuration file says, until it is reset.";
  const spec = {
    title: `Change ${name}?`,
    verb: "Change the setting",
    fields: [field("New value", "value", { value: before })],
    say: ({ value }, { now }) => el("p", null, what(now, value)),
    ...asShown(name, ({ value }) => ({ set: { [name]: value } })),
  };
  return app.changes("Change", spec, { label: `Change ${name}` });
}

function resetButton(app, { name }) {
  const what = (s) => {
    const then = s.file === undefined ? ", or Portico's default" : `: ${shown(s.file)}`;
    return `${name} is ${shown(s.value)}. It becomes what the configuration file says${then}.`;
  };
  const spec = {
    title: `Reset ${name}?`,
    verb: "Reset the setting",
    say: (_, { now }) => el("p", null, what(now)),
    ...asShown(name, () => ({ reset: [name] })),
  };
  return app.changes("Reset", spec, { label: `Reset ${name}` });
}
