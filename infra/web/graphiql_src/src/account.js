// Who is signed in on this tab: tokens renewed before they end, forgotten with the tab.
const KEY = "penstock.session";
const VERIFIER = "penstock.verifier";
const EARLY_MS = 60_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

const SESSION = "... on Session { accessToken refreshToken expiresAt user { email name } }";
const ERROR = "... on Error { code message }";
const SIGN_IN = `mutation SignIn($input: SignInInput!) { signIn(input: $input) { __typename ${SESSION} ${ERROR} } }`;
const EXCHANGE = `mutation ExchangeSignInCode($input: ExchangeSignInCodeInput!) {
  exchangeSignInCode(input: $input) { __typename ${SESSION} ${ERROR} } }`;
const REFRESH = `mutation RefreshSession($input: RefreshSessionInput!) {
  refreshSession(input: $input) { __typename ${SESSION} ${ERROR} } }`;
const SIGN_OUT = `mutation SignOut($input: SignOutInput!) { signOut(input: $input) { __typename } }`;
const PROVIDERS = "query SignInProviders { signInProviders }";
const WORKSPACES = `query Workspaces { viewer { workspace { id name } workspaces(first: 100) {
  edges { node { id name } } } } }`;

export class Account {
  #endpoint;
  #session = null;
  #renewing = null;
  #timer = 0;
  #listeners = new Set();
  #tabs = "BroadcastChannel" in globalThis ? new BroadcastChannel("penstock.session") : null;

