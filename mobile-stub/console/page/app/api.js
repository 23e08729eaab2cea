// Asking the console. Everything but the page's own files needs the session token.

import { token } from "./session.js";

/** An answer that is no success: `status` and what the console says of it. */
export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export async function call(path, options = {}) {
  const headers = new Headers(options.headers);
  headers.set("Authorization", `Bearer ${token() ?? ""}`);
  const response = await fetch(path, { ...options, headers, cache: "no-store", credentials: "omit", redirect: "error" });
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  throw new Refusal(response.status, body.error ?? `the console answered ${response.status}`);
}

/** Begins a task; its id. What becomes of it comes with the events. */
async function begin(path, type, body) {
  const response = await call(path, { method: "POST", headers: { "Content-Type": type }, body });
  return (await response.json()).task;
}

const json = (path, value) => begin(path, "application/json", JSON.stringify(value));

export const command = (member, operation, argument = null) =>
  json(`/api/v1/members/${member}/commands`, { operation, argument });
export const remove = (member, device) => json(`/api/v1/members/${member}/removal`, { confirm: device });
export const pair = (labels) => begin("/api/v1/pairings", "text/plain; charset=utf-8", labels);
export const addCarrier = (transport) => json("/api/v1/carriers", { transport });
export const withdraw = () => json("/api/v1/changes/withdrawal", {});
