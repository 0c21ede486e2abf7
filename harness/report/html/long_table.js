"use strict";
(() => {
  // A table of any length: its columns are arrays, and the page holds the rows in sight alone.
  const byId = (id) => document.getElementById(id);
  const { columns, total, size } = JSON.parse(byId("table").textContent);
  const table = byId("rows");
  const [body] = table.tBodies;
  const heads = [...table.tHead.rows[0].cells];

  // What a row is sorted by: words are listed in their order, so the number of a word is its place. -1, null: empty.
  const keys = columns.map(({ words, values }) =>
    Float64Array.from(values, (value) => (value === null || (words && value < 0) ? NaN : value)));
  const text = ({ words, values, decimals }, row) => {
    const value = values[row];
    if (value === null || (words && value < 0)) return "";
    if (words) return words[value];
    return decimals === null ? String(value) : value.toFixed(decimals);
  };

  const order = Uint32Array.from({ length: total }, (_, row) => row);
  let shown = order;
  let first = 0;

  const draw = () => {
    const rows = document.createDocumentFragment();
    for (const row of shown.subarray(first, first + size)) {
      const line = document.createElement("tr");
      for (const column of columns) {
        const cell = document.createElement("td");
        if (!column.words) cell.className = "number";
        cell.textContent = text(column, row);
        line.append(cell);
      }
      rows.append(line);
    }
    body.replaceChildren(rows);
    const last = Math.min(first + size, shown.length);
    byId("place").textContent = shown.length ? `${(first + 1).toLocaleString("en")} to ${last.toLocaleString("en")}` : "";
    byId("previous").disabled = first === 0;
    byId("next").disabled = last === shown.length;
  };

  // Rows with a word that contains what is typed; a word is looked at once, however many rows have it.
  const filter = byId("filter");
  const apply = () => {
    const query = filter.value.trim().toLowerCase();
    if (query) {
      const hits = columns.map(({ words }) => words && words.map((word) => word.toLowerCase().includes(query)));
      shown = order.filter((row) => hits.some((hit, column) => hit && hit[columns[column].values[row]]));
    } else shown = order;
    first = 0;
    byId("count").textContent = `${query ? `${shown.length.toLocaleString("en")} of ` : ""}${total.toLocaleString("en")} rows`;
    draw();
  };

  // Empty cells stay last in both directions; equal ones keep their order.
  const sort = (place) => {
    const head = heads[place];
    const down = head.getAttribute("aria-sort") === "none" ? head.classList.contains("number")
      : head.getAttribute("aria-sort") === "ascending";
    for (const other of heads) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = keys[place];
    const full = order.filter((row) => !Number.isNaN(key[row]));
    const empty = order.filter((row) => Number.isNaN(key[row]));
    full.sort(down ? (a, b) => key[b] - key[a] : (a, b) => key[a] - key[b]);
    order.set(full);
    order.set(empty, full.length);
    byId("sorting").textContent = `sorted by ${head.textContent}, ${down ? "descending" : "ascending"}`;
    apply();
  };

  heads.forEach((head, place) => head.firstElementChild.addEventListener("click", () => sort(place)));
  filter.addEventListener("input", apply);
  filter.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { filter.value = ""; apply(); }
  });
  const turn = (step) => { first += step * size; draw(); };
  byId("previous").addEventListener("click", () => turn(-1));
  byId("next").addEventListener("click", () => turn(1));
  byId("pages").hidden = total <= size;
  draw();
})();
