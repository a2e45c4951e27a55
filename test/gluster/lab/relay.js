// A network in one process: relays TCP connections, holds what goes either way back for a time, and lets no more through than
// a rate. Run in the box by slow-link.ts.
//   node relay.js LISTEN_PORT TO_HOST TO_PORT DELAY_MS BYTES_PER_SECOND
// Lines on stdin: `down`: nothing passes, and connections stay open; `up`; `cut`: all connections end.
import { createConnection, createServer } from 'node:net';
import { createInterface } from 'node:readline';

const [listenPort, toHost, toPort, delayMs, bytesPerSecond] = process.argv
  .slice(2)
  .map((arg, i) => (i === 1 ? arg : Number(arg)));
/** The buffer of a router. With less than the bytes on their way the link would be slower than its rate. */
const MAX_HELD_BYTES = Math.max(64 << 10, (bytesPerSecond * 2 * delayMs) / 1000);

let isDown = false;
const sockets = new Set();
const directions = new Set();

class Direction {
  /** When the last byte that was taken will have left. */
  static freeMs = { there: 0, back: 0 };
  #held = [];
  #heldBytes = 0;
  #timer;

  constructor(from, to, way) {
    Object.assign(this, { from, to, way });
    from.on('data', (chunk) => this.take(chunk));
    from.on('end', () => this.take(null));
    for (const event of ['error', 'close']) from.on(event, () => event === 'error' && to.destroy());
  }

  take(chunk) {
    const begins = Math.max(performance.now(), Direction.freeMs[this.way]);
    const ends = begins + ((chunk?.length ?? 0) * 1000) / bytesPerSecond;
    Direction.freeMs[this.way] = ends;
    this.#held.push({ chunk, dueMs: ends + delayMs });
    this.#heldBytes += chunk?.length ?? 0;
    if (this.#heldBytes > MAX_HELD_BYTES) this.from.pause();
    this.pass();
  }

  pass() {
    clearTimeout(this.#timer);
    if (isDown) return;
    while (this.#held.length > 0 && this.#held[0].dueMs <= performance.now()) {
      const { chunk } = this.#held.shift();
      if (chunk === null) this.to.end();
      else this.to.write(chunk);
      this.#heldBytes -= chunk?.length ?? 0;
      if (this.#heldBytes <= MAX_HELD_BYTES) this.from.resume();
    }
    if (this.#held.length > 0)
      this.#timer = setTimeout(() => this.pass(), Math.max(1, this.#held[0].dueMs - performance.now()));
  }
}

createServer({ allowHalfOpen: true }, (near) => {
  const far = createConnection({ host: toHost, port: toPort, allowHalfOpen: true });
  for (const socket of [near, far]) {
    socket.setNoDelay(true);
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  }
  for (const direction of [new Direction(near, far, 'there'), new Direction(far, near, 'back')]) {
    directions.add(direction);
    direction.from.on('close', () => directions.delete(direction));
  }
}).listen(listenPort, () => console.log('listening'));

createInterface({ input: process.stdin })
  .on('line', (line) => {
    if (line === 'cut') for (const socket of sockets) socket.destroy();
    isDown = line === 'down';
    for (const direction of directions) direction.pass();
  })
  .on('close', () => process.exit(0));
