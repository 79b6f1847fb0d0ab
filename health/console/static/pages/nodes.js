// This node: its components, and maintenance.

import { post } from "../api.js";
import { el } from "../dom.js";
import { since } from "../format.js";
import { facts, field, section, state, table } from "../parts.js";
import { steps } from "./servers.js";

const components = "/api/v1/components";
const maintenance = "/api/v1/maintenance";

export default {
  name: "nodes",
  title: "Nodes",
  open(app) {
    return {
      follow: () => [components, maintenance],
      view() {
        const own = app.body(maintenance)?.find((m) => m.node);
        return section(
          `This node, ${app.names.node}`,
          own &&
            facts([
              ["Maintenance since", since(own.since)],
              ["Sessions left", String(own.sessions ?? 0)],
            ]),
          el("p", { class: "buttons" }, own ? endButton(app) : drainButton(app)),
          componentTable(app),
        );
      },
    };
  },
};

function componentTable(app) {
  const all = app.body(components);
  if (!all) return app.waiting(components);
  const request = (r) => `${r.state} by ${r.requester} since ${since(r.at)}`;
  const columns = [
    ["Component", (c) => [c.component, c.server].filter(Boolean).join(" of ")],
    ["State", (c) => state(c.state)],
    ["Asked for", (c) => (c.requests ?? []).map(request).join("; ")],
  ];
  return table("Components", columns, all, (c) => `${c.component} ${c.server}`, "There is no component.");
}

function endButton(app) {
  return app.changes("End maintenance of this node", {
    title: `End maintenance of ${app.names.node}?`,
    verb: "End maintenance",
    say: () => el("p", null, "The node takes clients again."),
    run: async () => steps(await post("/api/v1/maintenance/stop")),
  });
}

function drainButton(app) {
  const choices = [
    ["30", "30 seconds"],
    ["120", "2 minutes"],
    ["240", "4 minutes"],
  ];
  const alone = "The configuration names no other node: nobody may be left to serve users.";
  const spec = {
    title: `Drain ${app.names.node}?`,
    verb: "Drain the node",
    danger: true,
    fields: [field("Sessions end within", "time", { value: "30" }, choices)],
    say: () => [
      el("p", null, "The node refuses new clients, and all its sessions end. Load balancers see it as down."),
      app.names.nodes.length === 0 && el("p", { class: "problem" }, alone),
    ],
    run: async ({ time }) => steps(await post("/api/v1/maintenance/start", { seconds: Number(time) })),
  };
  return app.changes("Drain this node", spec, { kind: "danger" });
}
