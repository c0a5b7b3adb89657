// Small helpers to make and keep elements. Nothing is ever parsed as HTML: texts are set as texts.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** An HTML element. */
export const h = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);

/** An SVG element. */
export const s = (name, attributes = {}, ...children) => fill(document.createElementNS(SVG, name), attributes, children);

/** The element of that id. */
export const byId = (id) => document.getElementById(id);

/** Sets a text only where it changes, so that screen readers and selections are left in peace. */
export function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

/** Sets an attribute only where it changes; null takes it away. */
export function attribute(node, name, value) {
  if (value === null || value === undefined) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

/**
 * Children kept by key: `make(item)` for a new one, `update(node, item)` for each, in the order of the items. What is no
 * longer there goes.
 */
export function keyed(host, items, { key, make, update }) {
  const kept = new Map([...host.children].map((node) => [node.dataset.key, node]));
  let place = host.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    let node = kept.get(name);
    kept.delete(name);
    if (!node) {
      node = make(item);
      node.dataset.key = name;
    }
    if (node === place) place = place.nextElementSibling;
    else host.insertBefore(node, place);
    update?.(node, item);
  }
  for (const node of kept.values()) node.remove();
}

const looks = (column) => [column.number && "number", column.look].filter(Boolean).join(" ") || null;

/**
 * A table kept row by row. A column is `{title, silent, head, number, look, label, cell(td, item)}`; `name` and `look` are for style.
 * Roles are written out because narrow screens lay rows out as cards, which takes a table's own roles away in some browsers.
 */
export class Table {
  constructor(host, { name, caption, columns, key, empty, hideCaption = false }) {
    this.columns = columns;
    this.key = key;
    const titles = columns.map((column) =>
      h("th", { scope: "col", role: "columnheader", class: looks(column) }, column.silent ? h("span", { class: "unseen" }, column.title) : column.title));
    this.body = h("tbody", { role: "rowgroup" });
    this.caption = h("caption", { class: hideCaption ? "unseen" : null }, caption);
    this.table = h("table", { class: name, role: "table" },
      this.caption, h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ...titles)), this.body);
    this.empty = h("p", { class: "empty" }, empty);
    host.append(this.table, this.empty);
  }

  update(items) {
    this.table.hidden = items.length === 0;
    this.empty.hidden = items.length > 0;
    keyed(this.body, items, {
      key: this.key,
      make: () => this.row(),
      update: (row, item) => this.columns.forEach((column, at) => column.cell(row.children[at], item)),
    });
  }

  row() {
    const cells = this.columns.map((column) => {
      const attributes = { class: looks(column), "data-label": column.label ?? null };
      return column.head
        ? h("th", { scope: "row", role: "rowheader", ...attributes })
        : h("td", { role: "cell", ...attributes });
    });
    return h("tr", { role: "row" }, ...cells);
  }
}
