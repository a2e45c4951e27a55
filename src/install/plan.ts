// Decides from the present files what an install or uninstall does to one place of the stock gsyncd. Pure; apply.ts
// executes the steps. The place holds a working gsyncd after every step, and a second run does nothing.

import type { GsyncdKind } from './launcher.js';

/** Files in the stock path and beside it. */
export interface PlaceState {
  readonly current: GsyncdKind | 'missing';
  /** Whether the launcher there equals the one that would be written. */
  readonly isUpToDate: boolean;
  readonly aside: GsyncdKind | 'missing';
  /** Whether both are the same stock file, which an interrupted install leaves. */
  readonly isAsideCurrent: boolean;
}

export type Step =
  | 'keep-original' // gives the stock file its second name, and replaces an older file of that name
  | 'write-launcher'
  | 'restore-original' // moves the kept file back to its place
  | 'drop-aside';

export interface PlacePlan {
  readonly steps: readonly Step[];
  /** Notes for the admin, one line each. */
  readonly notes: readonly string[];
  /** Why nothing may be done here. */
  readonly refusal?: string;
}

const PACKAGE_UPGRADED = 'a package upgrade had put a stock gsyncd over the launcher';

export function planInstall(state: PlaceState): PlacePlan {
  switch (state.current) {
    case 'missing':
      return refuse('no gsyncd there');
    case 'unknown':
      return refuse('what stands there is neither a stock gsyncd nor a launcher of this program');
    case 'launcher':
      if (state.aside !== 'stock')
        return {
          ...planLauncher(state),
          notes: ['the original is not beside the launcher: --uninstall will need the package'],
        };
      return planLauncher(state);
    case 'stock':
      return {
        steps: ['keep-original', 'write-launcher'],
        notes: state.aside === 'missing' || state.isAsideCurrent ? [] : [PACKAGE_UPGRADED],
      };
  }
}

function planLauncher(state: PlaceState): PlacePlan {
  return state.isUpToDate ? { steps: [], notes: [] } : { steps: ['write-launcher'], notes: [] };
}

export function planUninstall(state: PlaceState): PlacePlan {
  switch (state.current) {
    case 'launcher':
      if (state.aside === 'stock') return { steps: ['restore-original'], notes: [] };
      return refuse('the original is not beside the launcher: install the GlusterFS package again');
    case 'stock':
      return state.aside === 'missing'
        ? { steps: [], notes: [] }
        : { steps: ['drop-aside'], notes: state.isAsideCurrent ? [] : [PACKAGE_UPGRADED] };
    case 'missing':
      if (state.aside === 'stock') return { steps: ['restore-original'], notes: [] };
      return refuse('no gsyncd there');
    case 'unknown':
      return refuse('what stands there is neither a stock gsyncd nor a launcher of this program');
  }
}

function refuse(refusal: string): PlacePlan {
  return { steps: [], notes: [], refusal };
}
