// A small line over time, on a canvas: some thousands of them may be on one page, so each is drawn only when it is seen
// and has changed. What it shows is said in words beside it.

const PADDING = 3;

// Asking an element for its size or style while others are being changed makes the browser lay out the whole page each time: both are
// remembered, and told anew when they change.
let palette = null;
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { palette = null; });
function colours() {
  if (palette === null) {
    const style = getComputedStyle(document.documentElement);
    palette = { line: style.getPropertyValue("--chart"), fill: style.getPropertyValue("--chart-fill") };
  }
  return palette;
}

const known = new WeakMap();  // canvas → its size, and how to draw what it shows
const sizes = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) {
    const canvas = known.get(target);
    canvas.width = contentRect.width;
    canvas.height = contentRect.height;
    canvas.draw();
  }
});

/** Least and greatest value; null when there are none. */
export function rangeOf(points) {
  let low = Infinity;
  let high = -Infinity;
  for (const [, value] of points) {
    if (value === null) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low > high ? null : { low, high };
}

/** `stepped`: a state that holds until the next reading. A hole in time, or a missing value, is a hole in the line. */
export function drawLine(canvas, points, stepped) {
  if (!known.has(canvas)) {
    known.set(canvas, { width: 0, height: 0 });
    sizes.observe(canvas);
  }
  const size = known.get(canvas);
  size.draw = () => paint(canvas, size, points, stepped);
  size.draw();
}

function paint(canvas, { width, height }, points, stepped) {
  if (width === 0 || height === 0) return;
  const ratio = devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  const range = rangeOf(points);
  if (range === null || points.length < 2) return;

  const first = points[0][0];
  const span = Math.max(points[points.length - 1][0] - first, 1);
  const flat = range.high === range.low;
  const x = (time) => PADDING + ((time - first) / span) * (width - 2 * PADDING);
  const y = (value) => flat ? height / 2
    : height - PADDING - ((value - range.low) / (range.high - range.low)) * (height - 2 * PADDING);
  const runs = split(points, span);
  const { line, fill } = colours();

  pen.fillStyle = fill;
  for (const run of runs) {
    trace(pen, run, x, y, stepped);
    pen.lineTo(x(run[run.length - 1][0]), height);
    pen.lineTo(x(run[0][0]), height);
    pen.fill();
  }
  pen.strokeStyle = line;
  pen.lineWidth = 1.6;
  pen.lineJoin = "round";
  for (const run of runs) {
    trace(pen, run, x, y, stepped);
    pen.stroke();
  }
  const last = runs.at(-1)?.at(-1);
  if (last === undefined) return;
  pen.fillStyle = line;
  pen.beginPath();
  pen.arc(x(last[0]), y(last[1]), 2.4, 0, 2 * Math.PI);
  pen.fill();
}

function trace(pen, run, x, y, stepped) {
  pen.beginPath();
  run.forEach(([time, value], i) => {
    if (i === 0) return pen.moveTo(x(time), y(value));
    if (stepped) pen.lineTo(x(time), y(run[i - 1][1]));
    pen.lineTo(x(time), y(value));
  });
}

/** Apart where a value is missing, or nothing came for six times as long as usual. */
function split(points, span) {
  const hole = Math.max((6 * span) / points.length, 5e6);
  const runs = [];
  let run = [];
  let before = null;
  for (const point of points) {
    if (point[1] === null || (before !== null && point[0] - before > hole)) {
      if (run.length > 0) runs.push(run);
      run = [];
    }
    if (point[1] !== null) run.push(point);
    before = point[0];
  }
  if (run.length > 0) runs.push(run);
  return runs;
}
