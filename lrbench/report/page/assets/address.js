"use strict";
// What is asked, filtered and compared lives in the address, so that a link holds it.
const address = new URLSearchParams(location.hash.startsWith("#?") ? location.hash.slice(2) : "");

// Write changes into the address; null takes a name out of it.
function remember(changes) {
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) address.delete(name);
    else address.set(name, value);
  }
  history.replaceState(null, "", `#?${address}`);
}
addEventListener("hashchange", () => { if (location.hash.startsWith("#?")) location.reload(); });
