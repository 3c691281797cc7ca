"use strict";
// The Decide panel, the hero chart, and why the chosen point is what it is.
const LIMITS = { drop: "accuracy", latency: "latency", macs: "MACs", params: "params" };
const COSTS = { latency: "latency", macs: "MACs", params: "params" };
const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)} %`;
const short = (key) => key.slice(0, 8);
const signed = (points, digits = 1) => `${points > 0 ? "+" : ""}${points.toFixed(digits)}`;
const FRONT_SIZE = 40, BEATEN_SIZE = 18, SURE_SIZE = 90, SEEN = 6.5;

function input(id) { return document.getElementById(id); }

// What is asked, in the units of the data.
function readAsked() {
  const number = (id, unit) => (input(id).value === "" || !Number.isFinite(Number(input(id).value)) ? null : Number(input(id).value) / unit);
  return {
    drop: number("drop", 1), latency: number("latency", 100), macs: number("macs", 100), params: number("params", 100),
    level: Number(input("confidence").value), cost: input("cost").value, setting: Number(input("setting").value),
  };
}

// The command that gives the same answer.
function command(group, asked, confidence) {
  const words = [group.recommend];
  if (asked.drop !== null) words.push(`--max-drop ${asked.drop}`);
  for (const name of ["latency", "macs", "params"]) if (asked[name] !== null) words.push(`--${name} ${+asked[name].toFixed(6)}`);
  words.push(`--confidence ${confidence / 100}`, `--minimise ${asked.cost}`);
  const setting = group.settings[asked.setting];
  if (setting && (asked.cost === "latency" || asked.latency !== null)) words.push(`--environment ${setting.environment}`, setting.options);
  return words.join(" ");
}

function costText(group, asked, i) {
  const setting = group.settings[asked.setting], { points } = group, parts = [];
  if (setting && setting.ratio[i] !== null) {
    const ends = setting.ratio_low[i] === null ? "" : ` (${Math.round(100 * setting.ratio_low[i])} to ${percent(setting.ratio_high[i])})`;
    parts.push(`${percent(setting.ratio[i])} of dense's time${points.dense[i] ? "" : ends}`);
  }
  parts.push(`${percent(points.macs[i])} of its MACs, ${percent(points.params[i])} of its params`);
  return parts.join(", ");
}

function dropText(group, asked, i, confidence) {
  const { points } = group, bound = points.drop[asked.level][i];
  if (points.itself[i]) return "it is what drops are measured against";
  if (bound === null) return "what it loses is not known";
  const most = bound > 0 ? `at most ${bound.toFixed(2)} points lost` : `at least ${(-bound).toFixed(2)} points gained`;
  return `${most} with ${confidence} % confidence (measured: ${signed(-points.measured[i])} on ${group.images.toLocaleString("en")} images of the ${group.split} split)`;
}

function testText(group, i) {
  const { points } = group, drop = points.test_drop[i];
  if (points.itself[i] || drop === null) return `test accuracy ${points.test_accuracy[i].toFixed(1)} %`;
  const ends = points.test_drop_low[i] === null ? "" : ` (${signed(-points.test_drop_high[i])} to ${signed(-points.test_drop_low[i])})`;
  const seen = group.split === "test" ? "the test split chose it, which flatters it" : "shown after the choice, never used for it";
  return `${signed(-drop)} points${ends} from ${group.reference}, ${points.test_accuracy[i].toFixed(1)} % (${seen})`;
}

function copied(text) {
  const line = element("div", "", "command"), code = element("code", text), button = element("button", "copy");
  button.type = "button";
  button.addEventListener("click", () => copyText(button, text, code));
  line.append(code, button);
  return line;
}

function again(text) {
  const folded = element("details");
  folded.append(element("summary", "the same on the command line"), copied(text));
  return folded;
}

function rowOf(list, term, text) { list.append(element("dt", term), element("dd", text)); }

function beside(group, asked, i, side) {
  if (i === null) return `none: no point of the front costs ${side}`;
  const { points } = group, bound = points.drop[asked.level][i], setting = group.settings[asked.setting];
  const cost = asked.cost === "latency" ? `${percent(setting.ratio[i])} of the time` : `${percent(points[asked.cost][i])} of the ${COSTS[asked.cost]}`;
  const unsure = side === "less" && asked.drop !== null && !(bound !== null && bound <= asked.drop);
  const lost = points.itself[i] || bound === null ? "" : `, ${bound > 0 ? `at most ${bound.toFixed(2)} points lost` : "nothing lost"}${unsure ? ": not sure enough" : ""}`;
  return `${points.name[i]} (${short(points.trial[i])}): ${cost}${lost}`;
}

