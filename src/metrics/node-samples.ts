// Samples of one brick, or of the bricks of whole sessions. The readers stay between calls, so that each call reads
// only what is new.

import { SessionReader } from '../progress/sessions.js';
import { basename, dirname } from 'node:path';
import { brickSamples, type BrickSamples } from './samples.js';

/** All bricks of the sessions that `find` returns. Each call runs `find`. */
export function sessionSamples(
  findSessionDirs: () => Promise<readonly string[]>,
  version: string,
): () => Promise<BrickSamples[]> {
  const readers = new Map<string, SessionReader>();
  return async () => {
    const all = await Promise.all(
      (await findSessionDirs()).map(async (dir) => {
        let reader = readers.get(dir);
        if (reader === undefined) readers.set(dir, (reader = new SessionReader(dir)));
        const readings = await reader.readBricks();
        // A brick on which no worker has run yet takes the volumes' names from another brick of its session.
        const progress = readings.find(({ progress }) => progress !== null)?.progress;
        return readings.map((reading) => ({
          ...brickSamples(reading, basename(dir), version),
          ...(progress === null || progress === undefined
            ? {}
            : { primary: progress.primary, secondary: progress.secondary }),
        }));
      }),
    );
    return all.flat();
  };
}

/** One brick, by its status file. Without samples before watch(). */
export class SingleBrickSampler {
  readonly #version: string;
  #reader: SessionReader | null = null;
  #name = '';

  constructor(version: string) {
    this.#version = version;
  }

  watch(statusFile: string): void {
    this.#reader = new SessionReader(dirname(statusFile));
    this.#name = basename(statusFile);
  }

  async samples(): Promise<BrickSamples[]> {
    const reader = this.#reader;
    if (reader === null) return [];
    return (await reader.readBricks(this.#name)).map((reading) =>
      brickSamples(reading, basename(reader.directory), this.#version),
    );
  }
}
