// The dialog that asks before a change, and the notes that say what became of it.

import { el, nodes, patchChildren } from "./dom.js";

const stale = "Somebody else was first, so nothing has changed. Read what it says now, and decide again.";

// ask opens a dialog: title, fields, what will happen (say is called again with the values of the fields whenever one
// changes), and a button with the words of verb. What say and run have to know, load asks for first. run does it and
// returns what to tell, or throws what went wrong; then the dialog stays. If somebody else was first, load asks again.
export function ask({ title, fields = [], load, say, verb, run, danger }) {
  const before = document.activeElement;
  const said = el("div", { id: "dialog-said" });
  const wrong = el("p", { class: "problem", role: "alert" });
  const submit = el("button", { type: "submit", class: danger ? "danger" : "primary" }, verb);
  const form = el(
    "form",
    null,
    el("h2", { id: "dialog-title" }, title),
    fields,
    said,
    wrong,
    el(
      "div",
      { class: "buttons" },
      submit,
      el("button", { type: "button", onclick: () => dialog.close() }, "Cancel"),
    ),
  );
  const dialog = el("dialog", { "aria-labelledby": "dialog-title", "aria-describedby": "dialog-said" }, form);
  const values = () => Object.fromEntries(new FormData(form));
  let known;
  const explain = () => {
    submit.disabled = Boolean(load) && known === undefined;
    patchChildren(said, nodes(submit.disabled ? el("p", null, "Looking…") : say?.(values(), known)));
  };
  const look = async () => {
    try {
      known = await load?.();
      explain();
    } catch (error) {
      wrong.textContent = error.message;
    }
  };
  look();
  form.oninput = explain;
  form.onsubmit = async (event) => {
    event.preventDefault();
    submit.disabled = true;
    wrong.textContent = "";
    said.setAttribute("aria-busy", "true");
    try {
      const told = await run(values(), known);
      dialog.close();
      if (told) note(told);
    } catch (error) {
      wrong.textContent = error.kind === "stale" ? stale : [error.message, error.advice].filter(Boolean).join(" ");
      if (error.kind === "stale") await look();
    }
    said.removeAttribute("aria-busy");
    submit.disabled = false;
  };
  dialog.onclose = () => {
    dialog.remove();
    if (before?.isConnected) before.focus();
  };
  explain();
  document.body.append(dialog);
  dialog.showModal();
}

// note tells something for a while, to screen readers too.
export function note(text, kind = "good") {
  const line = el(
    "p",
    { class: `note ${kind}` },
    text,
    el("button", { type: "button", "aria-label": "Dismiss", onclick: () => line.remove() }, "×"),
  );
  const notes = document.getElementById("notes");
  notes.append(line);
  while (notes.childNodes.length > 3) notes.firstChild.remove();
  setTimeout(() => line.remove(), 20000);
}
