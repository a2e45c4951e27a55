// `gsyncd-ts metrics`: metrics of all sessions of this node, whoever started their workers, printed once or served;
// and what goes with them: a Grafana dashboard and alert rules.

import type { Command } from 'commander';
import { GsyncdError } from '../../errors.js';
import { addMetricsOptions, openMetrics, type MetricsFlags } from '../metrics-options.js';
import { VERSION } from '../version.js';

export function addMetricsCommand(program: Command): void {
  const metrics = program.command('metrics').description('metrics of the sessions of this node, a dashboard and alert rules');
  metrics
    .command('print')
    .description('print the metrics once, in the text form of Prometheus')
    .argument('[session]', "a session's name or directory (default: all)")
    .action(async (name?: string) => {
      const { expose } = await import('../../metrics/registry.js');
      const { text } = await expose(await (await samplesOf(name))());
      await print(text);
    });
  addMetricsOptions(metrics.command('serve'))
    .description('export the metrics until told to stop: one exporter for all bricks of the node')
    .argument('[session]', "a session's name or directory (default: all)")
    .addHelpText('after', '\nExample:\n  gsyncd-ts metrics serve --metrics-textfile /var/lib/prometheus/node-exporter/gsyncd.prom')
    .action(serve);
  metrics
    .command('dashboard')
    .description('print a Grafana dashboard, as JSON')
    .action(async () => print(`${JSON.stringify((await import('../../metrics/dashboard.js')).dashboard(), null, 2)}\n`));
  metrics
    .command('alerts')
    .description('print alert rules for Prometheus, as YAML')
    .action(async () => print((await import('../../metrics/alerts.js')).alertRules()));
}

async function serve(name: string | undefined, flags: MetricsFlags): Promise<void> {
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, resolve);
  });
  const exporter = await openMetrics(flags, await samplesOf(name), (line) => process.stderr.write(`gsyncd-ts: ${line}\n`));
  if (exporter === null) throw new GsyncdError('metrics: nothing to do: give --metrics-listen or --metrics-textfile', { code: 'usage', retryable: false });
  const { address } = exporter;
  if (address !== null) process.stderr.write(`gsyncd-ts: metrics: http://${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}/metrics\n`);
  // Neither the server nor the timer holds the process.
  const hold = setInterval(() => undefined, 1 << 30);
  await stopped;
  clearInterval(hold);
  await exporter.close();
}

async function samplesOf(name: string | undefined) {
  const [{ sessionSamples }, { findSessions }] = await Promise.all([import('../../metrics/node-samples.js'), import('../../progress/sessions.js')]);
  return sessionSamples(() => findSessions(name), VERSION);
}

function print(text: string): Promise<void> {
  return new Promise((resolve) => {
    process.stdout.once('error', () => resolve());
    process.stdout.write(text, () => resolve());
  });
}
