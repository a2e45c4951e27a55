// Exports metrics over an HTTP endpoint that Prometheus scrapes, and in a file for node_exporter's textfile collector.
// Invariant: a scrape that fails answers 500 and affects nothing else; the file is complete at every moment.

import { createServer, type Server, type ServerResponse } from 'node:http';
import { errnoCode, errorLine, GsyncdError } from '../errors.js';
import { replaceFile } from '../native/durable-file.js';
import { SingleFlight } from '../async/single-flight.js';
import type { BrickSamples } from './samples.js';

/** Enough for a few scrapers and for manual requests. */
const MAX_CONNECTIONS = 32;
/** Limit from the request's end until the client has read the answer, a few hundred KB. */
const ANSWER_TIMEOUT_MS = 10_000;
/** A connection without a complete request ends after these times, which the server checks every second. */
const SERVER_LIMITS = {
  headersTimeout: 5_000,
  requestTimeout: 5_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 1_000,
  maxHeaderSize: 8_192,
};

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

export interface ExporterOptions {
  readonly listen?: ListenAddress;
  readonly textfile?: string;
  /** Seconds between two writes of the file. */
  readonly intervalS: number;
  readonly samples: () => Promise<readonly BrickSamples[]>;
  readonly onError: (line: string) => void;
}

export interface Exporter {
  /** Address on which it listens, with the actual port if port 0 was requested. */
  readonly address: ListenAddress | null;
  /** Ends both, after a last write of the file. */
  close(): Promise<void>;
}

/** Parses `[ADDR:]PORT` or `[::1]:PORT`; the default address is loopback.
 *  @throws GsyncdError 'usage' */
export function parseListen(text: string): ListenAddress {
  const match = /^(?:(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+)):)?(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535)
    throw new GsyncdError(`metrics: listen on ${text}: must be [ADDRESS:]PORT`, { code: 'usage' });
  return { host: match[1] ?? match[2] ?? '127.0.0.1', port };
}

/** @throws GsyncdError 'preflight' when the address is in use or not this machine's, or the file cannot be written */
export async function startExporter(options: ExporterOptions): Promise<Exporter> {
  const { expose } = await import('./registry.js');
  const singleFlight = new SingleFlight(async () => expose(await options.samples()));
  const exposition = () => singleFlight.ask();
  const server = options.listen === undefined ? null : await startServer(options.listen, exposition, options.onError);
  const textfile =
    options.textfile === undefined
      ? null
      : new TextfileWriter(options.textfile, async () => (await exposition()).text, options);
  try {
    await textfile?.start();
  } catch (error) {
    server?.close();
    throw error;
  }
  const bound = server?.address();
  return {
    address: typeof bound === 'object' && bound !== null ? { host: bound.address, port: bound.port } : null,
    close: async () => {
      await textfile?.close();
      if (server === null) return;
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function startServer(
  { host, port }: ListenAddress,
  exposition: () => Promise<{ contentType: string; text: string }>,
  onError: (line: string) => void,
): Promise<Server> {
  const answer = async (method: string, url: string, response: ServerResponse): Promise<void> => {
    if (method !== 'GET' && method !== 'HEAD') return respond(response, 405, 'text/plain', 'method not allowed\n');
    if (url.split('?')[0] !== '/metrics')
      return respond(response, url === '/' ? 200 : 404, 'text/plain', 'gsyncd-ts: see /metrics\n');
    try {
      const { contentType, text } = await exposition();
      respond(response, 200, contentType, text);
    } catch (error) {
      onError(`metrics: scrape: ${errorLine(error)}`);
      respond(response, 500, 'text/plain', 'metrics: not available\n');
    }
  };
  const server = createServer(SERVER_LIMITS, (request, response) => {
    // A client that reads a byte now and then never lets a socket's own timeout pass, so this timer limits the whole
    // answer.
    const timer = setTimeout(() => response.destroy(), ANSWER_TIMEOUT_MS);
    response.once('close', () => clearTimeout(timer));
    void answer(request.method ?? '', request.url ?? '', response);
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.maxRequestsPerSocket = 100;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      const state = errnoCode(cause) === 'EADDRINUSE' ? 'the port is in use' : errorLine(cause);
      reject(new GsyncdError(`metrics: listen on ${host}:${port}: ${state}`, { code: 'preflight', cause }));
    });
    server.listen({ host, port, exclusive: true }, resolve);
  });
  server.removeAllListeners('error');
  server.on('error', (error) => onError(`metrics: ${errorLine(error)}`));
  server.unref();
  return server;
}

function respond(response: ServerResponse, status: number, contentType: string, text: string): void {
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(text),
    'x-content-type-options': 'nosniff',
  });
  response.end(response.req.method === 'HEAD' ? undefined : text);
}

class TextfileWriter {
  readonly #path: string;
  readonly #text: () => Promise<string>;
  readonly #options: ExporterOptions;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #reportedError = '';

  constructor(path: string, text: () => Promise<string>, options: ExporterOptions) {
    this.#path = path;
    this.#text = text;
    this.#options = options;
  }

  async start(): Promise<void> {
    try {
      await this.#write();
    } catch (cause) {
      throw new GsyncdError(`metrics: write ${this.#path}: ${errnoCode(cause) ?? errorLine(cause)}`, {
        code: 'preflight',
        cause,
      });
    }
    this.#timer = setInterval(() => void this.#tryWrite(), this.#options.intervalS * 1000).unref();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#writing;
    await this.#tryWrite();
  }

  async #tryWrite(): Promise<void> {
    const write = this.#writing.then(() => this.#write());
    this.#writing = write.catch(() => undefined);
    try {
      await write;
      this.#reportedError = '';
    } catch (error) {
      const line = `metrics: write ${this.#path}: ${errnoCode(error) ?? errorLine(error)}`;
      if (line !== this.#reportedError) this.#options.onError(line);
      this.#reportedError = line;
    }
  }

  /** Another user may own the collector's directory, so the temporary file's name cannot be guessed. It does not match
   *  `*.prom`. */
  async #write(): Promise<void> {
    await replaceFile(this.#path, await this.#text(), 0o644);
  }
}
