// `gsyncd-ts metrics`: prints or serves the metrics of all sessions of this node, however their workers were started.
// It also prints a Grafana dashboard and alert rules.

import { Argument, type Command } from 'commander';
import { GsyncdError } from '../../errors.js';
import { addMetricsOptions, startMetrics, type MetricsFlags } from '../metrics-options.js';
import { printText } from '../print.js';
import { VERSION } from '../version.js';

const ACTIONS = ['print', 'serve', 'dashboard', 'alerts'] as const;

export function addMetricsCommand(program: Command): void {
  addMetricsOptions(program.command('metrics'))
    .description(
      'metrics of the sessions of this node: print them once, serve them; print a Grafana dashboard, or alert rules for Prometheus',
    )
    .addArgument(new Argument('<what>', 'what to do, or to print').choices(ACTIONS))
    .argument('[session]', "a session's name or directory, or the file:///PATH of a plain directory (default: all)")
    .addHelpText(
      'after',
      '\nserve exports all bricks of the node, whoever started their workers, until it is told to stop.\n\nExamples:\n  gsyncd-ts metrics serve --metrics-textfile /var/lib/prometheus/node-exporter/gsyncd.prom\n  gsyncd-ts metrics alerts >/etc/prometheus/rules/gsyncd.yml',
    )
    .action(runMetrics);
}

async function runMetrics(
  action: (typeof ACTIONS)[number],
  name: string | undefined,
  flags: MetricsFlags,
): Promise<void> {
  switch (action) {
    case 'serve':
      return serve(name, flags);
    case 'print': {
      const { expose } = await import('../../metrics/registry.js');
      return printText((await expose(await (await loadSampler(name))())).text);
    }
    case 'dashboard':
      return printText(`${JSON.stringify((await import('../../metrics/dashboard.js')).dashboard(), null, 2)}\n`);
    case 'alerts':
      return printText((await import('../../metrics/alerts.js')).alertRules());
  }
}

async function serve(name: string | undefined, flags: MetricsFlags): Promise<void> {
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, resolve);
  });
  const exporter = await startMetrics(flags, await loadSampler(name), (line) =>
    process.stderr.write(`gsyncd-ts: ${line}\n`),
  );
  if (exporter === null)
    throw new GsyncdError('metrics: nothing to do: give --metrics-listen or --metrics-textfile', { code: 'usage' });
  const { address } = exporter;
  if (address !== null)
    process.stderr.write(
      `gsyncd-ts: metrics: http://${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}/metrics\n`,
    );
  // Neither the server nor the timer of the file keeps the process alive.
  const keepAlive = setInterval(() => undefined, 1 << 30);
  await stopped;
  clearInterval(keepAlive);
  await exporter.close();
}

async function loadSampler(name: string | undefined) {
  const [{ sessionSamples }, { findNamedSessions }] = await Promise.all([
    import('../../metrics/node-samples.js'),
    import('../session-lookup.js'),
  ]);
  return sessionSamples(() => findNamedSessions(name), VERSION);
}
