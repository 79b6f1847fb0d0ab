// The pages, in the order of the navigation.

import alerts from "./pages/alerts.js";
import databases from "./pages/databases.js";
import health from "./pages/health.js";
import log from "./pages/log.js";
import nodes from "./pages/nodes.js";
import overview from "./pages/overview.js";
import runbooks from "./pages/runbooks.js";
import servers from "./pages/servers.js";
import sessions from "./pages/sessions.js";
import settings from "./pages/settings.js";
import traffic from "./pages/traffic.js";
import user from "./pages/user.js";

export const pages = [
  overview,
  traffic,
  sessions,
  user,
  servers,
  databases,
  health,
  alerts,
  runbooks,
  log,
  settings,
  nodes,
];
