// What pages are made of: tables, states, fields, buttons.

import { el } from "./dom.js";

// table shows rows. Each column is [name, show(row), class]; show returns a text or nodes. keyOf tells rows apart. On a
// narrow screen each row becomes a block, with the names of its columns beside the values.
export function table(label, columns, rows, keyOf, empty) {
  if (rows.length === 0) return el("p", { class: "empty" }, empty);
  return el(
    "table",
    { role: "table", "aria-label": label },
    el(
      "thead",
      { role: "rowgroup" },
      el(
        "tr",
        { role: "row" },
        columns.map(([name, , kind]) => el("th", { role: "columnheader", scope: "col", class: kind }, name)),
      ),
    ),
    el(
      "tbody",
      { role: "rowgroup" },
      rows.map((row) =>
        el(
          "tr",
          { role: "row", key: keyOf(row) },
          columns.map(([name, show, kind]) =>
            el("td", { role: "cell", class: kind, "data-name": name }, show(row)),
          ),
        ),
      ),
    ),
  );
}

// The states that are good, and those that need a look; all others are bad.
const good = new Set(["Healthy", "Succeeded", "Mounted", "up", "Active", "Online", "yes", "ok"]);
const fair = new Set([
  "Degraded",
  "Disabled",
  "Repairing",
  "UnInitialized",
  "unknown",
  "Unknown",
  "Started",
  "DryRun",
  "Throttled",
  "Skipped",
  "Interrupted",
  "Incomplete",
  "NotApplicable",
  "Partially Online",
  "Dismounting",
  "Draining",
]);

// kindOf says how good a state is: good, fair or bad.
export function kindOf(state) {
  return good.has(state) ? "good" : fair.has(state) ? "fair" : "bad";
}

// state shows a state by its word; the colour only repeats it.
export function state(word, kind = kindOf(word)) {
  return el("span", { class: `state ${kind}` }, word);
}

// button does something; reason says why it cannot now.
export function button(text, onclick, { reason, label, kind } = {}) {
  return el(
    "button",
    {
      type: "button",
      class: kind,
      onclick,
      disabled: Boolean(reason),
      title: reason || undefined,
      "aria-label": label,
    },
    text,
  );
}

// field is an input with its label. Options make it a choice.
export function field(label, name, props, options) {
  const input = options
    ? el(
        "select",
        { name, ...props },
        options.map(([value, text]) => el("option", { value, selected: value === props?.value }, text ?? value)),
      )
    : el("input", { name, type: "text", autocomplete: "off", spellcheck: "false", ...props });
  return el("label", { class: "field", key: `field-${name}` }, el("span", null, label), input);
}

// facts is a list of names and values; those without a value are left out.
export function facts(pairs) {
  return el(
    "dl",
    { class: "facts" },
    pairs
      .filter(([, value]) => value !== "" && value !== undefined && value !== null)
      .map(([name, value]) => el("div", null, el("dt", null, name), el("dd", null, value))),
  );
}

// section is a part of a page with its heading.
export function section(title, ...children) {
  return el("section", { key: title, "aria-label": title }, el("h2", null, title), children);
}

// link goes to a page of the console.
export function link(text, page, args = {}) {
  const query = new URLSearchParams(args).toString();
  return el("a", { href: `#${page}${query && "?" + query}` }, text);
}
