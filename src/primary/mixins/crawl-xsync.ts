// crawl slot: the hybrid crawl, which walks the brick by xtime. It runs for the first sync and for gaps in the changelogs'
// history. Port of GMasterXsyncMixin; xsync-walk.ts walks the tree. The crawl writes its findings as XSYNC-CHANGELOG files,
// so that they are processed, logged and archived like changelogs.

import { mkdir, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { archiveAndPurge } from '../../changelog/archive.js';
import { formatRecord } from '../../changelog/text.js';
import { ROOT_GFID, type Gfid } from '../../protocol/gfid.js';
import { compareXtime, ZERO_XTIME } from '../../gluster/xtime.js';
import { writing } from '../../native/durable-file.js';
import { ROOT_PATH } from '../base.js';
import type { Batch, CrawlName } from '../batch/batch.js';
import { withChangelogCrawl, type ChangelogCrawl, type CrawlBase } from './crawl-changelog.js';
import type { AbstractCtor } from './mixin.js';
import { XATTR_SPACE_ERRNOS, tryInode, InodeError } from '../inode-error.js';
import { delayOrWake } from '../../async/wait.js';
import { XsyncWalk, type WalkChunk } from './xsync-walk.js';

const FILE_PREFIX = 'XSYNC-CHANGELOG';
/** Interval between crawls when change-detector is xsync, as in the reference. */
const REPEAT_INTERVAL_MS = 60_000;

export const withXsyncCrawl = <B extends AbstractCtor<CrawlBase>>(Base: B): AbstractCtor<ChangelogCrawl> & B => {
  abstract class Xsync extends withChangelogCrawl(Base) {
    #lastFileTime = 0;

    override get crawlName(): CrawlName {
      return 'xsync';
    }

    override async crawl(signal: AbortSignal): Promise<void> {
      const { status, log, brick, progress } = this.deps;
      await this.#prepareDir();
      const stime = await this.dataStime();
      log.info('starting hybrid crawl', { stime });
      progress?.walkStarted(stime === null ? 'first' : 'again');
      await status.setCrawlStatus('Hybrid Crawl');
      // After a first sync the history crawl does both.
      if (stime !== null) {
        this.deps.mountSelector.expectChangesUntil(Date.now() / 1000);
        await this.pipeline.clearTempNames(signal);
      }
      const chunks = new XsyncWalk(brick, this, log, { limit: this.liveChangelogStart, from: this.walkFrom }).chunks(
        signal,
      );
      // The missing changelogs also had the deletes and renames. Before a first sync the secondary may have names that the
      // primary never had.
      const shouldCompare =
        this.walkFrom !== null && this.shouldCreateMarks() && stime !== null && compareXtime(stime, ZERO_XTIME) > 0;
      const changedDirs = new Set<Gfid>();
      // The walk is one chunk ahead of the sync, which awaits it. The reference polls an empty list instead.
      let nextChunk = chunks.next();
      for (;;) {
        const { value: chunk, done } = await nextChunk;
        if (done === true) break;
        progress?.entriesFound(chunk.entryCount);
        if (shouldCompare) for (const gfid of chunk.changedDirs) changedDirs.add(gfid);
        nextChunk = chunks.next();
        nextChunk.catch(() => undefined); // the next await reports it; if the submit fails first, it must not be unhandled
        await this.#submit(chunk, signal);
      }
      progress?.walkCompleted();
      await this.pipeline.drain();
      await this.pipeline.compareDirectories(changedDirs, signal);
      // A crawl that finds nothing submits no batch, and only batches include retries.
      await this.retryFailures(signal);
      await this.completeCheckpoint();
      progress?.walkEnded();
      this.deps.replayTracker.markAllTouched();
      log.info('finished hybrid crawl', { stime: await this.dataStime() });
    }

    override get isReadingChangelogs(): boolean {
      return false;
    }

    override async nextCrawl(signal: AbortSignal): Promise<void> {
      await delayOrWake(REPEAT_INTERVAL_MS, signal);
    }

    get #dir(): string {
      return join(this.deps.workingDir, 'xsync');
    }

    async #prepareDir(): Promise<void> {
      await mkdir(this.#dir, { recursive: true });
      for (const name of await readdir(this.#dir)) {
        if (name.startsWith(FILE_PREFIX)) await rm(join(this.#dir, name), { force: true }); // left by a killed crawl
      }
    }

    async #submit(chunk: WalkChunk, signal: AbortSignal): Promise<void> {
      if (chunk.records.length === 0) {
        await this.pipeline.drain();
        await this.#addSkippedToFailures(chunk);
        await this.#setStimes(chunk);
        return;
      }
      const path = await this.#write(chunk);
      this.deps.log.info('processing xsync changelog', { path });
      await this.pipeline.submit(this.#makeXsyncBatch(path, chunk), signal);
    }

    #makeXsyncBatch(path: string, chunk: WalkChunk): Batch {
      return {
        changes: [path],
        crawl: 'xsync',
        entryPolicyOf: () => 'apply',
        // Only now: an earlier retry would create directories that this batch creates.
        entriesApplied: () => this.#addSkippedToFailures(chunk),
        commit: async () => {
          await archiveAndPurge(
            this.#dir,
            [path.slice(this.#dir.length + 1)],
            this.deps.config.get('changelog-archive-format'),
          );
          await this.#setStimes(chunk);
          this.deps.progress?.walkSynced(chunk.entryCount);
        },
        hasBeenSynced: async () => (await this.dataStime()) !== null,
        markFields: async () => ({ stime: await this.dataStime(), entry_stime: await this.entryStime() }),
      };
    }

    /** Puts entries that the crawl skipped on the failure list. The retry includes everything below them: see FailureRetry. */
    async #addSkippedToFailures({ skipped }: WalkChunk): Promise<void> {
      if (skipped.length === 0) return;
      const { failures, status } = this.deps;
      for (const { entry, reason } of skipped) failures.add({ kind: 'entry', gfid: ROOT_GFID, entry, reason });
      await failures.persist();
      status.setFailures(failures.size);
    }

    async #setStimes({ stimes }: WalkChunk): Promise<void> {
      for (const stime of stimes) {
        const result =
          stime.path === ROOT_PATH
            ? await this.#setStime(stime)
            : await tryInode(this.#setStime(stime), XATTR_SPACE_ERRNOS);
        // A directory that keeps its old stime is crawled again by a later hybrid crawl.
        if (result instanceof InodeError)
          this.deps.log.warn('cannot mark a directory as synced', { path: stime.path, error: result.reason });
      }
    }

    async #setStime({ path, gfid, mark }: WalkChunk['stimes'][number]): Promise<void> {
      // A directory that moved keeps its old stime. The entry that took its path must not get this stime.
      if (path !== ROOT_PATH && (await this.deps.brick.gfid(path)) !== gfid) return;
      // When a crawl for a gap ends, the history crawl may have raised the root's stime further already.
      const rootStime = path === ROOT_PATH ? await this.dataStime() : null;
      if (rootStime !== null && compareXtime(mark, rootStime) <= 0) return;
      this.deps.log.debug('setting secondary time', { time: mark });
      await this.commitStime(mark, path);
    }

    async #write(chunk: WalkChunk): Promise<string> {
      // At least one second apart: only the time in the name distinguishes the files.
      this.#lastFileTime = Math.max(Math.floor(Date.now() / 1000), this.#lastFileTime + 1);
      const path = join(this.#dir, `${FILE_PREFIX}.${this.#lastFileTime}`);
      const file = await open(path, 'w');
      try {
        await writing(path, async () => {
          await file.writeFile(Buffer.concat(chunk.records.map(formatRecord)));
          await file.sync();
        });
      } finally {
        await file.close();
      }
      return path;
    }
  }
  return Xsync;
};
