"use strict";
// Search, filter and order of the table; without this script it stands as it was written, by name.
const MOST = 500; // rows in the page at once: laying out 10,000 takes seconds
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
const more = document.querySelector("#more");
const names = new Intl.Collator(undefined, { numeric: true }); // made once: 10,000 names are in order in a second
const grouped = (number) => number.toLocaleString("en"); // 10,000
const heads = [...document.querySelectorAll(".files th")];

function show(most = MOST) {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = ({ text, answer }) => (!chosen.value || answer === chosen.value) && words.every((word) => text.includes(word));
  const found = rows.filter(fits);
  const shown = document.createDocumentFragment();
  for (const { row } of found.slice(0, most)) shown.append(row);
  body.replaceChildren(shown);
  count.textContent = body.rows.length === rows.length ? "" : `${grouped(body.rows.length)} of ${grouped(rows.length)} shown`;
  more.hidden = found.length <= most;
  more.textContent = `Show all ${grouped(found.length)}`;
}

function order(column, falling) {
  heads.forEach((head, at) => head.setAttribute("aria-sort", at !== column ? "none" : falling ? "descending" : "ascending"));
  const compare = (a, b) => (typeof a === "number" ? a - b : names.compare(a, b));
  rows.sort((a, b) => (falling ? -1 : 1) * compare(a.keys[column], b.keys[column]));
  show();
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
search.addEventListener("input", () => show());
chosen.addEventListener("change", () => show());
more.addEventListener("click", () => show(Infinity));
addEventListener("beforeprint", () => show(Infinity));
for (const part of document.querySelectorAll(".tools")) part.hidden = false;
show();