// The nearest that the limits allow where nothing keeps to all of them.
function nearest(group, asked) {
  const { eligible } = decide(group, { ...asked, drop: null }), { points } = group;
  const known = eligible.filter((i) => !points.dense[i] && points.drop[asked.level][i] !== null);
  if (!known.length) return "no factorized point keeps to the limits of cost";
  const best = d3.least(known, (i) => points.drop[asked.level][i]);
  return `the surest is ${points.name[best]} (trial ${short(points.trial[best])}): at most ${points.drop[asked.level][best].toFixed(2)} points`;
}

function answer(host, group, asked, confidence) {
  const found = decide(group, asked), { points } = group, i = found.chosen;
  host.replaceChildren();
  if (i === null) {
    host.append(element("p", `No point keeps to all limits with ${confidence} % confidence each; ${nearest(group, asked)}.`, "chosen"), again(command(group, asked, confidence)));
    return found;
  }
  const head = element("p", "", "chosen");
  head.append(element("strong", points.name[i]), ` trial ${short(points.trial[i])}`);
  const facts = element("dl"), binds = binding(group, asked).map((name) => LIMITS[name]);
  rowOf(facts, "costs", costText(group, asked, i));
  rowOf(facts, "loses", dropText(group, asked, i, confidence));
  rowOf(facts, "held-out test", testText(group, i));
  rowOf(facts, "deciding limit", binds.length ? `${binds.join(" and ")}: without ${binds.length > 1 ? "any one of these" : "that limit"} another point would be chosen` : "no limit: the same point without any one of them");
  rowOf(facts, "next cheaper", beside(group, asked, found.cheaper, "less"));
  rowOf(facts, "next more expensive", beside(group, asked, found.dearer, "more"));
  host.append(head, facts, copied(group.export.join(short(points.trial[i]))), again(command(group, asked, confidence)));
  return found;
}

// The hero chart: points from dense against a share of dense's cost, a panel for each recipe of the subject.
function hero(groups, current, asked, { shown, open }) {
  const chosenGroup = groups[current], mine = groups.filter((group) => String(group.subject) === String(chosenGroup.subject));
  const name = chosenGroup.settings[asked.setting]?.name, costs = (group) => (asked.cost === "latency" ? settingOf(group, name)?.ratio : group.points[asked.cost]);
  const drawn = mine.filter((group) => costs(group)), words = { latency: "time", macs: "MACs", params: "params" }[asked.cost];
  input("hero-title").textContent = `${chosenGroup.name.split(", ").slice(0, 2).join(", ")}: what each share of ${words} saved costs${asked.cost === "latency" && name ? ` (${name})` : ""}`;
  const methods = new Map();
  drawn.forEach((group) => group.points.method.forEach((method, i) => { if (!group.points.dense[i]) methods.set(method, group.points.colour[i]); }));
  legend(input("hero-legend"), [...[...methods].map(([method, colour]) => ({ name: method, colour })), { name: "dense control", colour: -1 }]);
  const host = input("hero-panels"), figure = input("hero");
  if (!figure.querySelector(".tools")) host.before(tools("the hero chart", () => rowsOfFigure(figure), () => drawingOf(figure)));
  if (host.children.length !== drawn.length) [...host.children].forEach((panel) => delete panel.wide);
  while (host.children.length > drawn.length) host.lastChild.remove();
  while (host.children.length < drawn.length) host.append(element("div"));
  const every = drawn.flatMap((group) => heroPoints(group, costs(group), asked, name, null));
  const low = Math.max(-SEEN, Math.min(-2, d3.min(every, (p) => Math.min(p.y, p.low ?? p.y)) ?? -2)), high = Math.max(1, d3.max(every, (p) => p.high ?? p.y) ?? 1);
  const least = Math.min(0.9, d3.min(every, (p) => p.x) ?? 0.5), most = Math.max(1, d3.max(every.filter((p) => p.y > low), (p) => p.x) ?? 1);
  drawn.forEach((group, place) => {
    const points = heroPoints(group, costs(group), asked, name, shown), below = points.filter((p) => p.y < low).length;
    const front = points.filter((p) => p.edge && p.colour >= 0).sort((a, b) => a.x - b.x);
    plot(host.children[place], {
      name: drawn.length > 1 ? group.recipe : "", points, height: 380, band: [-1, 0],
      paths: [{ colour: "var(--muted)", points: front }], callouts: callouts(group, group === chosenGroup, points, asked, name, words),
      guides: [{ y: 0, look: "solid" }, { x: 1, text: "dense" }], note: below ? `${below} of ${points.length} points lie below` : "",
      x: { label: `${words}, share of dense`, domain: [least - 0.04, most + 0.05], format: d3.format(".0%") },
      y: { label: `test accuracy, points from ${group.reference}`, domain: [low - 0.2, high + (high - low) * 0.32], format: (v) => (v > 0 ? `+${v}` : `${v}`) },
    }, open);
  });
  input("hero-note").textContent = "A mark is a point (all seeds of a method, layer set and rank rule): paired difference on the test split, 95 % bars on the front. "
    + "Edged: on the front by the split that chooses; large: surely there. Hollow: unfit timing. The band is one point. Drag to zoom, double click for all.";
}
const settingOf = (group, name) => group.settings.find((setting) => setting.name === name);

