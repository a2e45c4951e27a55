// Calls the secondary's methods in the worker's process, without the streams and pickles of RepceClient and serveRepce.
// Invariant: values and exceptions arrive as they would from a peer. Floats arrive as plain numbers.

import { errorLine } from '../errors.js';
import { remoteCallError } from '../rpc/errors.js';
import { PyException, PyFloat, PyTuple, isPyDict, pyTuple, type PyDict, type PyValue } from '../rpc/pickle-values.js';
import type { PeerCalls } from '../rpc/client.js';
import { raisedException, type RpcMethod } from '../rpc/server.js';

export function directCalls(
  methods: ReadonlyMap<string, RpcMethod>,
  onRaised: (method: string, line: string) => void,
): PeerCalls {
  return {
    call: async (name, args) => {
      const method = methods.get(name);
      if (method === undefined) throw remoteCallError(name, new PyException('AttributeError', [`no method ${name}`]));
      try {
        return asReceived(await method(args.map(asReceived)));
      } catch (error) {
        onRaised(name, errorLine(error));
        throw remoteCallError(name, raisedException(error));
      }
    },
  };
}

function asReceived(value: PyValue): PyValue {
  if (value instanceof PyFloat) return value.value;
  if (value instanceof PyTuple) return pyTuple(value.map(asReceived));
  if (Array.isArray(value)) return (value as readonly PyValue[]).map(asReceived);
  if (!isPyDict(value)) return value;
  const dict: Record<string, PyValue> = {};
  for (const [key, item] of Object.entries(value)) dict[key] = asReceived(item);
  return dict satisfies PyDict;
}
