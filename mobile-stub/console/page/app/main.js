// The page as a whole: takes the session, follows the events, shows a view and how things stand at the top.

import { call } from "./api.js";
import { follow } from "./events.js";
import { Model } from "./model.js";
import { Router } from "./router.js";
import { begin, forget, token } from "./session.js";
import { watchLink } from "./link.js";
import { attack } from "./views/attack.js";
import { home } from "./views/home.js";
import { members } from "./views/members.js";
import { locked } from "./views/locked.js";
import { others } from "./views/others.js";

const main = document.getElementById("view");
const tabs = document.getElementById("tabs");

// For who waits for the page, as a test does: "open" or "locked".
const tell = (state) => { document.documentElement.dataset.page = state; };

function lock() {
  tell("locked");
  forget();
  tabs.replaceChildren();
  document.getElementById("banner").hidden = true;
  document.getElementById("link").replaceChildren();
  locked(main);
  // The whole address may be pasted into this very tab.
  addEventListener("hashchange", () => location.reload(), { once: true });
}

/** Says now and then that somebody is here, for a console that ends when nobody is. */
function sayWhenUsed() {
  const often = 30000;
  let said = -often;
  const say = () => {
    if (performance.now() - said < often) return;
    said = performance.now();
    call("/api/v1/use", { method: "POST" }).catch(() => {});
  };
  for (const act of ["pointerdown", "keydown", "wheel", "touchstart"]) addEventListener(act, say, { passive: true });
}

function open() {
  const model = new Model();
  const router = new Router([home, others, attack, members], main, tabs, { model });
  watchLink(model, document.getElementById("link"), document.getElementById("banner"));
  router.start();
  tell("open");
  sayWhenUsed();
  follow({
    changes: (content) => model.apply(content),
    link: (state) => model.setLink(state),
    locked: () => {
      router.stop();
      lock();
    },
  });
}

begin();
if (token() === null) lock();
else open();
