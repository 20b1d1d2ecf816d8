// A column's heading sorts the table by it, up and then down; what has no figure stays last.
"use strict";
(() => {
  const table = document.getElementById("leaderboard");
  const body = table.tBodies[0];
  const compare = (a, b) => {
    const [left, right] = [Number(a), Number(b)];
    return Number.isNaN(left) || Number.isNaN(right) ? a.localeCompare(b) : left - right;
  };
  for (const button of table.tHead.querySelectorAll("button"))
    button.addEventListener("click", () => {
      const heading = button.closest("th");
      const direction = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", direction === 1 ? "ascending" : "descending");
      const value = (row) => row.cells[heading.cellIndex].dataset.sort;
      const rows = [...body.rows];
      rows.sort((a, b) => {
        const [left, right] = [value(a), value(b)];
        if (!left || !right) return Number(!left) - Number(!right);
        return direction * compare(left, right);
      });
      body.append(...rows);
    });
})();
