// GraphiQL for one Penstock: its page, its /graphql, nothing from anywhere else.
import { explorerPlugin } from "@graphiql/plugin-explorer";
import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { GraphiQL, HISTORY_PLUGIN } from "graphiql";
import { createClient } from "graphql-ws";
import { createRoot } from "react-dom/client";

import "graphiql/style.css";
import "@graphiql/plugin-explorer/style.css";
import "./page.css";
import { Account } from "./account.js";
import { EXAMPLES } from "./examples.js";
import { Corner } from "./sign-in.jsx";

const assets = new URL(".", import.meta.url);
const workers = JSON.parse(document.querySelector("#workers").textContent);
globalThis.MonacoEnvironment = {
  getWorker: (_, label) => new Worker(new URL(workers[label] ?? workers.editor, assets)),
};

const endpoint = new URL("/graphql", location.href);
const socketUrl = new URL(endpoint);
socketUrl.protocol = endpoint.protocol.replace("http", "ws");

const facts = JSON.parse(document.querySelector("#penstock").textContent);
const account = new Account(endpoint);
const door = { open: () => {} };

let socket = null;
const client = createClient({
  url: socketUrl.href,
  lazy: true,
  retryAttempts: 5,
  shouldRetry: () => true,
  connectionParams: account.connection,
  on: { opened: (opened) => (socket = opened), closed: () => (socket = null) },
});

// A renewed token goes to the open socket, whose subscriptions go on; another person or workspace begins anew.
let before = account.current();
account.subscribe(() => {
  const now = account.current();
  const same = now?.user.email === before?.user.email && now?.workspace === before?.workspace;
  if (!same) client.terminate();
  else if (now && now.accessToken !== before.accessToken && socket?.readyState === WebSocket.OPEN) {
    socket.send(JSON.stringify({ type: "ping", payload: { authorization: `Bearer ${now.accessToken}` } }));
  }
  before = now;
});

const send = createGraphiQLFetcher({
  url: endpoint.href,
  fetch: account.fetch,
  enableIncrementalDelivery: false,
});
const anonymous = (errors) => errors?.some?.(({ extensions }) => extensions?.code === "UNAUTHENTICATED");
const askToSignIn = (errors) => anonymous(errors) && !account.current() && door.open();

async function fetcher(params, options) {
  if (isSubscription(params, options?.documentAST)) return followed(params);
  const result = await send(params, options);
  askToSignIn(result?.errors);
  return result;
}

function isSubscription({ operationName }, document) {
  return document?.definitions.some(
    ({ operation, name }) => operation === "subscription" && (!operationName || name?.value === operationName),
  );
}

// The toolkit's own way over a socket leaves a rejected promise behind for every refused subscription.
function followed(params) {
  const subscribe = (observer) => {
    const began = account.current(); // who signed out since then need not be told
    const error = (reason) => {
      if (!began) askToSignIn(reason);
      const closed = reason instanceof CloseEvent;
      observer.error(closed ? new Error(`The socket was closed: ${reason.reason || reason.code}`) : reason);
    };
    const unsubscribe = client.subscribe(params, {
      next: (result) => {
        if (!began) askToSignIn(result.errors);
        observer.next(result);
      },
      error,
      complete: () => observer.complete(),
    });
    return { unsubscribe };
  };
  return { subscribe };
}

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
      <Corner account={account} demo={facts.demo} door={door} />
    </GraphiQL.Logo>
  </GraphiQL>,
);
