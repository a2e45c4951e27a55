// Parsers of option values that several commands have.

import { InvalidArgumentError } from 'commander';

/** The text of a whole number, unchanged. @throws InvalidArgumentError for anything else */
export function wholeNumberText(text: string): string {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('must be a whole number.');
  return text;
}

/** @throws InvalidArgumentError */
export function parseWholeNumber(text: string): number {
  return Number(wholeNumberText(text));
}

/** A parser of seconds between `min` and `max`, which throws InvalidArgumentError for others. */
export function secondsBetween(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!(value >= min && value <= max))
      throw new InvalidArgumentError(`must be a number of seconds, ${min} to ${max}.`);
    return value;
  };
}
