// The metrics in the text form of Prometheus, which prom-client makes from the present reports at each scrape. Only
// this module loads prom-client, and it is loaded only if metrics are requested.

import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Buckets } from '../progress/buckets.js';
import { BASE_LABELS, METRICS, type MetricDefinition, type MetricKey } from './names.js';
import type { BrickSamples } from './samples.js';

export interface Exposition {
  readonly contentType: string;
  readonly text: string;
}

type Labels = Record<string, string>;

/** A histogram whose buckets were counted elsewhere; prom-client's own class can only observe values. */
class CountedHistogram extends Histogram {
  readonly #name: string;
  readonly #help: string;
  readonly #observed: { labels: Labels; buckets: Buckets }[] = [];

  constructor({ name, help }: MetricDefinition, labelNames: string[], registry: Registry) {
    super({ name, help, labelNames, registers: [registry] });
    this.#name = name;
    this.#help = help;
  }

  add(labels: Labels, buckets: Buckets): void {
    this.#observed.push({ labels, buckets });
  }

  override get(): ReturnType<Histogram['get']> {
    const values = this.#observed.flatMap(({ labels, buckets: { bounds, counts, sum } }) => {
      let count = 0;
      const bucketValues = [...bounds.map(String), '+Inf'].map((le, i) => {
        count += counts[i] ?? 0;
        return { metricName: `${this.#name}_bucket`, labels: { ...labels, le }, value: count };
      });
      return [
        ...bucketValues,
        { metricName: `${this.#name}_sum`, labels, value: sum },
        { metricName: `${this.#name}_count`, labels, value: count },
      ];
    });
    return Promise.resolve({
      name: this.#name,
      help: this.#help,
      type: 'histogram',
      values,
      aggregator: 'sum',
    } as unknown as Awaited<ReturnType<Histogram['get']>>);
  }

  /** The registry prefers this method to get(). */
  getForPromString(): ReturnType<Histogram['get']> {
    return this.get();
  }
}

/** All metrics of all bricks, without those that have no sample. */
export async function expose(bricks: readonly BrickSamples[]): Promise<Exposition> {
  const registry = new Registry();
  const metrics = new Map<MetricKey, Counter | Gauge | CountedHistogram>();
  const metricOf = (key: MetricKey): Counter | Gauge | CountedHistogram => {
    let metric = metrics.get(key);
    if (metric === undefined) metrics.set(key, (metric = newMetric(METRICS[key], registry)));
    return metric;
  };
  // Use the table's order, not the samples'.
  for (const key of Object.keys(METRICS) as MetricKey[]) {
    for (const { primary, secondary, brick, samples } of bricks) {
      for (const sample of samples) {
        if (sample.key !== key) continue;
        const { label }: MetricDefinition = METRICS[key];
        const labels: Labels = {
          primary: wellFormed(primary),
          secondary: wellFormed(secondary),
          brick: wellFormed(brick),
          ...(label === undefined ? {} : { [label]: wellFormed(sample.label ?? '') }),
        };
        const metric = metricOf(key);
        if (metric instanceof CountedHistogram) {
          if (typeof sample.value === 'object') metric.add(labels, sample.value);
        } else if (typeof sample.value === 'number') metric.inc(labels, sample.value);
      }
    }
  }
  return { contentType: registry.contentType, text: await registry.metrics() };
}

function newMetric(definition: MetricDefinition, registry: Registry): Counter | Gauge | CountedHistogram {
  const { name, help, type, label } = definition;
  const labelNames = [...BASE_LABELS, ...(label === undefined ? [] : [label])];
  if (type === 'histogram') return new CountedHistogram(definition, labelNames, registry);
  const options = { name, help, labelNames, registers: [registry] };
  return type === 'counter' ? new Counter(options) : new Gauge(options);
}

/** A name that is not UTF-8 must not invalidate the whole answer. */
function wellFormed(text: string): string {
  return text.toWellFormed();
}
