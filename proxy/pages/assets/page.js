// Copy buttons, list filtering while the user types, local times, fallback for broken thumbnails.
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
  button.hidden = false;
  button.addEventListener("click", async () => {
    let result = "Copied";
    try { await copy(button.dataset.copy); } catch { result = "Not copied"; }
    label.data = result;
    liveRegion.textContent = result;
    button.focus();
    setTimeout(() => { label.data = "Copy link"; liveRegion.textContent = ""; }, 2000);
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

const FORMATS = {
  date: { dateStyle: "medium" },
  time: { timeStyle: "short" },
  moment: { dateStyle: "medium", timeStyle: "short" },
};
for (const time of document.querySelectorAll("time[data-local]")) {
  const format = new Intl.DateTimeFormat(undefined, FORMATS[time.dataset.local]);
  time.textContent = format.format(new Date(time.dateTime));
}
