// Text for the refusal of a forced command, fit for a terminal and a log.

/** A client's text, cut to 80 characters, with `?` for characters on which a terminal would act. */
export function toPrintable(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 80);
}
