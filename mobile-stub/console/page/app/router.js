// Which view is shown: the address's fragment, "#/home". A view is {path, title, icon, mount(main, context)}, and
// mount answers a function that takes it down again.

import { h, icon, setAttribute } from "./dom.js";

export class Router {
  #down = null;
  #shown = null;

  constructor(views, main, tabs, context) {
    this.views = views;
    this.main = main;
    this.context = context;
    this.links = views.map((view) => h("a", { href: `#/${view.path}` }, icon(view.icon), h("span", {}, view.title)));
    tabs.replaceChildren(...this.links);
  }

  start() {
    addEventListener("hashchange", () => this.#show(true));
    this.#show(false);
  }

  #show(moved) {
    const path = location.hash.replace(/^#\/?/, "").split("/")[0];
    const view = this.views.find((one) => one.path === path) ?? this.views[0];
    if (view === this.#shown) return;
    this.#down?.();
    this.#shown = view;
    this.main.replaceChildren();
    document.title = `${view.title} · Keystead`;
    this.links.forEach((link, i) => setAttribute(link, "aria-current", this.views[i] === view ? "page" : null));
    this.#down = view.mount(this.main, this.context);
    if (moved) {
      scrollTo(0, 0);
      this.main.focus({ preventScroll: true });
    }
  }

  /** For good: nothing can be shown any more. */
  stop() {
    this.#down?.();
    this.#down = null;
  }
}
