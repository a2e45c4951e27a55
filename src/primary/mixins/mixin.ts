// The constructor type of all mixins. TypeScript requires `any[]` for the constructor of a mixin's base (TS2545). No mixin
// has a constructor.

export type AbstractCtor<T> = abstract new (...args: any[]) => T;
