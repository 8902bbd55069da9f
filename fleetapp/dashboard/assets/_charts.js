// Charts by their kind: from the words and numbers of a tile to the options of the drawing library. Everything is drawn on a
// canvas, tips too: the content security policy allows no inline style. Colours come from the page's style sheet, patterns
// and words go with them, and movement is left out where people asked for none.

import { BarChart, GaugeChart, LineChart, PieChart } from "echarts/charts";
import { AriaComponent, GraphicComponent, GridComponent, LegendComponent, TooltipComponent } from "echarts/components";
import * as echarts from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";
import { drawMap } from "./_map.js";

echarts.use([
  BarChart,
  GaugeChart,
  LineChart,
  PieChart,
  AriaComponent,
  GraphicComponent,
  GridComponent,
  LegendComponent,
  TooltipComponent,
  CanvasRenderer,
]);

function paletteOf(place) {
  const style = getComputedStyle(place);
  const read = (name) => style.getPropertyValue(`--dash-${name}`).trim();
  const names = ["bg", "line", "ink", "soft", "accent", "good", "warn", "bad", "mute", "violet", "teal", "land"];
  return {
    ...Object.fromEntries(names.map((name) => [name, read(name)])),
    size: Number.parseInt(read("size"), 10) || 13,
    font: style.fontFamily,
  };
}

const percent = (share) => (share === null ? "–" : `${(share * 100).toFixed(1)}%`);
const number = (value) => (value === null ? "–" : value.toLocaleString());
const chinese = document.documentElement.lang.startsWith("zh");
const shortNumber = (value) => {
  if (Math.abs(value) < 10_000) return String(value);
  return chinese ? `${value / 10_000}万` : `${value / 1000}k`;
};

function base(colours, decal = true) {
  return {
    animation: !matchMedia("(prefers-reduced-motion: reduce)").matches,
    animationDuration: 300,
    aria: { enabled: decal, label: { enabled: false }, decal: { show: decal } },
    textStyle: { fontFamily: colours.font, color: colours.ink, fontSize: colours.size },
    tooltip: {
      renderMode: "richText",
      confine: true,
      backgroundColor: colours.ink,
      borderWidth: 0,
      textStyle: { color: colours.bg, fontSize: colours.size },
    },
  };
}

function axes(colours, value, size = colours.size) {
  return {
    axisLabel: { color: colours.soft, fontSize: size, hideOverlap: true },
    axisLine: { lineStyle: { color: colours.line } },
    axisTick: { show: false },
    splitLine: { show: value, lineStyle: { color: colours.line } },
  };
}

const legend = (colours) => ({
  top: 0,
  left: 0,
  itemWidth: 16,
  itemHeight: 10,
  textStyle: { color: colours.soft, fontSize: colours.size - 1 },
});

/** Horizontal bars, one a name; keys give a colour of their own. Words shrink with the room for a bar. */
function bars(data, colours, height) {
  const size = Math.max(9, Math.min(colours.size, height / data.names.length - 3));
  const own = {
    red: colours.bad,
    orange: colours.warn,
    yellow: "#d9b400",
    green: colours.good,
    online: colours.good,
    offline: colours.mute,
    clock: colours.warn,
    alarm: colours.bad,
  };
  return {
    ...base(colours, false),
    grid: { left: 4, right: 44, top: 4, bottom: 2, containLabel: true },
    xAxis: { type: "value", show: false, minInterval: 1 },
    yAxis: {
      type: "category",
      inverse: true,
      data: data.names,
      ...axes(colours, false),
      axisLine: { show: false },
      axisLabel: { color: colours.soft, fontSize: size, interval: 0 },
    },
    series: [
      {
        type: "bar",
        name: data.heads[0],
        barMaxWidth: 22,
        barMinHeight: 2,
        label: { show: true, position: "right", color: colours.ink, fontSize: size },
        data: data.series[0].map((value, place) => ({
          value,
          itemStyle: { color: own[data.keys?.[place]] ?? colours.accent, borderRadius: 2 },
        })),
      },
    ],
  };
}

