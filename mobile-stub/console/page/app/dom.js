// Elements without markup in strings: the page's policy forbids it, and nothing a device says can become an element.

const SVG = "http://www.w3.org/2000/svg";

/** h("button", {class: "plain", onclick: f, "aria-label": "…"}, "text", child, …). Null children are left out. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** A picture of the sprite in index.html; it repeats what a word beside it says. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

export const hasIcon = (name) => document.getElementById(`i-${name}`) !== null;

/** Writes only what differs: a screen reader and a selection are left alone. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function setAttribute(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** Makes the children of `parent` those that `make` gives for `items`, keeping the elements of keys that stay. */
export function keyed(parent, items, keyOf, make, update) {
  parent.ksChildren ??= new Map();
  const seen = new Set();
  let place = parent.firstChild;
  for (const item of items) {
    const key = keyOf(item);
    seen.add(key);
    let child = parent.ksChildren.get(key);
    if (child === undefined) {
      child = make(item);
      parent.ksChildren.set(key, child);
    }
    if (child === place) place = place.nextSibling;
    else parent.insertBefore(child, place);
    update?.(child, item);
  }
  for (const [key, child] of parent.ksChildren) {
    if (seen.has(key)) continue;
    child.remove();
    parent.ksChildren.delete(key);
  }
}
