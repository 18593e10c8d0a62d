"use strict";
// The video, the line over the timeline, its slider and the pictures show one moment.
const video = document.querySelector("video");
const slider = document.querySelector(".slider input");
const line = document.querySelector(".now");
let until = Infinity;

function show() {
  if (video.currentTime >= until) {
    until = Infinity;
    video.pause();
  }
  if (slider) {
    slider.value = video.currentTime;
    slider.setAttribute("aria-valuetext", `${video.currentTime.toFixed(1)} seconds`);
    line.style.setProperty("--at", Math.min(1, video.currentTime / slider.max));
  }
}

function follow() {
  show();
  if (!video.paused) requestAnimationFrame(follow);
}

function go(seconds) {
  until = Infinity;
  video.currentTime = seconds;
  show();
}

if (video) {
  for (const part of document.querySelectorAll("[data-moves]")) part.hidden = false;
  for (const name of ["timeupdate", "seeking", "pause"]) video.addEventListener(name, show);
  video.addEventListener("play", follow);
  for (const button of document.querySelectorAll("button[data-at]")) {
    button.addEventListener("click", () => {
      go(Number(button.dataset.at));
      if (button.dataset.until) {
        until = Number(button.dataset.until);
        video.play();
      } else {
        video.pause();
      }
      video.scrollIntoView({ block: "nearest" });
    });
  }
  slider?.addEventListener("input", () => { video.pause(); go(Number(slider.value)); });
  const plot = document.querySelector(".plot");
  plot?.querySelector("div").addEventListener("click", (event) => {
    const box = plot.getBoundingClientRect();
    const style = getComputedStyle(plot);
    const [left, right] = ["--left", "--right"].map((side) => Number(style.getPropertyValue(side)));
    const share = ((event.clientX - box.left) / box.width - left) / (right - left);
    go(Math.max(0, Math.min(1, share)) * slider.max);
  });
  const first = document.querySelector("button[data-first]");
  if (first) video.addEventListener("loadedmetadata", () => go(Number(first.dataset.at)), { once: true });
  show();
}
