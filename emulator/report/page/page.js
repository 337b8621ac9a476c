"use strict";
(async () => {
  const PRINTED_PX = 700; // A4 less its margins, at 96 px an inch
  const root = document.documentElement;
  root.classList.add("charts"); // hides the text that stands in for charts
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const coarse = matchMedia("(pointer: coarse)").matches;
  const plots = [...document.querySelectorAll(".plot")];

  async function unpack(id) {
    const packed = document.getElementById(id).textContent;
    const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  }

  // A figure is made in light colours; every other string and number is the same in the dark.
  function coloured(value, twins) {
    if (typeof value === "string") return twins[value] ?? value;
    if (Array.isArray(value)) return value.map((each) => coloured(each, twins));
    if (value === null || typeof value !== "object") return value;
    const changed = {};
    for (const [key, each] of Object.entries(value)) {
      changed[key] = ["x", "y", "customdata"].includes(key) ? each : coloured(each, twins);
    }
    return changed;
  }

  function shaded(text, twins) {
    return text.replace(/#[0-9a-f]{6}/g, (colour) => twins[colour] ?? colour);
  }

  function draw(plot, look) {
    if (plot.clientWidth === 0) return; // behind a line; drawn when that is opened
    const { data, layout } = coloured(told.figures[Number(plot.dataset.figure)], look.twins);
    for (const note of layout.annotations) note.text = shaded(note.text, look.twins);
    layout.hoverlabel = { align: "left", ...look.hover, font: { family: layout.font.family, size: 12, ...look.hover?.font } };
    layout.width = look.width ?? plot.clientWidth;
    if (plot.dataset.clock !== undefined) layout.height *= look.shrink ?? 1;
    plot.style.height = `${layout.height}px`;
    if (coarse) layout.dragmode = false; // a finger scrolls the page
    if (plot.zoom) layout.xaxis.range = plot.zoom;
    return Plotly.react(plot, data, layout, { displayModeBar: false });
  }

  function look() {
    return dark.matches
      ? { twins: told.dark, hover: { bgcolor: "#2a313a", bordercolor: "#4a545f", font: { color: "#e8eaed" } } }
      : { twins: {}, hover: { bgcolor: "#ffffff", bordercolor: "#9aa4ae", font: { color: "#1b1f24" } } };
  }

  function printed() {
    return { twins: {}, width: PRINTED_PX, shrink: 0.82 }; // two cities a page
  }

  // One zoom for everything that has the run's clock below it.
  function follow(plot) {
    plot.on("plotly_relayout", (change) => {
      const range = change["xaxis.autorange"] ? plot.whole
        : change["xaxis.range"] ?? [change["xaxis.range[0]"], change["xaxis.range[1]"]];
      if (range[0] === undefined || plot.dataset.clock === undefined) return;
      for (const other of plots) {
        if (other.dataset.clock === undefined) continue;
        other.zoom = range;
        if (!other.layout) continue;
        const [from, to] = other.layout.xaxis.range;
        if (from !== range[0] || to !== range[1]) Plotly.relayout(other, { "xaxis.range": [...range] });
      }
    });
  }

  const pause = () => new Promise((done) => setTimeout(done));

  let told;
  try {
    told = JSON.parse(await unpack("told"));
    const library = document.createElement("script");
    library.textContent = await unpack("plotly");
    document.head.append(library);
    if (!window.Plotly) throw new Error("the plotting library did not load");
  } catch (error) {
    root.classList.remove("charts");
    console.error(error);
    return;
  }
  for (const plot of plots) {
    if (!plot.layout) await draw(plot, look());
    plot.whole = told.figures[Number(plot.dataset.figure)].layout.xaxis.range;
    if (plot.layout) follow(plot);
    await pause(); // the page stays quick while it is drawn
  }
  root.dataset.drawn = "yes";
  for (const button of document.querySelectorAll(".zooms button")) {
    button.addEventListener("click", () => {
      const range = [Number(button.dataset.from), Number(button.dataset.to)];
      const clock = plots.find((plot) => plot.dataset.clock !== undefined);
      Plotly.relayout(clock, { "xaxis.range": range });
    });
  }
  for (const details of document.querySelectorAll("details")) {
    details.addEventListener("toggle", () => {
      for (const plot of details.querySelectorAll(".plot")) {
        const isFirst = !plot.layout;
        draw(plot, look());
        if (isFirst && plot.layout) follow(plot);
      }
    });
  }
  let width = innerWidth;
  let waiting;
  const again = () => plots.forEach((plot) => draw(plot, look()));
  dark.addEventListener("change", again);
  addEventListener("resize", () => {
    if (innerWidth === width) return; // a phone's address bar came or went
    width = innerWidth;
    clearTimeout(waiting);
    waiting = setTimeout(again, 150);
  });
  addEventListener("beforeprint", () => plots.forEach((plot) => draw(plot, printed())));
  addEventListener("afterprint", again);
})();
