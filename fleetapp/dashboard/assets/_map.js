// Circles of the districts over the outline of the city: areas are as the stock, the colour, the ring and the words say how
// full the quota is. A thin line leads from a circle that had to make room to where its seat is.

const FILL = { room: "accent", near: "warn", over: "bad" };

function textOf(words, x, y, size, fill, weight = 500) {
  return {
    type: "text",
    x,
    y,
    silent: true,
    z: 5,
    style: { text: words, fill, align: "center", verticalAlign: "middle", font: `${weight} ${size}px sans-serif` },
  };
}

/** 临平区机关事务管理局 stands at 临平区. */
const placeOf = (name) => name.replace(/^(\p{L}{1,3}?[区县市])\p{L}+$/u, "$1");

/** Long names end within their circle; the table below the map has them in full. */
function within(text, width) {
  return { ...text, style: { ...text.style, width, overflow: "truncate", ellipsis: "…" } };
}

export function drawMap(chart, data, colours, base) {
  const scale = Math.min(chart.getWidth() / data.width, chart.getHeight() / data.height);
  const left = (chart.getWidth() - data.width * scale) / 2;
  const top = (chart.getHeight() - data.height * scale) / 2;
  const at = ([x, y]) => [left + x * scale, top + y * scale];
  const elements = [
    {
      type: "polygon",
      silent: true,
      z: 1,
      shape: { points: data.outline.map(at), smooth: 0.2 },
      style: { fill: colours.land, stroke: colours.line, lineWidth: 1.5 },
    },
  ];
  for (const one of data.circles) {
    const [x, y] = at([one.x, one.y]);
    const [homeX, homeY] = at([one.homeX, one.homeY]);
    const r = one.r * scale;
    const size = Math.max(10, Math.min(colours.size + 2, r / 2.4));
    if (Math.hypot(x - homeX, y - homeY) > r) {
      elements.push(
        {
          type: "line",
          silent: true,
          z: 2,
          shape: { x1: homeX, y1: homeY, x2: x, y2: y },
          style: { stroke: colours.soft },
        },
        { type: "circle", silent: true, z: 2, shape: { cx: homeX, cy: homeY, r: 3 }, style: { fill: colours.soft } },
      );
    }
    elements.push({
      type: "circle",
      z: 4,
      cursor: one.link ? "pointer" : "default",
      shape: { cx: x, cy: y, r },
      style: {
        fill: colours[FILL[one.level]],
        opacity: 0.92,
        stroke: one.level === "over" ? colours.ink : colours.bg,
        lineWidth: one.level === "over" ? 3 : 1,
      },
      onclick: () => one.link && location.assign(one.link),
    });
    const lift = one.mark ? size * 0.55 : 0;
    elements.push(
      within(textOf(placeOf(one.name), x, y - size * 0.62 - lift, size, colours.bg, 600), 2 * r - 4),
      textOf(one.value, x, y + size * 0.62 - lift, size, colours.bg),
    );
    if (one.mark) elements.push(textOf(one.mark, x, y + size * 1.2, size * 0.85, colours.bg, 600));
  }
  data.levels.forEach(([level, words], row) => {
    const y = chart.getHeight() - (data.levels.length - row) * (colours.size + 7) + 6;
    elements.push(
      {
        type: "circle",
        silent: true,
        z: 4,
        shape: { cx: 10, cy: y, r: 6 },
        style: {
          fill: colours[FILL[level]],
          stroke: level === "over" ? colours.ink : colours.bg,
          lineWidth: level === "over" ? 2 : 0,
        },
      },
      {
        ...textOf(words, 22, y, colours.size, colours.soft),
        style: {
          text: words,
          fill: colours.soft,
          align: "left",
          verticalAlign: "middle",
          font: `${colours.size}px sans-serif`,
        },
      },
    );
  });
  chart.setOption({ ...base, graphic: { elements } }, { notMerge: true });
}
