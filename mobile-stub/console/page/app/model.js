// One picture of the home, fed by the events. Views look at it, are told what has changed, and change nothing in it.

const POINTS = 300;  // of a channel, as many as the console keeps

export class Model {
  home = null;  // what this console can do here; null until the first event
  connection = { connected: false, why: "", since_us: 0 };
  link = "opening";  // of this page to the console: opening, open, lost
  membership = null;
  waiting = { epoch: 0, members: [] };
  changePending = false;
  devices = new Map();  // member → device; its channels: name → channel with points
  alarms = new Map();  // id → alarm
  tasks = new Map();  // id → task
  lastWordUs = 0;
  #clockAheadUs = 0;  // of the console's clock, before this page's
  #listeners = new Set();

  /** `listener(changes)`: {devices: Set, parts: Set}. Called once a frame at most; returns how to end that. */
  listen(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** By the console's clock, microseconds. */
  nowUs() {
    return Date.now() * 1000 + this.#clockAheadUs;
  }

  #changed = { devices: new Set(), parts: new Set() };
  #frame = 0;
  #tell(part) {
    this.#changed.parts.add(part);
    // A hidden page gets no frames; it is drawn when it is shown again.
    this.#frame ||= requestAnimationFrame(() => {
      const changes = this.#changed;
      this.#changed = { devices: new Set(), parts: new Set() };
      this.#frame = 0;
      for (const listener of [...this.#listeners]) listener(changes);
    });
  }

  setLink(link) {
    if (this.link === link) return;
    this.link = link;
    this.#tell("link");
  }

  apply(content) {
    this.#clockAheadUs = content.now_us - Date.now() * 1000;
    this.lastWordUs = content.last_word_us;
    if (content.whole) this.#forget();
    for (const [name, field] of [["home", "home"], ["connection", "connection"], ["membership", "membership"],
      ["waiting", "waiting"], ["change_pending", "changePending"]]) {
      if (!(name in content)) continue;
      this[field] = content[name];
      this.#tell(name);
    }
    for (const device of content.devices) this.#takeDevice(device);
    for (const alarm of content.alarms) this.#keep(this.alarms, alarm, 200, "alarms");
    for (const task of content.tasks) this.#keep(this.tasks, task, 50, "tasks");
    this.#tell("word");
  }

  #forget() {
    this.devices.clear();
    this.alarms.clear();
    this.tasks.clear();
    for (const part of ["devices", "alarms", "tasks"]) this.#tell(part);
  }

  #keep(map, item, most, part) {
    map.delete(item.id);
    map.set(item.id, item);
    while (map.size > most) map.delete(map.keys().next().value);
    this.#tell(part);
  }

  #takeDevice(incoming) {
    const before = this.devices.get(incoming.member);
    if (before === undefined) this.#tell("devices");
    const channels = new Map();
    for (const channel of incoming.channels) {
      const points = before?.channels.get(channel.name)?.points ?? [];
      addPoints(points, channel.points);
      channels.set(channel.name, { ...channel, points });
    }
    this.devices.set(incoming.member, { ...incoming, channels });
    this.#changed.devices.add(incoming.member);
    this.#tell("device");
  }
}

/** Nearly always they come behind the last; what filled a gap goes where it belongs. */
function addPoints(points, more) {
  for (const point of more) {
    let at = points.length;
    while (at > 0 && points[at - 1][0] > point[0]) --at;
    points.splice(at, 0, point);
  }
  if (points.length > POINTS) points.splice(0, points.length - POINTS);
}