/** Bars of several numbers for each unit or district. */
function units(data, colours) {
  const shown = data.heads.length > 2 ? 2 : data.heads.length;
  return {
    ...base(colours),
    color: [colours.accent, colours.warn],
    legend: legend(colours),
    grid: { left: 4, right: 30, top: colours.size * 2, bottom: 2, containLabel: true },
    xAxis: { type: "value", show: false, minInterval: 1 },
    yAxis: {
      type: "category",
      inverse: true,
      data: data.names,
      ...axes(colours, false, colours.size - 1),
      axisLabel: { color: colours.soft, fontSize: colours.size - 1, width: 110, overflow: "truncate" },
    },
    series: data.heads.slice(0, shown).map((name, place) => ({
      type: "bar",
      name,
      barMaxWidth: 14,
      data: data.series[place],
      label: { show: true, position: "right", color: colours.ink, fontSize: colours.size - 2 },
    })),
  };
}

/** Where every vehicle is, as a ring with its words. */
function ring(data, colours, height) {
  const numberSize = Math.min(colours.size + 7, height / 7);
  const own = {
    on_road: colours.good,
    idle: colours.accent,
    offline: colours.mute,
    sealed: colours.violet,
    repair: colours.warn,
    other: colours.teal,
    undisclosed: colours.soft,
  };
  const items = data.names.map((name, place) => ({
    name,
    value: data.series[0][place],
    itemStyle: { color: own[data.keys[place]] },
    link: data.links[place],
  }));
  return {
    ...base(colours),
    legend: {
      ...legend(colours),
      top: "middle",
      left: "52%",
      orient: "vertical",
      itemGap: Math.min(5, height / 40),
      formatter: (name) => `${name}  ${number(items.find((item) => item.name === name).value)}`,
      data: items.filter((item) => item.value > 0).map((item) => item.name),
    },
    series: [
      {
        type: "pie",
        radius: ["54%", "88%"],
        center: ["26%", "50%"],
        label: {
          show: true,
          position: "center",
          formatter: () => `{n|${number(data.total)}}\n{w|${data.totalName}}`,
          rich: {
            n: { fontSize: numberSize, fontWeight: 600, color: colours.ink },
            w: { fontSize: numberSize * 0.6, color: colours.soft, padding: [3, 0, 0, 0] },
          },
        },
        labelLine: { show: false },
        itemStyle: { borderColor: colours.bg, borderWidth: 1 },
        data: items.filter((item) => item.value > 0),
      },
    ],
  };
}

/** Free vehicles against the floor: red below it. */
function gauge(data, colours) {
  const most = Math.max(data.floor * 2, data.free, 1);
  return {
    ...base(colours, false),
    series: [
      {
        type: "gauge",
        startAngle: 180,
        endAngle: 0,
        min: 0,
        max: most,
        radius: "125%",
        center: ["50%", "78%"],
        splitNumber: 1,
        axisLine: {
          lineStyle: {
            width: 16,
            color: [
              [data.floor / most, colours.bad],
              [1, colours.good],
            ],
          },
        },
        axisTick: { show: false },
        splitLine: { show: false },
        axisLabel: { color: colours.soft, distance: -18, fontSize: colours.size - 2, show: false },
        pointer: { width: 5, length: "62%", itemStyle: { color: colours.ink } },
        detail: {
          offsetCenter: [0, "22%"],
          fontSize: colours.size,
          color: colours.soft,
          formatter: () => `${data.name} ${number(data.free)} · ${data.floorName} ${number(data.floor)}`,
        },
        data: [{ value: data.free }],
      },
    ],
  };
}

