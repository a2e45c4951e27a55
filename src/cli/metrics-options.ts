// The options that start an exporter of metrics, equal in every command that has them.

import type { Command } from 'commander';
import type { Exporter, ExporterOptions } from '../metrics/exporter.js';
import { secondsBetween } from './option-values.js';

export interface MetricsFlags {
  readonly metricsListen?: string;
  readonly metricsTextfile?: string;
  readonly metricsInterval: number;
}

export function addMetricsOptions(command: Command): Command {
  return command
    .option(
      '--metrics-listen <[address:]port>',
      'serve metrics over HTTP, on loopback unless an address is given (default: off)',
    )
    .option(
      '--metrics-textfile <file>',
      "keep metrics in a file, for node_exporter's textfile collector (default: off)",
    )
    .option('--metrics-interval <seconds>', 'between two writes of that file', secondsBetween(1, 3600), 15);
}

/** Starts the exporter that the flags request; null when they request none.
 *  @throws as startExporter() does */
export async function startMetrics(
  flags: MetricsFlags,
  samples: ExporterOptions['samples'],
  onError: (line: string) => void,
): Promise<Exporter | null> {
  const { metricsListen, metricsTextfile, metricsInterval } = flags;
  if (metricsListen === undefined && metricsTextfile === undefined) return null;
  const { parseListen, startExporter } = await import('../metrics/exporter.js');
  return startExporter({
    listen: metricsListen === undefined ? undefined : parseListen(metricsListen),
    textfile: metricsTextfile,
    intervalS: metricsInterval,
    samples,
    onError,
  });
}
