"use strict";
// Why: the rank of each layer against its break-even, MACs before and after, and what cutting it alone costs.
function whyLayers(data, number, name) {
  const { columns, starts } = data.layers, host = input("layers"), table = document.createElement("table"), scroll = element("div", "", "scroll");
  const head = table.createTHead().insertRow(), rest = table.createTBody(), probe = probes(data), at = (column, i) => (columns[column] ? cell(columns[column], i) : null);
  for (const text of ["layer", "rank kept (line: break-even in MACs)", "rank", "MACs", "of dense", "output error when cut alone"]) { const th = element("th", text); th.scope = "col"; head.append(th); }
  for (let i = starts[number]; i < starts[number + 1]; i++) {
    const line = rest.insertRow(), rank = at("rank", i), most = at("max_rank", i), even = at("breakeven_rank_macs", i);
    const alone = data.alone[at("truncation", i)], method = alone && alone !== "plain" ? `${at("scheme", i)} ${alone}` : at("scheme", i);
    line.append(element("th", at("layer", i)), rank === null ? element("td", `dense: ${at("reason", i) ?? "not asked for"}`, "reason") : bar(rank, most, even));
    line.cells[0].scope = "row";
    const lost = rank === null ? null : probe(at("layer", i), method, rank);
    for (const text of [rank === null ? "" : `${rank} of ${most}`, format(at("macs", i)), percent(at("macs", i) / at("dense_macs", i)), lost === null ? "" : percent(lost, 1)]) line.append(element("td", text, "number"));
  }
  table.createCaption().textContent = `${name}: ${data.titles[number].split(", ").at(-1)}, the ranks that its layers keep`;
  scroll.tabIndex = 0;
  scroll.role = "region";
  scroll.ariaLabel = "ranks of the chosen point";
  scroll.append(table);
  host.replaceChildren(tools("ranks of the chosen point", () => rowsOfTable(table)), scroll);
}
function bar(rank, most, even) {
  const cellOf = element("td", "", "track"), filled = element("span", "", rank <= even ? "filled" : "filled over"), tick = element("span", "", "tick");
  filled.style.width = `${(100 * rank) / most}%`;
  tick.style.left = `${Math.min(100, (100 * even) / most)}%`;
  cellOf.append(filled, tick, element("span", `rank ${rank} of ${most}, break-even ${Math.floor(even)}`, "spoken"));
  return cellOf;
}
function probes(data) {
  const { layer, method, rank, output_error: lost } = data.probes, known = new Map();
  layer.codes.forEach((_, i) => {
    const key = `${cell(layer, i)}\n${cell(method, i)}`;
    known.set(key, [...(known.get(key) ?? []), [rank.values[i], lost.values[i]]]);
  });
  return (name, way, wanted) => {
    const near = d3.least(known.get(`${name}\n${way}`) ?? [], ([one]) => Math.abs(one - wanted));
    return near && Math.abs(near[0] - wanted) <= 0.2 * wanted + 1 ? near[1] : null;
  };
}