/** Share of the stock as a line, of the year's purchases as columns, against the target. */
function path(data, colours) {
  const [stock, bought] = data.series;
  return {
    ...base(colours),
    tooltip: { ...base(colours).tooltip, trigger: "axis", valueFormatter: percent },
    legend: { ...legend(colours), data: [...data.heads.slice(0, 2), data.targetName] },
    grid: { left: 4, right: 12, top: colours.size * 2, bottom: 2, containLabel: true },
    xAxis: { type: "category", data: data.names, ...axes(colours, false) },
    yAxis: {
      type: "value",
      min: 0,
      max: 1,
      interval: 0.5,
      ...axes(colours, true),
      axisLabel: { color: colours.soft, fontSize: colours.size - 1, formatter: (value) => `${value * 100}%` },
    },
    series: [
      {
        type: "line",
        name: data.heads[0],
        data: stock,
        color: colours.accent,
        lineStyle: { width: 3 },
        symbolSize: 7,
        z: 3,
      },
      {
        type: "bar",
        name: data.heads[1],
        data: bought,
        color: colours.teal,
        barMaxWidth: 18,
        itemStyle: { opacity: 0.7 },
      },
      {
        type: "line",
        name: data.targetName,
        data: data.names.map(() => data.target),
        color: colours.bad,
        symbol: "none",
        lineStyle: { type: "dashed", width: 2 },
      },
    ],
  };
}

/** Money by month with what the norm allows. */
function months(data, colours) {
  return {
    ...base(colours),
    tooltip: { ...base(colours).tooltip, trigger: "axis", valueFormatter: number },
    legend: legend(colours),
    grid: { left: 4, right: 12, top: colours.size * 2, bottom: 2, containLabel: true },
    xAxis: { type: "category", data: data.names.map((name) => name.slice(5)), ...axes(colours, false) },
    yAxis: {
      type: "value",
      splitNumber: 2,
      ...axes(colours, true),
      axisLabel: { color: colours.soft, fontSize: colours.size - 1, formatter: shortNumber },
    },
    series: [
      { type: "bar", name: data.heads[0], data: data.series[0], color: colours.accent, barMaxWidth: 18 },
      {
        type: "line",
        name: data.heads[1],
        data: data.series[1],
        color: colours.bad,
        symbol: "none",
        lineStyle: { type: "dashed", width: 2 },
      },
    ],
  };
}

/** Lines over categories, of shares or money; what is asked for is dashed. */
function lines(data, colours) {
  const write = data.unit === "share" ? percent : (value) => number(Math.round(value));
  const palette = [colours.accent, colours.good, colours.violet, colours.warn];
  return {
    ...base(colours, false),
    tooltip: { ...base(colours).tooltip, trigger: "axis", valueFormatter: write },
    legend: legend(colours),
    grid: { left: 4, right: 16, top: colours.size * 2 + 6, bottom: data.axis ? 22 : 4, containLabel: true },
    xAxis: {
      type: "category",
      data: data.names,
      name: data.axis,
      nameLocation: "middle",
      nameGap: 26,
      nameTextStyle: { color: colours.soft },
      ...axes(colours, false),
    },
    yAxis: {
      type: "value",
      max: data.unit === "share" ? 1 : undefined,
      ...axes(colours, true),
      axisLabel: {
        color: colours.soft,
        fontSize: colours.size - 1,
        formatter: (value) => (data.unit === "share" ? `${Math.round(value * 100)}%` : shortNumber(value)),
      },
    },
    series: data.lines.map((line, place) => ({
      type: "line",
      name: line.name,
      data: line.data,
      color: line.dashed ? colours.bad : palette[place % palette.length],
      symbol: line.dashed ? "none" : ["circle", "rect", "triangle", "diamond"][place % 4],
      symbolSize: 7,
      lineStyle: { width: 2, type: line.dashed ? "dashed" : "solid" },
    })),
  };
}

const KINDS = { bars, lines, units, ring, gauge, path, months };

/** Draw one chart; a click on what has a list goes there. */
export function draw(place, data) {
  const chart = echarts.init(place, null, { renderer: "canvas" });
  const colours = paletteOf(place);
  if (data.kind === "map") {
    drawMap(chart, data, colours, base(colours));
  } else {
    chart.setOption(KINDS[data.kind](data, colours, chart.getHeight()));
    chart.on("click", ({ dataIndex, data: item }) => {
      const link = item?.link ?? data.links?.[dataIndex];
      if (link) location.assign(link);
    });
  }
  chart.fleet = () => {
    if (data.kind === "map") drawMap(chart, data, colours, base(colours));
  };
  return chart;
}

/** Fit charts to a window whose height changed. */
export function redraw(charts) {
  for (const chart of charts) {
    chart.resize();
    chart.fleet();
  }
}
