// Installs the launcher in every place of a stock gsyncd, and removes it again. It checks all places before it changes
// one, so a refusal leaves all of them as they were.

import { basename, dirname, isAbsolute, join } from 'node:path';
import { GsyncdError } from '../errors.js';
import { exists, readLinkTarget, moveOver, putFile, putLink, putSymlink, readIfThere, removeFile } from './files.js';
import { gsyncdKind } from './launcher.js';
import { ASIDE_NAME } from './places.js';
import { planInstall, planUninstall, type PlacePlan, type PlaceState, type Step } from './plan.js';

export interface ApplyOptions {
  readonly action: 'install' | 'uninstall';
  readonly mode: 'do' | 'dry-run';
  readonly launcher: string;
  /** Gets one line for each action and note. */
  readonly report: (line: string) => void;
}

/** @throws GsyncdError 'preflight' when it refuses a place; system errors */
export async function applyToPlaces(places: readonly string[], options: ApplyOptions): Promise<void> {
  const makePlan = options.action === 'install' ? planInstall : planUninstall;
  const plans: { place: string; plan: PlacePlan }[] = [];
  for (const place of places) plans.push({ place, plan: makePlan(await readPlaceState(place, options.launcher)) });
  const refused = plans.find(({ plan }) => plan.refusal !== undefined);
  if (refused !== undefined)
    throw new GsyncdError(`${options.action}: ${refused.place}: ${refused.plan.refusal}`, { code: 'preflight' });
  for (const { place, plan } of plans) {
    for (const note of plan.notes) options.report(`${place}: note: ${note}`);
    if (plan.steps.length === 0)
      options.report(
        `${place}: nothing to do: ${options.action === 'install' ? 'the launcher is' : 'the stock gsyncd is'} there`,
      );
    for (const step of plan.steps) {
      if (options.mode === 'do') await doStep(step, place, options.launcher);
      options.report(`${place}: ${options.mode === 'do' ? '' : 'would: '}${DESCRIPTIONS[step]}`);
    }
  }
}

const DESCRIPTIONS: Readonly<Record<Step, string>> = {
  'keep-original': `the original is kept as ${ASIDE_NAME}`,
  'write-launcher': 'the launcher is put in its place',
  'restore-original': `the original is put back from ${ASIDE_NAME}`,
  'drop-aside': `${ASIDE_NAME}, which is not needed beside the stock gsyncd, is removed`,
};

async function readPlaceState(place: string, launcher: string): Promise<PlaceState> {
  const current = await readIfThere(place);
  const aside = await readIfThere(asidePath(place));
  return {
    current: current === null ? 'missing' : gsyncdKind(current),
    isUpToDate: current?.toString() === launcher,
    aside: aside === null ? 'missing' : gsyncdKind(aside),
    isAsideCurrent: current !== null && aside !== null && current.equals(aside),
  };
}

async function doStep(step: Step, place: string, launcher: string): Promise<void> {
  switch (step) {
    case 'keep-original':
      return putLink(place, asidePath(place));
    case 'write-launcher':
      return putFile(place, launcher, 0o755);
    case 'restore-original':
      return moveOver(asidePath(place), place);
    case 'drop-aside':
      return removeFile(asidePath(place));
  }
}

function asidePath(place: string): string {
  return join(dirname(place), ASIDE_NAME);
}

/** Writes, or removes, a file that this program owns alone. */
export async function applyOwnFile(path: string, text: string, options: Omit<ApplyOptions, 'launcher'>): Promise<void> {
  const prefix = options.mode === 'do' ? '' : 'would: ';
  if (options.action === 'uninstall') {
    if (!(await exists(path))) return;
    if (options.mode === 'do') await removeFile(path);
    options.report(`${path}: ${prefix}removed`);
    return;
  }
  if ((await readIfThere(path))?.toString() === text) {
    options.report(`${path}: nothing to do: it is there`);
    return;
  }
  if (options.mode === 'do') await putFile(path, text, 0o644);
  options.report(`${path}: ${prefix}written`);
}

/** Makes, or removes, the name under which an admin's shell finds `script`. It leaves a file or link of another
 *  program alone, such as npm's link, which is relative. */
export async function applyCommandName(
  path: string,
  script: string,
  options: Omit<ApplyOptions, 'launcher'>,
): Promise<void> {
  const prefix = options.mode === 'do' ? '' : 'would: ';
  const target = await readLinkTarget(path);
  const isOwn = target !== null && isAbsolute(target) && basename(target) === basename(script);
  if (!isOwn && (await exists(path))) {
    if (options.action === 'install') options.report(`${path}: nothing to do: something else is there`);
  } else if (options.action === 'uninstall') {
    if (!isOwn) return;
    if (options.mode === 'do') await removeFile(path);
    options.report(`${path}: ${prefix}removed`);
  } else if (target === script) {
    options.report(`${path}: nothing to do: it is there`);
  } else {
    if (options.mode === 'do') await putSymlink(path, script);
    options.report(`${path}: ${prefix}linked to ${script}`);
  }
}
