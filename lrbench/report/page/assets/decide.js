"use strict";
// The choice of `lrbench recommend` among the points of a group. Python wrote the bounds and orders: here they are only
// compared, and the first that will do is taken. A limit that is null is none; `level` is the place of the confidence.
function decide(group, asked) {
  const { points } = group, { cost, level } = asked;
  const setting = group.settings[asked.setting];
  const byLatency = cost === "latency" || asked.latency !== null;
  const within = (bounds, limit) => (i) => limit === null || (bounds !== undefined && bounds[i] !== null && bounds[i] <= limit);
  const keeps = [
    within(setting?.bounds[level], asked.latency), within(points.macs, asked.macs), within(points.params, asked.params),
  ];
  const order = cost === "latency" ? setting?.order ?? [] : group.orders[cost];
  const costs = cost === "latency" ? setting?.ratio : points[cost];
  let eligible = order.filter((i) => keeps.every((keep) => keep(i)));
  if (byLatency && eligible.some((i) => !points.dense[i] && setting?.fit[i])) {
    eligible = eligible.filter((i) => points.dense[i] || setting.fit[i]);
  }
  const front = [];
  for (const i of eligible) {
    const last = front.at(-1), twin = last !== undefined && costs[i] === costs[last];
    if (last === undefined || points.worth[i] > points.worth[last] || (twin && points.worth[i] === points.worth[last])) front.push(i);
  }
  const sure = within(points.drop[level], asked.drop);
  const candidates = front.filter(sure), cut = eligible.filter((i) => sure(i) && !points.dense[i]);
  const first = candidates.length && cut.length ? candidates[0] : null;
  const beaten = first !== null && points.dense[first] && cut.some((i) => costs[i] < costs[first]);
  const chosen = beaten ? null : first;
  const beside = (fits) => (chosen === null ? [] : front.filter((i) => fits(costs[i], costs[chosen])));
  return {
    chosen, eligible,
    cheaper: beside((a, b) => a < b).at(-1) ?? null,
    dearer: beside((a, b) => a > b)[0] ?? null,
  };
}

// Which of the points of an order (cheapest first, of equal ones the most accurate) no other of it beats; `counts` tells
// which can beat others. What `unbeaten` says in Python.
function frontAmong(points, costs, order, counts) {
  const on = new Set();
  let cheaper = -1, equal = -1, cost = -Infinity;
  for (const i of order) {
    if (costs[i] > cost) { cheaper = Math.max(cheaper, equal); equal = -1; cost = costs[i]; }
    if (points.worth[i] > cheaper && points.worth[i] >= equal) on.add(i);
    if (counts(i)) equal = Math.max(equal, points.worth[i]);
  }
  return on;
}

// The limits without each of which another point would be chosen.
function binding(group, asked) {
  const { chosen } = decide(group, asked);
  return ["drop", "latency", "macs", "params"].filter((name) => asked[name] !== null && decide(group, { ...asked, [name]: null }).chosen !== chosen);
}
