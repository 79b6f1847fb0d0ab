// Elements, and how a drawn page takes the place of the last one. Text only ever becomes text: nothing here, and
// nothing in the console, makes markup from a string.

const svgNames = new Set(["svg", "g", "path", "line", "rect", "title"]);

// el makes an element. Functions among the properties are handlers, such as onclick; key tells siblings apart when the
// page is drawn again; value, checked and selected are only set when the element is new. Children are nodes, texts, or
// lists of these; null, undefined and false are none.
export function el(name, props, ...children) {
  const node = svgNames.has(name)
    ? document.createElementNS("http://www.w3.org/2000/svg", name)
    : document.createElement(name);
  for (const [key, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "key" || typeof value === "function") node[key] = value;
    else if (key === "value" || key === "checked" || key === "selected") node[key] = value;
    else node.setAttribute(key, value === true ? "" : value);
  }
  add(node, children);
  return node;
}

function add(node, children) {
  for (const child of children) {
    if (Array.isArray(child)) add(node, child);
    else if (typeof child === "string") node.append(visible(child)); // becomes a text
    else if (child !== undefined && child !== null && child !== false) node.append(child);
  }
}

// invisible are characters that show nothing, or change how others are shown. User names and texts of servers may have
// them.
const invisible = /[^\P{C}\n\t]|\p{Default_Ignorable_Code_Point}/gu;

// visible shows them by their number.
function visible(text) {
  return text.replace(invisible, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
}

const handlers = ["onclick", "oninput", "onchange", "onsubmit", "onclose", "ontoggle"];

// patch makes live look like wanted, and keeps the elements that are the same: the focus, what somebody has typed or
// selected, and what is scrolled or opened stay as they are.
function patch(live, wanted) {
  if (live.nodeType === Node.TEXT_NODE) {
    if (live.data !== wanted.data) live.data = wanted.data;
    return;
  }
  for (const { name } of [...live.attributes]) {
    if (name !== "open" && !wanted.hasAttribute(name)) live.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) {
    if (name !== "open" && live.getAttribute(name) !== value) live.setAttribute(name, value);
  }
  for (const on of handlers) {
    if (live[on] !== wanted[on]) live[on] = wanted[on];
  }
  patchChildren(live, [...wanted.childNodes]);
}

// patchChildren is patch for the children alone.
export function patchChildren(live, wanted) {
  const keyed = new Map();
  for (const child of live.childNodes) {
    if (child.key !== undefined) keyed.set(child.key, child);
  }
  let at = live.firstChild;
  for (const child of wanted) {
    const found = child.key !== undefined ? keyed.get(child.key) : at;
    if (!found || !alike(found, child)) {
      live.insertBefore(child, at);
      continue;
    }
    if (found === at) at = at.nextSibling;
    else live.insertBefore(found, at);
    patch(found, child);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

function alike(a, b) {
  return a.nodeName === b.nodeName && a.key === b.key;
}

// nodes turns what is drawn into nodes for patchChildren.
export function nodes(...children) {
  return [...el("div", null, ...children).childNodes];
}
