// Notifications to Gluster's events daemon, which passes them on to webhooks. Each event is one datagram to a local port,
// with the stock daemon's numbers and keys. Nothing here fails or blocks. Without an events daemon, events are dropped.

import { createSocket } from 'node:dgram';
import { readFile } from 'node:fs/promises';
import { fsEncode } from '../names.js';

/** Position of each event in Gluster's list of all events. */
export const EVENT_NUMBERS = { FAULTY: 91, CHECKPOINT_COMPLETED: 92, ACTIVE: 93, PASSIVE: 94 } as const;

export type EventName = keyof typeof EVENT_NUMBERS;

/** Keys and values in the order in which they are sent. */
export type EventFields = Readonly<Record<string, string | number>>;

/** Receives an event. Must not throw. */
export type EventSink = (event: EventName, fields: EventFields) => void;

/** Fields of every event of a brick's worker; `secondaryHost` as the session spells it, user included. */
export interface EventSubject {
  readonly primary: string;
  readonly node: string;
  readonly nodeId: string;
  readonly secondaryHost: string;
  readonly secondaryVolume: string;
  readonly brickPath: string;
}

const PACKAGED_CONFIG = '/etc/glusterfs/eventsconfig.json';
/** The events daemon accepts datagrams at any local address. */
const SERVER_ADDRESS = '0.0.0.0';

/** The datagram: `<seconds> <number> key=value;key=value`. Gluster escapes nothing. */
export function eventMessage(event: EventName, fields: EventFields, seconds: number): Buffer {
  const text = Object.entries(fields)
    .map(([key, value]) => `${key}=${value}`)
    .join(';');
  return fsEncode(`${seconds} ${EVENT_NUMBERS[event]} ${text}`);
}

/** Fields of an event of a brick; `more` goes last. */
export function eventFields(subject: EventSubject, extraFields: EventFields = {}): EventFields {
  return {
    primary_volume: subject.primary,
    primary_node: subject.node,
    primary_node_id: subject.nodeId,
    secondary_host: subject.secondaryHost,
    secondary_volume: subject.secondaryVolume,
    brick_path: subject.brickPath,
    ...extraFields,
  };
}

/** Fields of FAULTY. Stock's monitor puts the secondary's node before the brick. */
export function faultyFields(subject: EventSubject, currentSecondaryHost: string): EventFields {
  const { brick_path: brickPath = '', ...fields } = eventFields(subject);
  return { ...fields, current_secondary_host: currentSecondaryHost, brick_path: brickPath };
}

/** Port of the events daemon. The cluster's configuration overrides the packaged one. null when neither has a port. */
export async function eventPort(
  glusterdWorkdir: string,
  packagedConfig: string = PACKAGED_CONFIG,
): Promise<number | null> {
  let port: number | null = null;
  for (const file of [packagedConfig, `${glusterdWorkdir}/events/config.json`]) {
    try {
      const found: unknown = JSON.parse(await readFile(file, 'utf8'));
      if (typeof found !== 'object' || found === null || !('port' in found)) continue;
      const value = Number(found.port);
      if (Number.isInteger(value) && value > 0 && value < 65_536) port = value;
    } catch {
      continue;
    }
  }
  return port;
}

/** A sink that sends to the events daemon of this machine. It looks up the port for each event, because events are rare and
 *  the daemon may be set up while this process runs. */
export function eventSender(glusterdWorkdir: string, packagedConfig: string = PACKAGED_CONFIG): EventSink {
  return (event, fields) => {
    const message = eventMessage(event, fields, Math.floor(Date.now() / 1000));
    void eventPort(glusterdWorkdir, packagedConfig).then((port) => {
      if (port !== null) sendDatagram(message, port);
    });
  };
}

function sendDatagram(message: Buffer, port: number): void {
  const socket = createSocket('udp4');
  socket.unref();
  socket.on('error', () => socket.close());
  socket.send(message, port, SERVER_ADDRESS, () => socket.close());
}
