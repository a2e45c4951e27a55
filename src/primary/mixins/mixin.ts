// The shape that all mixins share. TypeScript demands `any[]` for the constructor of a mixin's base (TS2545);
// this is the one place that says so. No mixin has a constructor of its own.

export type AbstractCtor<T> = abstract new (...args: any[]) => T;