  constructor(endpoint) {
    this.#endpoint = endpoint;
    // A tab that was duplicated has the same refresh token; using it twice would end the session.
    this.#tabs?.addEventListener("message", ({ data }) => {
      if (this.#session?.refreshToken === data.before) this.#keep({ ...this.#session, ...data.after });
    });
    try {
      this.#set(JSON.parse(sessionStorage.getItem(KEY)));
    } catch {
      this.#set(null);
    }
  }

  subscribe = (listener) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  current = () => this.#session;

  async signIn(email, password, totp) {
    const input = { email, password, ...(totp ? { totp } : {}) };
    this.#begin((await this.#ask(SIGN_IN, { input })).signIn);
  }

  // The demo's user, on a service that runs the demo; see infra/web/signing_in.py.
  async signInAsDemo() {
    const response = await fetch("/auth/demo", { method: "POST", headers: { "x-penstock-preflight": "1" } });
    if (!response.ok) throw new Error(`The demo's user cannot sign in (${response.status}).`);
    await this.#exchange({ code: (await response.json()).code });
  }

  // Leaves the page for the provider, which sends the browser back with a code only this tab can use.
  async leaveFor(provider) {
    if (!globalThis.crypto.subtle) throw new Error("Signing in with a provider needs HTTPS.");
    const verifier = base64url(crypto.getRandomValues(new Uint8Array(32)));
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
    const to = new URL(`/auth/${provider}`, location.href);
    to.searchParams.set("to", "graphiql");
    to.searchParams.set("challenge", base64url(new Uint8Array(digest)));
    sessionStorage.setItem(VERIFIER, verifier);
    location.assign(to);
  }

  // Back from a provider: the fragment holds a code or what went wrong. A tab that did not leave for one was sent
  // here by somebody else, to be signed in as them or to read what they wrote.
  async comeBack() {
    const fragment = new URLSearchParams(location.hash.slice(1));
    if (!fragment.has("code") && !fragment.has("error")) return;
    history.replaceState(null, "", location.pathname + location.search);
    const verifier = sessionStorage.getItem(VERIFIER);
    sessionStorage.removeItem(VERIFIER);
    if (!verifier) throw new Error("This tab did not ask to sign in with a provider. Sign in here.");
    if (fragment.has("error")) throw new Error(fragment.get("message") ?? "The provider did not sign you in.");
    await this.#exchange({ code: fragment.get("code"), verifier });
  }

  async signOut() {
    const token = await this.token();
    this.#keep(null);
    if (token) await this.#ask(SIGN_OUT, { input: {} }, token).catch(() => {});
  }

  choose(workspace) {
    this.#keep({ ...this.#session, workspace });
  }

  async providers() {
    return (await this.#ask(PROVIDERS)).signInProviders;
  }

  async workspaces() {
    const { viewer } = await this.#ask(WORKSPACES, {}, await this.token());
    return { own: viewer.workspace.id, all: viewer.workspaces.edges.map(({ node }) => node) };
  }

  // A token good for a minute at least, or null when nobody is signed in.
  async token(renew = false) {
    if (!this.#session) return null;
    if (renew || Date.parse(this.#session.expiresAt) - Date.now() < EARLY_MS / 2) await this.#renew();
    return this.#session?.accessToken ?? null;
  }

  // fetch, as the person signed in; headers of the editor win.
  fetch = async (url, options = {}) => {
    const headers = new Headers(options.headers);
    if (headers.has("authorization")) return fetch(url, options);
    const send = async (token) => {
      if (token) headers.set("authorization", `Bearer ${token}`);
      const { workspace } = this.#session ?? {};
      if (workspace && !headers.has("x-penstock-workspace")) headers.set("x-penstock-workspace", workspace);
      return fetch(url, { ...options, headers });
    };
    const token = await this.token();
    const response = await send(token);
    if (response.status !== 401 || !token) return response;
    const renewed = await this.token(true);
    return renewed ? send(renewed) : response;
  };

  // The payload of connection_init.
  connection = async () => {
    const token = await this.token();
    const { workspace } = this.#session ?? {};
    return token ? { authorization: `Bearer ${token}`, ...(workspace ? { workspace } : {}) } : {};
  };

  async #exchange(input) {
    this.#begin((await this.#ask(EXCHANGE, { input })).exchangeSignInCode);
  }

  #begin(result) {
    if (result.__typename !== "Session") throw Object.assign(new Error(result.message), { code: result.code });
    const { accessToken, refreshToken, expiresAt, user } = result;
    this.#keep({ accessToken, refreshToken, expiresAt, user });
  }

  #renew() {
    const alone = (work) => navigator.locks?.request("penstock.session", work) ?? work();
    this.#renewing ??= alone(() => this.#renewAlone()).finally(() => (this.#renewing = null));
    return this.#renewing;
  }

  async #renewAlone() {
    const waited = this.#session?.refreshToken;
    await new Promise((done) => setTimeout(done)); // another tab's message comes first
    const before = this.#session?.refreshToken;
    if (!before || before !== waited) return;
    let result;
    try {
      result = (await this.#ask(REFRESH, { input: { refreshToken: before } })).refreshSession;
    } catch {
      return this.#schedule(5_000); // away for now: not signed out
    }
    if (result.__typename !== "Session") return this.#keep(null);
    const { accessToken, refreshToken, expiresAt } = result;
    const after = { accessToken, refreshToken, expiresAt };
    this.#tabs?.postMessage({ before, after });
    this.#keep({ ...this.#session, ...after });
  }

  #keep(session) {
    if (session) sessionStorage.setItem(KEY, JSON.stringify(session));
    else sessionStorage.removeItem(KEY);
    this.#set(session);
  }

  #set(session) {
    this.#session = session;
    clearTimeout(this.#timer);
    if (session) this.#schedule(Date.parse(session.expiresAt) - Date.now() - EARLY_MS);
    for (const listener of this.#listeners) listener();
  }

  #schedule(milliseconds) {
    clearTimeout(this.#timer);
    const wait = Math.min(Math.max(milliseconds, 1_000), LONGEST_TIMER_MS);
    this.#timer = setTimeout(() => this.#renew(), wait);
  }

  async #ask(query, variables, token) {
    const headers = { "content-type": "application/json", accept: "application/json" };
    if (token) headers.authorization = `Bearer ${token}`;
    const response = await fetch(this.#endpoint, {
      method: "POST",
      headers,
      body: JSON.stringify({ query, variables }),
    });
    const { data, errors } = await response.json();
    if (errors?.length) throw Object.assign(new Error(errors[0].message), { code: errors[0].extensions?.code });
    return data;
  }
}

function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}
