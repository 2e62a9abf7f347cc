// The corner of the page that says who is signed in, and the form that changes it.
import { useEffect, useRef, useState, useSyncExternalStore } from "react";

export function Corner({ account, demo, door }) {
  const session = useSyncExternalStore(account.subscribe, account.current);
  return (
    <div className="penstock-corner">
      {session ? (
        <SignedIn account={account} session={session} />
      ) : (
        <SignedOut account={account} demo={demo} door={door} />
      )}
      <strong className="penstock-logo">Penstock</strong>
    </div>
  );
}

function SignedOut({ account, demo, door }) {
  const dialog = useRef(null);
  const [problem, setProblem] = useState(null);
  const [asked, setAsked] = useState(false);
  const [busy, attempt] = useAttempt(setProblem);
  const open = (said = null, needed = false) => {
    setProblem(said);
    setAsked(needed);
    if (!dialog.current?.open) dialog.current?.showModal();
  };
  useEffect(() => {
    door.open = () => open(null, true);
    account.comeBack().catch((error) => open(error.message));
    return () => (door.open = () => {});
  }, []);
  const asDemo = () => attempt(() => account.signInAsDemo()).then((error) => error && open(error.message));
  const demoButton = demo && (
    <button type="button" className="penstock-button penstock-primary" disabled={busy} onClick={asDemo}>
      Sign in as demo
    </button>
  );
  return (
    <>
      {demoButton}
      <button
        type="button"
        className={`penstock-button ${demo ? "" : "penstock-primary"}`}
        onClick={() => open()}
      >
        Sign in
      </button>
      <dialog
        ref={dialog}
        className="penstock-dialog"
        aria-label="Sign in"
        onClick={(event) => event.target === dialog.current && dialog.current.close()}
      >
        <Form
          account={account}
          close={() => dialog.current.close()}
          problem={problem}
          setProblem={setProblem}
          quiet={Boolean(demo)}
        >
          {asked && <p className="penstock-note">This operation needs somebody who is signed in.</p>}
          {demoButton}
          {demo && <div className="penstock-or">or with an account of your own</div>}
        </Form>
      </dialog>
    </>
  );
}

function Form({ account, close, problem, setProblem, quiet, children }) {
  const [providers, setProviders] = useState([]);
  const [coded, setCoded] = useState(false);
  const [busy, attempt] = useAttempt(setProblem);
  useEffect(() => {
    account.providers().then(setProviders, () => {});
  }, []);
  const submit = (event) => {
    event.preventDefault();
    const given = new FormData(event.currentTarget);
    attempt(() => account.signIn(given.get("email"), given.get("password"), given.get("totp"))).then(
      (error) => error?.code === "SECOND_FACTOR_REQUIRED" && setCoded(true),
    );
  };
  return (
    <form onSubmit={submit}>
      <header>
        <h2>Sign in to Penstock</h2>
        <button type="button" className="penstock-close" aria-label="Close" onClick={close}>
          ×
        </button>
      </header>
      {children}
      <label>
        E-mail
        <input name="email" type="email" autoComplete="username" required autoFocus />
      </label>
      <label>
        Password
        <input name="password" type="password" autoComplete="current-password" required />
      </label>
      {coded && (
        <label>
          Code of your authenticator, or a recovery code
          <input name="totp" autoComplete="one-time-code" autoFocus />
        </label>
      )}
      {problem && (
        <p className="penstock-problem" role="alert">
          {problem}
        </p>
      )}
      <button type="submit" className={`penstock-button ${quiet ? "" : "penstock-primary"}`} disabled={busy}>
        {busy ? "Signing in …" : "Sign in"}
      </button>
      {!coded && (
        <button type="button" className="penstock-link" onClick={() => setCoded(true)}>
          I have a second factor
        </button>
      )}
      {providers.length > 0 && <div className="penstock-or">or</div>}
      {providers.map((name) => (
        <button key={name} type="button" className="penstock-button" onClick={() => attempt(() => account.leaveFor(name))}>
          Continue with {name}
        </button>
      ))}
    </form>
  );
}

function SignedIn({ account, session }) {
  const [spaces, setSpaces] = useState(null);
  useEffect(() => {
    account.workspaces().then(setSpaces, () => setSpaces(null));
  }, [session.user.email]);
  return (
    <>
      {spaces && spaces.all.length > 1 && (
        <select
          className="penstock-workspace"
          aria-label="Workspace"
          value={session.workspace ?? spaces.own}
          onChange={(event) => account.choose(event.target.value)}
        >
          {spaces.all.map(({ id, name }) => (
            <option key={id} value={id}>
              {name}
            </option>
          ))}
        </select>
      )}
      <span className="penstock-who" title={`Signed in as ${session.user.email}`}>
        <span className="penstock-initial" aria-hidden="true">
          {(session.user.name || session.user.email)[0].toUpperCase()}
        </span>
        {session.user.email}
      </span>
      <button type="button" className="penstock-button" onClick={() => account.signOut()}>
        Sign out
      </button>
    </>
  );
}

// [whether it runs, a function that runs it and gives the error, if any].
function useAttempt(setProblem) {
  const [busy, setBusy] = useState(false);
  const attempt = async (work) => {
    setBusy(true);
    setProblem(null);
    try {
      await work();
      return null;
    } catch (error) {
      setProblem(error.message);
      return error;
    } finally {
      setBusy(false);
    }
  };
  return [busy, attempt];
}
