// What is shown to who has no session, or one that is over.

import { h, icon } from "../dom.js";

export function locked(main) {
  main.replaceChildren(h("section", { class: "locked", "aria-labelledby": "locked-title" },
    icon("key"),
    h("h1", { id: "locked-title" }, "This console is locked"),
    h("p", {}, "The address you came by has no session token, or one of an earlier start."),
    h("ol", {},
      h("li", {}, "Look where ", h("code", {}, "keystead-mobile-stub serve"), " was started: it printed an address, or put it into the file of --url-out. In the containers: run ", h("code", {}, "scripts/page"), "."),
      h("li", {}, "Copy the whole of it, also what stands behind ", h("code", {}, "#token="), "."),
      h("li", {}, "Paste it here, into the address bar, and press Enter."))));
  document.title = "Locked · Keystead";
}
