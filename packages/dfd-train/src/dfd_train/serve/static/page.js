"use strict";

const list = document.getElementById("list");
const drop = document.getElementById("drop");
const chooser = document.getElementById("file");
const detector = document.getElementById("detector");
let about = { limit: 0, kinds: [], detectors: [], notes: {}, kept: false };

async function start() {
  about = await (await fetch("/about")).json();
  document.getElementById("model").textContent = about.model;
  const where = document.getElementById("where");
  if (!["localhost", "127.0.0.1", "[::1]"].includes(location.hostname)) {
    where.textContent = `Your file goes to the program on ${location.hostname}, and is deleted there once it is scored.`;
  }
  where.textContent += about.kept ? " Its report is kept." : " Its report is deleted when the program ends: save it before, if you need it.";
  document.getElementById("limits").textContent = `one file at most ${size(about.limit)}`;
  for (const name of about.detectors) detector.add(new Option(name, name));
  detector.parentElement.hidden = about.detectors.length < 2;
  chooser.accept = about.kinds.join(",");
  warn();
  for (const [id, name] of Object.entries(kept())) new Row(name).resume(id);
}

// Of the detector that is chosen: what must stand beside its numbers.
function warn() {
  const note = document.getElementById("note");
  const said = about.notes[detector.value];
  note.hidden = !said;
  if (said) note.textContent = `${sentence(said)} ${about.detectors.length > 1 ? detector.value : "The model"} was trained on sample footage; its scores say nothing about your files.`;
}

// With reports that outlive the server, this browser's uploads outlive the tab.
function memory() {
  return about.kept ? localStorage : sessionStorage;
}

// What was sent from here, by id: a page that is loaded anew goes on showing it.
function kept() {
  return JSON.parse(memory().getItem("uploads") ?? "{}");
}

function keep(change) {
  const uploads = kept();
  change(uploads);
  memory().setItem("uploads", JSON.stringify(uploads));
}

function size(bytes) {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${Math.round(bytes / 1e6)} MB`;
}

function time(seconds) {
  const [count, unit] = seconds >= 90 ? [Math.round(seconds / 60), "minute"] : [Math.max(1, Math.round(seconds)), "second"];
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}

function sentence(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}

class Row {
  constructor(name) {
    const item = document.getElementById("row").content.cloneNode(true).firstElementChild;
    this.item = item;
    this.state = item.querySelector(".state");
    this.bar = item.querySelector("progress");
    this.answer = item.querySelector(".answer");
    this.button = item.querySelector(".remove");
    this.button.addEventListener("click", () => this.remove());
    item.querySelector(".name").textContent = name;
    list.prepend(item);
  }

  // Who scores it: said where there is a choice, and of a report by another detector than the present one.
  by(name) {
    const said = this.item.querySelector(".by");
    said.textContent = `Detector: ${name}`;
    said.hidden = about.detectors.length === 1 && name === about.detectors[0];
  }

  resume(id) {
    this.id = id;
    this.follow();
  }

  send(file, chosen) {
    this.by(chosen);
    if (file.size > about.limit) return this.fail(`${size(file.size)} are above the limit of ${size(about.limit)}.`);
    if (file.size === 0) return this.fail("Could not be read. The file is empty.");
    const request = new XMLHttpRequest(); // fetch tells nothing of how far an upload is
    this.request = request;
    const asked = new URLSearchParams({ name: file.name, detector: chosen });
    request.open("POST", `/uploads?${asked}`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.responseType = "json";
    request.upload.onprogress = (event) => this.show("Copying", event.loaded / event.total);
    request.onload = () => {
      if (request.status === 503 && request.getResponseHeader("Retry-After")) {
        this.show("Waiting for a place in the queue", null);
        this.again = setTimeout(() => this.send(file, chosen), 1000 * request.getResponseHeader("Retry-After"));
        return;
      }
      if (request.status !== 201) return this.fail(sentence(request.response?.error ?? "the file was refused"));
      keep((uploads) => { uploads[request.response.id] = file.name; });
      this.resume(request.response.id);
    };
    request.onerror = () => this.fail("The program was not reached. Does it still run?");
    request.send(file);
  }

  async follow() {
    try {
      const reply = await fetch(`/uploads/${this.id}`);
      if (!reply.ok) return this.lose();
      const upload = await reply.json();
      this.by(upload.detector);
      const left = upload.seconds_left === null ? "" : `, about ${time(upload.seconds_left)} left`;
      if (upload.state === "done") return this.done(upload);
      if (upload.state === "cancelled") return this.fail("Cancelled.");
      if (upload.state === "failed") return this.fail("The program failed at this file; its window says why.");
      if (upload.state === "waiting") this.show(`Waiting, ${upload.before} before it`, null);
      if (upload.state === "scoring") this.show(`Finding and scoring faces${left}`, upload.share);
      if (upload.state === "explaining") this.show(`Explaining the worst frames${left}`, upload.share);
      if (upload.state === "annotating") this.show(`Making the marked video${left}`, upload.share);
    } catch {
      this.show("The program was not reached, trying again", null);
    }
    setTimeout(() => this.follow(), 400);
  }

  show(text, share) {
    this.state.textContent = text;
    if (share === null) this.bar.removeAttribute("value");
    else this.bar.value = share;
  }

  done(upload) {
    this.finish(upload.tone, about.kept ? "Hide (report stays)" : "Delete");
    const link = document.createElement("a");
    link.href = upload.report;
    link.target = "_blank";
    link.textContent = "Open the report";
    const headline = document.createElement("strong");
    headline.textContent = `${upload.headline}. `;
    this.answer.replaceChildren(headline, `${upload.sentence} `, link);
  }

  fail(reason) {
    this.finish("none");
    this.answer.textContent = reason;
  }

  finish(tone, last = "Remove") {
    this.item.classList.add(tone || "none", "finished");
    this.state.textContent = "";
    this.bar.hidden = true;
    this.button.textContent = last;
  }

  lose() {
    keep((uploads) => { delete uploads[this.id]; });
    this.fail("The program was started anew and no longer has this file.");
  }

  async remove() {
    clearTimeout(this.again);
    this.request?.abort();
    if (this.id) await fetch(`/uploads/${this.id}`, { method: "DELETE" });
    if (this.id && !this.item.classList.contains("finished")) return; // it is being stopped
    keep((uploads) => { delete uploads[this.id]; });
    this.item.remove();
  }
}

function take(files) {
  for (const file of files) new Row(file.name).send(file, detector.value);
}

detector.addEventListener("change", warn);
chooser.addEventListener("change", () => { take(chooser.files); chooser.value = ""; });
for (const name of ["dragenter", "dragover"]) {
  drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
}
for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => { event.preventDefault(); take(event.dataTransfer.files); });
// a file dropped beside the field must not replace the page
for (const name of ["dragover", "drop"]) window.addEventListener(name, (event) => event.preventDefault());
start();
