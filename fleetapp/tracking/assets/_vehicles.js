// Thousands of vehicles on one canvas: each state has its own shape and colour, drawn once and copied from then on; far
// out the vehicles of a square are one circle with their number. Between two positions a vehicle glides.
import Layer from "ol/layer/Layer.js";

const LOOKS = { moving: "#1f8a36", parked: "#206bc4", offline: "#667382" };
const TURNS = 24;
const GLIDE_MS = 1000;
const CLUSTER_FROM = 30; // metres a pixel
const CLUSTER_PX = 46;
const LABELS_BELOW = 12; // metres a pixel
const MOST_LABELS = 200;
const TOUCH_PX = 16;
const FONT = '12px system-ui, "Noto Sans CJK SC", "Microsoft YaHei", sans-serif';
const STILL = matchMedia("(prefers-reduced-motion: reduce)");

function outline(context, state, turn) {
  context.beginPath();
  if (state === "moving") {
    context.rotate((turn * 2 * Math.PI) / TURNS);
    context.moveTo(0, -11);
    context.lineTo(8, 9);
    context.lineTo(0, 5);
    context.lineTo(-8, 9);
    context.closePath();
  } else if (state === "parked") context.rect(-6, -6, 12, 12);
  else context.arc(0, 0, 6, 0, 2 * Math.PI);
}

/** Moving: an arrow along its heading; parked: a square; offline: an empty circle with a stroke through it. */
function sprite(state, turn, ratio, chosen) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 40 * ratio;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.translate(20, 20);
  if (chosen) {
    context.beginPath();
    context.arc(0, 0, 17, 0, 2 * Math.PI);
    context.fillStyle = "rgba(245,159,0,.25)";
    context.fill();
    context.lineWidth = 2.5;
    context.strokeStyle = "#d9480f";
    context.stroke();
  }
  outline(context, state, turn);
  context.lineJoin = "round";
  context.lineWidth = 4;
  context.strokeStyle = "#fff";
  context.stroke();
  context.fillStyle = state === "offline" ? "#fff" : LOOKS[state];
  context.fill();
  if (state === "offline") {
    context.moveTo(-4.5, 4.5);
    context.lineTo(4.5, -4.5);
    context.lineWidth = 2;
    context.strokeStyle = LOOKS.offline;
    context.stroke();
  }
  return canvas;
}

export class VehicleLayer extends Layer {
  constructor() {
    super({});
    this.shown = []; // {id, plate, state, turn, x, y, fromX, fromY, movedAt}
    this.chosen = null;
    this.canvas = document.createElement("canvas");
    this.canvas.className = "fleet-map-vehicles";
    this.context = this.canvas.getContext("2d");
    this.sprites = new Map();
    this.drawn = [];
    this.frames = 0;
  }

  show(vehicles, chosen) {
    this.shown = vehicles;
    this.chosen = chosen;
    this.squares = null;
    this.changed();
  }

  /** What is under a pixel: a vehicle, or the vehicles of a circle. */
  at([x, y]) {
    let found = null;
    let least = TOUCH_PX ** 2;
    for (const item of this.drawn) {
      const away = (item.px - x) ** 2 + (item.py - y) ** 2;
      if (away < least) [found, least] = [item, away];
    }
    return found;
  }

  spriteOf(vehicle, ratio) {
    const turn = vehicle.state === "moving" ? vehicle.turn : 0;
    const key = `${vehicle.state}/${turn}/${ratio}/${vehicle.id === this.chosen}`;
    let found = this.sprites.get(key);
    if (!found) {
      found = sprite(vehicle.state, turn, ratio, vehicle.id === this.chosen);
      this.sprites.set(key, found);
    }
    return found;
  }

  /** Vehicles by square of the ground; the squares stay where they are while the map is dragged. */
  squaresOf(resolution) {
    const step = 2 ** Math.round(Math.log2(resolution)) * CLUSTER_PX;
    if (this.squares?.step === step) return this.squares.found;
    const found = new Map();
    for (const vehicle of this.shown) {
      const key = Math.floor(vehicle.x / step) * 1e6 + Math.floor(vehicle.y / step);
      const square = found.get(key);
      if (!square)
        found.set(key, { vehicles: [vehicle], x: vehicle.x, y: vehicle.y, moving: vehicle.state === "moving" });
      else {
        square.vehicles.push(vehicle);
        square.x += vehicle.x;
        square.y += vehicle.y;
      }
    }
    for (const square of found.values()) {
      const count = square.vehicles.length;
      square.x /= count;
      square.y /= count;
      square.share = square.vehicles.filter((vehicle) => vehicle.state === "moving").length / count;
    }
    this.squares = { step, found: [...found.values()] };
    return this.squares.found;
  }

  circle({ vehicles, share }, px, py) {
    const { context } = this;
    const radius = 13 + Math.min(9, 2 * Math.log2(vehicles.length));
    context.beginPath();
    context.arc(px, py, radius, 0, 2 * Math.PI);
    context.fillStyle = "rgba(255,255,255,.95)";
    context.fill();
    context.lineWidth = 4;
    context.strokeStyle = "#9ba9be";
    context.stroke();
    if (share > 0) {
      context.beginPath();
      context.arc(px, py, radius, -Math.PI / 2, -Math.PI / 2 + share * 2 * Math.PI);
      context.strokeStyle = LOOKS.moving;
      context.stroke();
    }
    context.fillStyle = "#1d273b";
    context.font = `bold ${FONT}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(String(vehicles.length), px, py);
  }

  render(frame) {
    const [width, height] = frame.size;
    const ratio = frame.pixelRatio;
    const { canvas, context } = this;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const [a, b, c, d, e, f] = frame.coordinateToPixelTransform;
    const { resolution } = frame.viewState;
    const now = performance.now();
    this.drawn = [];
    this.frames += 1;
    const place = (x, y) => [a * x + c * y + e, b * x + d * y + f];
    const inside = (px, py) => px > -20 && py > -20 && px < width + 20 && py < height + 20;
    const single = (vehicle) => {
      let { x, y } = vehicle;
      const past = (now - vehicle.movedAt) / GLIDE_MS;
      if (past < 1 && !STILL.matches) {
        x = vehicle.fromX + (x - vehicle.fromX) * past;
        y = vehicle.fromY + (y - vehicle.fromY) * past;
        frame.animate = true;
      }
      const [px, py] = place(x, y);
      if (!inside(px, py)) return;
      context.drawImage(this.spriteOf(vehicle, ratio), px - 20, py - 20, 40, 40);
      this.drawn.push({ vehicle, px, py });
    };
    if (resolution > CLUSTER_FROM)
      for (const square of this.squaresOf(resolution)) {
        const [px, py] = place(square.x, square.y);
        if (!inside(px, py)) continue;
        if (square.vehicles.length === 1) single(square.vehicles[0]);
        else {
          this.circle(square, px, py);
          this.drawn.push({ vehicles: square.vehicles, px, py });
        }
      }
    else for (const vehicle of this.shown) single(vehicle);
    if (resolution < LABELS_BELOW && this.drawn.length <= MOST_LABELS) this.labels();
    return canvas;
  }

  labels() {
    const { context } = this;
    context.font = FONT;
    context.textAlign = "center";
    context.textBaseline = "alphabetic";
    context.lineWidth = 3;
    context.strokeStyle = "#fff";
    context.fillStyle = "#1d273b";
    for (const { vehicle, px, py } of this.drawn) {
      context.strokeText(vehicle.plate, px, py - 15);
      context.fillText(vehicle.plate, px, py - 15);
    }
  }
}

export { TURNS };
