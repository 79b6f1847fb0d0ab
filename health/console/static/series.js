// Figures over time, as /api/v1/stats/series sends them, for plots.

import { query } from "./api.js";
import { el } from "./dom.js";
import { amount, bytes, seconds } from "./format.js";
import { looks, plot } from "./plot.js";

// seriesPath is the request for figures of the last minutes, by server, database, listener or verb.
export function seriesPath(by, minutes, more = {}) {
  const step = { 5: 5, 15: 10, 60: 30 }[minutes];
  return query("/api/v1/stats/series", { by, since: minutes * 60, step, ...more });
}

// nowPath is the request for figures of the last minute.
export function nowPath(by, more = {}) {
  return query("/api/v1/stats", { by, since: 60, ...more });
}

// sessionsOf is the number of sessions of a server or database, undefined before the figures have come.
export function sessionsOf(answer, name) {
  return answer && (answer.rows.find((row) => row.name === name)?.sessions ?? 0);
}

// What can be plotted: title, value of a row, value in words, and what stands for a row that is missing.
const perSecond = (n) => `${amount(n)}/s`;
const figures = {
  commands: ["Commands", (row, span) => row.commands / span, perSecond, 0],
  p50: ["Server time, median", (row) => (row.commands ? row.p50 : null), seconds, null],
  p95: ["Server time, 95th percentile", (row) => (row.commands ? row.p95 : null), seconds, null],
  p99: ["Server time, 99th percentile", (row) => (row.commands ? row.p99 : null), seconds, null],
  queued: ["Commands without answer", (row) => row.queued ?? 0, amount, 0],
  sessions: ["Sessions", (row) => row.sessions ?? 0, amount, null],
  signIns: ["Sign-ins", (row, span) => (row.sign_ins ?? 0) / span, perSecond, 0],
  refused: ["Refused sign-ins", (row, span) => refusals(row) / span, perSecond, 0],
  traffic: ["Bytes to clients", (row, span) => (row.server_bytes ?? 0) / span, (n) => `${bytes(n)}/s`, 0],
};

// refusals counts the refused sign-ins of a row.
export function refusals(row) {
  return Object.values(row.refused ?? {}).reduce((all, n) => all + n, 0);
}

// plots draws some of the figures of an answer.
export function plots(answer, names) {
  return el(
    "div",
    { class: "plots" },
    names.map((name) => {
      const [title, value, show, missing] = figures[name];
      return plot(title, series(answer.points, value, missing), show);
    }),
  );
}

// series sorts the rows of points by name. A point that nothing was counted in is missing.
function series(points, value, missing) {
  const names = [...new Set(points.flatMap((p) => p.rows.map((r) => r.name)))].toSorted();
  return names.map((name, number) => ({
    name,
    look: number % looks,
    points: points.map((p) => {
      const row = p.rows.find((r) => r.name === name);
      return [Date.parse(p.to) / 1000, row ? value(row, p.seconds || 1) : missing];
    }),
  }));
}
