"use strict";
(() => {
  const heard = document.querySelector(".heard");
  const valueOf = (row, column) => {
    const key = row.cells[column].dataset.value;
    if (key === undefined) return null;
    const number = Number(key);
    return key.trim() === "" || Number.isNaN(number) ? key : number;
  };
  const compare = (a, b) =>
    typeof a === "number" && typeof b === "number"
      ? a - b
      : String(a).localeCompare(String(b), undefined, { numeric: true });
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    const body = table.tBodies[0];
    heads.forEach((head, column) => {
      head.querySelector("button").addEventListener("click", () => {
        const rows = [...body.rows];
        const values = new Map(rows.map((row) => [row, valueOf(row, column)]));
        const numbers = [...values.values()].some((value) => typeof value === "number");
        const before = head.getAttribute("aria-sort");
        // The best comes first at first: the largest number, the first letter.
        const order =
          before === "none"
            ? numbers ? "descending" : "ascending"
            : before === "ascending" ? "descending" : "ascending";
        const sign = order === "ascending" ? 1 : -1;
        rows.sort((one, other) => {
          const a = values.get(one);
          const b = values.get(other);
          // What has no value stays last either way.
          if (a === null || b === null) return (a === null) - (b === null);
          return sign * compare(a, b);
        });
        body.append(...rows);
        for (const each of heads) each.setAttribute("aria-sort", "none");
        head.setAttribute("aria-sort", order);
        const title = head.querySelector("button").textContent;
        heard.textContent = `Sorted by ${title}, ${order}.`;
      });
    });
  }
})();
