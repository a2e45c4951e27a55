// The options that start an exporter of metrics, equal in every command that has them.

import { InvalidArgumentError, type Command } from 'commander';
import type { Exporter, ExporterOptions } from '../metrics/exporter.js';

export interface MetricsFlags {
  readonly metricsListen?: string;
  readonly metricsTextfile?: string;
  readonly metricsInterval: number;
}

export function addMetricsOptions(command: Command): Command {
  return command
    .option('--metrics-listen <[address:]port>', 'serve metrics over HTTP, on loopback unless an address is given (default: off)')
    .option('--metrics-textfile <file>', "keep metrics in a file, for node_exporter's textfile collector (default: off)")
    .option('--metrics-interval <seconds>', 'between two writes of that file', interval, 15);
}

function interval(text: string): number {
  const value = Number(text);
  if (!(value >= 1 && value <= 3600)) throw new InvalidArgumentError('must be a number of seconds, 1 to 3600.');
  return value;
}

/** Starts the exporter that the flags request; null when they request none.
 *  @throws as startExporter() does */
export async function startMetrics(flags: MetricsFlags, samples: ExporterOptions['samples'], onError: (line: string) => void): Promise<Exporter | null> {
  const { metricsListen, metricsTextfile, metricsInterval } = flags;
  if (metricsListen === undefined && metricsTextfile === undefined) return null;
  const { parseListen, startExporter } = await import('../metrics/exporter.js');
  return startExporter({
    ...(metricsListen === undefined ? {} : { listen: parseListen(metricsListen) }),
    ...(metricsTextfile === undefined ? {} : { textfile: metricsTextfile }),
    intervalS: metricsInterval,
    samples,
    onError,
  });
}
