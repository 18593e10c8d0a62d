"use strict";
// Search, filter and order of the table; without this script it stands as it was written, by name.
const body = document.querySelector(".files tbody");
const rows = [...body.rows].map((row) => ({
  row,
  text: row.textContent.toLowerCase(),
  answer: row.cells[1].textContent,
  keys: [row.cells[0].textContent.toLowerCase(), row.cells[1].textContent, Number(row.cells[2].dataset.score)],
}));
const search = document.querySelector("#search");
const chosen = document.querySelector("#chosen");
const count = document.querySelector("#count");
const names = new Intl.Collator(undefined, { numeric: true }); // made once: 10,000 names are in order in a second
const heads = [...document.querySelectorAll(".files th")];

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const { row, text, answer } of rows) {
    row.hidden = (chosen.value && answer !== chosen.value) || !words.every((word) => text.includes(word));
    shown += !row.hidden;
  }
  count.textContent = shown === rows.length ? "" : `${shown} of ${rows.length} shown`;
}

function order(column, falling) {
  heads.forEach((head, at) => head.setAttribute("aria-sort", at !== column ? "none" : falling ? "descending" : "ascending"));
  const compare = (a, b) => (typeof a === "number" ? a - b : names.compare(a, b));
  rows.sort((a, b) => (falling ? -1 : 1) * compare(a.keys[column], b.keys[column]));
  body.replaceChildren(); // all at once: rows that are moved one by one take seconds, where there are 10,000
  body.append(...rows.map(({ row }) => row));
}

for (const answer of [...new Set(rows.map((one) => one.answer))].sort()) chosen.add(new Option(answer, answer));
heads.forEach((head, column) => {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...head.childNodes);
  head.append(button);
  // a score is asked for from the highest on, a name from A on
  button.addEventListener("click", () => {
    const sorted = head.getAttribute("aria-sort");
    order(column, sorted === "ascending" || (sorted !== "descending" && column === 2));
  });
});
search.addEventListener("input", filter);
chosen.addEventListener("change", filter);
for (const part of document.querySelectorAll(".tools")) part.hidden = false;
