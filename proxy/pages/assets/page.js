// A viewer of images and PDFs, copy buttons, list filtering while the user types, local times, fallback for broken thumbnails.
"use strict";
const liveRegion = document.getElementById("live-region");

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Browsers offer the clipboard API over HTTPS only; copying a selection works without it.
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "visually-hidden";
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    if (!copied) throw new Error("not copied");
  }
}

for (const button of document.querySelectorAll("[data-copy]")) {
  const label = button.firstChild;
  const wording = label.data;
  button.hidden = false;
  button.addEventListener("click", async () => {
    let result = "Copied";
    try { await copy(button.dataset.copy); } catch { result = "Not copied"; }
    label.data = result;
    liveRegion.textContent = result;
    button.focus();
    setTimeout(() => { label.data = wording; liveRegion.textContent = ""; }, 2000);
  });
}

// Where a thumbnail does not load, the badge behind it shows.
for (const image of document.querySelectorAll(".thumb img")) {
  if (image.complete && !image.naturalWidth) image.remove();
  else image.addEventListener("error", () => image.remove());
}

const search = document.querySelector("form[data-complete] input[type=search]");
if (search) {
  const count = document.querySelector(".search .count");
  const noMatch = document.getElementById("no-match");
  const groups = [...document.querySelectorAll(".group")].map((group) => ({
    group,
    cards: [...group.querySelectorAll(".card")].map((card) => ({
      card,
      text: card.querySelector(".line").textContent.toLowerCase(),
      files: [...card.querySelectorAll(".file")].map((file) => ({
        file, text: file.querySelector(".description").textContent.toLowerCase(),
      })),
    })),
  }));
  // A card is shown if it has every word, with all its files; else with the files that have the rest.
  const filter = ({ card, text, files }, words) => {
    const rest = words.filter((word) => !text.includes(word));
    let found = rest.length === 0;
    for (const { file, text: ofFile } of files) {
      file.hidden = !rest.every((word) => ofFile.includes(word));
      found ||= !file.hidden;
    }
    card.hidden = !found;
    return found;
  };
  search.addEventListener("input", () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const { group, cards } of groups) {
      const found = cards.filter((card) => filter(card, words)).length;
      group.hidden = found === 0;
      shown += found;
    }
    noMatch.hidden = shown > 0;
    count.textContent = words.length ? `${shown} of ${count.dataset.all}` : count.dataset.all;
  });
}

// Images and PDFs open in a dialog, with the files before and behind them on the page.
const VIEWER = `<form method="dialog"><p class="title"></p><a class="button" target="_blank">Open</a>
<button class="button">Close</button></form><div class="stage"></div>
<p class="steps"><button type="button" class="button">Previous</button><span role="status"></span>
<button type="button" class="button">Next</button></p>`;

function viewerOf(links) {
  const dialog = document.createElement("dialog");
  dialog.className = "viewer";
  dialog.innerHTML = VIEWER;
  document.body.append(dialog);
  const [title, open, stage] = [".title", "a", ".stage"].map((each) => dialog.querySelector(each));
  const [previous, next] = dialog.querySelectorAll(".steps button");
  const place = dialog.querySelector(".steps span");
  let shown = [], at = 0;

  function fill(link) {
    const name = link.textContent;
    const isImage = link.dataset.viewer === "image";
    const view = document.createElement(isImage ? "img" : "iframe");
    view[isImage ? "alt" : "title"] = name;
    view.addEventListener("error", () => stage.replaceChildren("It cannot be shown here."));
    view.src = link.href;
    stage.replaceChildren(view);
    title.textContent = name;
    open.href = link.href;
    dialog.setAttribute("aria-label", name);
  }
  function show(number) {
    at = (number + shown.length) % shown.length;
    fill(shown[at]);
    place.textContent = `${at + 1} of ${shown.length}`;
  }
  previous.addEventListener("click", () => show(at - 1));
  next.addEventListener("click", () => show(at + 1));
  dialog.addEventListener("keydown", ({ key }) => {
    if (key === "ArrowLeft") show(at - 1);
    if (key === "ArrowRight") show(at + 1);
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => { stage.replaceChildren(); shown[at].focus(); });
  return (link) => {
    shown = links.filter((each) => each.checkVisibility());
    previous.hidden = next.hidden = shown.length < 2;
    dialog.showModal();
    show(shown.indexOf(link));
  };
}

// A browser that shows no PDF in a page would save it.
const viewable = [...document.querySelectorAll("a[data-viewer]")].filter(
  ({ dataset }) => dataset.viewer === "image" || navigator.pdfViewerEnabled);
if (viewable.length) {
  const view = viewerOf(viewable);
  document.addEventListener("click", (event) => {
    const clicked = event.target.closest(".file a:not(.button)");
    const link = clicked && clicked.closest(".file").querySelector("a[data-viewer]");
    if (event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    if (!viewable.includes(link)) return;
    event.preventDefault();
    view(link);
  });
}

const FORMATS = {
  date: { dateStyle: "medium" },
  time: { timeStyle: "short" },
  moment: { dateStyle: "medium", timeStyle: "short" },
};
for (const time of document.querySelectorAll("time[data-local]")) {
  const format = new Intl.DateTimeFormat(undefined, FORMATS[time.dataset.local]);
  time.textContent = format.format(new Date(time.dateTime));
}
