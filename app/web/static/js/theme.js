// How this device shows pages: theme, text size and typeface, as attributes of the root element.
// Loaded before the page is drawn, and so no module.
(() => {
  const KEY = "ab:prefs";
  const read = () => {
    try {
      return JSON.parse(localStorage.getItem(KEY)) ?? {};
    } catch {
      return {};
    }
  };
  const root = document.documentElement;
  const apply = (prefs) => {
    for (const name of ["theme", "size", "read"]) {
      if (prefs[name]) root.dataset[name] = prefs[name];
      else delete root.dataset[name];
    }
  };
  window.prefs = {
    read,
    save(changes) {
      const prefs = { ...read(), ...changes };
      try {
        localStorage.setItem(KEY, JSON.stringify(prefs));
      } catch {
        // A full or forbidden store: the choice holds until the page is left.
      }
      apply(prefs);
    },
  };
  apply(read());
  addEventListener("storage", (event) => {
    if (event.key === KEY) apply(read());
  });
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-toggle]")) return;
    const isDark =
      root.dataset.theme === "dark" ||
      (!root.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
    window.prefs.save({ theme: isDark ? "light" : "dark" });
  });
})();
