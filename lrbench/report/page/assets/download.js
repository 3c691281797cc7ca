"use strict";
// Copies and files of what is shown, made in the browser: nothing is sent.
const INLINED = ["fill", "stroke", "stroke-width", "stroke-dasharray", "font-size", "font-family", "font-weight", "text-anchor", "paint-order"];
const SVG = "http://www.w3.org/2000/svg";

function save(name, type, text) {
  const link = element("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// Rows as CSV; a text that a spreadsheet would run begins with an apostrophe.
function csvText(rows) {
  const safe = (cell) => (typeof cell === "string" && /^[=+\-@\t\r]/.test(cell) && !Number.isFinite(Number(cell.replace(/[,%]/g, ""))) ? `'${cell}` : String(cell ?? ""));
  const quoted = (cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
  return rows.map((row) => `${row.map((cell) => quoted(safe(cell))).join(",")}\n`).join("");
}

// Put a text into the clipboard, or select it where that is not allowed.
async function copyText(button, text, shown = null) {
  const before = button.textContent;
  try { await navigator.clipboard.writeText(text); button.textContent = "copied"; }
  catch { if (shown) getSelection().selectAllChildren(shown); button.textContent = shown ? "selected: copy it" : "not allowed here"; }
  setTimeout(() => { button.textContent = before; }, 2000);
}

// Buttons that give what is shown: `rows` makes the rows of a CSV, `drawing` an SVG where there is a picture.
function tools(name, rows, drawing = null) {
  const bar = element("div", "", "tools");
  const button = (text, act) => { const made = element("button", text); made.type = "button"; made.ariaLabel = `${text}: ${name}`; made.addEventListener("click", () => act(made)); bar.append(made); };
  const file = name.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 60) || "shown";
  button("copy", (made) => copyText(made, csvText(rows())));
  button("CSV", () => save(`${file}.csv`, "text/csv", csvText(rows())));
  if (drawing) button("SVG", () => save(`${file}.svg`, "image/svg+xml", drawing()));
  return bar;
}

// What a cell says, without the buttons in it.
const wordsOf = (cell) => [...cell.childNodes].filter((node) => node.nodeName !== "BUTTON").map((node) => node.innerText ?? node.textContent).join("").trim();
const rowsOfTable = (table) => [...table.rows].map((row) => [...row.cells].map(wordsOf));

// The points that a figure shows, a row each.
function rowsOfFigure(figure) {
  const hosts = [...figure.querySelectorAll(".plot")], { x, y } = hosts[0].panel;
  const rows = hosts.flatMap((host) => host.shown.map((p) => [host.panel.name, p.text().split("\n")[0], p.x, p.y, p.low, p.high]));
  return [["panel", "point", x.label, y.label, "low", "high"], ...rows];
}

// A figure as one SVG: caption, legend and panels where they stand, their looks written into each element.
function drawingOf(figure) {
  const box = figure.getBoundingClientRect(), whole = document.createElementNS(SVG, "svg");
  const at = (node) => { const own = node.getBoundingClientRect(); return [own.left - box.left, own.top - box.top, own]; };
  const words = (node, text) => {
    const [left, top, own] = at(node), made = document.createElementNS(SVG, "text"), looks = getComputedStyle(node);
    for (const [name, value] of [["x", left], ["y", top + own.height * 0.75], ["fill", looks.color], ["font-size", looks.fontSize], ["font-family", looks.fontFamily], ["font-weight", looks.fontWeight]]) made.setAttribute(name, value);
    made.textContent = text;
    return made;
  };
  whole.setAttribute("xmlns", SVG);
  for (const [name, value] of [["width", box.width], ["height", box.height], ["viewBox", `0 0 ${box.width} ${box.height}`]]) whole.setAttribute(name, value);
  const paper = document.createElementNS(SVG, "rect");
  for (const [name, value] of [["width", "100%"], ["height", "100%"], ["fill", actual("var(--paper)")]]) paper.setAttribute(name, value);
  whole.append(paper);
  const caption = figure.querySelector("figcaption");
  whole.append(words(caption, caption.firstChild?.textContent.trim() ?? ""));
  for (const key of figure.querySelectorAll(".key")) {
    const text = words(key, key.textContent), mark = key.querySelector("svg");
    if (mark) { text.setAttribute("x", Number(text.getAttribute("x")) + 18); whole.append(placed(mark, at(mark))); }
    whole.append(text);
  }
  for (const host of figure.querySelectorAll(".plot")) {
    const canvas = host.querySelector("canvas"), [left, top] = at(host);
    if (canvas) {
      const image = document.createElementNS(SVG, "image");
      for (const [name, value] of [["x", left], ["y", top], ["width", canvas.clientWidth], ["height", canvas.clientHeight], ["href", canvas.toDataURL()]]) image.setAttribute(name, value);
      whole.append(image);
    }
    whole.append(placed(host.querySelector("svg"), at(host)));
  }
  return new XMLSerializer().serializeToString(whole);
}
function placed(svg, [left, top]) {
  const copy = svg.cloneNode(true), originals = svg.querySelectorAll("*");
  copy.querySelectorAll("*").forEach((node, i) => {
    const looks = getComputedStyle(originals[i]);
    for (const name of INLINED) node.setAttribute(name, looks.getPropertyValue(name));
    node.removeAttribute("class");
  });
  copy.setAttribute("x", left);
  copy.setAttribute("y", top);
  return copy;
}