// Which points are on the front, and how probably: as Python has it where all are shown, else among those that are.
function heroFront(group, costs, asked, name, isShown) {
  const { points } = group, setting = asked.cost === "latency" ? settingOf(group, name) : null;
  const all = setting ? setting.front : group.fronts[asked.cost], order = (setting ? setting.order : group.orders[asked.cost]).filter(isShown);
  if (order.length === (setting ? setting.order : group.orders[asked.cost]).length) return all;
  const anyFit = setting && order.some((i) => setting.fit[i]), on = frontAmong(points, costs, order, (i) => !anyFit || setting.fit[i]);
  return { on: points.name.map((_, i) => on.has(i)), chance: all.chance };
}

// The marks of a panel; `shown` are the numbers of the trials that filters leave, or null for all.
function heroPoints(group, costs, asked, name, shown) {
  const { points } = group, isShown = (i) => shown === null || points.dense[i] || shown.has(points.number[i]);
  const front = heroFront(group, costs, asked, name, isShown);
  const fit = asked.cost === "latency" ? settingOf(group, name).fit : null;
  return points.name.map((label, i) => ({
    i, x: costs[i], y: points.test_drop[i] === null ? null : -points.test_drop[i], id: points.number[i],
    low: points.test_drop_high[i] === null ? null : -points.test_drop_high[i], high: points.test_drop_low[i] === null ? null : -points.test_drop_low[i],
    bars: Boolean(front.on[i]) && !points.itself[i], edge: Boolean(front.on[i]), hollow: Boolean(fit && !fit[i] && !points.dense[i]),
    colour: points.dense[i] ? -1 : points.colour[i], size: front.on[i] ? FRONT_SIZE + (SURE_SIZE - FRONT_SIZE) * (front.chance[i] ?? 0) : BEATEN_SIZE,
    text: () => `${label}, trial ${short(points.trial[i])}\n${costText(group, asked, i)}\n${testText(group, i)}\non the front with ${percent(front.chance[i] ?? 0)}`,
  })).filter((p) => p.x !== null && p.y !== null && isShown(p.i)).sort((a, b) => a.edge - b.edge);
}

// What is chosen, and what would be within 1 and 3 points; each point has one callout.
function callouts(group, current, points, asked, name, words) {
  const setting = group.settings.findIndex((one) => one.name === name), told = new Map();
  const ask = (changes) => decide(group, { ...asked, setting, ...changes }).chosen;
  const asks = current ? [[ask({}), "chosen"]] : [];
  asks.push([ask({ drop: 1 }), "within 1 point"], [ask({ drop: 3 }), "within 3 points"]);
  for (const [i, why] of asks) if (i !== null && !group.points.dense[i]) told.set(i, told.has(i) ? `${told.get(i)}, ${why}` : why);
  let above = 0, below = 0;
  return [...told].map(([i, why]) => {
    const point = points.find((p) => p.i === i);
    const place = point && point.y < -1.5 ? -++below : above++;
    return { point, place, ring: why.startsWith("chosen"), lines: [`${why}: ${percent(point?.x ?? 0)} of the ${words}`, group.points.name[i]] };
  }).filter(({ point }) => point);
}
