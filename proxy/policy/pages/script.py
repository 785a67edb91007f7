"""What pages do beyond HTML: copy a link, narrow a list while one types, hide broken thumbnails."""

SCRIPT = """\
"use strict";
const said = document.getElementById("said");

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without HTTPS there is no clipboard to write to, but what is selected can be copied.
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
    let told = "Copied";
    try { await copy(button.dataset.copy); } catch { told = "Not copied"; }
    label.data = told;
    said.textContent = told;
    button.focus();
    setTimeout(() => { label.data = "Copy link"; said.textContent = ""; }, 2000);
  });
}

// What Trello does not give leaves the badge behind it.
for (const image of document.querySelectorAll(".thumb img")) {
  if (image.complete && !image.naturalWidth) image.remove();
  else image.addEventListener("error", () => image.remove());
}

const search = document.querySelector("form[data-whole] input[type=search]");
if (search) {
  const count = document.querySelector(".count");
  const none = document.getElementById("none");
  const sections = [...document.querySelectorAll(".card")].map((section) => ({
    section,
    files: [...section.querySelectorAll(".file")].map((file) => ({
      file,
      text: (section.querySelector("h2").textContent + " " +
        file.querySelector(".what").textContent).toLowerCase(),
    })),
  }));
  const all = sections.reduce((sum, each) => sum + each.files.length, 0);
  search.addEventListener("input", () => {
    const words = search.value.toLowerCase().split(/\\s+/).filter(Boolean);
    let shown = 0;
    for (const { section, files } of sections) {
      let here = 0;
      for (const { file, text } of files) {
        file.hidden = !words.every((word) => text.includes(word));
        here += file.hidden ? 0 : 1;
      }
      section.hidden = here === 0;
      shown += here;
    }
    none.hidden = shown > 0;
    count.textContent = shown === all ? count.dataset.all : `${shown} of ${all} files`;
  });
}
"""
