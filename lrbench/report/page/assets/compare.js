"use strict";
// Two to four trials side by side: differences on the same test images, costs, and the rank that each layer keeps.
const MOST_COMPARED = 4;

// How many bits are set in a byte.
const ONES = Uint8Array.from({ length: 256 }, (_, byte) => [...byte.toString(2)].filter((bit) => bit === "1").length);

// What one model gained over another (0.01: a point) with its interval: image by image where both have their masks, else
// as on two independent samples. `z` is the quantile of the interval. The same as `drop_between` in Python.
function gained(before, after, samples, z) {
  const drop = (before.correct - after.correct) / samples;
  let mean, variance;
  if (before.mask && after.mask) {
    let lost = 0, won = 0;
    before.mask.forEach((byte, i) => { lost += ONES[byte & ~after.mask[i] & 255]; won += ONES[after.mask[i] & ~byte & 255]; });
    const weight = samples + 1.5;
    mean = (lost - won) / weight;
    variance = ((lost + won + 1) / weight - mean ** 2) / (weight + 1);
  } else {
    const [high, low] = [before, after].map(({ correct }) => (correct + 0.5) / (samples + 1));
    mean = high - low;
    variance = (high * (1 - high) + low * (1 - low)) / (samples + 2);
  }
  return { value: -drop, low: -(mean + z * Math.sqrt(variance)), high: -(mean - z * Math.sqrt(variance)), paired: Boolean(before.mask && after.mask) };
}

// What a trial answered: masks are kept as what differs from the first of the same images.
function answersOf({ correct, masks, bases }, number) {
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  if (!masks[number]) return { correct: correct[number], mask: null };
  const base = bytes(masks[bases[number]]), own = bytes(masks[number]);
  return { correct: correct[number], mask: bases[number] === number ? own : own.map((byte, i) => byte ^ base[i]) };
}

function wireCompare(data, state) {
  const host = input("compared"), name = (number) => { const key = short(cell(data.trials.trial, number)); return data.trials.folder.words.length > 1 ? `${cell(data.trials.folder, number)}/${key}` : key; };
  const numbers = new Map(data.table.numbers.map((number) => [name(number), number]));
  state.compared = (address.get("compare") ?? "").split(",").map((key) => numbers.get(key)).filter((number) => number !== undefined).slice(0, MOST_COMPARED);
  const draw = () => {
    remember({ compare: state.compared.map(name).join(",") || null });
    document.querySelectorAll("#trial-table .tick-one").forEach((box) => { box.checked = state.compared.includes(Number(box.dataset.number)); });
    input("compare-note").textContent = state.compared.length < 2 ? "Tick two to four trials in the table below, or take the choice above with its neighbours." : "Differences are from the first, of these weights, without training noise; those that are paired are image by image.";
    host.replaceChildren(...(state.compared.length ? [comparison(data, state.compared, change)] : []));
  };
  const change = (wanted) => { state.compared = [...new Set(wanted)].slice(0, MOST_COMPARED); draw(); };
  state.compare = change;
  state.tick = (number, on) => {
    const others = state.compared.filter((one) => one !== number);
    if (on && others.length === MOST_COMPARED) { input("compare-note").textContent = `At most ${MOST_COMPARED} trials are compared: remove one first.`; return false; }
    change(on ? [...others, number] : others);
    return true;
  };
  input("compare-neighbours")?.addEventListener("click", () => change(state.neighbours()));
  if (state.compared.length) draw();
}

function comparison(data, numbers, change) {
  const table = document.createElement("table"), head = table.createTHead().insertRow(), rest = table.createTBody(), scroll = element("div", "", "scroll");
  const line = (name, cells, kind = "number") => { const row = rest.insertRow(), th = element("th", name); th.scope = "row"; row.append(th, ...cells.map((text) => element("td", text, kind))); };
  const own = (column) => numbers.map((number) => cell(data.trials[column], number));
  head.append(element("th", ""));
  numbers.forEach((number) => {
    const th = element("th", `${data.titles[number]}, ${short(cell(data.trials.trial, number))} `), button = element("button", "remove");
    th.scope = "col";
    button.type = "button";
    button.ariaLabel = `remove trial ${number + 1}`;
    button.addEventListener("click", () => change(numbers.filter((one) => one !== number)));
    th.append(button);
    head.append(th);
  });
  const share = (what) => own(what).map((value, i) => `${format(value)} (${percent(value / own(`dense_${what}`)[i], 1)})`);
  line("test accuracy", own("accuracy_kept").map((value) => percent(value, 2)));
  if (numbers.length > 1) line("points from the first (95 %)", differences(data, numbers));
  line("MACs (of dense)", share("macs"));
  line("params (of dense)", share("params"));
  for (const [setting, ratios] of timed(data, numbers)) line(`time, of dense: ${setting}`, ratios);
  const layers = numbers.map((number) => ranksOf(data, number));
  for (const layer of new Set(layers.flatMap((ranks) => [...ranks.keys()]))) line(layer, layers.map((ranks) => ranks.get(layer) ?? ""), "");
  scroll.tabIndex = 0;
  scroll.role = "region";
  scroll.ariaLabel = "trials compared";
  scroll.append(table);
  const whole = element("div");
  whole.append(tools("compared trials", () => rowsOfTable(table)), scroll);
  return whole;
}

function differences(data, numbers) {
  const { answers } = data, [first, ...others] = numbers, before = answersOf(answers, first);
  return ["", ...others.map((number) => {
    if (answers.bases[number] !== answers.bases[first]) return "other images, or another folder";
    const { value, low, high, paired } = gained(before, answersOf(answers, number), answers.samples[number], answers.z);
    return `${signed(100 * value, 2)} (${signed(100 * low, 2)} to ${signed(100 * high, 2)}${paired ? ", paired" : ", not paired"})`;
  })];
}

// By setting, what each trial takes of dense's time.
function timed({ timings: { columns, starts } }, numbers) {
  const settings = new Map();
  numbers.forEach((number, place) => {
    for (let i = starts[number]; i < starts[number + 1]; i++) {
      const setting = `${cell(columns.setting, i)} (${cell(columns.environment, i)})`, [low, high] = [columns.ratio_low, columns.ratio_high].map((column) => cell(column, i));
      if (!settings.has(setting)) settings.set(setting, numbers.map(() => "not timed"));
      const ends = low === null ? "" : ` (${percent(low, 1)} to ${percent(high, 1)})`;
      settings.get(setting)[place] = `${percent(cell(columns.ratio, i), 1)}${ends}${cell(columns.fit, i) === "unfit" ? " unfit" : ""}`;
    }
  });
  return settings;
}

// By layer, the rank that it keeps and how, or that it is dense.
function ranksOf({ layers: { columns, starts } }, number) {
  const places = d3.range(starts[number], starts[number + 1]), at = (column, i) => (columns[column] ? cell(columns[column], i) : null);
  const told = (i) => (at("rank", i) === null ? "dense" : `rank ${at("rank", i)} of ${at("max_rank", i)}, ${at("scheme", i)}${["plain", null].includes(at("truncation", i)) ? "" : ` ${at("truncation", i)}`}`);
  return new Map(places.map((i) => [at("layer", i), told(i)]));
}
