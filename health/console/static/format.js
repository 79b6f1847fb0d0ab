// Numbers and times in words.

const number = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const integer = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

// count is a number with its noun: 1 session, 2 sessions.
export function count(n, noun, plural = noun + "s") {
  return `${integer.format(n)} ${n === 1 ? noun : plural}`;
}

// amount is a number without a unit.
export function amount(n) {
  if (Math.abs(n) >= 1e6) return number.format(n / 1e6) + "M";
  if (Math.abs(n) >= 1e4) return number.format(n / 1e3) + "k";
  return Math.abs(n) >= 100 ? integer.format(n) : number.format(n);
}

// seconds is a duration, such as 350 ms, 1.2 s, 4 min, 3 h.
export function seconds(s) {
  if (s === undefined || s === null) return "";
  if (s === 0) return "0 s";
  if (s < 0.001) return `${number.format(s * 1e6)} µs`;
  if (s < 1) return `${number.format(s * 1e3)} ms`;
  if (s < 120) return `${number.format(s)} s`;
  if (s < 7200) return `${integer.format(s / 60)} min`;
  if (s < 172800) return `${integer.format(s / 3600)} h`;
  return `${integer.format(s / 86400)} days`;
}

// bytes is a number of bytes.
export function bytes(n) {
  for (const [size, unit] of [
    [2 ** 30, "GiB"],
    [2 ** 20, "MiB"],
    [2 ** 10, "KiB"],
  ]) {
    if (n >= size) return `${number.format(n / size)} ${unit}`;
  }
  return `${integer.format(n)} B`;
}

// time is a moment on this computer's clock, with the day unless it is today.
export function time(text) {
  if (!text || text.startsWith("0001-")) return "";
  const at = new Date(text);
  const clock = at.toLocaleTimeString("en-GB");
  return at.toDateString() === new Date().toDateString() ? clock : `${at.toLocaleDateString("en-CA")} ${clock}`;
}

// ago is how long ago a moment was.
function ago(text) {
  if (!text || text.startsWith("0001-")) return "";
  return seconds(Math.max(Math.round((Date.now() - new Date(text)) / 1000), 0));
}

// since is a moment, and how long ago it was.
export function since(text) {
  return time(text) && `${time(text)} (${ago(text)} ago)`;
}

// until is a moment to come, and how long it is away.
export function until(text) {
  if (!text || text.startsWith("0001-")) return "";
  return `${time(text)} (in ${seconds(Math.max(Math.round((new Date(text) - Date.now()) / 1000), 0))})`;
}
