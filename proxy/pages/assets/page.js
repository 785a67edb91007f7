// Copy buttons, list filtering while the user types, fallback for broken thumbnails.
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
  const count = document.querySelector(".count");
  const noMatch = document.getElementById("no-match");
  const sections = [...document.querySelectorAll(".card")].map((section) => ({
    section,
    files: [...section.querySelectorAll(".file")].map((file) => ({
      file,
      text: (section.querySelector("h2").textContent + " " +
        file.querySelector(".description").textContent).toLowerCase(),
    })),
  }));
  const all = sections.reduce((sum, { files }) => sum + files.length, 0);
  search.addEventListener("input", () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const { section, files } of sections) {
      let matches = 0;
      for (const { file, text } of files) {
        file.hidden = !words.every((word) => text.includes(word));
        matches += file.hidden ? 0 : 1;
      }
      section.hidden = matches === 0;
      shown += matches;
    }
    noMatch.hidden = shown > 0;
    count.textContent = shown === all ? count.dataset.all : `${shown} of ${all} files`;
  });
}
