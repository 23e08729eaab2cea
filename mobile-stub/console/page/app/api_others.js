// Asking the console what others hold, and for attacks.

import { call } from "./api.js";

const get = async (path) => (await call(path)).json();
const post = async (path, value) =>
  (await call(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(value) })).json();

export const configuredOthers = () => get("/api/v1/others");
export const lookAtOthers = (place) => post("/api/v1/others/looks", place);
export const attacks = () => get("/api/v1/attacks");
export const arm = (attack) => post("/api/v1/attacks", attack);
export const disarmAll = () => post("/api/v1/attacks/disarming", {});
