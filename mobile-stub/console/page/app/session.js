// The session token: it comes in the address's fragment, which no server sees, and stays in this tab alone.

const KEY = "keystead-session";

/** Takes the token out of the address, so that it is neither bookmarked nor shown, and remembers it for a reload. */
export function begin() {
  const match = /^#token=([0-9a-f]{64})$/.exec(location.hash);
  if (match === null) return;
  sessionStorage.setItem(KEY, match[1]);
  history.replaceState(null, "", location.pathname + "#/home");
}

export const token = () => sessionStorage.getItem(KEY);

/** It is not, or no longer, this console's. */
export const forget = () => sessionStorage.removeItem(KEY);
