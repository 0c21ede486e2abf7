"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const sorting = document.getElementById("sorting");

  // Sort the rows of a table. Empty cells stay last in both directions; equal ones keep their order.
  const value = (row, column) => {
    const cell = row.cells[column];
    if (cell.dataset.sort !== undefined) return Number(cell.dataset.sort);
    return cell.textContent.trim();
  };
  const collator = new Intl.Collator(undefined, { numeric: true });
  const compare = (a, b, sign) => {
    if (a === "" || b === "") return (a === "") - (b === "");
    if (typeof a === "number" && typeof b === "number") return sign * (a - b);
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return sign * collator.compare(a, b);
  };
  const sort = (head) => {
    const table = head.closest("table");
    const column = head.cellIndex;
    const down = head.getAttribute("aria-sort") === "none" ? head.classList.contains("number")
      : head.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const body = table.tBodies[0];
    const keyed = [...body.rows].map((row) => [value(row, column), row]);
    keyed.sort(([a], [b]) => compare(a, b, down ? -1 : 1));
    const rows = document.createDocumentFragment();
    for (const [, row] of keyed) rows.append(row);
    body.append(rows);
    sorting.textContent = `${table.caption.textContent}: sorted by ${head.textContent}, ${down ? "descending" : "ascending"}`;
  };
  for (const head of all("table.sortable thead th")) head.firstElementChild.addEventListener("click", () => sort(head));

  // Filter table rows, matrices and lines of the plots by the name of the labeler.
  const filter = document.getElementById("filter");
  const count = document.getElementById("count");
  const parts = all("[data-labeler]");
  const labelers = new Set(all("tr[data-one]").map((row) => row.dataset.labeler));
  const apply = () => {
    const query = filter.value.trim().toLowerCase();
    const shown = new Set();
    for (const element of parts) {
      const matches = element.dataset.labeler.toLowerCase().includes(query);
      element.toggleAttribute("hidden", !matches);
      if (element instanceof SVGElement) element.style.display = matches ? "" : "none";
      else if (matches && labelers.has(element.dataset.labeler)) shown.add(element.dataset.labeler);
    }
    count.textContent = query ? `${shown.size} of ${labelers.size} ${count.dataset.unit}` : "";
  };
  filter.addEventListener("input", apply);
  filter.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { filter.value = ""; apply(); }
  });

  // Show the text of a point or a cell beside the pointer.
  const tip = document.getElementById("tip");
  for (const title of all("figure use > title")) {
    title.parentElement.dataset.tip = title.textContent;
    title.remove();
  }
  document.addEventListener("pointerover", (event) => {
    const source = event.target.closest("[data-tip]");
    tip.hidden = !source;
    if (source) tip.textContent = source.dataset.tip;
  });
  document.addEventListener("pointermove", (event) => {
    if (tip.hidden) return;
    const left = Math.min(event.clientX + 14, window.innerWidth - tip.offsetWidth - 8);
    const under = event.clientY + 18 + tip.offsetHeight < window.innerHeight;
    tip.style.left = `${Math.max(left, 8)}px`;
    tip.style.top = `${under ? event.clientY + 18 : event.clientY - tip.offsetHeight - 10}px`;
  });

  // Save the CSV of a table, which is in the page.
  const csvFiles = JSON.parse(document.getElementById("csv-files").textContent);
  for (const button of all("button.save")) {
    button.addEventListener("click", () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([csvFiles[button.dataset.file]], { type: "text/csv;charset=utf-8" }));
      link.download = button.dataset.file;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
  }

  // Unfold everything for printing.
  window.addEventListener("beforeprint", () => {
    for (const part of all("details:not([open])")) { part.open = true; part.dataset.folded = ""; }
  });
  window.addEventListener("afterprint", () => {
    for (const part of all("details[data-folded]")) { part.open = false; delete part.dataset.folded; }
  });
})();
