// Draws each picture in place of its still, in the colours of the reader's scheme. Where anything fails the still stays.
(() => {
  "use strict";
  const colours = JSON.parse(document.getElementById("colours").textContent);
  const scheme = window.matchMedia("(prefers-color-scheme: dark)");
  const recoloured = (value) => {
    if (Array.isArray(value)) return value.map(recoloured);
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, recoloured(entry)]));
    }
    return (scheme.matches && typeof value === "string" && colours[value]) || value;
  };
  const draw = async (holder) => {
    const drawn = recoloured(JSON.parse(holder.querySelector("script").textContent));
    const plot = holder.querySelector(".plot");
    // Drawn before the still goes: plotly needs the width of its place, which is there already.
    await Plotly.react(plot, drawn.data, drawn.layout, { displayModeBar: false, responsive: true });
    holder.classList.add("drawn");
  };
  const all = () => {
    for (const holder of document.querySelectorAll(".picture")) {
      draw(holder).catch((error) => {
        holder.querySelector(".plot").replaceChildren();
        console.warn(`a picture stays as it is: ${error}`);
      });
    }
  };
  scheme.addEventListener("change", all);
  all();
})();
