// How a forced command refuses: one line that is fit for a terminal and a log.

/** A client's text, cut to 80 characters and without what a terminal would act on. */
export function printable(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 80);
}
