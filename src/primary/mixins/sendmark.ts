// sendmark slot: sets stime after a regular crawl, unless rsync copies it (use-rsync-xattrs).

import type { Xtime } from '../../gluster/xtime.js';
import type { PrimaryBase } from '../base.js';
import type { AbstractCtor } from './mixin.js';

export interface Sendmark {
  sendmarkRegular(path: string, mark: Xtime): Promise<void>;
}

export type SendmarkMixin = <B extends AbstractCtor<PrimaryBase>>(Base: B) => AbstractCtor<Sendmark> & B;

export const withSendmarkNormal: SendmarkMixin = (Base) => {
  abstract class SendmarkNormal extends Base implements Sendmark {
    sendmarkRegular(path: string, mark: Xtime): Promise<void> {
      return this.sendmark(path, mark);
    }
  }
  return SendmarkNormal;
};

export const withSendmarkRsync: SendmarkMixin = (Base) => {
  abstract class SendmarkRsync extends Base implements Sendmark {
    sendmarkRegular(): Promise<void> {
      return Promise.resolve();
    }
  }
  return SendmarkRsync;
};
