// Plots of values over time, as SVG. The axes' words are HTML, so they stay readable whatever the width; the latest
// and highest values are in the legend, which a screen reader reads.

import { el } from "./dom.js";

const [width, height] = [600, 120];
const mostSeries = 6;
export const looks = 6; // colours and dashes of lines

// plot shows series of [{ name, look, points: [[seconds since 1970, value], ...] }], each value in words by show.
// Those with the highest values come first; the legend says how many are not shown.
export function plot(title, series, show) {
  const highest = (s) => Math.max(0, ...s.points.map(([, v]) => v ?? 0));
  const shown = series
    .filter((s) => s.points.length > 0)
    .toSorted((a, b) => highest(b) - highest(a))
    .slice(0, mostSeries);
  const latest = ({ points }) => (points.at(-1)[1] === null ? "none" : show(points.at(-1)[1] ?? 0));
  const left = series.length - shown.length;
  const times = shown.flatMap((s) => s.points.map(([t]) => t));
  if (times.length === 0) {
    return el(
      "figure",
      { class: "plot", key: title },
      el("figcaption", null, title),
      el("p", { class: "empty" }, "No values yet."),
    );
  }
  const [from, to] = [Math.min(...times), Math.max(...times)];
  const top = round(Math.max(...shown.map(highest)));
  const x = (t) => (to === from ? width : ((t - from) / (to - from)) * width);
  const y = (v) => height - (v / top) * height;
  return el(
    "figure",
    { class: "plot", key: title },
    el("figcaption", null, title),
    el(
      "div",
      { class: "plot-body" },
      el("div", { class: "plot-y", "aria-hidden": "true" }, el("span", null, show(top)), el("span", null, show(0))),
      el(
        "svg",
        { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" },
        el("line", { class: "grid", x1: 0, x2: width, y1: height / 2, y2: height / 2 }),
        shown.map((s) => el("path", { class: `series s${s.look}`, d: draw(s.points, x, y) })),
      ),
    ),
    el(
      "div",
      { class: "plot-x", "aria-hidden": "true" },
      el("span", null, clock(from)),
      el("span", null, clock(to)),
    ),
    el(
      "ul",
      { class: "legend" },
      shown.map((s) =>
        el(
          "li",
          { key: s.name },
          el("span", { class: `key s${s.look}` }),
          `${s.name}: ${latest(s)}, highest ${show(highest(s))}`,
        ),
      ),
      left > 0 && el("li", { key: "" }, `and ${left} without values or below these`),
    ),
  );
}

// draw makes a path. A value that is missing makes a gap.
function draw(points, x, y) {
  let pen = "M";
  const parts = [];
  for (const [t, v] of points) {
    if (v === null || v === undefined) {
      pen = "M";
      continue;
    }
    parts.push(`${pen}${x(t).toFixed(1)} ${y(v).toFixed(1)}`);
    pen = "L";
  }
  return parts.join("");
}

// round is the next 1, 2 or 5 with zeros behind or before.
function round(v) {
  if (!(v > 0)) return 1;
  const unit = 10 ** Math.floor(Math.log10(v));
  return [1, 2, 5, 10].find((n) => n * unit >= v * 0.999) * unit;
}

function clock(t) {
  return new Date(t * 1000).toLocaleTimeString("en-GB");
}
