"use strict";

// The pictures of each video's frames are in the page as one tiled image, its sprite.
// Without this script they are shown as they are; with it, they play.
(async () => {
  const samples = document.getElementById("samples");
  const player = document.getElementById("player");
  if (!player) return;
  const number = (element, name) => Number(element.dataset[name]);
  const [frames, prime, scale] = ["frames", "prime", "scale"].map((name) => number(player, name));
  const [width, height] = ["width", "height"].map((name) => number(player, name));
  const find = (id) => document.getElementById(id);
  const scrub = find("scrub"), play = find("play"), speed = find("speed");
  const sprites = [...samples.querySelectorAll("img.sprite")];
  const videos = [...samples.querySelectorAll(".videos canvas")];
  await Promise.all(sprites.map((sprite) => sprite.decode().catch(() => {})));

  let frame = 0;
  let timer = null;

  function paint(canvas, sprite, time) {
    const across = sprite.naturalWidth / width;
    const left = (time % across) * width, top = Math.floor(time / across) * height;
    canvas.getContext("2d").drawImage(sprite, left, top, width, height, 0, 0, width, height);
  }

  // Arrows: the rightward and upward part of each frame's action, in a circle below it.
  const arrows = sprites.map((sprite) =>
    (sprite.dataset.arrows ?? "").split(" ").filter(Boolean).map((pair) => pair.split(",").map(Number)));

  function svg(name, attributes, ...children) {
    const element = document.createElementNS(play.firstElementChild.namespaceURI, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  }

  function dial([right, up]) {
    const length = Math.hypot(right, up), reach = 10 * Math.min(length, 1), head = Math.min(8.6, 1.2 * reach);
    const shaft = svg("path", { class: "shaft", d: `M${-reach} 0H${reach - head / 2}` });
    const tip = svg("path", { d: `M${reach} 0L${reach - head} ${-head / 2}V${head / 2}Z` });
    const turned = { transform: `rotate(${(-Math.atan2(up, right) * 180) / Math.PI})` };
    const inside = length < 0.05 ? svg("circle", { class: "dot", r: 2.4 }) : svg("g", turned, shaft, tip);
    return svg("svg", { class: "dial", viewBox: "-12 -12 24 24", "aria-hidden": "true" }, svg("circle", { r: 11.5 }), inside);
  }

  // Strips: each sprite gives way to one canvas for each frame that is shown.
  const marked = new Map();
  const mark = (time, cell) => marked.set(time, [...(marked.get(time) ?? []), cell]);
  for (const head of samples.querySelectorAll(".strip thead th")) mark(number(head, "frame"), head);
  sprites.forEach((sprite, n) => {
    const whole = sprite.closest("td");
    const heads = whole.closest("table").querySelectorAll("thead th");
    const cells = [...heads].map((head) => {
      const time = number(head, "frame"), cell = document.createElement("td");
      const canvas = Object.assign(document.createElement("canvas"), { width, height });
      paint(canvas, sprite, time);
      cell.className = head.className;
      cell.append(canvas);
      if (arrows[n].length) cell.append(dial(arrows[n][time]));
      cell.addEventListener("click", () => { pause(); show(time); });
      mark(time, cell);
      return cell;
    });
    whole.replaceWith(...cells);
  });

  const words = (time) => `frame ${time}, ${time < prime ? "prime" : "sampled"}`;
  const say = (text) => { find("announced").textContent = text; };

  function show(time) {
    for (const cell of marked.get(frame) ?? []) cell.classList.remove("now");
    frame = (time + frames) % frames;
    for (const cell of marked.get(frame) ?? []) cell.classList.add("now");
    videos.forEach((video, n) => {
      paint(video, sprites[n], frame);
      if (!arrows[n].length) return;
      video.parentElement.querySelector(".dial").replaceWith(dial(arrows[n][frame]));
    });
    scrub.value = frame;
    scrub.setAttribute("aria-valuetext", words(frame));
    find("frame").textContent = frame;
    find("kind").textContent = frame < prime ? "prime" : "sampled";
    samples.classList.toggle("prime", frame < prime);
  }

  function start() {
    clearInterval(timer);
    timer = setInterval(() => show(frame + 1), 1000 / (number(player, "fps") * Number(speed.value)));
    look("Pause", "M6 4h4v16H6zM14 4h4v16h-4z");
  }

  function pause() {
    clearInterval(timer);
    timer = null;
    look("Play", "M7 4l13 8-13 8z");
  }

  function look(label, shape) {
    play.setAttribute("aria-label", label);
    play.title = `${label} (space)`;
    play.querySelector("path").setAttribute("d", shape);
  }

  function toggle() {
    if (timer === null) { start(); say("playing"); } else { pause(); say(`paused, ${words(frame)}`); }
  }

  function step(by) {
    pause();
    show(frame + by);
    say(words(frame));
  }

  play.addEventListener("click", toggle);
  find("back").addEventListener("click", () => step(-1));
  find("forward").addEventListener("click", () => step(1));
  scrub.addEventListener("input", () => { pause(); show(Number(scrub.value)); });
  speed.addEventListener("change", () => { if (timer !== null) start(); });

  // Keys work anywhere, except where they mean something already.
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const on = event.target;
    if (event.key === " " && !on.closest("button, select, summary, a")) {
      if (!event.repeat) toggle();
    } else if (event.key === "ArrowLeft" && !on.closest("input, select, .scroll")) {
      step(-1);
    } else if (event.key === "ArrowRight" && !on.closest("input, select, .scroll")) {
      step(1);
    } else {
      return;
    }
    event.preventDefault();
  });

  // Strips shrink by whole factors until they fit, and scroll if they cannot.
  function fit() {
    for (const table of samples.querySelectorAll(".strip")) {
      const shown = table.querySelectorAll("thead th").length;
      const room = table.parentElement.clientWidth - table.querySelector("tbody th").offsetWidth;
      const most = Math.floor((room / shown - 3) / width);
      const size = `${width * Math.max(1, Math.min(scale, most))}px`;
      for (const canvas of table.querySelectorAll("canvas")) canvas.style.width = size;
    }
    // Only what can be scrolled is a stop on the way of the Tab key.
    for (const box of document.querySelectorAll(".scroll")) {
      box.tabIndex = box.scrollWidth > box.clientWidth ? 0 : -1;
    }
  }

  for (const part of samples.querySelectorAll("[hidden]")) part.hidden = false;
  addEventListener("resize", fit);
  for (const part of document.querySelectorAll("details")) part.addEventListener("toggle", fit);
  fit();
  show(prime);
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
    for (const part of samples.querySelectorAll("details")) part.open = true;
  } else {
    start();
  }
  document.documentElement.dataset.ready = "";
})();
