"use strict";
const ROWS = 50, PRINTED = 1000, COLLATOR = new Intl.Collator("en");

// The table: filters, sorting by raw values, a page of rows at a time.
function wireTable(data, state, redraw) {
  const { shown, open } = state;
  const { columns, numbers } = data.table, body = document.querySelector("#trial-table tbody"), facets = [...document.querySelectorAll(".filters select")];
  const texts = numbers.map((_, i) => columns.map((column) => cell({ words: column.words, codes: column.codes }, i) ?? ""));
  const searched = texts.map((row) => row.join(" ").toLowerCase());
  let order = numbers.map((_, i) => i), visible = order, page = 0;
  const line = (i) => {
    const row = document.createElement("tr"), button = element("button", String(numbers[i] + 1), "open"), first = document.createElement("td"), box = document.createElement("input");
    row.dataset.number = numbers[i];
    button.type = "button";
    button.ariaLabel = `details of trial ${numbers[i] + 1}`;
    Object.assign(box, { type: "checkbox", className: "tick-one", checked: state.compared?.includes(numbers[i]), ariaLabel: `compare trial ${numbers[i] + 1}` });
    box.dataset.number = numbers[i];
    first.append(box, button);
    row.append(first, ...texts[i].map((text, k) => element("td", text, columns[k].values ? "number" : "")));
    return row;
  };
  const show = (most = ROWS) => {
    const last = Math.max(0, Math.ceil(visible.length / most) - 1);
    page = Math.min(page, last);
    body.replaceChildren(...visible.slice(page * most, (page + 1) * most).map(line));
    input("pages").hidden = last === 0;
    input("page").textContent = `page ${page + 1} of ${last + 1}`;
  };
  const narrow = () => {
    const wanted = input("words").value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (i) => wanted.every((word) => searched[i].includes(word)) && facets.every((facet) => !facet.value || texts[i][facet.dataset.column] === facet.value);
    visible = order.filter(fits);
    shown.clear();
    visible.forEach((i) => shown.add(numbers[i]));
    page = 0;
    input("count").textContent = `${visible.length} of ${numbers.length} trials`;
    show();
  };
  const filter = () => {
    remember({ words: input("words").value || null, ...Object.fromEntries(facets.map((facet) => [facet.dataset.name, facet.value || null])) });
    narrow();
    redraw();
  };
  let pause;
  input("words").addEventListener("input", () => { clearTimeout(pause); pause = setTimeout(filter, 120); });
  facets.forEach((facet) => facet.addEventListener("change", filter));
  body.addEventListener("change", ({ target }) => { if (target.matches(".tick-one") && !state.tick(Number(target.dataset.number), target.checked)) target.checked = false; });
  document.querySelector(".filters").addEventListener("submit", (event) => event.preventDefault());
  input("before").addEventListener("click", () => { page = Math.max(0, page - 1); show(); });
  input("after").addEventListener("click", () => { page += 1; show(); });
  document.querySelectorAll("#trial-table .sort").forEach((button, k) => button.addEventListener("click", () => {
    const th = button.closest("th"), sign = th.ariaSort === "ascending" ? -1 : 1, values = columns[k].values ?? texts.map((row) => row[k]);
    document.querySelectorAll("#trial-table th[aria-sort]").forEach((one) => { one.ariaSort = "none"; });
    th.ariaSort = sign === 1 ? "ascending" : "descending";
    const empty = (value) => value === null || value === "";
    order = [...order].sort((a, b) => empty(values[a]) - empty(values[b]) || (empty(values[a]) ? 0 : sign * (typeof values[a] === "number" ? values[a] - values[b] : COLLATOR.compare(values[a], values[b]))));
    const kept = new Set(visible);
    visible = order.filter((i) => kept.has(i));
    page = 0;
    show();
  }));
  body.addEventListener("click", (event) => { if (event.target.matches(".open")) open(Number(event.target.closest("tr").dataset.number)); });
  document.querySelector(".filters").append(tools("trials", () => [columns.map((column) => column.head), ...visible.map((i) => texts[i])]));
  addEventListener("beforeprint", () => show(PRINTED));
  addEventListener("afterprint", () => show());
  input("words").value = address.get("words") ?? "";
  facets.forEach((facet) => { facet.value = address.get(facet.dataset.name) ?? ""; if (facet.selectedIndex === -1) facet.value = ""; });
  narrow();
}
