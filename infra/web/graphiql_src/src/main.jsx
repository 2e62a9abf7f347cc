// GraphiQL for one Penstock: its page, its /graphql, nothing from anywhere else.
import { explorerPlugin } from "@graphiql/plugin-explorer";
import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { GraphiQL, HISTORY_PLUGIN } from "graphiql";
import { createClient } from "graphql-ws";
import { createRoot } from "react-dom/client";

import "graphiql/style.css";
import "@graphiql/plugin-explorer/style.css";
import "./page.css";
import { EXAMPLES } from "./examples.js";

const assets = new URL(".", import.meta.url);
const workers = JSON.parse(document.querySelector("#workers").textContent);
globalThis.MonacoEnvironment = {
  getWorker: (_, label) => new Worker(new URL(workers[label] ?? workers.editor, assets)),
};

const endpoint = new URL("/graphql", location.href);
const socket = new URL(endpoint);
socket.protocol = endpoint.protocol.replace("http", "ws");

const fetcher = createGraphiQLFetcher({
  url: endpoint.href,
  wsClient: createClient({
    url: socket.href,
    lazy: true,
    retryAttempts: 5,
    shouldRetry: () => true,
  }),
});
const plugins = [HISTORY_PLUGIN, explorerPlugin({ showAttribution: false })];
const asked = new URLSearchParams(location.search).get("query");

createRoot(document.querySelector("#graphiql")).render(
  <GraphiQL
    fetcher={fetcher}
    plugins={plugins}
    defaultTabs={EXAMPLES.map((query) => ({ query }))}
    initialQuery={asked ?? undefined}
    defaultEditorToolsVisibility={false}
  >
    <GraphiQL.Logo>
      <strong className="penstock-logo">Penstock</strong>
    </GraphiQL.Logo>
  </GraphiQL>,
);
